"""STL, binary and text, by trimesh. Runs in the decoding process; trimesh is imported there only.

The triangles that a file declares are counted before trimesh sees it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from omnibind_core.errors import MediaError
from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Part, check_counts
from omnibind_core.media.source import Blob, undecodable

__all__ = ["preload", "read_stl"]

_TRIANGLE = (
    b"solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid\n"
)


def preload() -> None:
    """Import trimesh and let it read a triangle, which imports what it loads late."""
    read_stl(Blob(_TRIANGLE, "a triangle", "stl"))


def read_stl(blob: Blob) -> Sequence[Part]:
    """Read an STL: no colour. Binary ones may begin with "solid", say 0 triangles, and have bytes behind the last."""
    data = blob.data
    declared = int.from_bytes(data[80:84], "little")
    there = (len(data) - 84) // 50
    start = data[:4096].lower()
    text = start.lstrip().startswith(b"solid") and (b"facet" in start or b"endsolid" in start)
    if not text:
        if len(data) < 84:
            raise undecodable(blob.name, "stl", "fewer bytes than its header takes")
        unknown = declared in (0, 0xFFFFFFFF) and (len(data) - 84) % 50 == 0  # written before its length was known
        if unknown and there > 0:
            declared = there
        if declared > there:
            if not there or declared > 1 << 31:
                raise undecodable(blob.name, "stl", f"{declared:,} triangles take {84 + 50 * declared:,} bytes")
            note(f"{there:,} of {declared:,} triangles are there")
            declared = there
        data = data[:80] + declared.to_bytes(4, "little") + data[84 : 84 + 50 * declared]
    faces = data.lower().count(b"endfacet") if text else declared
    check_counts(blob.name, faces)
    if not faces:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    if text and b"endsolid" not in data[-4096:].lower():  # trimesh reads nothing of a solid without an end
        data = data[: data.lower().rfind(b"endfacet") + 8] + b"\nendsolid\n"
        note("the end of the file is missing: what is there is read")
    return [_part(piece) for piece in _load(data, "stl_ascii" if text else "stl")]


def _load(data: bytes, kind: str) -> list[Any]:
    """Let trimesh parse the bytes; without a resolver it cannot reach any other file."""
    import trimesh

    shape: Any = trimesh.load(io.BytesIO(data), file_type=kind, process=False)
    pieces = list(shape.geometry.values()) if hasattr(shape, "geometry") else [shape]
    return [piece for piece in pieces if len(getattr(piece, "faces", ()))]


def _part(mesh: Any) -> Part:
    return Part(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
