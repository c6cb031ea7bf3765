"""glTF 2.0 scenes, binary (GLB) and text: triangles placed by their nodes, with what colours them.

Read here instead of by trimesh, because every size can then be checked before it is allocated, and because
quantised and sparse accessors, texture transforms and second texture coordinates come out right. Colours are
taken as the numbers in the file, without the step from linear light to sRGB, as the published point towers saw them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.gltf_buffers import Buffers, Json, item, items, whole
from omnibind_core.media.gltf_materials import Materials
from omnibind_core.media.shapes import Doubles, Part, Points, check_counts
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["read_glb", "read_gltf"]

_CODECS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
_POINTS, _TRIANGLES, _STRIP, _FAN = 0, 4, 5, 6


def read_glb(blob: Blob) -> Sequence[Part] | Points:
    """Read the binary container: a header of 12 bytes, then chunks of JSON and BIN."""
    data = blob.data
    version, length = int.from_bytes(data[4:8], "little"), int.from_bytes(data[8:12], "little")
    if version != 2:
        raise MediaError(f"{blob.name} of glTF version {version}", "version 2", "export it as glTF 2.0")
    if length > len(data):
        raise undecodable(blob.name, "glb", f"{len(data):,} of {length:,} bytes are there")
    chunks: dict[bytes, bytes] = {}
    start = 12
    while start + 8 <= length:
        size, kind = int.from_bytes(data[start : start + 4], "little"), data[start + 4 : start + 8]
        chunks.setdefault(kind, data[start + 8 : start + 8 + size])
        start += 8 + size
    return _read(json.loads(chunks.get(b"JSON", b"")), chunks.get(b"BIN\0"), blob)


def read_gltf(blob: Blob) -> Sequence[Part] | Points:
    """Read the text container, whose buffers and pictures must be embedded as data: addresses."""
    return _read(json.loads(blob.data), None, blob)


def _read(tree: Any, binary: bytes | None, blob: Blob) -> Sequence[Part] | Points:
    if not isinstance(tree, dict) or "asset" not in tree:
        raise undecodable(blob.name, blob.extension, "its JSON has no glTF asset")
    if str(tree["asset"].get("version", "2.0")).partition(".")[0] != "2":
        raise MediaError(
            f"{blob.name} of glTF version {tree['asset']['version']!r:.20}", "version 2", "export it again"
        )
    for extension in tree.get("extensionsRequired", []):
        if extension in _CODECS:
            raise MediaError(
                f"{blob.name}, compressed by {_CODECS[extension]}", "glTF without that", "export it uncompressed"
            )
    instances = list(_instances(tree, blob.name))
    _check_total(tree, instances, blob.name)
    buffers = Buffers(tree, binary, blob)
    materials = Materials(tree, buffers, blob)
    parts: list[Part] = []
    points: list[Points] = []
    cache: dict[int, list[Part | Points]] = {}
    for mesh, matrix in instances:
        if mesh not in cache:
            cache[mesh] = [
                shape
                for primitive in items(item(tree, "meshes", mesh), "primitives")
                if (shape := _primitive(primitive, buffers, materials)) is not None
            ]
        for shape in cache[mesh]:
            if isinstance(shape, Part):
                parts.append(_placed(shape, matrix))
            else:
                points.append(Points(_moved(shape.xyz, matrix), shape.rgb))
    if parts or not points:
        return parts
    rgb = [p.rgb for p in points if p.rgb is not None]
    return Points(
        np.concatenate([p.xyz for p in points]), np.concatenate(rgb) if rgb and len(rgb) == len(points) else None
    )


def _instances(tree: Json, name: str) -> Iterator[tuple[int, Doubles]]:
    """Each mesh that the scene shows, with its matrix; a walk that cycles or explodes ends at `limits.MAX_NODES`."""
    if items(tree, "scenes"):
        roots = item(tree, "scenes", whole(tree, "scene", 0)).get("nodes", [])
    else:
        children = {child for node in items(tree, "nodes") for child in node.get("children", [])}
        roots = [index for index in range(len(items(tree, "nodes"))) if index not in children]
    stack = [(index, np.eye(4)) for index in roots[: limits.MAX_NODES + 1]]
    visited = 0
    while stack:
        index, matrix = stack.pop()
        visited += 1
        if visited + len(stack) > limits.MAX_NODES:
            count = len(items(tree, "nodes"))
            raise MediaError(
                f"{name}, whose scene places more than {limits.MAX_NODES:,} nodes (the file has {count:,})",
                f"a scene of at most {limits.MAX_NODES:,} nodes, none inside itself",
                "join its pieces into one mesh",
            )
        node = item(tree, "nodes", index)
        matrix = matrix @ _matrix(node)
        if "mesh" in node:
            yield whole(node, "mesh"), matrix
        stack += [(child, matrix) for child in node.get("children", [])[: limits.MAX_NODES + 1]]


def _matrix(node: Json) -> Doubles:
    """Local transform of a node: its matrix (stored by columns), or translation x rotation x scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    out = np.eye(4)
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    norm = x * x + y * y + z * z + w * w
    if norm > 0:
        s = 2 / norm
        out[:3, :3] = [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    out[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3)
    out[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3)
    return out


def _check_total(tree: Json, instances: Sequence[tuple[int, Doubles]], name: str) -> None:
    """Count triangles and vertices as declared, every instance again, before any is read."""
    sizes: dict[int, tuple[int, int]] = {}
    faces = vertices = 0
    for mesh, _ in instances:
        if mesh not in sizes:
            primitives = items(item(tree, "meshes", mesh), "primitives")
            counts = [_declared(tree, primitive) for primitive in primitives]
            sizes[mesh] = sum(f for f, _ in counts), sum(v for _, v in counts)
        faces += sizes[mesh][0]
        vertices += sizes[mesh][1]
    check_counts(name, faces, vertices)


def _declared(tree: Json, primitive: Json) -> tuple[int, int]:
    """Triangles and vertices of a primitive by its accessors' counts."""
    if "POSITION" not in primitive.get("attributes", {}):
        return 0, 0
    vertices = whole(item(tree, "accessors", primitive["attributes"]["POSITION"]), "count")
    corners = whole(item(tree, "accessors", primitive["indices"]), "count") if "indices" in primitive else vertices
    mode = primitive.get("mode", _TRIANGLES)
    return (corners // 3 if mode == _TRIANGLES else corners if mode in (_STRIP, _FAN) else 0), vertices


def _primitive(primitive: Json, buffers: Buffers, materials: Materials) -> Part | Points | None:
    """Read one primitive; None for lines, and for what has no positions."""
    attributes = primitive.get("attributes", {})
    mode = primitive.get("mode", _TRIANGLES)
    if "POSITION" not in attributes or mode not in (_POINTS, _TRIANGLES, _STRIP, _FAN):
        return None
    vertices = buffers.accessor(attributes["POSITION"], 3).astype(np.float64)
    rgb = _vertex_colours(attributes, buffers, len(vertices))
    if mode == _POINTS:
        return Points(vertices, rgb)
    indices = (
        buffers.accessor(primitive["indices"], 1).ravel().astype(np.int64)
        if "indices" in primitive
        else np.arange(len(vertices))
    )
    faces = _triangles(indices, mode)
    if "material" not in primitive:
        return Part(vertices, faces, rgb)
    material = materials.get(whole(primitive, "material"))
    if material.factor is not None:
        rgb = (np.ones((len(vertices), 3), np.float32) if rgb is None else rgb) * material.factor
    channel = f"TEXCOORD_{material.channel}"
    if material.texture is None or channel not in attributes:
        return Part(vertices, faces, rgb)
    uv = buffers.accessor(attributes[channel], 2).astype(np.float64)
    if len(uv) != len(vertices):
        return Part(vertices, faces, rgb)
    uv = np.column_stack([uv, np.ones(len(uv))]) @ material.transform.T
    uv[:, 1] = 1.0 - uv[:, 1]  # glTF counts v from the top
    return Part(vertices, faces, rgb, np.nan_to_num(uv, posinf=0, neginf=0).astype(np.float32), material.texture)


def _vertex_colours(attributes: Json, buffers: Buffers, count: int) -> FloatArray | None:
    if "COLOR_0" not in attributes:
        return None
    rgb = buffers.accessor(attributes["COLOR_0"], None)[:, :3].astype(np.float32)
    return np.clip(np.nan_to_num(rgb), 0, 1) if rgb.shape == (count, 3) else None


def _triangles(indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    """Corner indices of each triangle: (f, 3)."""
    if mode == _TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    if len(indices) < 3:
        return np.zeros((0, 3), np.int64)
    if mode == _FAN:
        return np.column_stack([np.full(len(indices) - 2, indices[0]), indices[1:-1], indices[2:]])
    faces = np.column_stack([indices[:-2], indices[1:-1], indices[2:]])
    faces[1::2] = faces[1::2, [1, 0, 2]]  # every other triangle of a strip winds the other way
    return faces


def _moved(xyz: Doubles, matrix: Doubles) -> Doubles:
    moved: Doubles = xyz @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def _placed(part: Part, matrix: Doubles) -> Part:
    """One instance of a part; a mirroring transform turns its triangles round."""
    faces = part.faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else part.faces
    return Part(_moved(part.vertices, matrix), faces, part.rgb, part.uv, part.texture)
