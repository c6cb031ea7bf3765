"""Pictures: from a file, bytes, Pillow or an array to upright 8-bit RGB.

Colour profiles are not applied: the towers were trained on pixels as stored.
"""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import noticing
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.source import Blob, open_blob, undecodable
from omnibind_core.types import Image

__all__ = ["FORMATS", "ImageSource", "decode", "load_image"]

ImageSource: TypeAlias = str | Path | bytes | PIL.Image.Image | NDArray[np.uint8] | Image

_WARNINGS_LOCK = threading.Lock()


@noticing
def load_image(source: ImageSource, extension: str | None = None) -> Image:
    """Decode a picture.

    Parameters
    ----------
    source : str, Path, bytes, PIL.Image.Image, ndarray or Image
        Files and bytes: one of `FORMATS`, decoded in a process apart. Arrays: (h, w), (h, w, 3) or (h, w, 4), uint8.
        An Image is returned as it is.
    extension : str, optional
        For bytes: the extension they came under; the content decides without it.

    Returns
    -------
    Image
        Upright, alpha composited on white, first frame of an animation, 16 bits scaled to 8.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, or beyond `limits.MAX_PIXELS` or `limits.MAX_ASPECT`.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, PIL.Image.Image):
        with _WARNINGS_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF is no news to the caller
            try:
                return _from_pillow(source, "the picture")
            except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
                raise error if isinstance(error, MediaError) else undecodable("the picture", "png", error) from error
    if isinstance(source, np.ndarray):
        return _from_array(source)
    image = decode_apart(open_blob(source, "image", FORMATS, extension), "image")
    if not isinstance(image, Image):
        raise TypeError(f"decoded a picture into {type(image).__name__}")
    return image


@noticing
def decode(blob: Blob) -> Image:
    """Decode a file's content in this process; raises MediaError, or whatever Pillow raises on damaged files."""
    with PIL.Image.open(io.BytesIO(blob.data), formats=[FORMATS[blob.extension]]) as picture:
        return _from_pillow(picture, blob.name)


def _from_array(array: NDArray[Any]) -> Image:
    """Take an array of 8-bit pixels."""
    shape = "x".join(str(side) for side in array.shape)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise MediaError(
            f"an array of {shape} {array.dtype}",
            "height x width, height x width x 3 or height x width x 4, uint8",
            "scale to 0..255 and convert with .astype(np.uint8)",
        )
    _check_size(array.shape[1], array.shape[0], "the picture")
    return _from_pillow(PIL.Image.fromarray(np.ascontiguousarray(array)), "the picture")


def _check_size(width: int, height: int, name: str) -> None:
    """Refuse by the header, before a pixel is decoded."""
    if width < 1 or height < 1:
        raise MediaError(f"{name} of {width} x {height} pixels", "at least 1 x 1 pixels", "save it again")
    if width * height > limits.MAX_PIXELS:
        raise MediaError(
            f"{name} of {width:,} x {height:,} pixels, {width * height / 1e6:,.1f} megapixels",
            f"at most {limits.MAX_PIXELS / 1e6:.0f} megapixels",
            "scale it down",
        )
    if max(width, height) > limits.MAX_ASPECT * min(width, height):
        raise MediaError(
            f"{name} of {width:,} x {height:,} pixels, a strip",
            f"a long side of at most {limits.MAX_ASPECT} times the short one",
            "crop it",
        )


def _from_pillow(picture: PIL.Image.Image, name: str) -> Image:
    """Convert any mode of Pillow, the size checked first."""
    _check_size(*picture.size, name)
    picture.seek(0)
    return Image(np.array(_to_rgb(PIL.ImageOps.exif_transpose(picture))))


def _to_rgb(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Bring a picture to 8-bit RGB, each mode on purpose."""
    if picture.mode.startswith("I"):  # 16-bit grey, which convert() would clip at 255 instead of scaling
        wide = np.asarray(picture).astype(np.float64)
        picture = PIL.Image.fromarray((np.clip(wide, 0, 65_535) / 257).round().astype(np.uint8))
    elif picture.mode == "F":  # not from a file we read; Pillow's own range for it is 0..255
        picture = PIL.Image.fromarray(np.nan_to_num(np.clip(np.asarray(picture), 0, 255)).astype(np.uint8))
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture)
    return picture.convert("RGB")  # palette, grey, 1 bit, CMYK, YCbCr, LAB


# A picture format: one row. Extension -> the name of Pillow's decoder, the only one tried on it.
FORMATS: dict[str, str] = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
}
