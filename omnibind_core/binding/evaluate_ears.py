"""How well sounds are named, found and matched with pictures: always by heads that never heard the sounds' packages.

The heads in ``assets/mini/eval`` were trained as the product's, but without the packages of
:data:`omnibind_core.binding.pools_sounds.TEST`, on which no choice was made either.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.binding.evaluate_eyes import EmbedImage, EmbedText, mini_embedders
from omnibind_core.binding.hearing import hear_recordings
from omnibind_core.binding.pools_images import tux_paint
from omnibind_core.binding.pools_sounds import TEST, Clip
from omnibind_core.binding.retrieval import Row, measure, table
from omnibind_core.config import assets_directory, load_preset
from omnibind_core.projectors import fold
from omnibind_core.specialists.base import unit
from omnibind_core.types import FloatArray

__all__ = ["EmbedSound", "Learned", "evaluate_sounds", "head_embedder", "learned", "main"]

log = logging.getLogger(__name__)

EmbedSound: TypeAlias = Callable[[Tensor], FloatArray]
BLOCKS = ("words", "looks")


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
    from safetensors import safe_open

    with safe_open(folder / "aisfx_words.safetensors", "pt") as stored:
        about = json.loads(stored.metadata()["heads"])
    return Learned(about["labels"], set(about["taught"]), set(about["held_out"]))


def head_embedder(folder: Path, blocks: Sequence[str] = BLOCKS) -> EmbedSound:
    """Bind sounds with the heads in `folder`, each block with the same weight.

    Parameters
    ----------
    folder : Path
        Where ``aisfx_<block>.safetensors`` lie.
    blocks : sequence of {"words", "looks"}
        Which to use.

    Returns
    -------
    callable
        aiSFX's unit rows (n, 512) -> (n, D) float32 unit rows.
    """
    from safetensors.torch import load_file

    layers: dict[str, list[tuple[Tensor, Tensor, Tensor, Tensor]]] = {}
    for block in blocks:
        tensors = load_file(folder / f"aisfx_{block}.safetensors")
        count = 1 + max(int(name.split(".")[1]) for name in tensors)
        for prefix in (f"audio.{number}." for number in range(count)):
            hidden, d = tensors[f"{prefix}0.weight"].shape
            width = len(tensors[f"{prefix}3.weight"])
            first = fold(tensors, f"{prefix}0.", f"{prefix}1.", (hidden, d))
            second = fold(tensors, f"{prefix}3.", f"{prefix}4.", (width, hidden))
            layers.setdefault(block, []).append((*first, *second))

    @torch.inference_mode()
    def embed(rows: Tensor) -> FloatArray:
        bound = torch.zeros(())
        for heads in layers.values():
            outputs = [unit(torch.relu(rows.double() @ w.T + b) @ v.T + c) for w, b, v, c in heads]
            bound = bound + torch.stack(outputs).mean(0)
        vectors: FloatArray = unit(bound).numpy()
        return vectors

    return embed


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
        aiSFX's unit rows (n, 512) -> (n, D) unit rows.
    known : Learned
        Names to choose from, and which of them were taught.
    embed_image : callable, optional
        Entries of :func:`~omnibind_core.binding.pools_images.tux_paint` -> (n, D) unit rows; without it no pictures.
    sources : tuple of str
        Packages of the sounds; fetched at the first call.

    Returns
    -------
    list of Row
        "Taught" labels are those that the heads learned from other packages' sounds.
    """
    heard = hear_recordings(sources)
    sounds, clips = embed_sound(heard.clean), heard.clips
    right = _same([clip.label for clip in clips], known.labels)
    taught = np.array([clip.label in known.taught for clip in clips])
    rows: list[Row] = []
    for way, template in (("label", "{}"), ("sentence", "the sound of a {}")):
        texts = embed_text([template.format(label) for label in known.labels])
        rows.append(measure(f"held-out sounds -> {way}", sounds, texts, right))
        rows.append(measure(f"held-out sounds of taught labels -> {way}", sounds[taught], texts, right[taught]))
        rows.append(measure(f"{way} -> held-out sound", texts, sounds, right.T))
    if embed_image is not None:
        rows += _with_pictures(sounds, clips, embed_image, known.labels)
    return rows


def _with_pictures(
    sounds: FloatArray, clips: Sequence[Clip], embed_image: EmbedImage, labels: Sequence[str]
) -> list[Row]:
    """Match sounds with the photographs that bear the name of something that sounds."""
    pictures = [p for p in tux_paint() if p.photograph and any(_names(p.name, label) for label in labels)]
    images = embed_image(pictures)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate the held-out heads and log the table."""
    parser = argparse.ArgumentParser(description="Measure how mini names and finds sounds.")
    parser.add_argument("--heads", type=Path, default=assets_directory() / "mini" / "eval", help="folder of the heads")
    parser.add_argument("--blocks", nargs="+", default=list(BLOCKS), choices=BLOCKS, help="blocks that sounds enter")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    embed_text, embed_image, _ = mini_embedders(load_preset("mini"))
    known = learned(options.heads)
    if not set(TEST) <= known.held_out:
        log.warning("the heads in %s were taught the test packages: these figures flatter", options.heads)
    embed_sound = head_embedder(options.heads, options.blocks)
    log.info("%s", table(evaluate_sounds(embed_text, embed_sound, known, embed_image)))


if __name__ == "__main__":
    main()
