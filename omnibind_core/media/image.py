"""Pictures: from a file, bytes, Pillow or an array to upright 8-bit RGB.

Colour profiles are not applied: the towers were trained on pixels as stored.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import bmp, boxed, cut, jpeg, junk, limits, png, svg, tiff, tiff_parts
from omnibind_core.media.notices import note, noticing
from omnibind_core.media.pixels import blank, plain, spread
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.source import Blob, open_blob, undecodable
from omnibind_core.media.tiff_samples import by_samples
from omnibind_core.types import Image

__all__ = ["FORMATS", "ImageSource", "decode", "load_image"]

ImageSource: TypeAlias = str | Path | bytes | PIL.Image.Image | NDArray[np.uint8] | Image

_WARNINGS_LOCK = threading.Lock()

_ROW_BY_ROW = ("PNG", "JPEG", "GIF", "BMP", "TIFF")  # what is read from top to bottom, and so may be read in part
_LEAST_THERE = 0.1
_MOST = {"JPEG": limits.MAX_PIXELS_JPEG, "MPO": limits.MAX_PIXELS_JPEG, "WEBP": limits.MAX_PIXELS_WEBP}
_FRAMES, _FRAME_PIXELS = 64, 256_000_000  # that are looked at for one that shows something
_TELLING = 30.0  # standard deviation of a channel that is enough
_ORIENTATION = 0x0112


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
        Upright, 16 bits scaled to 8, reduced where it has more than `limits.KEEP_PIXELS`. What is transparent is white,
        or black where what is drawn is white itself. Of an animation the first frame, or a later one where that is
        blank; of a file whose end is missing, what is there. Notices say what was done.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, or beyond `limits.MAX_PIXELS` (`limits.MAX_PIXELS_JPEG`) or
        `limits.MAX_ASPECT`.
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
    """Decode a file's content in this process; raises MediaError, or whatever Pillow raises on damaged files.

    Of a file whose end is missing, what is there is read: rows that are not are cut off.
    """
    data = junk.without(blob.data, blob.extension)
    kind = FORMATS[blob.extension]
    if kind == "SVG":
        data, kind = svg.rasterise(data), "PNG"
    if kind == "PNG":
        data = png.pixels_only(data)
    if kind == "JPEG":
        data = jpeg.mended(data)
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(decode_threads=2)
    check = partial(_check_size, name=blob.name)
    if kind == "BMP" and bmp.is_rle4(data):
        return _from_pillow(bmp.by_ffmpeg(data, check), blob.name, 0)
    if kind == "BMP" and (inner := bmp.inside(data)) is not None:
        return decode(replace(blob, data=inner[0], extension=inner[1]))
    if kind == "PNG" and png.is_iphone(data):
        return _from_pillow(png.by_iphone(data, check), blob.name, 0)
    if kind == "JPEG" and jpeg.is_lossless(data):
        return _from_pillow(jpeg.by_ffmpeg(data, check), blob.name, 0)
    directory = tiff.directory(data) if kind == "TIFF" else None
    if directory is not None and directory.one(tiff.Tag.COMPRESSION, 1) in tiff_parts.KINDS:
        return _from_pillow(_odd_tiff(data, directory, blob.name, tiff_parts.by_parts), blob.name, 0)
    if directory is not None and directory.beyond_pillow:
        return _from_pillow(_odd_tiff(data, directory, blob.name), blob.name, 0)
    if directory is not None and directory.white_is_zero:
        positive = decode(replace(blob, data=tiff.as_black_is_zero(data, directory)))
        return replace(positive, rgb=np.invert(positive.rgb))
    try:
        with PIL.Image.open(io.BytesIO(data), formats=[kind]) as opened:
            _check_scans(data, opened, blob.name)
            return _from_pillow(opened, blob.name, png.depth(data))
    except MediaError:
        raise
    except (OSError, SyntaxError, EOFError, ValueError, RuntimeError) as error:
        if kind in boxed.KINDS and (packing := boxed.unread(data)):
            raise MediaError(
                f"{blob.name}, HEIF whose picture is stored as {packing}", "HEIF of HEVC or AV1", "save it as PNG"
            ) from error
        if kind == "BMP":
            for read in (bmp.by_masks, bmp.by_pairs, bmp.by_runs):
                if (picture := read(data, check)) is not None:
                    return _from_pillow(picture, blob.name, 0)
        if kind == "PNG" and (mended := png.with_its_sum(data)) is not data:
            return decode(replace(blob, data=mended))
        if kind == "PNG" and (quiet := png.still(data)) is not data:
            return decode(replace(blob, data=quiet))
        if kind in cut.KINDS:
            return _from_pillow(_cut(data, kind, blob.name, error), blob.name, 0)
        if kind == "TIFF":
            odd = isinstance(error, PIL.UnidentifiedImageError) or "raw mode" in str(error)
            if odd and directory is not None:
                return _from_pillow(_odd_tiff(data, directory, blob.name), blob.name, 0)
            shorter = _whole_tiff(data, directory, blob.name, error)
            if shorter is not data:
                with PIL.Image.open(io.BytesIO(shorter), formats=[kind]) as opened:
                    return _from_pillow(opened, blob.name, 0)
        elif kind not in _ROW_BY_ROW or isinstance(error, (ValueError, RuntimeError)):
            raise
        return _in_part(data, kind, blob.name, error)


def _in_part(data: bytes, kind: str, name: str, error: Exception) -> Image:
    """Read a file of `_ROW_BY_ROW` as far as it goes."""
    if kind == "JPEG":
        data += b"\xff\xd9"  # a progressive one shows nothing before its end
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        with PIL.Image.open(io.BytesIO(data), formats=[kind]) as picture:
            _check_size(*picture.size, name, picture.format)
            return _from_pillow(_what_is_there(picture, error), name, png.depth(data))
    finally:
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False


def _cut(data: bytes, kind: str, name: str, error: Exception) -> PIL.Image.Image:
    """Read what is there of a format that must be whole, its size checked by its header; else raise `error`."""
    whole = cut.filled(data, kind)
    if not whole:
        picture = boxed.by_ffmpeg(data, partial(_check_size, name=name)) if kind in boxed.KINDS else None
        if picture is None:
            raise error
        return picture
    with PIL.Image.open(io.BytesIO(whole[0]), formats=[kind]) as picture:
        _check_size(*picture.size, name, picture.format)
    return cut.what_is_there(data, kind, error)


def _whole_tiff(data: bytes, directory: tiff.Directory | None, name: str, error: Exception) -> bytes:
    """Leave out strips that are missing; say what is wrong where that does not help."""
    if directory is None:
        if data[:4] in (b"II*\0", b"MM\0*"):
            raise undecodable(name, "tiff", "its directory, which stands at the end, is missing") from error
        raise error
    shorter = tiff.without_missing_strips(data)
    if shorter is not None:
        return shorter
    return data


def _odd_tiff(
    data: bytes,
    directory: tiff.Directory,
    name: str,
    read: Callable[[bytes, tiff.Directory], PIL.Image.Image | None] = by_samples,
) -> PIL.Image.Image:
    """Read a TIFF that Pillow gets wrong or refuses: by its samples or its parts, else by FFmpeg."""
    _check_size(*directory.size, name)
    try:
        picture = read(data, directory)
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise undecodable(name, "tiff", error) from error
    picture = picture or tiff.by_ffmpeg(data, directory, name)
    picture.getexif()[_ORIENTATION] = directory.one(_ORIENTATION, 1)
    return picture


def _what_is_there(picture: PIL.Image.Image, error: Exception) -> PIL.Image.Image:
    """Cut off the rows that were not read; raise `error` where hardly any were."""
    _reduced_jpeg(picture)
    picture.load()
    rows = np.asarray(picture)
    whole = len(rows)
    # What is missing has one colour: 0, or a JPEG's last mean. It is above where rows come from below (BMP).
    filled = np.zeros(whole, bool)
    for edge in (rows[-1, 0], rows[0, 0] * 0):
        filled |= (rows == edge).reshape(whole, -1).all(axis=1)
    seen = np.flatnonzero(~filled)
    if len(seen) < _LEAST_THERE * whole:
        raise error
    if len(seen) > 0.99 * whole:
        note("the end of the file is missing: what is there is seen")
        return picture
    note(f"{100 * len(seen) / whole:.0f} % of the picture are there: the rest of the file is missing")
    first, last = int(seen[0]), int(seen[-1]) + 1
    if picture.format == "GIF" and picture.info.get("interlace"):  # every other row: the one before stands for it
        nearest = seen[np.clip(np.searchsorted(seen, np.arange(whole), side="right") - 1, 0, None)]
        picture = picture.copy()
        picture.frombytes(np.ascontiguousarray(rows[nearest]).tobytes())
    return picture.crop((0, first, picture.width, last))


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


def _check_scans(data: bytes, picture: PIL.Image.Image, name: str) -> None:
    """Hold a JPEG to a number of passes over its pixels: one of ten bytes costs as much as one of a megabyte."""
    if picture.format not in {"JPEG", "MPO"}:
        return
    scans = data.count(b"\xff\xda")  # inside of a pass a byte of 255 is always followed by 0
    passes = scans * picture.width * picture.height
    if scans > limits.MAX_SCANS or (scans > limits.USUAL_SCANS and passes > limits.MAX_SCANNED_PIXELS):
        raise MediaError(
            f"{name} with {scans:,} passes over {picture.width:,} x {picture.height:,} pixels",
            f"about {limits.USUAL_SCANS} passes, as progressive files have",
            "open it in another program and save it again",
        )


def _check_size(width: int, height: int, name: str, kind: str | None = None) -> None:
    """Refuse by the header, before a pixel is decoded."""
    most = _MOST.get(kind or "", limits.MAX_PIXELS)
    if width < 1 or height < 1:
        raise MediaError(f"{name} of {width} x {height} pixels", "at least 1 x 1 pixels", "save it again")
    if width * height > most:
        raise MediaError(
            f"{name} of {width:,} x {height:,} pixels, {width * height / 1e6:,.1f} megapixels",
            f"at most {most / 1e6:.0f} megapixels",
            "scale it down" if most == limits.MAX_PIXELS_JPEG else "scale it down, or save it as JPEG",
        )
    if max(width, height) > limits.MAX_ASPECT * min(width, height):
        raise MediaError(
            f"{name} of {width:,} x {height:,} pixels, a strip",
            f"a long side of at most {limits.MAX_ASPECT} times the short one",
            "crop it",
        )


def _from_pillow(picture: PIL.Image.Image, name: str, depth: int | None = None) -> Image:
    """Convert any mode of Pillow, the size checked first.

    `depth` is a file's bits of a sample where it is a PNG, else 0; None for pictures that belong to the caller, which
    stay as they are.
    """
    _check_size(*picture.size, name, None if depth is None else picture.format)
    picture.seek(0)
    if depth is not None:
        _reduced_jpeg(picture)
    first = _upright(picture, depth or 0)
    if not blank(first):
        if picture.format == "TIFF" and getattr(picture, "is_animated", False):
            note("the first of several pages is seen")
        return Image(first)
    return Image(_telling_frame(picture, first, depth or 0))


def _reduced_jpeg(picture: PIL.Image.Image) -> None:
    """Have a large JPEG decoded at a half, a quarter or an eighth of its sides, which spares memory and time."""
    factor = 1
    while picture.width * picture.height > limits.KEEP_PIXELS * factor**2:
        factor *= 2
    if factor > 1 and picture.format in ("JPEG", "MPO"):
        picture.draft(None, (picture.width // factor, picture.height // factor))


def _upright(picture: PIL.Image.Image, depth: int) -> NDArray[np.uint8]:
    """One frame as pixels."""
    picture.load()
    key = picture.info.get("transparency")
    if depth in (2, 4) and picture.mode == "L" and isinstance(key, int):  # Pillow scales samples, not this colour
        picture.info["transparency"] = key * 255 // (2**depth - 1)
    return np.array(plain(_turned(picture)))


def _turned(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Upright, where its EXIF says how it was held."""
    try:
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            return PIL.ImageOps.exif_transpose(picture)
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):  # damaged EXIF says nothing
        return picture
    return picture


def _telling_frame(picture: PIL.Image.Image, first: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Of an animation whose first frame is blank, one that shows something."""
    best, chosen = first, 0
    if not getattr(picture, "is_animated", False):
        return first
    most = min(_FRAMES, _FRAME_PIXELS // (picture.width * picture.height))
    for index in range(1, most):
        try:
            picture.seek(index)
            frame = _upright(picture, depth)
        except EOFError:
            break
        if spread(frame) > spread(best):
            best, chosen = frame, index
        if spread(best) > _TELLING:
            break
    if blank(best):
        return first
    note(f"the first frame is blank: number {chosen + 1} is seen")
    return best


# A picture format: one row. Extension -> the name of Pillow's decoder, the only one tried on it; drawings become PNG.
FORMATS: dict[str, str] = {
    "png": "PNG",
    "apng": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "jpe": "JPEG",
    "jfif": "JPEG",
    "pjpeg": "JPEG",
    "pjp": "JPEG",
    "mpo": "JPEG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tif": "TIFF",
    "tiff": "TIFF",
    "avif": "AVIF",
    "heic": "HEIF",
    "heif": "HEIF",
    "ico": "ICO",
    "svg": "SVG",
    "svgz": "SVG",
}
