"""A decoded shape as a GLB: what the towers were given, for people to look at from all sides."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.types import FloatArray, PointCloud, Surface

__all__ = ["glb"]

_MOST_FACES = 300_000  # of larger meshes the points are drawn, which every browser turns smoothly
_MOST_POINTS = 5_000
_TEXTURE_SIDE = 1_024
_CORNERS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32)
_FACES = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])


def glb(cloud: PointCloud) -> bytes:
    """Write a shape with its colours: grey where the file has none, points as small octahedra where it has no surface.

    Parameters
    ----------
    cloud : PointCloud
        As :func:`omnibind_core.media.load_points` gives it.

    Returns
    -------
    bytes
        A binary glTF 2.0 with the Y axis up. Faces are shown from both sides and are not metallic: viewers draw
        the format's default material, which is metal, black where there is nothing to mirror.
    """
    import trimesh

    surfaces = [one for one in cloud.surfaces if len(one.faces)]
    if not surfaces or sum(len(one.faces) for one in surfaces) > _MOST_FACES:
        surfaces = [_beads(cloud)]
    scene = trimesh.Scene([_mesh(one) for one in surfaces])
    data: bytes = scene.export(file_type="glb", include_normals=False)
    return data


def _mesh(surface: Surface) -> object:
    import trimesh
    from trimesh.visual.material import PBRMaterial

    look = {"metallicFactor": 0.0, "roughnessFactor": 0.9, "doubleSided": True}
    if surface.texture is not None and surface.uv is not None:
        factor = _linear(surface.rgb.mean(axis=0))
        uv, picture = surface.uv, _picture(surface.texture)
        clear = surface.texture.shape[2] == 4
        material = PBRMaterial(
            baseColorTexture=picture, baseColorFactor=[*factor, 1.0], alphaMode="MASK" if clear else "OPAQUE", **look
        )
        visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    else:
        visual = trimesh.visual.TextureVisuals(material=PBRMaterial(**look))
        colours = np.ones((len(surface.rgb), 4), np.float32)
        colours[:, :3] = _linear(surface.rgb)
        visual.vertex_attributes["color"] = np.round(255 * colours).astype(np.uint8)
    return trimesh.Trimesh(surface.vertices, surface.faces, visual=visual, process=False, validate=False)


def _linear(srgb: FloatArray) -> FloatArray:
    """Undo sRGB's curve: factors and vertex colours of glTF are linear, its textures are not."""
    linear: FloatArray = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return linear.clip(0, 1)


def _picture(texture: NDArray[np.uint8]) -> PIL.Image.Image:
    picture = PIL.Image.fromarray(texture)
    picture.thumbnail((_TEXTURE_SIDE, _TEXTURE_SIDE))
    picture.format = "JPEG" if picture.mode == "RGB" else "PNG"
    return picture


def _beads(cloud: PointCloud) -> Surface:
    """Draw points as octahedra whose size follows from how many share the unit sphere."""
    chosen = np.arange(0, len(cloud.xyz), max(1, -(-len(cloud.xyz) // _MOST_POINTS)))
    xyz, rgb = cloud.xyz[chosen], cloud.rgb[chosen]
    radius = float(np.clip(0.9 / np.sqrt(len(xyz)), 0.01, 0.06))
    vertices = (xyz[:, None] + radius * _CORNERS).reshape(-1, 3)
    faces = (len(_CORNERS) * np.arange(len(xyz))[:, None, None] + _FACES).reshape(-1, 3)
    return Surface(vertices.astype(np.float32), faces.astype(np.int32), np.repeat(rgb, len(_CORNERS), axis=0))
