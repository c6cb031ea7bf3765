"""JPEG that Pillow refuses or reads wrongly: without loss, its height behind its pixels, its beginning twice."""

from __future__ import annotations

from collections.abc import Callable

import PIL.Image

from omnibind_core.media.frames import first_frame

__all__ = ["by_ffmpeg", "is_lossless", "mended"]

_START, _HEIGHT_BEHIND = b"\xff\xd8", b"\xff\xdc\0\x04"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame's header
_LOSSLESS = 0xC3


def mended(data: bytes) -> bytes:
    """Leave out a second beginning, and put a height that stands behind the pixels where it belongs.

    Parameters
    ----------
    data : bytes
        The file; given back as it is where nothing is to be mended.
    """
    start = 0
    while data[start + 2 : start + 5] == _START + b"\xff":
        start += 2
    data = data[start:] if start else data
    at = _frame(data)
    if at and data[at + 5 : at + 7] == b"\0\0":
        behind = data.rfind(_HEIGHT_BEHIND)
        if behind > at:
            return data[: at + 5] + data[behind + 4 : behind + 6] + data[at + 7 :]
    return data


def is_lossless(data: bytes) -> bool:
    """Whether a file is coded without loss, which Pillow does not read or takes other colours for red and so on."""
    at = _frame(data)
    return bool(at) and data[at + 1] == _LOSSLESS


def _frame(data: bytes) -> int:
    """Find the header of the frame: its marker's place, 0 where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF:  # filling
            at += 1
            continue
        if kind in _FRAMES:
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def by_ffmpeg(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image:
    """Read a file with FFmpeg's decoder: RGB, or grey of 16 bits.

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
    at = _frame(data)
    height, width = (int.from_bytes(data[at + place : at + place + 2], "big") for place in (5, 7))
    check(width, height)
    return PIL.Image.fromarray(first_frame(data, "jpeg_pipe"))
