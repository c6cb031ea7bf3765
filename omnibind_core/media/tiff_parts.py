"""TIFF whose strips or tiles are pictures of their own: WebP, PNG, and JPEG 2000 as scanners of slides write it."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media.tiff import Directory, Tag

__all__ = ["KINDS", "by_parts"]

KINDS = {50001: "WEBP", 34712: "JPEG2000", 33003: "JPEG2000", 33005: "JPEG2000", 34933: "PNG"}
"""Numbers of a packing -> Pillow's decoder of a part."""

_MOST = 5_000  # parts: each takes 0.1 ms, however small
_YCBCR = 33003  # brightness and two colours, which its parts do not say


def by_parts(data: bytes, found: Directory) -> PIL.Image.Image:
    """Read the first page of a file.

    Parameters
    ----------
    data : bytes
        The file.
    found : Directory
        Its first directory, of a packing among `KINDS`; the size checked.

    Returns
    -------
    PIL.Image.Image
        L, RGB or RGBA.

    Raises
    ------
    OSError, ValueError
        Parts of it are missing or damaged, or larger than the file says.
    """
    width, height = found.size
    tiled = Tag.TILES in found.values
    starts = found.values.get(Tag.TILES if tiled else Tag.STRIPS, ())
    sizes = found.values.get(Tag.TILE_SIZES if tiled else Tag.SIZES, ())
    across = found.one(Tag.TILE_WIDTH, 0) if tiled else width
    down = found.one(Tag.TILE_HEIGHT, 0) if tiled else min(found.one(Tag.ROWS, height), height)
    if not across or not down or not starts:
        raise ValueError("parts without a size")
    columns = -(-width // across)
    if columns * -(-height // down) > _MOST:
        raise ValueError(f"more than {_MOST:,} parts")
    whole: PIL.Image.Image | None = None
    for number in range(columns * -(-height // down)):
        if number >= min(len(starts), len(sizes)):
            raise OSError("parts of it are missing")
        part = _part(data[starts[number] : starts[number] + sizes[number]], found, (across, down))
        whole = whole or PIL.Image.new(part.mode, (width, height))
        whole.paste(part.convert(whole.mode), (across * (number % columns), down * (number // columns)))
    if whole is None:
        raise ValueError("no parts")
    return whole


def _part(data: bytes, found: Directory, most: tuple[int, int]) -> PIL.Image.Image:
    """Decode one part, of at most so many pixels across and down."""
    pack = found.one(Tag.COMPRESSION, 0)
    with PIL.Image.open(io.BytesIO(data), formats=[KINDS[pack]]) as picture:
        if picture.width > most[0] or picture.height > most[1]:
            raise ValueError(f"a part of {picture.width:,} x {picture.height:,} pixels")
        picture.load()
        if picture.mode.startswith("I"):  # 16 bits of grey
            deep: NDArray[np.float64] = np.asarray(picture).astype(np.float64)
            return PIL.Image.fromarray((deep / 257).round().clip(0, 255).astype(np.uint8))
        if pack == _YCBCR and picture.mode == "RGB":
            return PIL.Image.frombytes("YCbCr", picture.size, picture.tobytes()).convert("RGB")
        if picture.mode == "RGBA" and found.one(Tag.SAMPLES, 3) == 3:
            return picture.convert("RGB")
        return picture.copy() if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")
