"""glTF 2.0 scenes, binary (GLB) and text: triangles placed by their nodes, with what colours them.

Read here instead of by trimesh, because every size can then be checked before it is allocated, and because
quantised and sparse accessors, texture transforms and second texture coordinates come out right. Colours are
taken as the numbers in the file, without the step from linear light to sRGB, as the published point towers saw them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.gltf_bodies import Reader, Skins, instance_matrices, local_matrix, morphed, reader_of
from omnibind_core.media.gltf_buffers import Buffers, Json, item, items, whole
from omnibind_core.media.gltf_materials import Material, Materials
from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Doubles, Part, Points, check_counts
from omnibind_core.media.source import Blob, shown, undecodable
from omnibind_core.types import FloatArray

__all__ = ["read_glb", "read_gltf"]

_DRACO = "KHR_draco_mesh_compression"
_INSTANCING = "EXT_mesh_gpu_instancing"
# Extensions that a file may require: read here, or without effect on form and colour.
_UNDERSTOOD = {
    _DRACO, _INSTANCING, "EXT_meshopt_compression", "KHR_meshopt_compression", "KHR_mesh_quantization",
    "KHR_texture_transform", "KHR_materials_unlit", "EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds",
    "KHR_materials_pbrSpecularGlossiness", "KHR_materials_emissive_strength", "KHR_lights_punctual",
    "KHR_materials_clearcoat", "KHR_materials_ior", "KHR_materials_sheen", "KHR_materials_specular",
    "KHR_materials_transmission", "KHR_materials_volume", "KHR_materials_anisotropy", "KHR_materials_iridescence",
    "KHR_materials_variants", "KHR_xmp_json_ld", "KHR_materials_dispersion", "KHR_node_visibility",
}  # fmt: skip
_REMEDIES = {
    "KHR_texture_basisu": "convert its textures: `gltf-transform ktxdecompress in.glb out.glb`, or export it again",
}
_PADDING = 3  # bytes that may be missing at a chunk's end
_POINTS, _TRIANGLES, _STRIP, _FAN = 0, 4, 5, 6


def read_glb(blob: Blob) -> Sequence[Part] | Points:
    """Read the binary container: a header of 12 bytes, then chunks of JSON and BIN."""
    data = blob.data
    version, length = int.from_bytes(data[4:8], "little"), int.from_bytes(data[8:12], "little")
    if version > 3:  # no version there is or may soon be: noise under a known beginning
        raise undecodable(blob.name, "glb", "its header is damaged")
    if version != 2:
        raise MediaError(f"{blob.name} of glTF version {version}", "version 2", "export it as glTF 2.0")
    chunks: dict[bytes, bytes] = {}
    start = 12
    while start + 8 <= len(data):  # the length in the header may be too small
        size, kind = int.from_bytes(data[start : start + 4], "little"), data[start + 4 : start + 8]
        most = _PADDING if kind == b"JSON" else max(_PADDING, size // 2)  # of the rest, what is there is read
        if kind in (b"JSON", b"BIN\0") and start + 8 + size > len(data) + most:
            raise undecodable(blob.name, "glb", f"{len(data):,} of {max(length, start + 8 + size):,} bytes are there")
        chunks.setdefault(kind, data[start + 8 : start + 8 + size])
        start += 8 + size
    # Some programs pad the JSON with zeros instead of blanks.
    return _read(json.loads(chunks.get(b"JSON", b"").rstrip(b"\0 ")), chunks.get(b"BIN\0"), blob)


def read_gltf(blob: Blob) -> Sequence[Part] | Points:
    """Read the text container; its buffers and pictures are embedded as data: addresses, or lie beside it."""
    return _read(json.loads(blob.data.decode("utf-8-sig").rstrip("\0")), None, blob)


def _read(tree: Any, binary: bytes | None, blob: Blob) -> Sequence[Part] | Points:
    old = isinstance(tree, dict) and isinstance(tree.get("meshes"), dict)  # lists came with version 2
    if not isinstance(tree, dict) or ("asset" not in tree and not old):
        raise undecodable(blob.name, blob.extension, "its JSON has no glTF asset")
    version = "1.0" if old else tree["asset"].get("version", "2.0")
    if str(version).partition(".")[0] != "2":
        raise MediaError(f"{blob.name} of glTF version {version!r:.20}", "version 2", "export it again")
    for extension in tree.get("extensionsRequired", []):
        if extension not in _UNDERSTOOD:
            raise MediaError(
                f"{blob.name}, which requires the glTF extension {shown(str(extension))}",
                "glTF that does without it",
                _REMEDIES.get(extension, "export it without that extension"),
            )
    placed = list(_instances(tree, blob.name))
    _check_total(tree, placed, blob.name)
    buffers = Buffers(tree, binary, blob)
    materials = Materials(tree, buffers, blob)
    skins = Skins(tree, buffers)
    parts: list[Part] = []
    points: list[Points] = []
    faces = vertices = 0
    cache: dict[tuple[Any, ...], list[Part | Points]] = {}
    for one in placed:
        key = (one.mesh, one.skin, one.weights)
        if key not in cache:
            cache[key] = [
                shape
                for primitive in items(item(tree, "meshes", one.mesh), "primitives")
                if (shape := _primitive(primitive, one, buffers, materials, skins)) is not None
            ]
        # The joints of a skin place it; its node's own transform does not count.
        matrices = [np.eye(4)] if one.skin is not None else instance_matrices(one.instancing, buffers, one.matrix)
        # What was read counts too: behind Draco there may be more than was declared.
        faces += len(matrices) * sum(len(shape.faces) for shape in cache[key] if isinstance(shape, Part))
        vertices += len(matrices) * sum(len(s.vertices if isinstance(s, Part) else s.xyz) for s in cache[key])
        check_counts(blob.name, faces, vertices)
        for matrix in matrices:
            for shape in cache[key]:
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


@dataclass(frozen=True, eq=False)
class _Placed:
    """A mesh that the scene shows: where, on which skin, with which weights of its morph targets, and how often."""

    mesh: int
    matrix: Doubles
    skin: int | None
    weights: tuple[float, ...] | None
    instancing: Json | None


def _instances(tree: Json, name: str) -> Iterator[_Placed]:
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
        matrix = matrix @ local_matrix(node)
        extensions = node.get("extensions", {})
        if extensions.get("KHR_node_visibility", {}).get("visible") is False:
            continue
        if "mesh" in node:
            yield _Placed(
                whole(node, "mesh"),
                matrix,
                whole(node, "skin") if "skin" in node else None,
                tuple(float(weight) for weight in node["weights"]) if "weights" in node else None,
                extensions.get(_INSTANCING, {}).get("attributes"),
            )
        stack += [(child, matrix) for child in node.get("children", [])[: limits.MAX_NODES + 1]]


def _check_total(tree: Json, placed: Sequence[_Placed], name: str) -> None:
    """Count triangles and vertices as declared, every instance again, before any is read."""
    sizes: dict[int, tuple[int, int]] = {}
    faces = vertices = copies = pieces = 0
    for one in placed:
        primitives = items(item(tree, "meshes", one.mesh), "primitives")
        pieces += len(primitives)
        if pieces > limits.MAX_PIECES:
            raise MediaError(
                f"{name}, whose scene has more than {limits.MAX_PIECES:,} pieces",
                f"at most {limits.MAX_PIECES:,} primitives, every instance counted",
                "join its pieces into one mesh",
            )
        if one.mesh not in sizes:
            counts = [_declared(tree, primitive) for primitive in primitives]
            sizes[one.mesh] = sum(f for f, _ in counts), sum(v for _, v in counts)
        often = 1
        if one.instancing:
            often = max(whole(item(tree, "accessors", index), "count") for index in one.instancing.values())
        copies += often
        faces += often * sizes[one.mesh][0]
        vertices += often * sizes[one.mesh][1]
    check_counts(name, faces, vertices)
    if copies > limits.MAX_NODES:
        raise MediaError(
            f"{name}, which places {copies:,} copies of its meshes",
            f"at most {limits.MAX_NODES:,}",
            "join its pieces into one mesh",
        )


def _declared(tree: Json, primitive: Json) -> tuple[int, int]:
    """Triangles and vertices of a primitive by its accessors' counts."""
    if "POSITION" not in primitive.get("attributes", {}):
        return 0, 0
    vertices = whole(item(tree, "accessors", primitive["attributes"]["POSITION"]), "count")
    corners = whole(item(tree, "accessors", primitive["indices"]), "count") if "indices" in primitive else vertices
    mode = primitive.get("mode", _TRIANGLES)
    return (corners // 3 if mode == _TRIANGLES else corners if mode in (_STRIP, _FAN) else 0), vertices


def _primitive(
    primitive: Json, one: _Placed, buffers: Buffers, materials: Materials, skins: Skins
) -> Part | Points | None:
    """Read one primitive; None for lines, for what has no positions, and for what cannot be seen."""
    attributes = primitive.get("attributes", {})
    mode = primitive.get("mode", _TRIANGLES)
    if "POSITION" not in attributes or mode not in (_POINTS, _TRIANGLES, _STRIP, _FAN):
        return None
    material = materials.get(whole(primitive, "material")) if "material" in primitive else Material()
    if material.hidden:
        note("a surface that is fully transparent was left out")
        return None
    read = reader_of(primitive, buffers)
    vertices = read("POSITION", 3).astype(np.float64)
    vertices = morphed(vertices, primitive, skins.weights(one.mesh, one.weights), buffers)
    if one.skin is not None:
        vertices = skins.bent(vertices, one.skin, attributes, read)
    rgb = _vertex_colours(attributes, read, buffers, len(vertices))
    if mode == _POINTS:
        return Points(vertices, rgb)
    faces = read.faces if read.faces is not None else _indexed(primitive, buffers, len(vertices), mode)
    if material.cutoff is not None and rgb is not None:
        faces = _visible(faces, read("COLOR_0", None), material.cutoff)
    if material.factor is not None:
        rgb = (np.ones((len(vertices), 3), np.float32) if rgb is None else rgb) * material.factor
    channel = f"TEXCOORD_{material.channel}"
    if material.texture is None or channel not in attributes:
        return Part(vertices, faces, rgb)
    if read.faces is None and buffers.count(attributes[channel]) != len(vertices):
        return Part(vertices, faces, rgb)
    uv = read(channel, 2).astype(np.float64)
    if len(uv) != len(vertices):
        return Part(vertices, faces, rgb)
    uv = np.column_stack([uv, np.ones(len(uv))]) @ material.transform.T
    uv[:, 1] = 1.0 - uv[:, 1]  # glTF counts v from the top
    flat: FloatArray = np.nan_to_num(uv, posinf=0, neginf=0).astype(np.float32)
    return Part(vertices, faces, rgb, flat, material.texture, material.wrap)


def _indexed(primitive: Json, buffers: Buffers, count: int, mode: int) -> NDArray[np.int64]:
    if "indices" not in primitive:
        return _triangles(np.arange(count), mode)
    return _triangles(buffers.accessor(primitive["indices"], 1).ravel().astype(np.int64), mode)


def _vertex_colours(attributes: Json, read: Reader, buffers: Buffers, count: int) -> FloatArray | None:
    if "COLOR_0" not in attributes or (read.faces is None and buffers.count(attributes["COLOR_0"]) != count):
        return None
    values = read("COLOR_0", None)[:, :3]
    full = float(np.iinfo(values.dtype).max) if values.dtype.kind in "iu" else 1.0  # whole though not marked as parts
    rgb = (values / full).astype(np.float32)
    return np.clip(np.nan_to_num(rgb), 0, 1) if rgb.shape == (count, 3) else None


def _visible(faces: NDArray[np.int64], colours: NDArray[Any], cutoff: float) -> NDArray[np.int64]:
    """Leave out triangles whose corners are all as good as transparent."""
    if colours.shape[1] < 4 or (len(faces) and (faces.min() < 0 or faces.max() >= len(colours))):
        return faces
    full = float(np.iinfo(colours.dtype).max) if colours.dtype.kind in "iu" else 1.0
    seen: NDArray[np.int64] = faces[(colours[:, 3][faces] >= cutoff * full).any(axis=1)]
    return seen


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
    return replace(part, vertices=_moved(part.vertices, matrix), faces=faces)
