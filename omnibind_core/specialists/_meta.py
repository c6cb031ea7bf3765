"""Inputs without numbers or memory, on the meta device: what a network is counted with."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["empty", "pieces"]


def empty(*shape: int) -> Tensor:
    """Make an input of floating-point numbers."""
    return torch.empty(shape, device="meta")


def pieces(count: int) -> Tensor:
    """Make one sentence of `count` word pieces: (1, count) int64."""
    return torch.ones((1, count), dtype=torch.int64, device="meta")
