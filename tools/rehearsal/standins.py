"""Stand-in weight files: the published names, shapes, types and forms, and made-up numbers in a few of the places.

Names, shapes and types come from the committed key lists (``tests/data/keys``). Large files are sparse: each tensor
holds a block of small random numbers and then zeros, so that 23 GB take a few hundred megabytes of this disk.
"""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import logging
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from omnibind_core.presets.preset import Preset, load_preset
from omnibind_core.presets.tensors import expected_names
from omnibind_core.specialists import registry
from omnibind_core.specialists.open_clip_towers import SIGLIP, SIGLIP_2, Pieces
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.sources import HubFile, WeightSource

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer, Tokenizer

__all__ = [
    "BLOCK",
    "FORMS",
    "Keys",
    "keys_of_heads",
    "pinned_to",
    "pins",
    "read_keys",
    "shrunk",
    "stand_in_of",
    "stand_ins",
    "write_safetensors",
    "write_torch",
]

log = logging.getLogger(__name__)

Keys: TypeAlias = Mapping[str, tuple[tuple[int, ...], str]]
"""{tensor: (shape, type)}."""

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
BLOCK = 1 << 16  # numbers of each tensor that are not zero, at most
_SCALE = 0.02  # of the made-up numbers


@dataclass(frozen=True)
class _Form:
    """How a family's files were published.

    Attributes
    ----------
    keys : str
        The key list.
    member : str
        Under what name the state dict lies in what a training left; "" where it is the whole.
    before : str
        What stands before each name.
    states : int
        How many states of an optimizer lie beside each number.
    dtype : str
        Type of the floating-point numbers where the list, which is of the loaded network, has another one.
    """

    keys: str
    member: str = ""
    before: str = ""
    states: int = 0
    dtype: str = ""


_UNI3D = _Form("uni3d_g", "module", dtype="float16")
_WAVCAPS = _Form("wavcaps", "model", states=2)
FORMS: Mapping[str, _Form] = {
    "clap_general": _Form("clap_general", "state_dict", "module.", states=2),
    "clap_music": _Form("clap_music", "state_dict", "module.", states=2),
    "clap_unfused": _Form("clap_unfused"),
    "dfn_h14": _Form("dfn_h14"),
    "eva02_e14_plus": _Form("eva02_e14_plus", dtype="bfloat16"),
    "eva_clip_18b": _Form("eva_clip_18b"),
    "imagebind_huge": _Form("imagebind"),
    "siglip2_b32_256": _Form("siglip2_b32_256"),
    "siglip2_so400m_384": _Form("siglip2_so400m_384"),
    "siglip_l_384": _Form("siglip_l_384"),
    "siglip_so400m_384": _Form("siglip_so400m_384"),
    **dict.fromkeys(("uni3d_g_lvis", "uni3d_g_modelnet40", "uni3d_g_scanobjectnn"), _UNI3D),
    **dict.fromkeys(("wavcaps_pt", "wavcaps_ft_audiocaps", "wavcaps_ft_clotho"), _WAVCAPS),
}


def read_keys(name: str) -> Keys:
    """Read a committed key list: one tensor a line, its name, shape and type."""
    lines = gzip.decompress((DATA / "keys" / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = [line.split("\t") for line in lines]
    return {key: (tuple(int(side) for side in shape.split(",") if side), dtype) for key, shape, dtype in rows}


def keys_of_heads(preset: Preset, file: str) -> Keys:
    """Give the key list of a published preset's heads and routers; what is derived is said in `DERIVED`."""
    known = {"base": "base", "large": "large", "full": "large"}[preset.name]
    rows = [line.split("\t") for line in (DATA / f"{known}_keys.txt").read_text().splitlines()]
    keys = {key: (ast.literal_eval(shape), dtype) for key, shape, dtype in rows}
    if preset.name == "full":
        members = len(preset.members["image"])
        keys = {key: one for key, one in keys.items() if not key.startswith("ib_projs.")}
        keys["V_enc_router.router.6.weight"] = ((members, 100), "float32")
        keys["V_enc_router.router.6.bias"] = ((members,), "float32")
    unknown = set(keys) - expected_names(preset, file)
    if unknown:
        raise ValueError(f"{preset.name} does not want {sorted(unknown)[:3]}")
    return keys


DERIVED = """\
full's checkpoint is a stand-in of which only the size is known: large's names with full's own router, and without
ib_projs.*, which is what its published size leaves room for."""


def shrunk(keys: Keys, side: int = 8) -> Keys:
    """Cut every shape down: the same names and types, a few numbers each."""
    return {name: (tuple(min(one, side) for one in shape), dtype) for name, (shape, dtype) in keys.items()}


def stand_ins(preset: Preset, folder: Path, *, small: bool) -> dict[str, Path]:
    """Write a stand-in for each file that a preset has on the Hub.

    Parameters
    ----------
    preset : Preset
        Whose.
    folder : Path
        Where to; a file that is there is kept.
    small : bool
        Cut the shapes down.

    Returns
    -------
    dict of str to Path
        ``owner/name/path`` -> the file.
    """
    made: dict[str, Path] = {}
    presets = [preset, *(load_preset("large") for _ in preset.fallbacks)]
    for one in presets:
        for file, head in one.files.items():
            if isinstance(head, HubFile):
                keys = keys_of_heads(one, file)
                made[head.label] = _written(folder, head, _Form(""), shrunk(keys) if small else keys, 0, 1)
    for name in required(preset.specialists()):
        files = stand_in_of(name, folder, small=small)
        made |= {source.label: files[role] for role, source in _hub_files(name).items() if role in files}
    return made


def stand_in_of(name: str, folder: Path, *, small: bool = False) -> dict[str, Path]:
    """Write stand-ins of one specialist's files on the Hub: {role: file}, of true size unless `small`."""
    made: dict[str, Path] = {}
    sources = _hub_files(name)
    parts = [role for role in sources if role != "tokenizer"]
    for role, source in sources.items():
        if role == "tokenizer":
            made[role] = _tokenizer(folder / source.label)
        elif name in FORMS:
            keys = read_keys(FORMS[name].keys)
            keys = shrunk(keys) if small else keys
            made[role] = _written(folder, source, FORMS[name], keys, parts.index(role), len(parts))
        else:
            log.warning("%s has no key list here, and no stand-in", source.label)
    return made


def _hub_files(name: str) -> dict[str, HubFile]:
    return {role: source for role, source in find(name)[0].weights.items() if isinstance(source, HubFile)}


def _written(folder: Path, source: HubFile, form: _Form, keys: Keys, part: int, parts: int) -> Path:
    path = folder / source.label
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {form.before + key: keys[key] for key in sorted(keys)[part::parts]}
    if form.dtype:
        chosen = {key: (shape, form.dtype if kind == "float32" else kind) for key, (shape, kind) in chosen.items()}
    if source.filename.endswith(".safetensors"):
        write_safetensors(path, chosen)
    else:
        write_torch(path, chosen, form.member, form.states)
    return path


def _numbers(name: str, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    """Make the first numbers of a tensor up; the rest of it is zero."""
    count = min(int(np.prod(shape, dtype=np.int64)), BLOCK)
    kind: torch.dtype = getattr(torch, dtype)
    if not kind.is_floating_point:
        return torch.zeros(count, dtype=kind)
    if name.endswith(("running_var", "melW")) or (len(shape) < 2 and not name.endswith("bias")):
        return torch.full((count,), 0.01 if name.endswith("melW") else 1.0, dtype=kind)
    seed = int.from_bytes(sha256(name.encode()).digest()[:4], "little")
    return (_SCALE * torch.randn(count, generator=torch.Generator().manual_seed(seed))).to(kind)


def write_safetensors(path: Path, keys: Keys) -> None:
    """Write a safetensors file whose tensors are mostly zero, sparsely."""
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64"}
    header: dict[str, Any] = {}
    at = 0
    for name, (shape, dtype) in keys.items():
        end = at + int(np.prod(shape, dtype=np.int64)) * getattr(torch, dtype).itemsize
        header[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    content = json.dumps(header).encode()
    content += b" " * (-len(content) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(content)) + content)
        for name, (shape, dtype) in keys.items():
            stream.seek(8 + len(content) + header[name]["data_offsets"][0])
            stream.write(_numbers(name, shape, dtype).view(torch.uint8).numpy().tobytes())
        stream.truncate(8 + len(content) + at)


def write_torch(path: Path, keys: Keys, member: str = "", states: int = 0) -> None:
    """Write what ``torch.save`` writes, with tensors that are mostly zero, sparsely.

    Parameters
    ----------
    path : Path
        Where to.
    keys : mapping
        Of the state dict.
    member : str
        Under what name the state dict lies, beside an optimizer's state; "" writes the state dict alone.
    states : int
        How many states of the optimizer lie beside each number.
    """
    made = {name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in keys.items()}
    beside = [{name: torch.empty_like(one) for name, one in made.items()} for _ in range(states)]
    whole: Any = {"epoch": 15, "optimizer": {"state": beside}, member: made} if member else made
    with torch.serialization.skip_data():
        torch.save(whole, path)
    # Whatever is written into a shared mapping is written into the file.
    with torch.serialization.set_default_mmap_options(mmap.MAP_SHARED):
        loaded = torch.load(path, weights_only=True, mmap=True)
    for name, (shape, dtype) in keys.items():
        numbers = _numbers(name, shape, dtype)
        (loaded[member] if member else loaded)[name].view(-1)[: len(numbers)] = numbers


def _tokenizer(path: Path) -> Path:
    """Write a tokenizer of the kind and size of bert-base-uncased's, SigLIP's or roberta-base's; few words are real."""
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if "bert-base" in str(path):
        _bert().save(str(path))
    elif "SigLIP2" in str(path):
        _siglip(SIGLIP_2, 256_000).save(str(path))
    elif "SigLIP" in str(path):
        _siglip(SIGLIP, 32_000).save(str(path))
    else:
        _roberta().save(str(path))
    return path


def _bert() -> BertWordPieceTokenizer:
    from tokenizers import BertWordPieceTokenizer

    letters = [chr(ord("a") + i) for i in range(26)]
    pieces = [f"[unused{i}]" for i in range(30_522)]
    for i, name in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        pieces[i] = name
    known = [*letters, *(f"##{letter}" for letter in letters), "the", "dog", "bark", "."]
    pieces[1000 : 1000 + len(known)] = known
    return BertWordPieceTokenizer({piece: i for i, piece in enumerate(pieces)}, lowercase=True)


def _siglip(pieces: Pieces, count: int) -> Tokenizer:
    made = _bytes_to_pieces(dict([pieces.end, pieces.padding]), count)
    made.add_special_tokens([pieces.end[0], pieces.padding[0]])
    return made


def _roberta() -> Tokenizer:
    from tokenizers import processors

    names = ["<s>", "<pad>", "</s>", "<unk>"]
    made = _bytes_to_pieces({name: i for i, name in enumerate(names)} | {"<mask>": 50_264}, 50_265, "<unk>")
    ends = {"trim_offsets": True, "add_prefix_space": False}
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), **ends)
    made.add_special_tokens([*names, "<mask>"])
    return made


def _bytes_to_pieces(known: Mapping[str, int], count: int, unknown: str | None = None) -> Tokenizer:
    """Make a tokenizer of `count` pieces: the known ones at their places, then letters, then made-up words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    taken = set(known.values())
    free = (i for i in range(count) if i not in taken)
    words = itertools.chain(sorted(pre_tokenizers.ByteLevel.alphabet()), (f"madeupword{i}" for i in itertools.count()))
    table = dict(known) | {next(words): i for i in free}
    made = Tokenizer(models.BPE(table, [], unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def pins(preset: Preset, files: Mapping[str, Path]) -> dict[str, tuple[str, int]]:
    """Hash the stand-ins of files whose records state a hash or a size: {label: (sha256, bytes)}."""
    found = {}
    for name in required(preset.specialists()):
        for source in find(name)[0].weights.values():
            if isinstance(source, HubFile) and (source.sha256 or source.size) and source.label in files:
                digest, path = sha256(), files[source.label]
                with path.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        digest.update(block)
                found[source.label] = digest.hexdigest(), path.stat().st_size
    return found


@contextmanager
def pinned_to(known: Mapping[str, Sequence[Any]]) -> Iterator[None]:
    """Let the records of specialists name the stand-ins' hashes and sizes (:func:`pins`) instead of the published."""
    table = registry._table()
    before = dict(table)

    def pinned(source: WeightSource) -> WeightSource:
        if not isinstance(source, HubFile) or source.label not in known:
            return source
        digest, size = known[source.label]
        return replace(source, sha256=digest if source.sha256 else None, size=size if source.size else None)

    for name, (spec, module) in before.items():
        table[name] = (replace(spec, weights={role: pinned(one) for role, one in spec.weights.items()}), module)
    try:
        yield
    finally:
        table.update(before)
