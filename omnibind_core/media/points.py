"""Shapes: from a mesh, a scene or a file of points to coloured points on the unit sphere.

No reader opens a file: what a shape names beside itself (materials,
buffers, pictures) is asked of the process that gave it, which looks in one place only (:mod:`.bundles`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import clouds, gltf, meshes, obj, off, ply, upright
from omnibind_core.media.bundles import Folder, Together, unpacked
from omnibind_core.media.notices import noticing
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.shapes import TO_Y_UP, Axis, Part, Points, cloud_of_parts, cloud_of_points
from omnibind_core.media.source import Blob, open_blob
from omnibind_core.types import PointCloud

__all__ = ["FORMATS", "PointSource", "Up", "decode", "load_points", "preload"]

_SAY = ("glb", "gltf")  # formats in which Y is up, by their specification

Up: TypeAlias = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
PointSource: TypeAlias = str | Path | bytes | NDArray[Any] | PointCloud


@noticing
def load_points(
    source: PointSource | Any,
    up: Up = "y",
    extension: str | None = None,
    beside: Mapping[str, Path | bytes] | None = None,
) -> PointCloud:
    """Decode a shape.

    Parameters
    ----------
    source : str, Path, bytes, ndarray, PointCloud, or a trimesh object
        Files and bytes: one of `FORMATS`, decoded in a process apart. Arrays: (n, 3), or (n, 6) with colour in 0..1
        or 0..255. A PointCloud is returned as it is, whatever `up` says.
    up : {"y", "z", "x", "-y", "-z", "-x", "auto"}
        The axis that points up in the file, or whose other end does; the shape is turned so that Y does. "auto" takes
        Y where the format says so (glTF), and guesses elsewhere: see :func:`omnibind_core.media.upright.stood`.
    extension : str, optional
        For bytes: the extension they came under. Without it the content decides, where it can.
    beside : mapping of str to Path or bytes, optional
        Files that belong to it (materials, buffers, pictures) by name. None looks into the folder that the file lies
        in, and only there.

    Returns
    -------
    PointCloud
        `limits.POINTS` points of a surface, sampled by area with a fixed seed; at most as many of a file of points.
        Vertices of its surfaces may lie outside the unit sphere by what sampling missed.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, without faces or area, not finite, or beyond a limit.
    """
    if up != "auto" and up not in TO_Y_UP:
        raise MediaError(f"{up!r} as the axis that points up", "x, y, z, -x, -y, -z or auto", "choose one of these")
    if isinstance(source, PointCloud):
        return source
    if isinstance(source, np.ndarray):
        return _turned(clouds.from_array(source, "the array"), "the array", up)
    if type(source).__module__.partition(".")[0] == "trimesh":
        scene: Any = source
        source, extension = scene.export(file_type="glb"), "glb"
    blob = open_blob(source, "point", FORMATS, extension)
    if beside is not None:
        blob = replace(blob, companions=Together(beside))
    elif isinstance(source, (str, Path)):
        blob = replace(blob, companions=Folder(Path(source).parent))
    cloud = decode_apart(blob, "point", up=up)
    if not isinstance(cloud, PointCloud):
        raise TypeError(f"decoded a shape into {type(cloud).__name__}")
    return cloud


@noticing
def decode(blob: Blob, up: Up) -> PointCloud:
    """Decode a file's content in this process; raises MediaError, or whatever a reader raises on damaged files."""
    shape = _inside(blob) if blob.extension == "zip" else blob
    return _turned(FORMATS[shape.extension](shape), blob.name, "y" if up == "auto" and shape.extension in _SAY else up)


def _turned(shape: Sequence[Part] | Points, name: str, up: Up) -> PointCloud:
    """Make a cloud of what was read, with the axis that is said to point up, or that seems to, as Y."""
    known: Axis = "y" if up == "auto" else up
    cloud = cloud_of_points(shape, name, known) if isinstance(shape, Points) else cloud_of_parts(shape, name, known)
    return upright.stood(cloud) if up == "auto" else cloud


def preload() -> None:
    """Import what reading needs, ahead of the first file."""
    upright.preload()


def _inside(blob: Blob) -> Blob:
    """Give the shape inside an archive, where an archive lies in none."""
    return unpacked(blob, [name for name in FORMATS if name != "zip"])


def _packed(blob: Blob) -> Sequence[Part] | Points:
    """Read the shape inside an archive."""
    inner = _inside(blob)
    return FORMATS[inner.extension](inner)


# A shape format: one row. Extension -> what reads it into parts of a mesh, or into points.
FORMATS: dict[str, Callable[[Blob], Sequence[Part] | Points]] = {
    "glb": gltf.read_glb,
    "gltf": gltf.read_gltf,
    "obj": obj.read_obj,
    "stl": meshes.read_stl,
    "ply": ply.read_ply,
    "off": off.read_off,
    "npy": clouds.read_npy,
    "xyz": clouds.read_xyz,
    "pts": clouds.read_xyz,
    "asc": clouds.read_xyz,
    "zip": _packed,
}
