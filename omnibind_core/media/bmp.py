"""BMP that Pillow refuses or reads wrongly: samples that lie where masks say, and runs of 4 bits (RLE4)."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media.notices import note

__all__ = ["by_ffmpeg", "by_masks", "is_rle4"]

_RLE4, _FIELDS = 2, (3, 6)  # entries of the header's "compression"
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
    import av

    _, _, width, height, *_ = _header(data)
    check(width, abs(height))
    with av.open(io.BytesIO(data), format="bmp_pipe") as container:
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("it holds no picture")
        return PIL.Image.fromarray(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))


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
