"""Frames of AC-3 and Enhanced AC-3 (ATSC A/52): how long each says that it is, and whether the last one is whole."""

from __future__ import annotations

from omnibind_core.media.mpeg import ends_within

__all__ = ["enhanced", "is_cut"]

_SYNC = b"\x0b\x77"
_HEADER = 6
_ENHANCED, _LAST = 10, 16  # the versions above it are Enhanced AC-3, up to this one
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_HERTZ = (48_000, 44_100, 32_000)
_SAMPLES = 1536  # of a frame


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
