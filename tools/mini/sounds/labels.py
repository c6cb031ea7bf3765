"""What the training of the ears starts from and ends in: vectors of labels, and files of heads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from omnibind_core.binding.forms import read_head
from omnibind_core.specialists.load import tower
from omnibind_core.types import Text
from tools.mini.blocks import BLOCKS

__all__ = ["SOURCES", "TEMPLATES", "kinship", "label_vectors", "meanings"]


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
        One of :data:`~tools.mini.blocks.BLOCKS`.

    Returns
    -------
    Tensor, shape (templates, L, width of the block), float32
        Unit rows for each of :data:`TEMPLATES`.
    """
    return read_head(folder / f"{block}.safetensors", BLOCKS[block], "text")(meanings(labels))


def kinship(words: Tensor) -> Tensor:
    """Which labels mean nearly the same: (L, 384) unit rows -> (L, L) rows that sum to 1."""
    return torch.softmax(8.0 * words @ words.T, dim=1)
