"""Frames of AC-3 and Enhanced AC-3 (ATSC A/52): how long each says that it is, and whether the last one is whole."""

from __future__ import annotations

import re

from omnibind_core.media.mpeg import NEAR, ends_within

__all__ = ["enhanced", "find", "is_cut", "swapped"]

_SYNC = b"\x0b\x77"
_HEADER = 6
_ENHANCED, _LAST = 10, 16  # the versions above it are Enhanced AC-3, up to this one
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_HERTZ = (48_000, 44_100, 32_000)
_SAMPLES = 1536  # of a frame
_CHAIN = 3  # frames that must follow one another
_EITHER = re.compile(rb"\x0b\x77|\x77\x0b")


def find(data: bytes) -> tuple[bool, int] | None:
    """Look for the first frame that others follow.

    Parameters
    ----------
    data : bytes
        A file, or its beginning, of which `NEAR` bytes are searched.

    Returns
    -------
    (bool, int) or None
        Whether each pair of bytes is the other way round, as some recorders write them, and where the frame begins.
    """
    for match in _EITHER.finditer(data, 0, NEAR):
        turned, at = match[0] != _SYNC, match.start()
        count = 0
        while count < _CHAIN:
            header = data[at : at + _HEADER]
            length = _frame_bytes(swapped(header) if turned else header)
            if not length:
                break
            at += length
            count += 1
        if count == _CHAIN or (count == _CHAIN - 1 and at >= len(data)):
            return turned, match.start()
    return None


def swapped(data: bytes) -> bytes:
    """Turn each pair of bytes round; a last single one goes."""
    turned = bytearray(data[: len(data) // 2 * 2])
    turned[::2], turned[1::2] = turned[1::2], turned[::2]
    return bytes(turned)


def enhanced(data: bytes) -> bool:
    """Say whether it is Enhanced AC-3, by the version that each frame states."""
    return len(data) >= _HEADER and data[5] >> 3 > _ENHANCED


def is_cut(data: bytes) -> bool:
    """Say whether the last frame claims more bytes than there are, as :func:`omnibind_core.media.mpeg.ends_within`."""
    return ends_within(data, _HEADER, _frame_bytes)


def _frame_bytes(header: bytes) -> int:
    """Length of the frame with this header, 0 where it is none."""
    if len(header) < _HEADER or not header.startswith(_SYNC) or header[5] >> 3 > _LAST:
        return 0
    if enhanced(header):
        return 2 * (((header[2] & 7) << 8 | header[3]) + 1)
    hertz, size = header[4] >> 6, header[4] & 0x3F
    if hertz >= len(_HERTZ) or size >> 1 >= len(_KBITS):
        return 0
    words = _KBITS[size >> 1] * 1_000 * _SAMPLES // (16 * _HERTZ[hertz])
    return 2 * (words + (size & 1 if hertz == 1 else 0))  # 44.1 kHz: odd codes have a word more
