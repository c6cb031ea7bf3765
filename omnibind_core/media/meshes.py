"""STL, binary with its colours, and text wherever its lines end."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.obj import NO_NUMBER
from omnibind_core.media.polygons import triangles
from omnibind_core.media.shapes import Part, check_counts
from omnibind_core.media.sniff import wide_encoding
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["read_stl"]

_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("paint", "<u2")])
_FAR = 10.0  # times the size of the declared triangles: those behind them lie nearer
_LEAST_THERE = 0.1  # of the triangles of a file whose end is missing
_END = 4_096  # bytes in which an end is looked for
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


def _read_text(blob: Blob, data: bytes) -> Sequence[Part]:
    """Read the text form: corners between the ends of their loops, whatever else stands around them."""
    whole = b"endsolid" in data[-_END:].lower()
    data = re.sub(rb"(?:^|[\r\n])[ \t]*(?:end)?solid[^\r\n]{0,200}(?=[\r\n])", b"", data, flags=re.IGNORECASE)  # names
    if b"," in data and b"." not in data:
        data = data.replace(b",", b".")
    check_counts(blob.name, data.lower().count(b"endfacet"))
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
