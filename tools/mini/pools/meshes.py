"""Named meshes to choose on and to measure on: the furniture library of Sweet Home 3D, as Debian ships it."""

from __future__ import annotations

import io
import logging
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.types import FloatArray, PointCloud, Surface
from tools.mini.pools.debian import package_folder

__all__ = ["NamedMesh", "load_mesh", "merged_class", "sweet_home"]

log = logging.getLogger(__name__)

_FOLDER = "usr/share/sweethome3d/furniture"
_CLASSES = Path(__file__).parent / "data" / "sweethome_classes.txt"
_POINTS = 2048


@dataclass(frozen=True)
class NamedMesh:
    """One entry of a furniture catalogue.

    Attributes
    ----------
    key : str
        ``"<archive>/<number>"``: unique, stable.
    name : str
        What its author calls it, e.g. ``"Rattan armchair"``.
    label : str
        The class that the name is merged into, e.g. ``"armchair"``; ``"-"`` where it should be left out.
    archive : Path
        The zip that holds the model.
    member : str
        The OBJ inside it.
    rotation : tuple of 9 float
        The catalogue's 3 by 3 matrix, row by row, to apply to the vertices.
    creator, licence : str
        As the catalogue states them, for the entry or for all.
    """

    key: str
    name: str
    label: str
    archive: Path
    member: str
    rotation: tuple[float, ...]
    creator: str
    licence: str


def sweet_home() -> list[NamedMesh]:
    """All 820 meshes, those labelled ``"-"`` included, in the catalogues' order.

    Raises
    ------
    MediaError
        Where the Debian package ``sweethome3d-furniture`` cannot be had.
    """
    folder = package_folder("sweethome3d-furniture") / _FOLDER
    meshes: list[NamedMesh] = []
    for archive in sorted(folder.glob("*.sh3f")):
        catalogue = _catalogue(archive)
        for number, entry in sorted(catalogue.items()):
            if number == 0:
                continue
            rotation = tuple(float(x) for x in entry.get("modelRotation", "1 0 0 0 1 0 0 0 1").split())
            name = entry["name"]
            meshes.append(
                NamedMesh(
                    key=f"{archive.stem}/{number:03d}",
                    name=name,
                    label=merged_class(name),
                    archive=archive,
                    member=entry["model"].lstrip("/"),
                    rotation=rotation,
                    creator=entry.get("creator", ""),
                    licence=entry.get("license") or catalogue[0].get("license", ""),
                )
            )
    if not meshes:
        raise MediaError(f"no catalogue in {folder}", "the .sh3f files of sweethome3d-furniture", "unpack it again")
    return meshes


def _catalogue(archive: Path) -> dict[int, dict[str, str]]:
    with zipfile.ZipFile(archive) as packed:
        text = packed.read("PluginFurnitureCatalog.properties").decode("latin-1")
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    entries: dict[int, dict[str, str]] = {0: {}}  # what the catalogue says of itself is entry 0
    for line in text.splitlines():
        if match := re.match(r"(\w+)(?:#(\d+))?=(.*)", line):
            entries.setdefault(int(match[2] or 0), {})[match[1]] = match[3].strip()
    return entries


def merged_class(name: str) -> str:
    """Class of a catalogue name: that of the longest known word in it; an unknown name is its own class.

    >>> merged_class("Rattan armchair")
    'armchair'
    """
    lower = name.lower()
    found = [word for word, pattern, _ in _words() if pattern.search(lower)]
    if not found:
        return lower
    return next(label for word, _, label in _words() if word == max(found, key=len))


@cache
def _words() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    rows: list[tuple[str, re.Pattern[str], str]] = []
    for line in _CLASSES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            label, _, words = line.partition(": ")
            rows += [(w, re.compile(rf"(?<!\w){re.escape(w)}(?!\w)"), label) for w in words.split(", ")]
    return tuple(rows)


def load_mesh(mesh: NamedMesh) -> PointCloud:
    """Read an OBJ with its materials and textures out of its archive.

    Parameters
    ----------
    mesh : NamedMesh
        From :func:`sweet_home`.

    Returns
    -------
    PointCloud
        2048 points spread evenly by area, coloured by material (textures' mean colour), and all surfaces.

    Raises
    ------
    MediaError
        Where the model has no area.
    """
    with zipfile.ZipFile(mesh.archive) as packed:
        resolver = trimesh.resolvers.ZipResolver(
            {n: io.BytesIO(packed.read(n)) for n in packed.namelist() if n.startswith(mesh.member.rpartition("/")[0])},
            namespace=mesh.member.rpartition("/")[0],
        )
        scene: Any = trimesh.load(
            io.BytesIO(packed.read(mesh.member)), file_type="obj", resolver=resolver, force="scene", process=False
        )
    turn = np.asarray(mesh.rotation, np.float64).reshape(3, 3)
    parts = [_surface(geometry, turn) for geometry in scene.dump() if len(getattr(geometry, "faces", ()))]
    corners = [s.vertices[s.faces] for s in parts]
    areas = [np.linalg.norm(np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]), axis=1) / 2 for c in corners]
    total = float(sum(a.sum() for a in areas))
    if not total > 0.0:
        raise MediaError(f"{mesh.key} ({mesh.name}) has no surface", "a mesh with area", "leave it out")
    xyz, rgb = _spread(parts, corners, np.concatenate(areas))
    middle = xyz.mean(0)
    reach = float(np.linalg.norm(xyz - middle, axis=1).max())
    surfaces = tuple(
        Surface(((s.vertices - middle) / reach).astype(np.float32), s.faces, s.rgb, s.uv, s.texture) for s in parts
    )
    return PointCloud(((xyz - middle) / reach).astype(np.float32), rgb, surfaces)


def _surface(geometry: Any, turn: NDArray[np.float64]) -> Surface:
    vertices = (np.asarray(geometry.vertices) @ turn.T).astype(np.float32)
    material = getattr(geometry.visual, "material", None)
    image = getattr(material, "image", None)
    uv = getattr(geometry.visual, "uv", None)
    diffuse = np.asarray(getattr(material, "diffuse", [102, 102, 102, 255]), np.float32)[:3] / 255.0
    textured = image is not None and uv is not None
    # A texture replaces the diffuse colour in practice: many files leave that black beside a texture.
    colour = np.ones(3, np.float32) if textured else diffuse
    return Surface(
        vertices=vertices,
        faces=np.asarray(geometry.faces, np.int32),
        rgb=np.tile(colour.astype(np.float32), (len(vertices), 1)),
        uv=np.asarray(uv, np.float32) if textured else None,
        texture=np.asarray(_on_white(image)) if textured else None,
    )


def _on_white(image: Any) -> Any:
    from PIL import Image

    rgba = image.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    ground.alpha_composite(rgba)
    return ground.convert("RGB")


def _spread(
    parts: list[Surface], corners: list[FloatArray], areas: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray]:
    """Points (2048, 3) spread by area, and their colours (2048, 3); the same ones at every call."""
    rng = np.random.default_rng(0)
    triangles = np.concatenate(corners)
    paint = np.concatenate(
        [
            np.tile(s.rgb[0] * (s.texture.reshape(-1, 3).mean(0) / 255.0 if s.texture is not None else 1.0), (n, 1))
            for s, n in zip(parts, map(len, corners), strict=True)
        ]
    )
    chosen = rng.choice(len(triangles), _POINTS, p=areas / areas.sum())
    u, v = np.sqrt(rng.random((_POINTS, 1))), rng.random((_POINTS, 1))
    a, b, c = (triangles[chosen, i] for i in range(3))
    return ((1 - u) * a + u * (1 - v) * b + u * v * c).astype(np.float32), paint[chosen].astype(np.float32)
