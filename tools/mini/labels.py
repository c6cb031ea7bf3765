"""Labels of the pools as vectors: in MiniLM's space, and where mini's heads for sentences put them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from omnibind_core.binding.forms import Head, read_head
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Text

__all__ = ["PLAIN", "head", "kinship", "label_vectors", "meanings"]

PLAIN: tuple[str, ...] = ("{}",)
"""A label as it stands."""


@cache
def _meanings(sentences: tuple[str, ...]) -> Tensor:
    return tower("minilm_l6").embed("text", [Text(sentence) for sentence in sentences])


def meanings(labels: Sequence[str], templates: Sequence[str] = PLAIN) -> Tensor:
    """MiniLM's unit rows of labels, written in each way: (templates, L, 384) float32."""
    rows = _meanings(tuple(template.format(label) for template in templates for label in labels))
    return rows.view(len(templates), len(labels), -1)


@cache
def _head(path: Path, prefix: str) -> Head:
    return read_head(path, prefix)


def head(block: str, prefix: str, folder: Path | None = None) -> Head:
    """Read one of mini's heads once.

    Parameters
    ----------
    block : str
        One of :data:`~tools.mini.blocks.BLOCKS` that has a file of its own.
    prefix : str
        ``"text"`` or ``"image"``.
    folder : Path, optional
        Where ``<block>.safetensors`` lies; None for mini's.
    """
    return _head((folder or assets_directory() / "mini") / f"{block}.safetensors", prefix)


def label_vectors(
    labels: Sequence[str], block: str, templates: Sequence[str] = PLAIN, folder: Path | None = None
) -> Tensor:
    """Vectors of labels in one block of the shared space, as mini's head for sentences gives them.

    Parameters
    ----------
    labels : sequence of str
        L names.
    block, folder
        See :func:`head`.
    templates : sequence of str
        Ways of writing a label.

    Returns
    -------
    Tensor, shape (templates, L, width of the block), float32
        Unit rows.
    """
    return head(block, "text", folder)(meanings(labels, templates))


def kinship(words: Tensor) -> Tensor:
    """Which labels mean nearly the same: (L, 384) unit rows -> (L, L) rows that sum to 1."""
    return torch.softmax(8.0 * words @ words.T, dim=1)
