"""Small pictures of what visitors bring, and addresses of the gallery's files."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import Audio, FloatArray, Image, Media, PointCloud

__all__ = ["file_address", "thumbnail", "webp"]

SIDE = 160  # pixels: shown at half of that, so that it stays sharp on dense screens
_BARS = 32


def file_address(path: str) -> str:
    """Where a file of the gallery, or one that a visitor brought, is served, relative to the page.

    The page may live under a prefix. Of the gallery it says nothing of where it lies on this machine: the last two
    parts of the path name the file. A picture that is an address already stays as it is.
    """
    if path.startswith("data:"):
        return path
    uploads = os.environ.get("GRADIO_TEMP_DIR")
    if uploads and Path(path).is_relative_to(uploads):
        return f"gradio_api/file={quote(path)}"
    return f"gallery/{quote('/'.join(Path(path).parts[-2:]))}"


def thumbnail(media: Media) -> str:
    """Draw a decoded input small.

    Returns
    -------
    str
        A ``data:`` address, so that nothing a visitor brought is written to disk for it; empty for a sentence.
    """
    if isinstance(media, Image):
        return _address(media.rgb)
    if isinstance(media, PointCloud):
        from omnibind_core.media import raster as _raster

        return _address(_raster.render(media, size=SIDE))
    if isinstance(media, Audio):
        return _waveform(media.samples)
    return ""


def _address(rgb: NDArray[np.uint8]) -> str:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(rgb)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def webp(rgb: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Give a picture (h, w, 3) as a ``data:`` address, stretched to (width, height) pixels."""
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(rgb).resize(size, Pillow.Resampling.BILINEAR).save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _waveform(samples: FloatArray) -> str:
    """Loudness over time as bars, the same look as the gallery's sounds have."""
    parts = np.array_split(np.abs(samples), _BARS)
    peaks = np.array([float(part.max(initial=0.0)) for part in parts])
    peaks = peaks / max(float(peaks.max()), 1e-6)
    step = SIDE / _BARS
    bars = "".join(
        f"<rect x='{i * step + 1:.1f}' y='{SIDE / 2 - h / 2:.1f}' width='{step - 2:.1f}' height='{h:.1f}' rx='1.5'/>"
        for i, h in enumerate(np.maximum(peaks * SIDE * 0.8, 3))
    )
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {SIDE} {SIDE}' fill='#7b6cf6'>{bars}</svg>"
    return "data:image/svg+xml," + quote(svg)
