"""Sentence towers that read from left to right, run only as far as the longest sentence goes.

What follows a sentence's end is padding, which no place before it sees; so the vectors are those of all 77 places.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["cut", "encode_text"]


def cut(tokens: Tensor) -> Tensor:
    """Drop what no sentence reaches: (n, 77) int64 -> (n, t). The end of a sentence is its highest number."""
    return tokens[:, : int(tokens.argmax(dim=1).max()) + 1]


def encode_text(made: Any, tokens: Tensor) -> Tensor:
    """Do what open_clip's ``encode_text`` does, which takes sentences of 77 places only.

    Parameters
    ----------
    made : nn.Module
        open_clip's CLIP, or its CustomTextCLIP with a text tower of its own; not SigLIP, which reads both ways.
    tokens : Tensor, shape (n, t), int64
        On the network's device.

    Returns
    -------
    Tensor, shape (n, width)
        Not of unit length.
    """
    tower = getattr(made, "text", made)
    length = tokens.shape[1]
    x = tower.token_embedding(tokens) + tower.positional_embedding[:length]  # (n, t, d)
    x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:length, :length]))
    found: Tensor = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=1)] @ tower.text_projection
    return found
