"""The blocks of columns that the preset `mini` is made of; each head fills one of them."""

from __future__ import annotations

__all__ = ["BLOCKS", "WIDTH", "width_of"]

BLOCKS: dict[str, tuple[int, int]] = {
    "words": (0, 384),
    "looks": (384, 640),
    "sights": (640, 896),
    "heard": (896, 1024),
    "shaped": (1024, 1152),
}
"""First column and the one after the last.

words
    Meaning, as MiniLM sees it.
looks, sights
    Appearance, as EfficientNet-Lite2 and EfficientNet-Lite0 see it: principal axes of their classifiers' rows.
heard
    Sound, on the axes that tell the labels of the sound pool apart.
shaped
    Form, on the axes that tell the classes of the shape pool apart.
"""
WIDTH = 1152
"""Width D of mini's shared space."""


def width_of(block: str) -> int:
    """Count the columns of a block."""
    first, end = BLOCKS[block]
    return end - first
