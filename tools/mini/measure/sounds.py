"""How well sounds are named, found and matched with pictures: always by heads that never heard the sounds' packages.

The heads in ``assets/mini/eval`` were trained as the product's, but without the packages of
:data:`tools.mini.pools.sounds.TEST`, on which no choice was made either. For choices, groups of the other
packages are held out in turn: ``python -m tools.mini.measure.sounds --development``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.binding.forms import read_about, read_head
from omnibind_core.evaluation.retrieval import Row, measure, table
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory, cache_directory
from omnibind_core.types import FloatArray, Text
from tools.mini.blocks import BLOCKS, WIDTH, width_of
from tools.mini.pools.pictures import NamedPicture, tux_paint
from tools.mini.pools.sounds import DEVELOPMENT, TEST, Clip
from tools.mini.pools.vectors import in_development, picture_vectors
from tools.mini.sounds.hearing import hear, hear_recordings
from tools.mini.sounds.train import APPEARANCE, EarRecipe, Pool, build, twins

__all__ = [
    "MEMBERS",
    "EmbedSound",
    "Learned",
    "development",
    "evaluate_sounds",
    "head_embedder",
    "learned",
    "main",
    "picture_embedder",
    "text_embedder",
]

log = logging.getLogger(__name__)

Vectors: TypeAlias = Mapping[str, Tensor]
"""Tower -> its unit rows (n, d) of the same sounds."""
EmbedSound: TypeAlias = Callable[[Vectors], FloatArray]
EmbedText: TypeAlias = Callable[[Sequence[str]], FloatArray]
EmbedImage: TypeAlias = Callable[[Sequence[NamedPicture]], FloatArray]

MEMBERS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "aisfx_words": ("words", (("aisfx_words", "audio", "aisfx"),)),
    "whisper_tiny_words": ("words", (("whisper_tiny_words", "audio", "whisper_tiny"),)),
    "aisfx_looks": ("looks", (("aisfx_looks", "audio", "aisfx"),)),
    "whisper_tiny_sights": ("sights", (("whisper_tiny_sights", "audio", "whisper_tiny"),)),
    "aisfx_heard": ("heard", (("heard", "aisfx", "aisfx"),)),
    "whisper_tiny_heard": ("heard", (("heard", "whisper_tiny", "whisper_tiny"),)),
    "heard": ("heard", (("heard", "aisfx", "aisfx"), ("heard", "whisper_tiny", "whisper_tiny"))),
}
"""What a sound may enter by: its block, and (file, prefix of the head, tower) of each head that is averaged."""
FLAT = ("aisfx_words", "whisper_tiny_words", "aisfx_looks", "whisper_tiny_sights", "heard")
"""The members that the preset uses, all with the same weight."""
_PICTURED = ("words", "looks")  # blocks that EfficientNet-Lite2 leads to
_WAYS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in MEMBERS},
    "aiSFX, flat": ("aisfx_words", "aisfx_looks", "aisfx_heard"),
    "Whisper, flat": ("whisper_tiny_words", "whisper_tiny_sights", "whisper_tiny_heard"),
    "words of both": ("aisfx_words", "whisper_tiny_words"),
    "words and heard of both": ("aisfx_words", "whisper_tiny_words", "heard"),
    "both, flat": FLAT,
}


class Learned(NamedTuple):
    """What the heads of a folder know of the pool.

    Attributes
    ----------
    labels : list of str
        All labels that sounds of the pool have.
    taught : set of str
        Those that they learned from sounds; of the others they only know the words.
    held_out : set of str
        Sources that they never heard.
    """

    labels: list[str]
    taught: set[str]
    held_out: set[str]


def learned(folder: Path) -> Learned:
    """Read what the heads in `folder` say about themselves."""
    about = read_about(folder / "heard.safetensors")
    return Learned(about["labels"], set(about["taught"]), set(about["held_out"]))


def head_embedder(folder: Path, members: Sequence[str] = FLAT) -> EmbedSound:
    """Bind sounds with the heads in `folder`, each member with the same weight, without a preset.

    Parameters
    ----------
    folder : Path
        Where the heads of :mod:`tools.mini.sounds.train` lie.
    members : sequence of str
        Of :data:`MEMBERS`; those whose file is not there are left out.

    Returns
    -------
    callable
        Rows by tower, (n, d) each -> (n, D) float32 unit rows.
    """
    chosen = []
    for name in members:
        block, parts = MEMBERS[name]
        if all((folder / f"{file}.safetensors").is_file() for file, _, _ in parts):
            heads = [
                (read_head(folder / f"{file}.safetensors", BLOCKS[block], prefix), ears) for file, prefix, ears in parts
            ]
            chosen.append((block, heads))

    @torch.inference_mode()
    def embed(rows: Vectors) -> FloatArray:
        bound = torch.zeros(len(next(iter(rows.values()))), WIDTH)
        for block, heads in chosen:
            bound[:, slice(*BLOCKS[block])] += torch.stack([head(rows[ears]) for head, ears in heads]).mean(0)
        vectors: FloatArray = unit(bound).numpy()
        return vectors

    return embed


def text_embedder(eyes: Path, ears: Path) -> EmbedText:
    """Bind sentences flat, without a preset: words, looks and sights as in folder `eyes`, heard as in `ears`."""
    paths = {block: (ears if block == "heard" else eyes) / f"{block}.safetensors" for block in BLOCKS}
    heads = {b: read_head(path, BLOCKS[b], "text") for b, path in paths.items() if b != "shaped" and path.is_file()}

    @torch.inference_mode()
    def embed(sentences: Sequence[str]) -> FloatArray:
        rows = tower("minilm_l6").embed("text", [Text(sentence) for sentence in sentences])
        return _side_by_side({block: head(rows) for block, head in heads.items()})

    return embed


def picture_embedder(eyes: Path) -> EmbedImage:
    """Bind Tux Paint's pictures flat, without a preset, by EfficientNet-Lite2: words and looks as in folder `eyes`."""
    heads = {block: read_head(eyes / f"{block}.safetensors", BLOCKS[block], "image") for block in _PICTURED}

    @torch.inference_mode()
    def embed(pictures: Sequence[NamedPicture]) -> FloatArray:
        place = {picture.key: i for i, picture in enumerate(tux_paint())}
        rows = torch.from_numpy(picture_vectors()[[place[picture.key] for picture in pictures]])
        return _side_by_side({block: head(rows) for block, head in heads.items()})

    return embed


def _side_by_side(parts: Mapping[str, Tensor]) -> FloatArray:
    """Put unit rows into the columns of their blocks: -> (n, D) float32 unit rows."""
    bound = torch.zeros(len(next(iter(parts.values()))), WIDTH)
    for block, rows in parts.items():
        bound[:, slice(*BLOCKS[block])] = rows[:, : width_of(block)]
    vectors: FloatArray = unit(bound).numpy()
    return vectors


def evaluate_sounds(
    embed_text: EmbedText,
    embed_sound: EmbedSound,
    known: Learned,
    embed_image: EmbedImage | None = None,
    sources: tuple[str, ...] = TEST,
) -> list[Row]:
    """Name held-out sounds, find them by their names, and match them with Tux Paint's photographs.

    Parameters
    ----------
    embed_text : callable
        Sentences -> (n, D) unit rows.
    embed_sound : callable
        Unit rows by tower -> (n, D) unit rows.
    known : Learned
        Names to choose from, and which of them were taught.
    embed_image : callable, optional
        Entries of :func:`~tools.mini.pools.pictures.tux_paint` -> (n, D) unit rows; without it no pictures.
    sources : tuple of str
        Packages of the sounds; fetched at the first call.

    Returns
    -------
    list of Row
        "Taught" labels are those that the heads learned from other packages' sounds.
    """
    heard = {name: hear_recordings(name, sources) for name in APPEARANCE}
    clips = heard["aisfx"].clips
    sounds = embed_sound({name: one.clean for name, one in heard.items()})
    right = _same([clip.label for clip in clips], known.labels)
    taught = np.array([clip.label in known.taught for clip in clips])
    rows: list[Row] = []
    for way, template in (("label", "{}"), ("sentence", "the sound of a {}")):
        texts = embed_text([template.format(label) for label in known.labels])
        rows.append(measure(f"held-out sounds -> {way}", sounds, texts, right))
        rows.append(measure(f"held-out sounds of taught labels -> {way}", sounds[taught], texts, right[taught]))
        rows.append(measure(f"{way} -> held-out sound", texts, sounds, right.T))
    if embed_image is not None:
        pictures = [p for p in tux_paint() if p.photograph and any(_names(p.name, label) for label in known.labels)]
        rows += _with_pictures(sounds, clips, embed_image(pictures), pictures)
    return rows


def _with_pictures(
    sounds: FloatArray, clips: Sequence[Clip], images: FloatArray, pictures: Sequence[NamedPicture]
) -> list[Row]:
    """Match sounds with the photographs that bear the name of something that sounds."""
    right = np.array([[_names(p.name, clip.label) for p in pictures] for clip in clips])
    return [
        measure("held-out sounds -> picture", sounds, images, right),
        measure("pictures -> held-out sound", images, sounds, right.T),
    ]


def _names(picture: str, label: str) -> bool:
    return picture == label or picture.endswith(f" {label}")


def _same(left: Sequence[str], right: Sequence[str]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = np.array(left)[:, None] == np.array(right)[None, :]
    return equal


def development(eyes: Path, recipe: EarRecipe, ways: Mapping[str, Sequence[str]]) -> list[Row]:
    """Hold each group of development packages out in turn, and name its sounds; the test packages stay unheard.

    Parameters
    ----------
    eyes : Path
        Folder of the heads for sentences and pictures.
    recipe : EarRecipe
        How words heads are trained.
    ways : mapping of str to sequence of str
        What people read -> members that sounds enter by.

    Returns
    -------
    list of Row
        For each way: all sounds, those of taught labels, and sounds to the development half of Tux Paint's
        photographs.
    """
    towers = {name: hear(name) for name in APPEARANCE}
    clips = towers["aisfx"].clips
    labels = sorted({clip.label for clip in clips})
    work = cache_directory() / "ears"
    pictures = [p for p in tux_paint() if in_development(p.name) and p.photograph]
    pictures = [p for p in pictures if any(_names(p.name, label) for label in labels)]
    images = picture_embedder(eyes)(pictures)
    found: dict[str, list[tuple[FloatArray, FloatArray]]] = {way: [] for way in ways}
    asked: list[Clip] = []
    taught: list[bool] = []
    for number, group in enumerate(DEVELOPMENT):
        held_out = (*group, *TEST)
        unheard = torch.tensor([clip.source in held_out for clip in clips])
        pool = Pool(towers, labels, ~unheard & ~twins(towers["aisfx"], held_out))
        folder = work / "development" / str(number)
        known = {clip.label for clip, heard in zip(clips, pool.taught, strict=True) if heard}
        build(pool, eyes, folder, recipe, {"labels": labels, "taught": sorted(known)}, work / "training")
        texts = text_embedder(eyes, folder)(labels)
        mine = torch.tensor([clip.source in group for clip in clips])
        asked += [clip for clip, one in zip(clips, mine, strict=True) if one]
        taught += [clip.label in known for clip, one in zip(clips, mine, strict=True) if one]
        for way, members in ways.items():
            sounds = head_embedder(folder, members)({name: one.clean[mine] for name, one in towers.items()})
            found[way].append((sounds, texts))
    right = _same([clip.label for clip in asked], labels)
    rows: list[Row] = []
    for way, parts in found.items():
        sounds = np.concatenate([sounds for sounds, _ in parts])
        # Each fold has its own vectors of labels (those of the block `heard` come from its sounds): measure products.
        scores = np.concatenate([sounds @ texts.T for sounds, texts in parts])
        each = np.eye(len(labels), dtype=np.float32)
        rows.append(measure(f"{way}: sounds -> label", scores, each, right))
        rows.append(measure(f"{way}: sounds of taught labels -> label", scores[taught], each, right[taught]))
        if {MEMBERS[name][0] for name in ways[way]} & set(_PICTURED):
            rows.append(replace(_with_pictures(sounds, asked, images, pictures)[0], task=f"{way}: sounds -> picture"))
    return rows


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mini.measure.sounds", description="Measure how mini names and finds sounds."
    )
    mini = assets_directory() / "mini"
    found.add_argument("--heads", type=Path, default=mini / "eval", help="folder of the sounds' heads")
    found.add_argument("--eyes", type=Path, default=mini, help="folder of the sentences' and pictures' heads")
    found.add_argument("--members", nargs="+", default=list(FLAT), choices=list(MEMBERS), help="what sounds enter by")
    found.add_argument("--development", action="store_true", help="hold development packages out in turn instead")
    found.add_argument("--seeds", type=int, default=1, help="words heads of each tower that are trained for that")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate the held-out heads, or hold development packages out in turn, and log the table."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    if options.development:
        log.info("%s", table(development(options.eyes, replace(EarRecipe(), heads=options.seeds), _WAYS)))
        return
    known = learned(options.heads)
    if not set(TEST) <= known.held_out:
        log.warning("the heads in %s were taught the test packages: these figures flatter", options.heads)
    embed_text = text_embedder(options.eyes, options.heads)
    embed_sound = head_embedder(options.heads, options.members)
    log.info("%s", table(evaluate_sounds(embed_text, embed_sound, known, picture_embedder(options.eyes))))


if __name__ == "__main__":
    main()
