"""PNG without what does not belong to the pixels: long texts, profiles and checksums stop Pillow, not a viewer."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Collection

import PIL.Image

from omnibind_core.media.notices import note

__all__ = ["SIGNATURE", "by_iphone", "depth", "is_iphone", "pixels_only", "still", "with_its_sum"]

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
    quiet = pixels_only(data, tuple(kind for kind in _KEPT if kind not in _MOVING))
    if len(quiet) == len(data):  # these letters are pixels
        return data
    note("its animation is damaged: the picture that stands for it is seen")
    return quiet


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


def with_its_sum(data: bytes) -> bytes:
    """Mend the sum at the end of a PNG's packed pixels, which no viewer looks at, where that is all that is wrong.

    Parameters
    ----------
    data : bytes
        What `pixels_only` gives; its size checked.

    Returns
    -------
    bytes
        The same, where the sum is right or more than that is wrong.
    """
    at, packed, last = len(SIGNATURE), [], 0
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IDAT":
            packed.append(data[at + 8 : at + 8 + size])
            last = at
        at += 12 + size
    whole, body = b"".join(packed), zlib.decompressobj(wbits=-15)
    found, rest = 1, whole[2:]
    width, height = struct.unpack_from(">II", data.ljust(24, b"\0"), 16)
    most = 8 * (width + 1) * (height + 8)  # at 16 bits and four channels; more is a bomb
    try:
        while rest and not body.eof and most > 0:
            part = body.decompress(rest, 1 << 20)
            found, rest = zlib.adler32(part, found), body.unconsumed_tail
            most -= len(part)
    except zlib.error:
        return data
    stated = body.unused_data[:4]
    if not body.eof or len(stated) < 4 or len(packed[-1]) < len(body.unused_data) or stated == found.to_bytes(4, "big"):
        return data
    note(f"{1} part of the picture with a wrong checksum read all the same")
    part = packed[-1][: len(packed[-1]) - len(body.unused_data)] + found.to_bytes(4, "big")
    chunk = b"IDAT" + part
    following = last + 12 + len(packed[-1])
    return data[:last] + struct.pack(">I", len(part)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[following:]


def is_iphone(data: bytes) -> bool:
    """Whether Apple's tools packed it for a telephone: other browsers do not know that form."""
    return data[12:16] == b"CgBI"


def by_iphone(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image:
    """Read a PNG packed for a telephone: bare Deflate, blue first, colours multiplied by alpha.

    Parameters
    ----------
    data : bytes
        What `pixels_only` gives.
    check : callable
        Takes width and height before anything is unpacked; raises where they are too large.

    Returns
    -------
    PIL.Image.Image
        RGBA.

    Raises
    ------
    ValueError
        It is damaged.
    OSError
        As Pillow raises.
    """
    at, header = len(SIGNATURE), b""
    parts = []
    while at + 12 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            header = body
        if kind == b"IDAT":
            parts.append(body)
        at += 12 + size
    packed = b"".join(parts)
    if len(header) != 13 or header[8:10] != b"\x08\x06":
        raise ValueError("its header is damaged")
    width, height = struct.unpack_from(">II", header)
    check(width, height)
    try:
        rows = zlib.decompressobj(wbits=-15).decompress(packed, 4 * width * height + 16 * height + 1)
    except zlib.error as error:
        raise ValueError("its pixels are damaged") from error
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    plain = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    with PIL.Image.open(io.BytesIO(SIGNATURE + plain), formats=["PNG"]) as picture:
        blue, green, red, alpha = picture.split()
    return PIL.Image.merge("RGBa", [red, green, blue, alpha]).convert("RGBA")


def depth(data: bytes) -> int:
    """Bits of a sample, as the header says; 0 where there is none."""
    return data[24] if len(data) > 24 and data.startswith(SIGNATURE) else 0
