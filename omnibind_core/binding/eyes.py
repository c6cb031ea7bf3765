"""Builds the heads by which sentences, pictures and shapes answer one another in the preset `mini`. Nothing is trained.

The shared space has two blocks, each with a head for every modality; a member's vector is zero outside its own block,
so that the cosine of two bound vectors is the (weighted) mean of the cosines in the blocks.

words (384 wide)
    Meaning as MiniLM sees it. Sentences enter as they are, centred. Pictures and shapes enter by ConSE
    (Norouzi et al., arXiv 1312.5650): the ten likeliest ImageNet classes, mixed from the vectors of their names.
looks (256 wide)
    Appearance as EfficientNet-Lite2 sees it: its features, centred, on the principal axes of its classifier's rows.
    Sentences enter by ConSE turned round: the twenty ImageNet classes whose names lie nearest, mixed from the
    classifier's rows, which are what a typical picture of the class looks like.

Every choice below (text of a class, temperatures, numbers of classes, widths, views) was made on the development
halves of the Tux Paint and Sweet Home pools; :mod:`omnibind_core.binding.evaluate_eyes` reports the other halves.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnibind_core.binding.vectors import feature_means, tower
from omnibind_core.config import assets_directory
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import unit
from omnibind_core.types import Text

__all__ = ["LOOKS", "WIDTH", "WORDS", "build_heads", "class_descriptions", "main", "write_heads"]

log = logging.getLogger(__name__)

WIDTH = 640
"""Width D of mini's shared space."""
WORDS = slice(0, 384)
"""Columns of the block of meaning."""
LOOKS = slice(384, 640)
"""Columns of the block of appearance."""

_FEATURE_NORM = 10.0  # towers give unit rows; their features' length is 10 to 15, and any fixed number there does
_TEXT_TEMPERATURE = 0.07
_TOP_K = {"words.image": 10, "looks.text": 20}
_VERSION = "1"


def class_descriptions() -> list[str]:
    """ImageNet's 1000 classes in timm's order, each as "names: definition", from WordNet by way of timm."""
    import_torchvision()
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [str(info.index_to_description(i, detailed=True)) for i in range(1000)]


def build_heads(
    class_texts: Tensor, weight: Tensor, bias: Tensor, feature_mean: Tensor
) -> dict[str, dict[str, Tensor]]:
    """Work out all heads in closed form.

    Parameters
    ----------
    class_texts : Tensor, shape (1000, 384), float32
        MiniLM's unit rows of :func:`class_descriptions`.
    weight, bias : Tensor, shape (1000, 1280) and (1000,), float32
        EfficientNet-Lite2's classifier.
    feature_mean : Tensor, shape (1280,), float32
        Mean of unit feature rows over pictures and over drawn shapes, half of each.

    Returns
    -------
    dict of str to dict of str to Tensor
        Block ("words", "looks") -> tensor names as :mod:`omnibind_core.projectors` reads them, with the prefix
        ``"text."`` or ``"image."`` (which serves pictures and drawn shapes alike).
    """
    meaning = class_texts.mean(0)
    rows = unit(weight - weight.mean(0))
    # Principal axes in float64, each with its largest entry positive: the same on every machine.
    axes = torch.linalg.svd(rows.double(), full_matrices=False).Vh[: LOOKS.stop - LOOKS.start]
    axes = (axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()).float()
    return {
        "words": {
            "text.W": _into(WORDS, torch.eye(384)).T,
            "text.b": _into(WORDS, -meaning),
            "image.A": _FEATURE_NORM * weight,
            "image.a": bias,
            "image.B": _into(WORDS, class_texts),
            "image.m": _into(WORDS, meaning),
        },
        "looks": {
            "text.A": class_texts / _TEXT_TEMPERATURE,
            "text.a": torch.zeros(len(class_texts)),
            "text.B": _into(LOOKS, rows @ axes.T),
            "text.m": torch.zeros(WIDTH),
            "image.W": _into(LOOKS, axes.T).T,
            "image.b": _into(LOOKS, -axes @ feature_mean),
        },
    }


def _into(block: slice, x: Tensor) -> Tensor:
    """(..., width of the block) -> (..., D), zero elsewhere."""
    wide = torch.zeros(*x.shape[:-1], WIDTH)
    wide[..., block] = x
    return wide


def write_heads(folder: Path, heads: Mapping[str, Mapping[str, Tensor]]) -> list[Path]:
    """Write one float16 ``<block>.safetensors`` for each block into `folder`; gives the paths written."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for block, tensors in heads.items():
        about = {
            "block": [WORDS.start, WORDS.stop] if block == "words" else [LOOKS.start, LOOKS.stop],
            "kinds": {n[:-2]: "anchors" if n.endswith(".A") else "linear" for n in tensors if n.endswith((".A", ".W"))},
            "top_k": {key.partition(".")[2]: k for key, k in _TOP_K.items() if key.startswith(block)},
            "version": _VERSION,
            "sources": "all-MiniLM-L6-v2, EfficientNet-Lite2 (Apache-2.0); WordNet 3.0 glosses by way of timm",
        }
        metadata = {"heads": json.dumps(about, sort_keys=True)}  # one entry: several are written in a random order
        path = folder / f"{block}.safetensors"
        save_file({name: t.to(torch.float16).contiguous() for name, t in sorted(tensors.items())}, path, metadata)
        paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the heads from the towers and the development halves' mean features, and write them."""
    parser = argparse.ArgumentParser(description="Build mini's heads for sentences, pictures and shapes.")
    parser.add_argument("--out", type=Path, default=assets_directory() / "mini", help="folder to write to")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    sentences = tower("minilm_l6").embed("text", [Text(t) for t in class_descriptions()])
    pictures: Any = tower("efficientnet_lite2")
    weight, bias = pictures.classifier
    heads = build_heads(sentences, weight, bias, feature_means())
    for path in write_heads(options.out, heads):
        log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
