"""Frames of MPEG audio and of AAC in ADTS: the only formats whose files may begin anywhere, even behind rubbish."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["LAYERS", "NEAR", "ends_within", "find", "is_cut", "links", "tag_bytes"]

NEAR = 1 << 16
"""How far into a file a first frame is looked for, behind zeros and a tag."""

LAYERS = ("mp3", "mp2", "mpga")
"""Extensions under which frames of any layer travel."""

_CHAIN = 3  # frames that must follow one another: chance does that once in 10**12 places

# ISO 11172-3 and 13818-3: kbit/s by (version 1, layer), and Hz of version 1.
_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}
_HERTZ = (44_100, 48_000, 32_000)
_HALVINGS = {3: 0, 2: 1, 0: 2}  # version 1, 2, 2.5
_AAC_HEADER = 7
_MOST = 200_000  # frames that are followed to the end: a quarter of an hour of the shortest
_MONO = 3  # of the channel modes


def find(data: bytes) -> tuple[str, int] | None:
    """Look for the first frame that others follow.

    Parameters
    ----------
    data : bytes
        A file, or its beginning. Zeros and an ID3 tag are skipped, then `NEAR` bytes are searched.

    Returns
    -------
    (str, int) or None
        ``"mp3"`` (any layer) or ``"aac"`` (ADTS), and where the frame begins; None where there is no chain of frames.
    """
    start, tag = 0, tag_bytes(data)
    while tag and start < len(data):  # taggers put one before another
        start = _behind_zeros(data, start + tag)
        tag = tag_bytes(data[start : start + 10])
    start = _behind_zeros(data, start)
    if start >= len(data):  # a tag that claims more than there is
        start = 10
    at = data.find(b"\xff", start)
    while 0 <= at <= start + NEAR:
        kind = _chain(data, at)
        if kind:
            return kind, at
        at = data.find(b"\xff", at + 1)
    return None


def _behind_zeros(data: bytes, start: int) -> int:
    zeros = re.compile(rb"\0*").match(data, start)
    return start if zeros is None else zeros.end()


def tag_bytes(data: bytes) -> int:
    """Length of an ID3v2 tag at the beginning, 0 where there is none."""
    if len(data) < 10 or not data.startswith(b"ID3"):
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def links(data: bytes) -> list[bytes]:
    """Cut MP3s that were joined end to end: the first frame of each counts its own, and players stop there."""
    starts = [0]
    for match in re.finditer(rb"(?:Xing|Info)\0\0\0", data):
        # It stands behind the header, a checksum perhaps, and 9, 17 or 32 bytes.
        places = [match.start() - distance for distance in (13, 15, 21, 23, 36, 38)]
        starts += [place for place in places if place > 0 and _chain(data, place) == "mp3"][:1]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def is_cut(data: bytes) -> bool:
    """Say whether the last of the frames that `data` begins with claims more bytes than there are."""

    def length(header: bytes) -> int:
        found = _frame_bytes(header)
        return found if found and _alike(header, data) else 0

    return ends_within(data, _AAC_HEADER, length)


def ends_within(data: bytes, header: int, length: Callable[[bytes], int]) -> bool:
    """Say whether a chain of frames ends within one.

    False where something else follows the last frame, such as a tag, and where there are more frames than a sound has.

    Parameters
    ----------
    data : bytes
        From the first frame on.
    header : int
        Bytes of a frame's header.
    length : callable
        Header -> bytes of the frame; 0 where it is none of these, or shorter than a header.
    """
    at = 0
    for _ in range(_MOST):
        here = data[at : at + header]
        step = length(here)
        if not step:
            step = tag_bytes(data[at : at + 10])  # parts of a broadcast have one each before them
        if not step:
            return len(here) in range(2, header) and here[:2] == data[:2]
        at += step
        if at > len(data):
            return True
    return False


def _alike(header: bytes, first: bytes) -> bool:
    """Say whether two frames are of one kind and rate."""
    return not (header[1] ^ first[1]) & 0xFE and not (header[2] ^ first[2]) & 0x0C


def _chain(data: bytes, at: int) -> str:
    """Kind of the frames that follow one another from here: "mp3", "aac" or ""."""
    first = data[at : at + 4]
    for _ in range(_CHAIN):
        here = data[at : at + _AAC_HEADER]
        length = _frame_bytes(here)
        if not length or not _alike(here, first):
            return ""
        if first[1] & 0x06 and (here[3] >> 6 == _MONO) != (first[3] >> 6 == _MONO):  # numbers that look like frames
            return ""
        at += length
        if at == len(data):
            break
    return "mp3" if first[1] & 0x06 else "aac"


def _frame_bytes(header: bytes) -> int:
    """Length of the frame with this header, 0 where it is none."""
    if len(header) < _AAC_HEADER or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    if layer == 4:  # ADTS: FFF0, FFF1, FFF8, FFF9
        length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        fits = header[1] & 0xF6 == 0xF0 and header[2] >> 2 & 0xF <= 12 and length > _AAC_HEADER
        return length if fits else 0
    index, hertz, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or not 1 <= index <= 14 or hertz == 3 or header[3] & 3 == 2:
        return 0
    bits = _RATES[version == 3, layer][index] * 1_000
    rate = _HERTZ[hertz] >> _HALVINGS[version]
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // rate + padding
