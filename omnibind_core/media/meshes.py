"""Meshes that trimesh reads: OBJ, STL, PLY and OFF. Runs in the decoding process; trimesh is imported there only.

Each reader counts what the file declares before trimesh sees it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from omnibind_core.errors import MediaError
from omnibind_core.media.shapes import Part, Points, check_counts
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["preload", "read_obj", "read_off", "read_ply", "read_stl"]

_PLY_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}


def preload() -> None:
    """Import trimesh and let it read a triangle, which imports what it loads late."""
    read_off(Blob(b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", "a triangle", "off"))


def read_obj(blob: Blob) -> Sequence[Part]:
    """OBJ: vertex colours are kept; its materials lie in other files, which are never opened."""
    faces = blob.data.count(b"\nf ") + blob.data.count(b"\nf\t") + blob.data.startswith(b"f ")
    check_counts(blob.name, faces, blob.data.count(b"\nv "))
    if not faces:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    return _parts(_load(blob))


def read_stl(blob: Blob) -> Sequence[Part]:
    """STL, binary or text: no colour."""
    declared = int.from_bytes(blob.data[80:84], "little")
    text = blob.data[:512].lstrip()[:5].lower() == b"solid"
    binary = len(blob.data) == 84 + 50 * declared
    if not binary and not text:
        raise undecodable(
            blob.name, "stl", f"{declared:,} triangles take {84 + 50 * declared:,} bytes, not {len(blob.data):,}"
        )
    faces = declared if binary else blob.data.lower().count(b"endfacet")
    check_counts(blob.name, faces)
    if not faces:
        raise MediaError(f"{blob.name}, which has no faces", "a mesh with faces", "export it as a mesh")
    return _parts(_load(blob))


def read_off(blob: Blob) -> Sequence[Part]:
    """OFF: geometry only."""
    head = re.sub(rb"#[^\n]*", b"", blob.data[:4096])
    counts = re.search(rb"OFF\s+(\d+)\s+(\d+)", head)
    if counts is None:
        raise undecodable(blob.name, "off", "no counts of vertices and faces")
    vertices, faces = int(counts[1]), int(counts[2])
    check_counts(blob.name, faces, vertices)
    if vertices + faces > blob.data.count(b"\n") + 1:
        raise undecodable(blob.name, "off", f"{vertices:,} vertices and {faces:,} faces announced, fewer lines present")
    return _parts(_load(blob))


def read_ply(blob: Blob) -> Sequence[Part] | Points:
    """PLY, text or binary: a mesh where it has faces, else points."""
    faces = _check_ply(blob)
    shape = _load(blob)
    if faces:
        return _parts(shape)
    xyz = np.asarray(shape.vertices, np.float64)
    return Points(xyz, _rgb(getattr(shape, "colors", None), len(xyz)))


def _check_ply(blob: Blob) -> int:
    """Hold what a PLY header announces against the file's size; returns the number of faces."""
    end = blob.data.find(b"end_header", 0, 1 << 16)
    if end < 0:
        raise undecodable(blob.name, "ply", "no end_header")
    binary = b"format ascii" not in blob.data[:end]
    elements: dict[str, list[int]] = {}  # name -> [count, least bytes of a row]
    current = [0, 0]
    for line in blob.data[:end].decode("latin-1").splitlines():
        words = line.split()
        if words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            current = elements.setdefault(words[1], [int(words[2][:18]), 0])
        elif words[:2] == ["property", "list"] and len(words) == 5:
            current[1] += _PLY_SIZES.get(words[2], 1) if binary else 2
        elif words[:1] == ["property"] and len(words) == 3:
            current[1] += _PLY_SIZES.get(words[1], 1) if binary else 2
    faces, vertices = elements.get("face", [0, 0])[0], elements.get("vertex", [0, 0])[0]
    check_counts(blob.name, faces, vertices if faces else 0, 0 if faces else vertices)
    needed, present = sum(count * size for count, size in elements.values()), len(blob.data) - end
    if needed > present:
        raise undecodable(blob.name, "ply", f"its header announces at least {needed:,} bytes, {present:,} follow")
    return faces


def _load(blob: Blob) -> Any:
    """Let trimesh parse the bytes; without a resolver it cannot reach any other file."""
    import trimesh

    return trimesh.load(io.BytesIO(blob.data), file_type=blob.extension, process=False, skip_materials=True)


def _parts(shape: Any) -> list[Part]:
    """Geometry and colours of whatever trimesh made of the file."""
    pieces = list(shape.geometry.values()) if hasattr(shape, "geometry") else [shape]
    return [_part(piece) for piece in pieces if len(getattr(piece, "faces", ()))]


def _part(mesh: Any) -> Part:
    vertices = np.asarray(mesh.vertices, np.float64)
    faces = np.asarray(mesh.faces, np.int64)
    kind = mesh.visual.kind if mesh.visual.defined else None
    if kind == "vertex":
        return Part(vertices, faces, _rgb(mesh.visual.vertex_colors, len(vertices)))
    if kind == "face":  # a colour of its own for each corner
        rgb = _rgb(mesh.visual.face_colors, len(faces))
        apart = np.arange(3 * len(faces)).reshape(-1, 3)
        return Part(vertices[faces.ravel()], apart, None if rgb is None else np.repeat(rgb, 3, axis=0))
    return Part(vertices, faces)


def _rgb(colours: Any, count: int) -> FloatArray | None:
    """Bring trimesh's 8-bit RGBA to 0..1; None where the colours do not match the vertices."""
    if colours is None or np.ndim(colours) != 2 or len(colours) != count or np.shape(colours)[1] < 3 or not count:
        return None
    array = np.asarray(colours)[:, :3]
    scale = 255.0 if array.dtype.kind in "iu" or array.max() > 1 else 1.0
    return (array / scale).astype(np.float32)
