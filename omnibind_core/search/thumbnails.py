"""Small pictures of decoded media, for what is shown of a collection."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from omnibind_core.types import Audio, Image, Media, PointCloud

__all__ = ["SIDE", "thumbnail"]

SIDE = 256  # pixels
_BARS = 32
_COLOUR = (123, 108, 246)


def thumbnail(media: Media) -> bytes:
    """Draw a picture small, a shape from its side, a sound as loudness over time; WebP, at most 256 pixels wide."""
    if isinstance(media, PointCloud):
        from omnibind_core.media import raster

        rgb = raster.render(media, size=SIDE)
    elif isinstance(media, Image):
        rgb = media.rgb
    elif isinstance(media, Audio):
        rgb = _loudness(media)
    else:
        return b""
    picture = Pillow.fromarray(rgb)
    picture.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80)
    return out.getvalue()


def _loudness(sound: Audio) -> NDArray[np.uint8]:
    parts = np.array_split(np.abs(sound.samples), _BARS)
    peaks = np.array([float(part.max(initial=0.0)) for part in parts])
    heights = np.maximum(peaks / max(float(peaks.max()), 1e-6) * SIDE * 0.8, 3).astype(int)
    rgb = np.full((SIDE, SIDE, 3), 255, np.uint8)
    step = SIDE // _BARS
    for bar, height in enumerate(heights):
        top = (SIDE - height) // 2
        rgb[top : top + height, bar * step + 1 : (bar + 1) * step - 1] = _COLOUR
    return rgb
