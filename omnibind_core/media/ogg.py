"""Ogg: cuts chained files, which players read one after the other, into their links."""

from __future__ import annotations

import struct

__all__ = ["ends", "links", "mended"]

_HEADER = 27
_FIRST, _LAST = 2, 4  # flags of a page: begins, ends a stream


def links(data: bytes) -> list[bytes]:
    """Give the parts of a chained file, the whole where it is not chained.

    A stream that begins after another has gone on begins a part (RFC 3533, section 4).
    """
    starts: list[int] = []
    going = True
    for at, flags in _pages(data):
        if flags & _FIRST and going:
            starts.append(at)
        going = not flags & _FIRST
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)] or [data]


def ends(data: bytes) -> bool:
    """Whether the last page that is there is whole, and says to be the last."""
    last = None
    for at, flags in _pages(data):
        last = (at, flags)
    return last is not None and bool(last[1] & _LAST)


def mended(data: bytes) -> bytes:
    """Close the last page of a file that was cut, behind the last packet that is there whole.

    A page holds up to a second or 64 kB, and decoders give up all of one that is not whole. Its position is left as it
    is, which tells how much was promised.
    """
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + _HEADER:
        return data
    table = data[at + _HEADER : at + _HEADER + data[at + 26]]
    body = at + _HEADER + len(table)
    if len(table) < data[at + 26] or body + sum(table) <= len(data):
        return data
    whole, size, end = 0, 0, 0
    for place, segment in enumerate(table, 1):
        size += segment
        if body + size > len(data):
            break
        if segment < 255:  # a packet ends here
            whole, end = place, size
    if not whole:
        return data[:at]
    page = bytearray(data[at : at + 26] + bytes([whole]) + table[:whole] + data[body : body + end])
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", _checksum(bytes(page)))
    return data[:at] + bytes(page)


def _checksum(page: bytes) -> int:
    """Ogg's CRC: that of Ethernet's polynomial, unreflected, from 0 (RFC 3533, section 6)."""
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value


def _row(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


_TABLE = [_row(value) for value in range(256)]


def _pages(data: bytes) -> list[tuple[int, int]]:
    """Position and flags of each whole page; what is no page is skipped."""
    found = []
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - _HEADER:
        segments = data[at + 26]
        table = data[at + _HEADER : at + _HEADER + segments]
        end = at + _HEADER + segments + sum(table)
        if data[at + 4] == 0 and len(table) == segments and end <= len(data):
            found.append((at, data[at + 5]))
            at = end if data[end : end + 4] == b"OggS" else data.find(b"OggS", end)
        else:
            at = data.find(b"OggS", at + 4)
    return found
