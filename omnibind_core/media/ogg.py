"""Ogg: cuts chained files, which players read one after the other, into their links."""

from __future__ import annotations

__all__ = ["ends", "links"]

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
