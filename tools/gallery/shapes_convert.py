"""A Sweet Home 3D furniture model (OBJ in a zip) as a small GLB, and as the surfaces the renderer draws."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import trimesh
from PIL import Image

TEXTURE_SIDE = 256  # pixels
MOST_BYTES = 490_000


@dataclass
class Part:
    """Triangles of one material. uv has v upwards, as in OBJ; colour is sRGB plus opacity, 0..1."""

    xyz: np.ndarray
    normals: np.ndarray | None
    uv: np.ndarray | None
    faces: np.ndarray
    colour: tuple[float, float, float, float]
    texture: Image.Image | None


def load_parts(library: zipfile.ZipFile, model: str, rotation: str | None) -> list[Part]:
    """Parts of a model, turned upright, centred, standing on y = 0 and one unit large."""
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
            part.colour = (*(min(1.0, c * 0.92 / brightest) for c in part.colour[:3]), part.colour[3])


def _part(mesh: trimesh.Trimesh, opacity: dict[str, float]) -> Part:
    material = getattr(mesh.visual, "material", None)
    colour, image, name = (0.8, 0.8, 0.8), None, ""
    if material is not None:
        name = str(getattr(material, "name", ""))
        diffuse = getattr(material, "diffuse", None)
        if diffuse is not None:
            colour = tuple(float(c) / 255 for c in np.asarray(diffuse)[:3])
        image = getattr(material, "image", None)
    alpha = opacity.get(name, 1.0)
    uv = getattr(mesh.visual, "uv", None)
    if image is not None and uv is not None and len(uv):
        image = image.convert("RGBA" if image.mode in ("RGBA", "LA", "P") else "RGB")
        if image.mode == "RGBA" and image.getextrema()[3][0] > 250:
            image = image.convert("RGB")
        image.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.LANCZOS)
        colour = (1.0, 1.0, 1.0)  # as Sweet Home 3D shows it: the base colour under a texture does not count
    else:
        image, uv = None, None
    return Part(
        np.asarray(mesh.vertices, float),
        np.asarray(mesh.vertex_normals, float),
        None if uv is None else np.asarray(uv, float),
        np.asarray(mesh.faces),
        (*colour, alpha),
        image,
    )


def merge_alike(parts: list[Part]) -> list[Part]:
    """One part for each material."""
    groups: dict[tuple, list[Part]] = {}
    for part in parts:
        groups.setdefault((part.colour, None if part.texture is None else part.texture.tobytes()), []).append(part)
    merged = []
    for alike in groups.values():
        start = np.cumsum([0] + [len(p.xyz) for p in alike[:-1]])
        merged.append(
            Part(
                np.concatenate([p.xyz for p in alike]),
                np.concatenate([p.normals for p in alike]),
                None if alike[0].uv is None else np.concatenate([p.uv for p in alike]),
                np.concatenate([p.faces + s for p, s in zip(alike, start, strict=True)]),
                alike[0].colour,
                alike[0].texture,
            )
        )
    return merged


def _compact(part: Part, normals: bool, grid: int) -> Part:
    """Drop unused and double vertices; with a grid, move vertices onto it first, so that more of them are double."""
    xyz = np.round(part.xyz * grid) / grid if grid else part.xyz
    columns = [xyz.astype("<f4")]
    if normals:
        columns.append(np.round(part.normals, 3).astype("<f4") + 0.0)
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
    return Part(rows[:, :3], rows[:, 3:6] if normals else None, uv, faces, part.colour, part.texture)


def _linear(value: float) -> float:
    """glTF wants linear base colours."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


class _Glb:
    """Collects buffers, then writes one binary glTF 2.0 file."""

    def __init__(self) -> None:
        self.blob = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        while len(self.blob) % 4:
            self.blob.append(0)
        entry = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": len(data)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.blob += data
        return len(self.views) - 1

    def accessor(self, values: np.ndarray, kind: str, component: int, target: int, bounds: bool = False) -> int:
        entry = {"bufferView": self.view(values.tobytes(), target), "componentType": component}
        entry |= {"count": values.size if kind == "SCALAR" else len(values), "type": kind}
        if bounds:
            entry |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1


def to_glb(parts: list[Part], note: str) -> bytes:
    """A GLB below the size limit; normals go first where it would be larger, then detail below 1/1000 to 1/160.

    Faces are shown from both sides, as many of these models turn theirs at random.
    """
    for normals, grid in ((True, 0), (True, 1000), (False, 0), (False, 1000), (False, 500), (False, 250), (False, 160)):
        data = _write([_compact(p, normals, grid) for p in merge_alike(parts)], note)
        if len(data) <= MOST_BYTES:
            return data
    raise ValueError(f"{len(data)} bytes even without normals")


def _write(parts: list[Part], note: str) -> bytes:
    out = _Glb()
    primitives, materials, textures, images = [], [], [], []
    for part in parts:
        if not len(part.faces):
            continue
        small = len(part.xyz) <= 65535
        attributes = {"POSITION": out.accessor(part.xyz.astype("<f4"), "VEC3", 5126, 34962, bounds=True)}
        if part.normals is not None:
            attributes["NORMAL"] = out.accessor(part.normals.astype("<f4"), "VEC3", 5126, 34962)
        pbr = {"metallicFactor": 0.0, "roughnessFactor": 0.75}
        pbr["baseColorFactor"] = [_linear(c) for c in part.colour[:3]] + [part.colour[3]]
        material = {"pbrMetallicRoughness": pbr, "doubleSided": True}
        if part.texture is not None:
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
    gltf = {
        "asset": {"version": "2.0", "generator": "OmniBind Explorer, tools/gallery/__main__.py", "copyright": note},
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
