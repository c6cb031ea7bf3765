"""TIFF: reads a file's first directory, for what Pillow gets wrong or gives up: planes, fractions, missing strips."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import PIL.Image

from omnibind_core.errors import MediaError
from omnibind_core.media.frames import opened
from omnibind_core.media.notices import note

__all__ = ["Directory", "Tag", "as_black_is_zero", "by_ffmpeg", "directory", "without_missing_strips"]


class Tag(IntEnum):
    """Tags that matter here, by what they say."""

    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL = 266
    STRIPS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS = 278
    SIZES = 279
    PLANES = 284
    PREDICTOR = 317
    PALETTE = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILES = 324
    TILE_SIZES = 325
    EXTRA = 338
    FORM = 339


_FORMATS = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 13: ("I", 4), 16: ("Q", 8)}  # types that these tags may have
_NEEDED = frozenset(Tag)
_BIG = 43
_MOST = 1 << 20  # values of one tag
_SIGNED, _FLOAT, _SEPARATE, _PLAIN, _YCBCR = 2, 3, 2, 1, 6
_LEAST_THERE = 0.1
_PACKINGS = {
    22610: "JPEG XR", 34676: "LogLuv", 34677: "LogLuv", 34887: "LERC", 34934: "JPEG XR", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
"""What packs the samples of files that nothing here reads."""


@dataclass(frozen=True)
class Directory:
    """The first directory of a file, classic or of a BigTIFF.

    Attributes
    ----------
    order : str
        "<" or ">".
    values : dict of int to tuple of int
        Numbers of the tags that matter here.
    places : dict of int to int
        Where a tag's entry stands in the file; empty of a BigTIFF.
    """

    order: str
    values: dict[int, tuple[int, ...]]
    places: dict[int, int]

    def one(self, tag: int, default: int) -> int:
        """First number of a tag."""
        return self.values.get(tag, (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, 0 where they are not said."""
        return self.one(Tag.WIDTH, 0), self.one(Tag.HEIGHT, 0)

    @property
    def beyond_pillow(self) -> bool:
        """Whether Pillow gives other colours than the file has, or none.

        Planes of 16 bits, fractions and 32 bits in colour, 32 bits without a sign and others with one in grey, tiles
        that reach over the edge, packings that it does not know, and brightness beside two colours (YCbCr) where that
        is not compressed.
        """
        if self.is_ycbcr and self.one(Tag.COMPRESSION, 0) == _PLAIN:
            return True
        if self.one(Tag.COMPRESSION, _PLAIN) in _PACKINGS:
            return True
        if Tag.TILE_WIDTH in self.values and self.one(Tag.COMPRESSION, _PLAIN) == _PLAIN:
            return True
        several = self.one(Tag.SAMPLES, 1) > 1
        deep = max(self.values.get(Tag.BITS, (1,)))
        if not several:
            return (self.one(Tag.FORM, 1) == 1 and deep == 32) or (self.one(Tag.FORM, 1) == _SIGNED and deep < 32)
        return deep > 8 and (self.one(Tag.PLANES, 1) == _SEPARATE or self.one(Tag.FORM, 1) != 1 or deep > 16)

    @property
    def is_ycbcr(self) -> bool:
        """Whether samples are brightness and two colours."""
        return self.one(Tag.PHOTOMETRIC, 0) == _YCBCR

    @property
    def white_is_zero(self) -> bool:
        """Whether deep grey is stored as its negative, which Pillow turns round for 8 bits alone."""
        known = Tag.PHOTOMETRIC in self.places and self.one(Tag.PHOTOMETRIC, 1) == 0
        return known and self.one(Tag.BITS, 1) > 8 and self.one(Tag.SAMPLES, 1) == 1

    @property
    def words(self) -> str:
        """What its samples are, for a message."""
        kinds = {1: "", 2: "signed ", _FLOAT: "floating ", 5: "complex ", 6: "complex "}
        pack = _PACKINGS.get(self.one(Tag.COMPRESSION, _PLAIN))
        return (
            f"{self.one(Tag.SAMPLES, 1)} x {kinds.get(self.one(Tag.FORM, 1), '')}{self.one(Tag.BITS, 1)} bits a pixel"
            f"{f' behind {pack}' if pack else ''}"
        )


def directory(data: bytes) -> Directory | None:
    """Read the first directory of a file.

    Parameters
    ----------
    data : bytes
        The file, or its beginning.

    Returns
    -------
    Directory or None
        None where the directory is not there.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    big = struct.unpack_from(order + "H", data, 2)[0] == _BIG
    # Numbers of the file's own are 4 or 8 bytes long, the count of entries 2 or 8.
    word, own, counter, first = ("Q", 8, "Q", 8) if big else ("I", 4, "H", 2)
    at = struct.unpack_from(order + word, data, own)[0]
    if at + first > len(data):
        return None
    count = struct.unpack_from(order + counter, data, at)[0]
    values: dict[int, tuple[int, ...]] = {}
    places: dict[int, int] = {}
    step = 4 + 2 * own
    for entry in range(at + first, min(at + first + step * count, len(data) - step + 1), step):
        tag, kind, often = struct.unpack_from(f"{order}HH{word}", data, entry)
        if tag not in _NEEDED or kind not in _FORMATS or not 0 < often <= _MOST:
            continue
        letter, size = _FORMATS[kind]
        where = entry + 4 + own
        start = where if often * size <= own else struct.unpack_from(order + word, data, where)[0]
        if start + often * size <= len(data):
            values[tag] = struct.unpack_from(f"{order}{often}{letter}", data, start)
            if not big:
                places[tag] = entry
    return Directory(order, values, places) if Tag.WIDTH in values and Tag.HEIGHT in values else None


def without_missing_strips(data: bytes) -> bytes | None:
    """Make a file whose end is missing as high as the strips that are there.

    Parameters
    ----------
    data : bytes
        With its directory in front, as scanners and cameras write it.

    Returns
    -------
    bytes or None
        None where nothing is missing, or hardly anything is there.
    """
    found = directory(data)
    if found is None or not {Tag.STRIPS, Tag.SIZES} <= set(found.places) or found.one(Tag.PLANES, 1) == _SEPARATE:
        return None
    strips = list(zip(found.values[Tag.STRIPS], found.values[Tag.SIZES], strict=False))
    whole = next((i for i, (start, size) in enumerate(strips) if start + size > len(data)), len(strips))
    height = found.size[1]
    rows = whole * found.one(Tag.ROWS, height)
    if whole == len(strips) or rows < _LEAST_THERE * height:
        return None
    note(f"{100 * rows / height:.0f} % of the picture are there: the rest of the file is missing")
    shorter = bytearray(data)
    struct.pack_into(found.order + "HII", shorter, found.places[Tag.HEIGHT] + 2, 4, 1, rows)
    for tag in (Tag.STRIPS, Tag.SIZES):  # Pillow paints further strips over the first ones
        if whole == 1:  # a single number stands in the entry itself
            struct.pack_into(found.order + "HII", shorter, found.places[tag] + 2, 4, 1, found.values[tag][0])
        else:
            struct.pack_into(found.order + "I", shorter, found.places[tag] + 4, whole)
    return bytes(shorter)


def as_black_is_zero(data: bytes, found: Directory) -> bytes:
    """Say of a negative that it is none, so that Pillow reads its numbers as they are, in either byte order."""
    said = bytearray(data)
    struct.pack_into(found.order + "HIHH", said, found.places[Tag.PHOTOMETRIC] + 2, 3, 1, 1, 0)
    return bytes(said)


def by_ffmpeg(data: bytes, found: Directory, name: str) -> PIL.Image.Image:
    """Read by FFmpeg's decoder what nothing else can; raises MediaError, by what it holds, where that cannot either."""
    import av

    try:
        with opened(data, "tiff_pipe") as container:
            frame = next(iter(container.decode(video=0)))
            if found.is_ycbcr:  # of full range, which FFmpeg does not know
                planes = np.asarray(frame.to_ndarray(format="yuv444p"), np.uint8)
                return PIL.Image.merge("YCbCr", [PIL.Image.fromarray(plane) for plane in planes]).convert("RGB")
            return PIL.Image.fromarray(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    except (av.error.FFmpegError, StopIteration, ValueError) as error:
        raise unread(name, found) from error


def unread(name: str, found: Directory) -> MediaError:
    """Word the error for a kind that nothing reads."""
    return MediaError(
        f"{name}, a TIFF of {found.words}", "grey, colours of red, green and blue, CMYK or a palette", "save it as PNG"
    )
