"""PNG without what does not belong to the pixels: long texts, profiles and checksums stop Pillow, not a viewer."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection

from omnibind_core.media.notices import note

__all__ = ["SIGNATURE", "depth", "pixels_only", "still"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Transparency, the frames of an animation, the orientation; critical parts have a capital letter first.
_MOVING = (b"acTL", b"fcTL", b"fdAT")
_KEPT = (b"tRNS", *_MOVING, b"eXIf")


def still(data: bytes) -> bytes:
    """Take the animation out of a PNG: what every program shows that knows no animations stays.

    Parameters
    ----------
    data : bytes
        What `pixels_only` gives.

    Returns
    -------
    bytes
        The same, where there is no animation.
    """
    if b"acTL" not in data:
        return data
    note("its animation is damaged: the picture that stands for it is seen")
    return pixels_only(data, tuple(kind for kind in _KEPT if kind not in _MOVING))


def pixels_only(data: bytes, kept: Collection[bytes] = _KEPT) -> bytes:
    """Write a PNG anew, with the parts that make its picture only, and their checksums as they should be.

    Parameters
    ----------
    data : bytes
        From the signature on. What follows a part that makes no sense is kept as it is.
    kept : collection of bytes
        Parts that need not be there and are kept.
    """
    if not data.startswith(SIGNATURE):
        return data
    parts, at, wrong = [SIGNATURE], len(SIGNATURE), 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + size
        if not kind.isalpha() or end > len(data):
            parts.append(data[at:])
            break
        if kind[:1].isupper() or kind in kept:
            checksum = struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))
            wrong += checksum != data[end - 4 : end]
            parts += [data[at : end - 4], checksum]
        at = end
        if kind == b"IEND":
            break
    if wrong:
        note(f"{wrong} {'part' if wrong == 1 else 'parts'} of the picture with a wrong checksum read all the same")
    return b"".join(parts)


def depth(data: bytes) -> int:
    """Bits of a sample, as the header says; 0 where there is none."""
    return data[24] if len(data) > 24 and data.startswith(SIGNATURE) else 0
