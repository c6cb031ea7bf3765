"""STL: the binary form here, with its colours; text by trimesh, which is imported in the decoding process only.

The triangles that a file declares are counted before trimesh sees it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Part, check_counts
from omnibind_core.media.sniff import wide_encoding
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["preload", "read_stl"]

_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("paint", "<u2")])
_FAR = 10.0  # times the size of the declared triangles: those behind them lie nearer
_LEAST_THERE = 0.1  # of the triangles of a file whose end is missing
_TRIANGLE = (
    b"solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid\n"
)


def preload() -> None:
    """Import trimesh and let it read a triangle, which imports what it loads late."""
    read_stl(Blob(_TRIANGLE, "a triangle", "stl"))


def read_stl(blob: Blob) -> Sequence[Part]:
    """Read an STL. Binary ones may begin with "solid", say 0 triangles, and have bytes behind the last."""
    data = blob.data
    encoding = wide_encoding(data)
    if encoding or b"\0" not in data[:4096]:  # a binary one has zeros, in its count at the latest
        return _read_text(blob, data.decode(encoding, "replace").encode() if encoding else data)
    if len(data) < 84:
        raise undecodable(blob.name, "stl", "fewer bytes than its header takes")
    declared = int.from_bytes(data[80:84], "little")
    there = (len(data) - 84) // 50
    if declared in (0, 0xFFFFFFFF) and there:  # written before its length was known
        declared = there
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
        rgb = np.where(own[:, None], whole, fifths[:, ::-1])
    elif own.any() and (paint[~own] == 0).all() and not (paint == 0xFFFF).all():
        rgb = np.where(own[:, None], fifths, np.float32(limits.GREY))
    else:
        return None
    return np.repeat(rgb.astype(np.float32), 3, axis=0)


def _read_text(blob: Blob, data: bytes) -> Sequence[Part]:
    """Read the text form, whatever stands before its first line, its line ends and decimal signs."""
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = re.search(rb"^[ \t]*(?:\xef\xbb\xbf)*solid\b", data, re.MULTILINE | re.IGNORECASE)
    data = data[start.start() :].removeprefix(b"\xef\xbb\xbf") if start else b"solid\n" + data
    if b"," in data and b"." not in data[data.find(b"\n") :]:
        data = data.replace(b",", b".")
    faces = data.lower().count(b"endfacet")
    check_counts(blob.name, faces)
    if not faces:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    if b"endsolid" not in data[-4096:].lower():  # trimesh reads nothing of a solid without an end
        data = data[: data.lower().rfind(b"endfacet") + 8] + b"\nendsolid\n"
        note("the end of the file is missing: what is there is read")
    return [_part(piece) for piece in _load(data, "stl_ascii")]


def _load(data: bytes, kind: str) -> list[Any]:
    """Let trimesh parse the bytes; without a resolver it cannot reach any other file."""
    import trimesh

    shape: Any = trimesh.load(io.BytesIO(data), file_type=kind, process=False)
    pieces = list(shape.geometry.values()) if hasattr(shape, "geometry") else [shape]
    return [piece for piece in pieces if len(getattr(piece, "faces", ()))]


def _part(mesh: Any) -> Part:
    return Part(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
