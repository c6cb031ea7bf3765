"""Pictures on surfaces: opened within the limits, reduced, and found beside the file that names them."""

from __future__ import annotations

import io
import posixpath
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.source import Blob, shown

__all__ = ["companion_texture", "open_texture", "picture_beside", "pixels"]

_ENDINGS = ("png", "jpg", "jpeg", "webp", "tga", "bmp", "dds")
_FORMATS = ["PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF", "GIF", "DDS", "AVIF"]


def open_texture(data: bytes, name: str) -> PIL.Image.Image | None:
    """Open a picture's header and hold its size to the limits; None where it is no picture that we read.

    Raises
    ------
    MediaError
        It has more pixels than `limits.MAX_TEXTURE_PIXELS`.
    """
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=_FORMATS)
    except (OSError, ValueError, SyntaxError):
        return None
    width, height = picture.size
    if width * height > limits.MAX_TEXTURE_PIXELS:
        raise MediaError(
            f"{name} with a texture of {width:,} x {height:,} pixels, {width * height / 1e6:,.1f} megapixels",
            f"{limits.MAX_TEXTURE_PIXELS / 1e6:.0f} megapixels each, "
            f"{limits.MAX_TEXTURE_PIXELS_TOTAL / 1e6:.0f} together",
            "scale its textures down",
        )
    return picture


def pixels(picture: PIL.Image.Image, *, alpha: bool = False) -> NDArray[np.uint8] | None:
    """Decode a picture, reduced to `limits.TEXTURE_SIDE`.

    Parameters
    ----------
    picture : PIL.Image.Image
        From :func:`open_texture`.
    alpha : bool
        Whether its alpha is wanted.

    Returns
    -------
    ndarray, shape (h, w, 3) or (h, w, 4), uint8, or None
        sRGB and straight alpha; None where it is damaged.
    """
    side = limits.TEXTURE_SIDE
    try:
        picture.draft("RGB", (side, side))  # JPEG decodes to a half or a quarter at no cost
        picture = _eight_bits(picture)
        picture = picture.convert("RGBA" if alpha else "RGB")
    except (OSError, ValueError, SyntaxError, EOFError):
        return None
    if max(picture.size) > side:
        width, height = (max(1, min(side, length)) for length in picture.size)
        picture = picture.resize((width, height), PIL.Image.Resampling.BOX)
    return np.array(picture)


def _eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Scale 16-bit grey, which Pillow's own conversion would clip at 255."""
    if not picture.mode.startswith("I"):
        return picture
    wide: Any = np.asarray(picture).astype(np.float64)
    return PIL.Image.fromarray((np.clip(wide, 0, 65_535) / 257).round().astype(np.uint8))


def picture_beside(blob: Blob, name: str) -> bytes | None:
    """Content of a picture beside a file, under its name or, with a notice, under that of another format."""
    data = blob.beside(name)
    if data is not None:
        return data
    stem = posixpath.splitext(name)[0]
    for ending in _ENDINGS:
        data = blob.beside(f"{stem}.{ending}")
        if data is not None:
            note(f"texture {shown(name)} is not here: the .{ending} of that name is used")
            return data
    return None


def companion_texture(blob: Blob, name: str) -> NDArray[np.uint8] | None:
    """Find a picture beside a file and decode it; None, with a notice, where it is not there or cannot be read."""
    data = picture_beside(blob, name)
    if data is None:
        note(f"texture {shown(name)} is not here: grey instead")
        return None
    picture = open_texture(data, blob.name)
    found = None if picture is None else pixels(picture)
    if found is None:
        note(f"texture {shown(name)} cannot be read: grey instead")
    return found
