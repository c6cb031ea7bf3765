"""AMR as telephones record it (RFC 4867): whether the last frame is whole."""

from __future__ import annotations

__all__ = ["is_cut"]

_NARROW = (12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, 0, 0, 0, 0)
_WIDE = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)
_MAGIC_NARROW, _MAGIC_WIDE = b"#!AMR\n", b"#!AMR-WB\n"
_MOST = 200_000  # frames that are followed: more than an hour


def is_cut(data: bytes) -> bool:
    """Say whether the last frame claims more bytes than there are."""
    sizes, at = (_WIDE, len(_MAGIC_WIDE)) if data.startswith(_MAGIC_WIDE) else (_NARROW, len(_MAGIC_NARROW))
    for _ in range(_MOST):
        if at >= len(data):
            return at > len(data)
        at += 1 + sizes[data[at] >> 3 & 15]
    return False
