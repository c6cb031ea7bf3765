"""Builds the heads by which sentences, pictures and shapes answer one another in the preset `mini`. Nothing is trained.

The shared space has blocks of columns (:mod:`tools.mini.blocks`), and a head fills one of them, so that the
cosine of two bound vectors is a weighted mean of the cosines in the blocks. A picture tower (EfficientNet-Lite2, and
as a second opinion EfficientNet-Lite0) leads into two:

words (384 wide)
    Meaning as MiniLM sees it. Sentences enter as they are, centred. Pictures and shapes enter by ConSE
    (Norouzi et al., arXiv 1312.5650): the ten likeliest ImageNet classes, mixed from the vectors of their names.
looks, of Lite0 sights (256 wide)
    Appearance as the tower sees it: its features, centred, on the principal axes of its classifier's rows. Sentences
    enter by ConSE turned round: the twenty ImageNet classes whose names lie nearest, mixed from the classifier's
    rows, which are what a typical picture of the class looks like.

Every choice below (text of a class, temperatures, numbers of classes, widths, views) was made on the development
halves of the Tux Paint and Sweet Home pools; :mod:`tools.mini.measure` reports the other halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnibind_core.binding.forms import kinds_of, write_heads
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from tools.mini.blocks import BLOCKS, width_of
from tools.mini.labels import meanings
from tools.mini.pools.vectors import feature_means

__all__ = ["EYES", "Eye", "class_descriptions", "eye_heads", "make", "text_heads", "write_eyes"]

_FEATURE_NORM = 10.0  # towers give unit rows; their features' length is 10 to 15, and any fixed number there does
_TEXT_TEMPERATURE = 0.07
_TOP_K = {"words": 10, "names": 10, "looks": 20, "sights": 20}  # of the head of kind "anchors" in each file
_VERSION = "2"


@dataclass(frozen=True)
class Eye:
    """A picture tower and where it leads.

    Attributes
    ----------
    pictures : str
        Specialist.
    shapes : str
        Specialist that looks at drawn shapes with it; empty for none.
    words, looks : str
        Files, and spaces of the preset, of its heads into the block of words and into its block of appearance.
    """

    pictures: str
    words: str
    looks: str
    shapes: str = ""


EYES: tuple[Eye, ...] = (
    Eye("efficientnet_lite2", "words", "looks", shapes="shape_views"),
    Eye("efficientnet_lite0", "names", "sights"),
)


def class_descriptions() -> list[str]:
    """ImageNet's 1000 classes in timm's order, each as "names: definition", from WordNet by way of timm."""
    import_torchvision()
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [str(info.index_to_description(i, detailed=True)) for i in range(1000)]


def text_heads(class_texts: Tensor) -> dict[str, Tensor]:
    """Sentences into the block of words, centred: kind "linear".

    Parameters
    ----------
    class_texts : Tensor, shape (1000, 384), float32
        MiniLM's unit rows of :func:`class_descriptions`.
    """
    return {"text.W": torch.eye(class_texts.shape[1]), "text.b": -class_texts.mean(0)}


def eye_heads(
    class_texts: Tensor, weight: Tensor, bias: Tensor, feature_mean: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Work out the heads of a picture tower in closed form.

    Parameters
    ----------
    class_texts : Tensor, shape (1000, 384), float32
        MiniLM's unit rows of :func:`class_descriptions`.
    weight, bias : Tensor, shape (1000, 1280) and (1000,), float32
        The tower's classifier.
    feature_mean : Tensor, shape (1280,), float32
        Mean of unit feature rows, see :func:`tools.mini.pools.vectors.feature_means`.

    Returns
    -------
    words : dict of str to Tensor
        Pictures and drawn shapes into the block of words (``"image."``, kind "anchors").
    looks : dict of str to Tensor
        Sentences (``"text."``, "anchors"), pictures and drawn shapes (``"image."``, "linear") into that of appearance.
    """
    rows = unit(weight - weight.mean(0))
    # Principal axes in float64, each with its largest entry positive: the same on every machine.
    axes = torch.linalg.svd(rows.double(), full_matrices=False).Vh[: width_of("looks")]
    axes = (axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()).float()
    words = {
        "image.A": _FEATURE_NORM * weight, "image.a": bias, "image.B": class_texts, "image.m": class_texts.mean(0)
    }  # fmt: skip
    looks = {
        "text.A": class_texts / _TEXT_TEMPERATURE, "text.a": torch.zeros(len(class_texts)),
        "text.B": rows @ axes.T, "text.m": torch.zeros(len(axes)),
        "image.W": axes, "image.b": -axes @ feature_mean,
    }  # fmt: skip
    return words, looks


def write_eyes(folder: Path, heads: Mapping[str, Mapping[str, Tensor]]) -> list[Path]:
    """Write one ``<name>.safetensors`` for each space into `folder`; gives the paths written.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    heads : mapping of str to mapping of str to Tensor
        By space ("words", "names", "looks", "sights"), as :mod:`omnibind_core.binding.projectors` reads them.
    """
    paths = [folder / f"{space}.safetensors" for space in heads]
    for path, (space, tensors) in zip(paths, heads.items(), strict=True):
        kinds = kinds_of(tensors)
        about = {
            "block": BLOCKS.get(space, BLOCKS["words"]),
            "kinds": kinds,
            "top_k": {prefix: _TOP_K[space] for prefix, kind in kinds.items() if kind == "anchors"},
            "version": _VERSION,
            "sources": "all-MiniLM-L6-v2, EfficientNet-Lite (Apache-2.0); WordNet 3.0 glosses by way of timm",
        }
        write_heads(path, tensors, about)
    return paths


def make(out: Path) -> None:
    """Build the heads from the towers and the development halves' mean features, and write them into a folder."""
    sentences = meanings(class_descriptions())[0]
    heads: dict[str, dict[str, Tensor]] = {}
    for eye in EYES:
        pictures: Any = tower(eye.pictures)
        means = feature_means(eye.pictures, eye.shapes)
        weight, bias = pictures.classifier
        heads[eye.words], heads[eye.looks] = eye_heads(sentences, weight, bias, means)
    heads["words"] |= text_heads(sentences)
    write_eyes(out, heads)
