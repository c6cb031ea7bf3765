"""What shapes are taught: vectors of their class names, and the looks that the picture tower gives their views."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Text
from tools.mini.pools.vectors import in_development, named_shapes

__all__ = [
    "FOLDS",
    "TEMPLATES",
    "chosen_on",
    "conse_of",
    "fold_of",
    "kinship",
    "looks_of",
    "looks_of_names",
    "taught_rows",
    "words_of",
]

TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "a picture of a {}",
    "a 3D model of a {}",
    "a drawing of the {}",
)
"""Ways of writing a class."""

FOLDS = 5
"""Parts of the meshes, each to be measured by models that never saw it."""


_CONSE, _TYPICAL = 10, 20  # classes that views' words and sentences' looks are mixed from


def fold_of(key: str) -> int:
    """Part, 0 to 4, that a mesh belongs to, by its key alone."""
    return int(hashlib.sha256(f"fold/{key}".encode()).hexdigest(), 16) % FOLDS


def chosen_on(key: str) -> bool:
    """Whether a mesh belongs to the quarter that settings were chosen on: half of the development half."""
    return in_development(key) and int(hashlib.sha256(f"choice/{key}".encode()).hexdigest(), 16) % 2 == 0


def _folder(folder: Path | None) -> Path:
    return folder or assets_directory() / "mini"


def words_of(labels: Sequence[str], folder: Path | None = None) -> Tensor:
    """Give the vectors of class names in the block of meaning, as mini's head for sentences does.

    Parameters
    ----------
    labels : sequence of str
        L names.
    folder : Path, optional
        Where ``words.safetensors`` lies; None for mini's.

    Returns
    -------
    Tensor, shape (templates, L, 384), float32
        Unit rows for each of :data:`TEMPLATES`.
    """
    from safetensors import safe_open

    sentences = [Text(template.format(label)) for template in TEMPLATES for label in labels]
    rows = tower("minilm_l6").embed("text", sentences)
    with safe_open(_folder(folder) / "words.safetensors", "pt") as stored:
        w, b = stored.get_tensor("text.W").float(), stored.get_tensor("text.b").float()
    return unit(rows @ w.T + b).view(len(TEMPLATES), len(labels), -1)


def looks_of(features: Tensor, folder: Path | None = None) -> Tensor:
    """Give the looks of pooled view features as mini's head for pictures does: (..., 1280) -> (..., 256) unit rows."""
    w, b = _looks_head(_folder(folder))
    return unit(unit(features) @ w.T + b)


def looks_of_names(labels: Sequence[str], folder: Path | None = None) -> Tensor:
    """Give the looks of class names as mini's head for sentences does: (L, 256) unit rows."""
    from safetensors import safe_open

    with safe_open(_folder(folder) / "looks.safetensors", "pt") as stored:
        a, bias, b, m = (stored.get_tensor(f"text.{name}").float() for name in "AaBm")
    rows = tower("minilm_l6").embed("text", [Text(label) for label in labels])
    top = (rows @ a.T + bias).topk(_TYPICAL, dim=1)
    mixed = torch.einsum("nk,nkd->nd", top.values.softmax(1), b[top.indices]) - m
    return unit(mixed)


@cache
def _looks_head(folder: Path) -> tuple[Tensor, Tensor]:
    from safetensors import safe_open

    with safe_open(folder / "looks.safetensors", "pt") as stored:
        return stored.get_tensor("image.W").float(), stored.get_tensor("image.b").float()


@cache
def _conse_head(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from safetensors import safe_open

    with safe_open(folder / "words.safetensors", "pt") as stored:
        a, bias, b, m = (stored.get_tensor(f"image.{name}").float() for name in "AaBm")
    return a, bias, b, m


def conse_of(features: Tensor, folder: Path | None = None) -> Tensor:
    """Give the words of pooled views as mini's training-free head does: (n, 1280) -> (n, 384) unit rows."""
    a, bias, b, m = _conse_head(_folder(folder))
    top = (unit(features) @ a.T + bias).topk(_CONSE, dim=1)
    return unit(torch.einsum("nk,nkd->nd", top.values.softmax(1), b[top.indices]) - m)


def kinship(words: Tensor) -> Tensor:
    """Which classes mean nearly the same: (L, 384) unit rows -> (L, L) rows that sum to 1."""
    return torch.softmax(8.0 * words @ words.T, dim=1)


def taught_rows(fold: int | None) -> Tensor:
    """Rows of Sweet Home's meshes that are learned from when a part is held out; None for all of them."""
    return torch.tensor([i for i, m in enumerate(named_shapes()) if fold is None or fold_of(m.key) != fold])
