"""WebM and Matroska (RFC 8794): whether the last element is whole, where no header says how long the sound is."""

from __future__ import annotations

__all__ = ["is_cut"]

_OPENED = (0x18538067, 0x1F43B675)  # Segment and Cluster, whose size a recorder does not know yet
_MOST = 500_000  # elements that are followed


def is_cut(data: bytes) -> bool:
    """Say whether an element claims more bytes than there are."""
    at = 0
    for _ in range(_MOST):
        if at >= len(data):
            return at > len(data)
        name, width = _number(data, at, marked=True)
        size, more = _number(data, at + width)
        if not width or not more:
            return at + 12 > len(data)  # within a name or a size; else no element at all
        at += width + more
        unknown = size == (1 << 7 * more) - 1
        if not unknown and at + size > len(data):
            return True
        if name not in _OPENED:
            if unknown:
                return False
            at += size
    return False


def _number(data: bytes, at: int, marked: bool = False) -> tuple[int, int]:
    """Read a number whose first bits tell its length, with these bits or without: it, and its bytes (0: none)."""
    if at >= len(data) or not data[at]:
        return 0, 0
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        return 0, 0
    value = int.from_bytes(data[at : at + length], "big")
    return (value if marked else value & (1 << 7 * length) - 1), length
