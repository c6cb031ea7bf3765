"""STL, binary with its colours, and text wherever its lines end."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.obj import NO_NUMBER
from omnibind_core.media.polygons import triangles
from omnibind_core.media.shapes import Doubles, Part, check_counts
from omnibind_core.media.sniff import wide_encoding
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["read_stl"]

_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("paint", "<u2")])
_FAR = 10.0  # times the size of the declared triangles: those behind them lie nearer
_LEAST_THERE = 0.1  # of the triangles of a file whose end is missing
_END = 4_096  # bytes in which an end is looked for
_FACET = b"factnormaloutrloopvrtxvrtxvrtxndloopndfact"  # the words of a triangle, without the letter of exponents
_NAME = re.compile(rb"[ \t]*(?:end)?solid[^\r\n]{0,200}(?=[\r\n])")
_LOWER = bytes(range(256)).lower()
_BLANK = bytes(b if b in b"0123456789+-.e" else 32 for b in _LOWER)
_INDENT = 64  # bytes before a solid's line
_CORNER = re.compile(rb"vertex\s+([^\s,]+)[\s,]+([^\s,]+)[\s,]+([^\s,]+)|(endloop|endfacet)", re.IGNORECASE)


def read_stl(blob: Blob) -> Sequence[Part]:
    """Read an STL. Binary ones may begin with "solid", say 0 triangles, and have bytes behind the last."""
    data = blob.data
    encoding = wide_encoding(data)
    if encoding or _is_text(data):
        return _read_text(blob, data.decode(encoding, "replace").encode() if encoding else data)
    if len(data) < 84:
        raise undecodable(blob.name, "stl", "fewer bytes than its header takes")
    declared = int.from_bytes(data[80:84], "little")
    data += bytes(-(len(data) - 84) % 50 if (len(data) - 84) % 50 >= 48 else 0)  # only two spare bytes are missing
    there = (len(data) - 84) // 50
    if there and (declared == 0 or declared >= 1 << 31 or int.from_bytes(data[80:84], "big") == there):
        declared = there  # written before its length was known, or by a machine of the other byte order
    elif declared < there and len(data) == 84 + 50 * there and _go_on(data, declared, there):
        note(f"{there:,} triangles are there, not {declared:,} as its header says: all are read")
        declared = there
    if declared > there:
        if there < _LEAST_THERE * declared:
            raise undecodable(blob.name, "stl", f"{declared:,} triangles take {84 + 50 * declared:,} bytes")
        note(f"{there:,} of {declared:,} triangles are there")
        declared = there
    check_counts(blob.name, declared)
    if not declared:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    rows = np.frombuffer(data, _ROW, declared, 84)
    rgb = _painted(data[:80], rows["paint"])
    faces = np.arange(3 * declared).reshape(-1, 3)
    return [Part(rows["corners"].reshape(-1, 3).astype(np.float64), faces, rgb)]


def _go_on(data: bytes, declared: int, there: int) -> bool:
    """Whether what stands behind the declared triangles is more of them: of their size and place, not other bytes."""
    corners = np.frombuffer(data, _ROW, there, 84)["corners"].reshape(there, -1, 3)
    known, more = corners[:declared].reshape(-1, 3), corners[declared:].reshape(-1, 3)
    if not np.isfinite(known).all() or not np.isfinite(more).all():
        return False
    low, high = known.min(axis=0).astype(np.float64), known.max(axis=0).astype(np.float64)
    reach = _FAR * float((high - low).max())
    near = bool((more >= low - reach).all() and (more <= high + reach).all())
    return near and bool(np.ptp(more, axis=0).max() > 0)


def _painted(header: bytes, paint: NDArray[np.uint16]) -> FloatArray | None:
    """Colours of the corners, where a program put some into the two spare bytes of each triangle.

    VisCAM and SolidView: bit 15 is set where there is a colour, blue in the lowest five bits. Magics: a header with
    "COLOR=", bit 15 is set where that colour holds, red in the lowest five bits.
    """
    own = paint >> 15 == 1
    fifths = np.column_stack([paint >> 10 & 31, paint >> 5 & 31, paint & 31]).astype(np.float32) / 31.0
    at = header.find(b"COLOR=")
    if 0 <= at <= 70:
        whole = np.frombuffer(header[at + 6 : at + 9], np.uint8).astype(np.float32) / 255.0
        rgb = np.where((own | (not paint.any()))[:, None], whole, fifths[:, ::-1])
    elif own.any() and (paint[~own] == 0).all() and not (paint == 0xFFFF).all():
        rgb = np.where(own[:, None], fifths, np.float32(limits.GREY))
    else:
        return None
    return np.repeat(rgb.astype(np.float32), 3, axis=0)


def _is_text(data: bytes) -> bool:
    """Whether this is the text form: without zeros, which a binary one has in its count at the latest, or nearly so."""
    head = data[:_END].rstrip(b"\0")
    return b"\0" not in head or (
        head[:512].lstrip()[:5].lower() == b"solid"
        and re.search(rb"\sfacet\s.*\svertex\s+[-+.\d]", head, re.DOTALL) is not None
    )


def _without_names(data: bytes) -> bytes:
    """Leave out the lines that begin and end solids: their names may hold any words."""
    lower = data.lower()
    kept, done, at = [], 0, lower.find(b"solid")
    while at >= 0:
        start = max(done, at - _INDENT)
        start = max(start, lower.rfind(b"\n", start, at) + 1, lower.rfind(b"\r", start, at) + 1)
        line = _NAME.match(lower, start) if start in (0, done) or lower[start - 1] in b"\r\n" else None
        if line is not None:
            kept.append(data[done:start])
            done = line.end()
        at = lower.find(b"solid", at + 5 if line is None else done)
    return b"".join([*kept, data[done:]])


def _plain_corners(data: bytes) -> Doubles | None:
    """Corners of text that has nothing but triangles in their usual words, which is quick: (n, 3); else None."""
    words = data.translate(_LOWER, b"0123456789+-.eE \t\r\n")
    count = len(words) // len(_FACET)
    if not count or words != _FACET * count:
        return None
    numbers_alone = data.translate(_BLANK).replace(b" e ", b" ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of a word that is no number, and stops there
            numbers = np.fromstring(numbers_alone.decode("ascii"), np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    return numbers.reshape(count, 4, 3)[:, 1:].reshape(-1, 3) if len(numbers) == 12 * count else None


def _read_text(blob: Blob, data: bytes) -> Sequence[Part]:
    """Read the text form: corners between the ends of their loops, whatever else stands around them."""
    whole = b"endsolid" in data[-_END:].lower()
    data = _without_names(data)
    if b"," in data and b"." not in data:
        data = data.replace(b",", b".")
    check_counts(blob.name, data.lower().count(b"endfacet"))
    plain = _plain_corners(data)
    if plain is not None:
        if not whole:
            note("the end of the file is missing: what is there is read")
        return [Part(plain, np.arange(len(plain)).reshape(-1, 3))]
    words: list[bytes] = []
    ends: list[int] = []
    for found in _CORNER.finditer(data):
        if found.lastindex == 4:
            ends.append(len(words))
        else:
            words += found.groups()[:3]
    if not words:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    if not whole:
        note("the end of the file is missing: what is there is read")
    try:
        corners = np.array(words[: ends[-1] if ends else 0], np.float64).reshape(-1, 3)
    except ValueError:
        words = [b"nan" if NO_NUMBER.fullmatch(word.decode("latin-1")) else word for word in words]
        corners = np.array(words[: ends[-1]], np.float64).reshape(-1, 3)
    counts = np.diff(np.unique([0, *ends])) // 3
    faces = triangles(counts.astype(np.int64), np.arange(len(corners)), corners, blob.name)
    return [Part(corners, faces)]
