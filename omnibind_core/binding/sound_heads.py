"""What the training of the ears starts from and ends in: vectors of labels, and files of heads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from omnibind_core.binding.blocks import BLOCKS, width_of
from omnibind_core.binding.vectors import tower
from omnibind_core.errors import WeightsError
from omnibind_core.projectors import fold
from omnibind_core.specialists.base import unit
from omnibind_core.types import Text

__all__ = [
    "SOURCES",
    "TEMPLATES",
    "Head",
    "head_tensors",
    "kinship",
    "label_vectors",
    "meanings",
    "read_about",
    "read_head",
    "write_heads",
]

Head: TypeAlias = Callable[[Tensor], Tensor]
"""A specialist's unit rows (n, d) -> unit rows (n, width of the block) float32; a mean of several is shorter."""

TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "the sound of {}",
    "sound of a {}",
    "a recording of {}",
    "{} sound effect",
    "you can hear {}",
)
"""Ways of writing a label."""
SOURCES = {
    "aisfx": "aiSFX checkpoint (C) 2022 A. B. Ma and A. Lerch, CC-BY-4.0",
    "whisper_tiny": "Whisper tiny.en (C) 2022 OpenAI, MIT",
    "minilm_l6": "all-MiniLM-L6-v2, Apache-2.0",
}
"""Specialist -> what a file of heads says about what it was made from."""
_VERSION = "2"


@cache
def _meanings(sentences: tuple[str, ...]) -> Tensor:
    return tower("minilm_l6").embed("text", [Text(sentence) for sentence in sentences])


def meanings(labels: Sequence[str]) -> Tensor:
    """MiniLM's unit rows of labels: (templates, L, 384) float32, for each of :data:`TEMPLATES`."""
    rows = _meanings(tuple(template.format(label) for template in TEMPLATES for label in labels))
    return rows.view(len(TEMPLATES), len(labels), -1)


def label_vectors(labels: Sequence[str], folder: Path, block: str) -> Tensor:
    """Vectors of labels in one block of the shared space, as the preset's heads for sentences give them.

    Parameters
    ----------
    labels : sequence of str
        L names.
    folder : Path
        Where ``<block>.safetensors`` lies.
    block : str
        One of :data:`~omnibind_core.binding.blocks.BLOCKS`.

    Returns
    -------
    Tensor, shape (templates, L, width of the block), float32
        Unit rows for each of :data:`TEMPLATES`.
    """
    return read_head(folder / f"{block}.safetensors", block, "text")(meanings(labels))


def read_about(path: Path) -> dict[str, Any]:
    """Read what a file of heads says about itself."""
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        about: dict[str, Any] = json.loads(stored.metadata()["heads"])
    return about


def read_head(path: Path, block: str, prefix: str) -> Head:
    """Read a head as it is applied in its own block, without a preset.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file with a description in its metadata.
    block : str
        Which block it leads to; a head that is stored as wide as several blocks is cut to it.
    prefix : str
        Of its tensors, before the first dot: ``"text"``, ``"audio"``, ``"aisfx"``.

    Raises
    ------
    WeightsError
        The file has no such head, or it is of another width.
    """
    from safetensors.torch import load_file

    about = read_about(path)
    start = f"{prefix}."
    tensors = {name[len(start) :]: t.float() for name, t in load_file(path).items() if name.startswith(start)}
    kind = about["kinds"].get(prefix)
    if kind not in ("linear", "anchors", "mlp"):
        raise WeightsError(f"{path.name} without a head '{prefix}'", f"one of {sorted(about['kinds'])}", "correct it")
    top = int(about.get("top_k", {}).get(prefix, 0))
    layers = _layers(tensors) if kind == "mlp" else []

    def head(x: Tensor) -> Tensor:
        if kind == "linear":
            y = x @ tensors["W"].T + tensors["b"]
        elif kind == "anchors":
            y = _shares(x @ tensors["A"].T + tensors["a"], top) @ tensors["B"] - tensors["m"]
        else:
            y = torch.stack([unit(torch.relu(x.double() @ w.T + b) @ v.T + c) for w, b, v, c in layers]).mean(0)
        if y.shape[-1] > width_of(block):
            y = y[..., slice(*BLOCKS[block])]
        return y.float() if kind == "mlp" else unit(y)

    return head


def _shares(logits: Tensor, top: int) -> Tensor:
    if not 0 < top < logits.shape[-1]:
        return logits.softmax(-1)
    kept = logits.topk(top, dim=-1)
    return torch.zeros_like(logits).scatter(-1, kept.indices, kept.values.softmax(-1))


def _layers(tensors: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Fold the batch norms of heads named ``"{number}.0.weight"`` and so on."""
    layers = []
    for number in range(1 + max(int(name.split(".")[0]) for name in tensors)):
        hidden, d = tensors[f"{number}.0.weight"].shape
        width = len(tensors[f"{number}.3.weight"])
        first = fold(tensors, f"{number}.0.", f"{number}.1.", (hidden, d))
        layers.append((*first, *fold(tensors, f"{number}.3.", f"{number}.4.", (width, hidden))))
    return layers


def head_tensors(heads: Sequence[nn.Sequential], prefix: str = "audio") -> dict[str, Tensor]:
    """Name the tensors of heads of the published form as :mod:`omnibind_core.projectors` reads the kind "mlp"."""
    return {
        f"{prefix}.{number}.{name}": value
        for number, head in enumerate(heads)
        for name, value in head.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def write_heads(
    path: Path, block: str, tensors: Mapping[str, Tensor], kinds: Mapping[str, str], about: Mapping[str, object]
) -> None:
    """Write heads as float16, as wide as their block.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, replaced atomically.
    block : str
        Where in the shared space they lead.
    tensors : mapping of str to Tensor
        ``"<prefix>.<name>"`` as :mod:`omnibind_core.projectors` reads them.
    kinds : mapping of str to str
        Kind of the head of each prefix.
    about : mapping of str to object
        What else the file shall say about itself, as JSON.
    """
    from safetensors.torch import save_file

    # One key: safetensors writes several in no fixed order.
    described = {"block": list(BLOCKS[block]), "kinds": dict(kinds), "version": _VERSION, **about}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    stored = {name: value.detach().to(torch.float16).contiguous() for name, value in sorted(tensors.items())}
    save_file(stored, part, {"heads": json.dumps(described, sort_keys=True)})
    part.replace(path)


def kinship(words: Tensor) -> Tensor:
    """Which labels mean nearly the same: (L, 384) unit rows -> (L, L) rows that sum to 1."""
    return torch.softmax(8.0 * words @ words.T, dim=1)
