"""What shapes are taught: vectors of their class names, and the looks that the picture tower gives their views."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from omnibind_core.specialists.base import unit
from tools.mini.labels import head, label_vectors
from tools.mini.pools.vectors import in_development, named_shapes

__all__ = ["FOLDS", "TEMPLATES", "chosen_on", "conse_of", "fold_of", "looks_of", "numbered", "taught_rows", "words_of"]

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


def fold_of(key: str) -> int:
    """Part, 0 to 4, that a mesh belongs to, by its key alone."""
    return int(hashlib.sha256(f"fold/{key}".encode()).hexdigest(), 16) % FOLDS


def chosen_on(key: str) -> bool:
    """Whether a mesh belongs to the quarter that settings were chosen on: half of the development half."""
    return in_development(key) and int(hashlib.sha256(f"choice/{key}".encode()).hexdigest(), 16) % 2 == 0


def words_of(labels: Sequence[str]) -> Tensor:
    """Give the vectors of class names in the block of meaning: (templates, L, 384) unit rows."""
    return label_vectors(labels, "words", TEMPLATES)


def looks_of(features: Tensor) -> Tensor:
    """Give the looks of pooled view features as mini's head for pictures does: (..., 1280) -> (..., 256) unit rows."""
    return head("looks", "image")(unit(features))


def conse_of(features: Tensor) -> Tensor:
    """Give the words of pooled views as mini's training-free head does: (n, 1280) -> (n, 384) unit rows."""
    return head("words", "image")(unit(features))


def numbered(names: Sequence[str], labels: Sequence[str]) -> Tensor:
    """Give the place of each name among the labels: (n,) int64."""
    number = {label: i for i, label in enumerate(labels)}
    return torch.tensor([number[name] for name in names])


def taught_rows(fold: int | None) -> Tensor:
    """Rows of Sweet Home's meshes that are learned from when a part is held out; None for all of them."""
    return torch.tensor([i for i, m in enumerate(named_shapes()) if fold is None or fold_of(m.key) != fold])
