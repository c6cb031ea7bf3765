"""A Sweet Home 3D furniture model (OBJ in a zip) as a small GLB, and as the surfaces the renderer draws."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from omnibind_core.errors import MediaError

__all__ = ["Part", "load_parts", "merge_alike", "to_glb"]

TEXTURE_SIDE = 256  # pixels
MOST_BYTES = 490_000  # of one GLB


@dataclass
class Part:
    """Triangles of one material.

    Attributes
    ----------
    xyz : ndarray, shape (v, 3), float64 or float32
        Vertices; Y is up.
    normals : ndarray, shape (v, 3), optional
        Unit normals of the vertices.
    uv : ndarray, shape (v, 2), optional
        Texture coordinates, v upwards, as in OBJ.
    faces : ndarray, shape (f, 3), int
        Rows of indices into `xyz`.
    colour : tuple of 4 float
        sRGB and opacity, 0..1.
    texture : PIL.Image.Image, optional
        RGB, or RGBA where it has holes.
    """

    xyz: NDArray[Any]
    normals: NDArray[Any] | None
    uv: NDArray[Any] | None
    faces: NDArray[Any]
    colour: tuple[float, float, float, float]
    texture: Image.Image | None


def load_parts(library: zipfile.ZipFile, model: str, rotation: str | None) -> list[Part]:
    """Read a model's parts, turned upright, centred on the origin and one unit large.

    Parameters
    ----------
    library : zipfile.ZipFile
        The furniture library.
    model : str
        The OBJ inside it.
    rotation : str, optional
        Nine numbers: the catalogue's 3 by 3 matrix, row by row, to apply to the vertices.

    Returns
    -------
    list of Part
        Those that can be seen.

    Raises
    ------
    KeyError
        The library has no such model.
    """
    folder = PurePosixPath(model.lstrip("/")).parent
    with tempfile.TemporaryDirectory() as scratch:
        for name in library.namelist():
            if PurePosixPath(name).parent == folder and not name.endswith("/"):
                (Path(scratch) / PurePosixPath(name).name).write_bytes(library.read(name))
        obj = Path(scratch) / PurePosixPath(model).name
        opacity = _opacities(Path(scratch))
        scene = trimesh.load(obj, force="scene", group_material=True)
        parts = [_part(mesh, opacity) for mesh in scene.dump() if len(mesh.faces)]
    parts = [p for p in parts if p.colour[3] > 0.02]
    _brighten(parts)
    turn = np.array(rotation.split(), float).reshape(3, 3) if rotation else np.eye(3)
    for part in parts:
        part.xyz = part.xyz @ turn.T
        if part.normals is not None:
            part.normals = part.normals @ turn.T
    everything = np.concatenate([p.xyz[np.unique(p.faces)] for p in parts])
    low, high = everything.min(0), everything.max(0)
    middle = (low + high) / 2
    scale = 1.0 / float((high - low).max())
    for part in parts:
        part.xyz = (part.xyz - middle) * scale
    return parts


def _opacities(folder: Path) -> dict[str, float]:
    """Opacity of each material: ``d``, which trimesh leaves aside."""
    found: dict[str, float] = {}
    for file in folder.glob("*.mtl"):
        name = ""
        for line in file.read_text("latin-1").splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "newmtl":
                name = " ".join(words[1:])
            elif len(words) >= 2 and words[0] == "d":
                found[name] = float(words[-1])
    return found


def _brighten(parts: list[Part]) -> None:
    """Blender writes white as 0.64: where no plain colour is brighter than that, scale all of them."""
    plain = [p for p in parts if p.texture is None]
    brightest = max((max(p.colour[:3]) for p in plain), default=1.0)
    if 0.5 < brightest < 0.66:
        for part in plain:
            red, green, blue = (min(1.0, c * 0.92 / brightest) for c in part.colour[:3])
            part.colour = (red, green, blue, part.colour[3])


def _part(mesh: trimesh.Trimesh, opacity: dict[str, float]) -> Part:
    material = getattr(mesh.visual, "material", None)
    red, green, blue = 0.8, 0.8, 0.8
    image, name = None, ""
    if material is not None:
        name = str(getattr(material, "name", ""))
        diffuse = getattr(material, "diffuse", None)
        if diffuse is not None:
            red, green, blue = (float(c) / 255 for c in np.asarray(diffuse)[:3])
        image = getattr(material, "image", None)
    alpha = opacity.get(name, 1.0)
    uv = getattr(mesh.visual, "uv", None)
    if image is not None and uv is not None and len(uv):
        image = image.convert("RGBA" if image.mode in ("RGBA", "LA", "P") else "RGB")
        if image.mode == "RGBA" and image.getextrema()[3][0] > 250:
            image = image.convert("RGB")
        image.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.Resampling.LANCZOS)
        red, green, blue = 1.0, 1.0, 1.0  # as Sweet Home 3D shows it: the base colour under a texture does not count
    else:
        image, uv = None, None
    return Part(
        np.asarray(mesh.vertices, float),
        np.asarray(mesh.vertex_normals, float),
        None if uv is None else np.asarray(uv, float),
        np.asarray(mesh.faces),
        (red, green, blue, alpha),
        image,
    )


def merge_alike(parts: Sequence[Part]) -> list[Part]:
    """Make one part of all that have the same material, in the order of their first."""
    groups: dict[Hashable, list[Part]] = {}
    for part in parts:
        groups.setdefault((part.colour, None if part.texture is None else part.texture.tobytes()), []).append(part)
    merged = []
    for alike in groups.values():
        start = np.cumsum([0] + [len(p.xyz) for p in alike[:-1]])
        merged.append(
            Part(
                np.concatenate([p.xyz for p in alike]),
                _stacked([p.normals for p in alike]),
                _stacked([p.uv for p in alike]),
                np.concatenate([p.faces + s for p, s in zip(alike, start, strict=True)]),
                alike[0].colour,
                alike[0].texture,
            )
        )
    return merged


def _stacked(rows: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Join what all parts have; None where one has none."""
    found = [row for row in rows if row is not None]
    return np.concatenate(found) if len(found) == len(rows) else None


def _compact(part: Part, normals: bool, grid: int) -> Part:
    """Drop unused and double vertices; with a grid, move vertices onto it first, so that more of them are double."""
    xyz = np.round(part.xyz * grid) / grid if grid else part.xyz
    columns = [xyz.astype("<f4")]
    directions = part.normals if normals else None
    if directions is not None:
        columns.append(np.round(directions, 3).astype("<f4") + 0.0)
    if part.uv is not None:
        columns.append((np.round(part.uv * grid) / grid if grid else part.uv).astype("<f4"))
    rows = np.ascontiguousarray(np.hstack(columns)[part.faces.reshape(-1)])
    keys = rows.view([("", rows.dtype)] * rows.shape[1]).reshape(-1)
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    rows = rows[first]
    faces = back.reshape(-1, 3)
    flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    faces = faces[~flat]
    uv = rows[:, -2:] if part.uv is not None else None
    turned = None if directions is None else rows[:, 3:6]
    return Part(rows[:, :3], turned, uv, faces, part.colour, part.texture)


def _linear(value: float) -> float:
    """Make an sRGB value linear, as glTF wants base colours."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


class _Glb:
    """Collects buffers, then writes one binary glTF 2.0 file."""

    def __init__(self) -> None:
        self.blob = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes: the number of their view; `target` is WebGL's, None for pictures."""
        while len(self.blob) % 4:
            self.blob.append(0)
        entry = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.blob += data
        return len(self.views) - 1

    def accessor(self, values: NDArray[Any], kind: str, component: int, target: int, bounds: bool = False) -> int:
        """Append numbers: the number of their accessor; `component` and `target` are WebGL's constants."""
        entry: dict[str, Any] = {"bufferView": self.view(values.tobytes(), target), "componentType": component}
        entry |= {"count": values.size if kind == "SCALAR" else len(values), "type": kind}
        if bounds:
            entry |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1


def to_glb(parts: Sequence[Part], note: str) -> bytes:
    """Write a GLB below the size limit; normals go first where it would be larger, then detail below 1/1000 to 1/160.

    Faces are shown from both sides, as many of these models turn theirs at random.

    Parameters
    ----------
    parts : sequence of Part
        What is to be seen.
    note : str
        The file's copyright.

    Raises
    ------
    MediaError
        It is too large even so.
    """
    data = b""
    for normals, grid in ((True, 0), (True, 1000), (False, 0), (False, 1000), (False, 500), (False, 250), (False, 160)):
        data = _write([_compact(p, normals, grid) for p in merge_alike(parts)], note)
        if len(data) <= MOST_BYTES:
            return data
    raise MediaError(
        f"a mesh of {len(data)} bytes even without normals and fine detail",
        f"at most {MOST_BYTES}",
        "choose a simpler mesh in tools/gallery/shapes.py",
    )


def _write(parts: Sequence[Part], note: str) -> bytes:
    out = _Glb()
    primitives: list[dict[str, Any]] = []
    materials: list[dict[str, Any]] = []
    textures: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for part in parts:
        if not len(part.faces):
            continue
        small = len(part.xyz) <= 65535
        attributes = {"POSITION": out.accessor(part.xyz.astype("<f4"), "VEC3", 5126, 34962, bounds=True)}
        if part.normals is not None:
            attributes["NORMAL"] = out.accessor(part.normals.astype("<f4"), "VEC3", 5126, 34962)
        pbr: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.75}
        pbr["baseColorFactor"] = [_linear(c) for c in part.colour[:3]] + [part.colour[3]]
        material: dict[str, Any] = {"pbrMetallicRoughness": pbr, "doubleSided": True}
        if part.texture is not None and part.uv is not None:
            uv = part.uv.astype("<f4").copy()
            uv[:, 1] = 1.0 - uv[:, 1]
            attributes["TEXCOORD_0"] = out.accessor(uv, "VEC2", 5126, 34962)
            packed = io.BytesIO()
            clear = part.texture.mode == "RGBA"
            if clear:
                part.texture.save(packed, "PNG", optimize=True)
                material |= {"alphaMode": "MASK", "alphaCutoff": 0.5}
            else:
                part.texture.save(packed, "JPEG", quality=85)
            mime = "image/png" if clear else "image/jpeg"
            images.append({"bufferView": out.view(packed.getvalue()), "mimeType": mime})
            textures.append({"source": len(images) - 1, "sampler": 0})
            pbr["baseColorTexture"] = {"index": len(textures) - 1}
        if part.colour[3] < 0.98:
            material["alphaMode"] = "BLEND"
        indices = out.accessor(part.faces.astype("<u2" if small else "<u4"), "SCALAR", 5123 if small else 5125, 34963)
        primitives.append({"attributes": attributes, "indices": indices, "material": len(materials)})
        materials.append(material)
    while len(out.blob) % 4:
        out.blob.append(0)
    gltf: dict[str, Any] = {
        # The committed files were made under this name; another one would change their bytes, and nothing else.
        "asset": {"version": "2.0", "generator": "OmniBind Explorer, tools/collect_gallery.py", "copyright": note},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": primitives}],
        "materials": materials,
        "accessors": out.accessors,
        "bufferViews": out.views,
        "buffers": [{"byteLength": len(out.blob)}],
    }
    if textures:
        gltf |= {"textures": textures, "images": images, "samplers": [{"wrapS": 10497, "wrapT": 10497}]}
    head = json.dumps(gltf, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 4)
    total = 12 + 8 + len(head) + 8 + len(out.blob)
    start = struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(head), b"JSON") + head
    return start + struct.pack("<I4s", len(out.blob), b"BIN\0") + bytes(out.blob)
