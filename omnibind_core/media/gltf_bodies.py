"""What changes the form of a glTF mesh beyond its vertices: Draco, morph targets, skins, instancing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.gltf_buffers import Buffers, Json, item, items
from omnibind_core.media.shapes import Doubles

__all__ = ["Reader", "Skins", "instance_matrices", "local_matrix", "morphed", "reader_of"]

_DRACO = "KHR_draco_mesh_compression"
_MOST_TARGETS = 256


class Reader:
    """Gives a primitive's attributes by name, from accessors or from what Draco packed.

    Attributes
    ----------
    faces : ndarray, shape (f, 3), int64, optional
        Triangles that came with Draco; None where they lie in an accessor.
    """

    def __init__(self, attributes: Json, buffers: Buffers) -> None:
        self.faces: NDArray[np.int64] | None = None
        self._attributes, self._buffers = attributes, buffers
        self._unpacked: dict[str, NDArray[Any]] = {}

    def unpack(self, packed: Json) -> None:
        """Decode a Draco buffer."""
        import DracoPy

        mesh = DracoPy.decode(self._buffers.view(packed["bufferView"]))
        faces = np.asarray(getattr(mesh, "faces", np.zeros((0, 3))), np.int64).reshape(-1, 3)
        if len(faces) > limits.MAX_FACES or len(mesh.points) > limits.MAX_VERTICES:
            raise MediaError(
                f"a file with {len(faces):,} faces behind Draco", f"at most {limits.MAX_FACES:,}", "simplify it"
            )
        self.faces = faces
        for attribute, unique in packed.get("attributes", {}).items():
            found = next((one["data"] for one in mesh.attributes if one["unique_id"] == unique), None)
            if found is not None:
                self._unpacked[attribute] = np.asarray(found).reshape(len(mesh.points), -1)

    def __call__(self, name: str, width: int | None) -> NDArray[Any]:
        """Values of an attribute that is there: (n, columns); `width` are the columns it must have."""
        if name not in self._unpacked:
            return self._buffers.accessor(self._attributes[name], width)
        values = self._unpacked[name]
        if width not in (None, values.shape[1]):
            raise ValueError(f"{name} has {values.shape[1]} columns")
        if values.dtype.kind in "iu" and name.startswith("COLOR"):
            return (values / float(np.iinfo(values.dtype).max)).astype(np.float32)
        return values


def reader_of(primitive: Json, buffers: Buffers) -> Reader:
    """Make the reader of one primitive."""
    attributes = primitive.get("attributes", {})
    reader = Reader(attributes, buffers)
    packed = primitive.get("extensions", {}).get(_DRACO)
    if packed is not None:
        reader.unpack(packed)
    return reader


def local_matrix(node: Json) -> Doubles:
    """Transform of a node: its matrix (stored by columns), or translation x rotation x scale: (4, 4)."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    return _composed(
        np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3),
        np.array(node.get("rotation", (0, 0, 0, 1)), np.float64).reshape(4),
        np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3),
    )


def _composed(translation: Doubles, rotation: Doubles, scale: Doubles) -> Doubles:
    out = np.eye(4)
    x, y, z, w = rotation
    norm = x * x + y * y + z * z + w * w
    if norm > 0:
        s = 2 / norm
        out[:3, :3] = [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    out[:3, :3] *= scale
    out[:3, 3] = translation
    return out


def instance_matrices(attributes: Json | None, buffers: Buffers, matrix: Doubles) -> list[Doubles]:
    """Matrices of a mesh's copies (EXT_mesh_gpu_instancing); its node's own where there are none."""
    if not attributes:
        return [matrix]
    read = {
        name: buffers.accessor(attributes[name], width).astype(np.float64)
        for name, width in (("TRANSLATION", 3), ("ROTATION", 4), ("SCALE", 3))
        if name in attributes
    }
    count = min((len(rows) for rows in read.values()), default=0)
    moves = read.get("TRANSLATION", np.zeros((count, 3)))
    turns = read.get("ROTATION", np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)))
    scales = read.get("SCALE", np.ones((count, 3)))
    return [matrix @ _composed(moves[i], turns[i], scales[i]) for i in range(count)]


def morphed(vertices: Doubles, primitive: Json, weights: Sequence[float], buffers: Buffers) -> Doubles:
    """Add the morph targets' displacements, each times its weight: (n, 3) -> (n, 3)."""
    targets = items(primitive, "targets")
    for target, weight in zip(targets[:_MOST_TARGETS], weights, strict=False):  # either may be the longer one
        if not weight or "POSITION" not in target or not np.isfinite(weight):
            continue
        moved = buffers.accessor(target["POSITION"], 3)
        if moved.shape == vertices.shape:
            vertices = vertices + weight * moved
    return vertices


class Skins:
    """Joints of the file's skins, where the scene as it is saved puts them."""

    def __init__(self, tree: Json, buffers: Buffers) -> None:
        self._tree, self._buffers = tree, buffers
        self._parents: dict[int, int] | None = None
        self._joints: dict[int, NDArray[np.float64]] = {}

    def weights(self, mesh: int, own: tuple[float, ...] | None) -> Sequence[float]:
        """Weights of the morph targets: the node's own, else the mesh's."""
        if own is not None:
            return own
        return [float(weight) for weight in item(self._tree, "meshes", mesh).get("weights", [])]

    def bent(self, vertices: Doubles, skin: int, attributes: Json, read: Reader) -> Doubles:
        """Move vertices with their joints: (n, 3) -> (n, 3); as they are where nothing says with which."""
        matrices = self._matrices(skin)
        total = np.zeros((len(vertices), 3))
        weighed = np.zeros(len(vertices))
        place = np.column_stack([vertices, np.ones(len(vertices))])
        for number in range(4):
            if f"JOINTS_{number}" not in attributes or f"WEIGHTS_{number}" not in attributes:
                break
            joints = read(f"JOINTS_{number}", 4).astype(np.int64)
            weights = np.nan_to_num(read(f"WEIGHTS_{number}", 4).astype(np.float64))
            if joints.shape != weights.shape or len(joints) != len(vertices):
                break
            for column in range(4):
                used = np.clip(joints[:, column], 0, len(matrices) - 1)
                share = weights[:, column]
                for joint in np.unique(used[share > 0]):
                    mine = (used == joint) & (share > 0)
                    total[mine] += share[mine, None] * (place[mine] @ matrices[joint].T)[:, :3]
                    weighed[mine] += share[mine]
        found = weighed > 0
        total[found] /= weighed[found, None]
        total[~found] = vertices[~found]
        return total

    def _matrices(self, skin: int) -> NDArray[np.float64]:
        """Matrix of each joint, with its inverse bind matrix: (joints, 4, 4)."""
        if skin not in self._joints:
            entry = item(self._tree, "skins", skin)
            joints = entry.get("joints", [])
            if not joints or len(joints) > limits.MAX_NODES:
                raise ValueError(f"skins[{skin}] has {len(joints)} joints")
            matrices = np.stack([self._global(joint) for joint in joints])
            if "inverseBindMatrices" in entry:
                inverse = self._buffers.matrices(entry["inverseBindMatrices"])
                if len(inverse) >= len(joints):
                    matrices = matrices @ inverse[: len(joints)]
            self._joints[skin] = matrices
        return self._joints[skin]

    def _global(self, node: Any) -> Doubles:
        """Transform of a node with those of all above it."""
        if self._parents is None:
            nodes = items(self._tree, "nodes")
            self._parents = {child: parent for parent, one in enumerate(nodes) for child in one.get("children", [])}
        matrix = np.eye(4)
        for _ in range(_DEEPEST):
            matrix = local_matrix(item(self._tree, "nodes", node)) @ matrix
            if node not in self._parents:
                return matrix
            node = self._parents[node]
        raise ValueError("joints that lie inside themselves")


_DEEPEST = 1_000
"""Nodes above one another."""
