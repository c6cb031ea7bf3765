"""BMP that Pillow refuses or reads wrongly: masks, runs of 4 and 24 bits, 2 bits, a JPEG or PNG inside."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media.frames import first_frame
from omnibind_core.media.notices import note

__all__ = ["by_ffmpeg", "by_masks", "by_pairs", "by_runs", "inside", "is_rle4"]

_RLE4, _RLE24, _FIELDS = 2, 4, (3, 6)  # entries of the header's "compression"
_LEAST_THERE = 0.1
_ROWS = 64  # that are taken apart at a time


def is_rle4(data: bytes) -> bool:
    """Whether a file holds runs of 4 bits, of which Pillow makes stripes."""
    return _header(data)[5] == _RLE4


def by_ffmpeg(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image:
    """Read a file with FFmpeg's decoder.

    Parameters
    ----------
    data : bytes
        The file.
    check : callable
        Takes width and height before anything is decoded; raises where they are too large.

    Raises
    ------
    ValueError
        There is no picture in it.
    av.error.FFmpegError
        FFmpeg cannot read it.
    """
    _, _, width, height, *_ = _header(data)
    check(width, abs(height))
    return PIL.Image.fromarray(first_frame(data, "bmp_pipe"))


def by_masks(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image | None:
    """Read 16 or 32 bits a pixel with masks; of a file whose end is missing, the rows that are there.

    Parameters
    ----------
    data : bytes
        The file.
    check : callable
        Takes width and height before memory is taken; raises where they are too large.

    Returns
    -------
    PIL.Image.Image or None
        RGB, or RGBA where there is a mask of alpha; None of any other BMP, or where hardly a row is there.
    """
    start, header, width, height, bits, kind = _header(data)
    if bits not in (16, 32) or kind not in _FIELDS or len(data) < 70:
        return None
    check(width, abs(height))
    masks = struct.unpack_from("<4I", data, 54)
    if not masks[3] or (header < 56 and kind == _FIELDS[0]):  # in a short header pixels follow instead
        masks = masks[:3]
    used = width * bits // 8
    stride = (used + 3) // 4 * 4
    there = min((len(data) - start) // stride, abs(height))
    if there < _LEAST_THERE * abs(height):
        return None
    if there < abs(height):
        note(f"{100 * there / abs(height):.0f} % of the picture are there: the rest of the file is missing")
    rows = np.frombuffer(data, np.uint8, there * stride, start).reshape(there, stride)[:, :used]
    samples = np.empty((there, width, len(masks)), np.uint8)
    for first in range(0, there, _ROWS):
        pixels = np.ascontiguousarray(rows[first : first + _ROWS]).view(f"<u{bits // 8}")
        for channel, mask in enumerate(masks):
            samples[first : first + _ROWS, :, channel] = _samples(pixels, mask)
    return PIL.Image.fromarray(samples[::-1] if height > 0 else samples)  # rows come from below, or not


def by_pairs(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image | None:
    """Read 2 bits a pixel, as handhelds wrote them; parameters and return value as of `by_masks`."""
    start, header, width, height, bits, kind = _header(data)
    if bits != 2 or kind:
        return None
    check(width, abs(height))
    table = np.frombuffer(data[14 + header : 14 + header + 16].ljust(16, b"\0"), np.uint8).reshape(4, 4)[:, 2::-1]
    stride = (width * bits + 31) // 32 * 4
    if len(data) - start < stride * abs(height):
        return None
    rows = np.frombuffer(data, np.uint8, stride * abs(height), start).reshape(-1, stride)
    indices = np.stack([rows >> shift & 3 for shift in (6, 4, 2, 0)], axis=2).reshape(len(rows), -1)[:, :width]
    return PIL.Image.fromarray(table[indices[::-1] if height > 0 else indices])


def by_runs(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image | None:
    """Read runs of 24 bits, as OS/2 wrote them; parameters and return value as of `by_masks`."""
    start, _, width, height, bits, kind = _header(data)
    if bits != 24 or kind != _RLE24 or height < 1:
        return None
    check(width, height)
    rows = np.zeros((height, width, 3), np.uint8)
    at, x, y = start, 0, height - 1
    while at + 2 <= len(data) and y >= 0:
        run, what = data[at], data[at + 1]
        if run:  # one colour
            rows[y, x : x + run] = tuple(data[at + 1 : at + 4].ljust(3, b"\0")[::-1])
            x, at = x + run, at + 4
        elif what > 2:  # as they are, filled up to two bytes
            some = np.frombuffer(data[at + 2 : at + 2 + 3 * what].ljust(3 * what, b"\0"), np.uint8).reshape(-1, 3)
            room = max(width - x, 0)
            rows[y, x : x + what] = some[:room, ::-1]
            x, at = x + what, at + 2 + 3 * what + what % 2
        elif what == 2 and at + 4 <= len(data):  # a step
            x, y, at = x + data[at + 2], y - data[at + 3], at + 4
        elif what == 1:
            break
        else:
            x, y, at = 0, y - 1, at + 2
    return PIL.Image.fromarray(rows)


def inside(data: bytes) -> tuple[bytes, str] | None:
    """Give the JPEG or PNG that a file wraps, and its extension; None where it wraps none."""
    start, _, _, _, bits, kind = _header(data)
    if bits or kind not in (4, 5):
        return None
    body = data[start:]
    return (body, "png" if body.startswith(b"\x89PNG") else "jpg") if body[:1] in (b"\x89", b"\xff") else None


def _header(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Offset of the pixels, bytes of the header, width, height, bits of a pixel and compression; 0 where none."""
    if len(data) < 34 or not data.startswith(b"BM") or int.from_bytes(data[14:18], "little") < 40:
        return 0, 0, 0, 0, 0, 0
    start, header, width, height, _, bits, kind = struct.unpack_from("<IIiiHHI", data, 10)
    return start, header, width, height, bits, kind


def _samples(pixels: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """Bits of a mask, scaled to 0..255: (h, w) -> (h, w); 0 where the mask is empty."""
    if not mask:
        return np.zeros(pixels.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    values = (pixels.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift)
    scaled: NDArray[np.uint8] = np.round(values * (255.0 / (mask >> shift))).astype(np.uint8)
    return scaled
