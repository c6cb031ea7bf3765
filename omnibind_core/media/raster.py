"""Pictures of shapes without OpenGL: a z-buffer for meshes, oriented discs for clouds of points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media import raster_kernels as kernels
from omnibind_core.types import FloatArray, PointCloud, Surface

__all__ = ["Scene", "prepare", "render", "render_scene", "warm"]

_DISTANCE = 4.0  # of the eye from the origin, in units of the shape's radius: a mild perspective
_MARGIN = 0.06  # share of the picture left free on each side
_SAMPLES = 2  # per pixel and axis
_CREASE = float(np.cos(np.radians(50.0)))  # faces that meet at a sharper angle keep a visible edge
_TEXTURE_SIDE = 512  # texels; larger textures are reduced, as no picture here shows more
_MOST_POINTS = 20_000
_NEIGHBOURS = 16
_REACH = 6  # a disc reaches this neighbour; 3 and 4 recognise no better
_PLASTER = 0.75  # sRGB
_WRAPS = {"repeat": 0, "clamp": 1, "mirror": 2}


@dataclass(frozen=True, eq=False)
class Scene:
    """What does not depend on the view.

    Attributes
    ----------
    xyz : ndarray, shape (v, 3), float32
        All vertices, or all points of a cloud; Y is up.
    rgb : ndarray, shape (v, 3), float32
        0..1, sRGB.
    faces : ndarray, shape (f, 3), int32
        Empty for a cloud.
    normals : ndarray, shape (f, 3, 3) or (v, 3), float32
        Unit normals of every face's corners, or of every point.
    uv : ndarray, shape (v, 2), float32
        Texture coordinates, v upwards.
    texture_of_face : ndarray, shape (f,), int32
        Row of `levels`; -1 without a texture.
    levels : ndarray, shape (t, 10, 3), int64
        Of each texture's ten reductions: first texel, width, height.
    texels : ndarray, shape (n, 3), uint8
        All textures behind one another.
    wraps : ndarray, shape (t, 2), int64
        What lies beyond each texture's edges, along u and v: a number of `_WRAPS`.
    there : ndarray, shape (t, 3), int64
        Of each texture with holes: first place in `solid`, width, height; -1 first where it has none.
    solid : ndarray, shape (m,), uint8
        0 where there is no surface.
    radii : ndarray, shape (v,), float32
        Radius of each point's disc; empty for a mesh.
    """

    xyz: FloatArray
    rgb: FloatArray
    faces: NDArray[np.int32]
    normals: FloatArray
    uv: FloatArray
    texture_of_face: NDArray[np.int32]
    levels: NDArray[np.int64]
    texels: NDArray[np.uint8]
    wraps: NDArray[np.int64]
    there: NDArray[np.int64]
    solid: NDArray[np.uint8]
    radii: FloatArray


def render(
    cloud: PointCloud,
    azimuth: float = 35.0,
    elevation: float = 15.0,
    size: int = 384,
    background: tuple[int, int, int] | None = (255, 255, 255),
) -> NDArray[np.uint8]:
    """Draw one view of a shape: its surfaces where it has any, else its points as discs.

    Parameters
    ----------
    cloud : PointCloud
        Y is up.
    azimuth : float
        Degrees about Y: 0 looks at the front (from +Z), 90 from +X.
    elevation : float
        Degrees above the horizon, -90..90.
    size : int
        Width and height of the picture in pixels; the shape fills it but for a small margin.
    background : tuple of 3 int, optional
        sRGB 0..255; None for a transparent one.

    Returns
    -------
    ndarray, shape (size, size, 3) or, without background, (size, size, 4), uint8
        sRGB (and straight alpha), row 0 on top.
    """
    return render_scene(prepare(cloud), azimuth, elevation, size, background)


def prepare(cloud: PointCloud) -> Scene:
    """Work out normals, textures or discs once for several views."""
    if not cloud.has_colour:  # the stand-in grey is dark; a plain shape is drawn like plaster
        plain = [replace(s, rgb=np.full_like(s.rgb, _PLASTER)) for s in cloud.surfaces]
        cloud = replace(cloud, rgb=np.full_like(cloud.rgb, _PLASTER), surfaces=tuple(plain))
    surfaces = [s for s in cloud.surfaces if len(s.faces)]
    return _mesh_scene(surfaces) if surfaces else _cloud_scene(cloud)


def render_scene(
    scene: Scene,
    azimuth: float,
    elevation: float,
    size: int,
    background: tuple[int, int, int] | None = (255, 255, 255),
) -> NDArray[np.uint8]:
    """As :func:`render`, for a prepared scene."""
    side = size * _SAMPLES
    turn = _rotation(azimuth, elevation)
    seen = scene.xyz @ turn.T
    near = (1.0 / (_DISTANCE - seen[:, 2])).astype(np.float32)  # affine on screen, unlike the distance
    flat = seen[:, :2] * near[:, None]
    low, high = flat.min(0), flat.max(0)
    reach = float((high - low).max())
    scale = side * (1.0 - 2.0 * _MARGIN) / max(reach, 1e-6)
    middle = (low + high) / 2.0
    screen = np.empty_like(seen)
    screen[:, 0] = (flat[:, 0] - middle[0]) * scale + side / 2.0
    screen[:, 1] = (middle[1] - flat[:, 1]) * scale + side / 2.0
    screen[:, 2] = near
    depth = np.zeros((side, side), np.float32)
    owner = np.full((side, side), -1, np.int32)
    if len(scene.faces):
        kernels.fill(
            screen, scene.faces, depth, owner,
            scene.uv, scene.texture_of_face, scene.wraps, scene.there, scene.solid,
        )  # fmt: skip
        colours = kernels.shade_faces(
            owner, screen, scene.faces, scene.normals, scene.rgb, scene.uv,
            scene.texture_of_face, scene.levels, scene.texels, scene.wraps, turn,
        )  # fmt: skip
    else:
        normals = scene.normals @ turn.T
        radii = scene.radii * near * scale
        kernels.splat(screen, normals, radii, scale, depth, owner)
        colours = kernels.blend_points(screen, normals, scene.rgb, radii, scale, depth, turn)
        colours[owner < 0] = 0.0  # discs end where splat ended them
    return kernels.resolve(colours, owner, _SAMPLES, background)


def warm() -> None:
    """Compile the kernels (seconds the first time on a machine, then cached on disk)."""
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    paint = np.full((3, 3), 0.5, np.float32)
    uv = np.ascontiguousarray(corner[:, :2])
    surface = Surface(corner, np.array([[0, 1, 2]], np.int32), paint, uv, np.full((4, 4, 3), 9, np.uint8))
    render(PointCloud(corner, paint, (surface,)), size=8)
    render(PointCloud(np.eye(3, dtype=np.float32), paint), size=8, background=None)


def _rotation(azimuth: float, elevation: float) -> FloatArray:
    a, e = np.radians(azimuth), np.radians(elevation)
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    turn: FloatArray = (about_x @ about_y).astype(np.float32)
    return turn


def _mesh_scene(surfaces: list[Surface]) -> Scene:
    textures = [s.texture if s.uv is not None else None for s in surfaces]
    levels, texels = _pyramids([t[:, :, :3] for t in textures if t is not None])
    there, solid = _holes([t for t in textures if t is not None])
    wraps = [[_WRAPS[s.wrap[0]], _WRAPS[s.wrap[1]]] for s, t in zip(surfaces, textures, strict=True) if t is not None]
    rows = np.cumsum([t is not None for t in textures]) - 1
    starts = np.cumsum([0, *(len(s.vertices) for s in surfaces)])
    xyz = np.concatenate([s.vertices for s in surfaces])
    faces = np.concatenate([s.faces + start for s, start in zip(surfaces, starts[:-1], strict=True)]).astype(np.int32)
    return Scene(
        xyz=np.ascontiguousarray(xyz, np.float32),
        rgb=np.concatenate([s.rgb for s in surfaces]).astype(np.float32),
        faces=np.ascontiguousarray(faces),
        normals=_corner_normals(xyz, faces),
        uv=np.concatenate(
            [s.uv if s.uv is not None else np.zeros((len(s.vertices), 2)) for s in surfaces], dtype=np.float32
        ),
        texture_of_face=np.concatenate(
            [
                np.full(len(s.faces), -1 if t is None else row, np.int32)
                for s, t, row in zip(surfaces, textures, rows, strict=True)
            ]
        ),
        levels=levels,
        texels=texels,
        wraps=np.array(wraps, np.int64).reshape(-1, 2),
        there=there,
        solid=solid,
        radii=np.zeros(0, np.float32),
    )


def _corner_normals(xyz: FloatArray, faces: NDArray[np.int32]) -> FloatArray:
    """Smooth within creases: the mean of the faces about a place that meet at less than 50 degrees."""
    # Files repeat a vertex for each texture coordinate; what lies at one place is one vertex here.
    span = float(np.abs(xyz).max()) or 1.0
    grid = np.round(xyz.astype(np.float64) / span * 1e5).astype(np.int64) + 100_000
    keys = (grid[:, 0] * 200_001 + grid[:, 1]) * 200_001 + grid[:, 2]
    _, place = np.unique(keys, return_inverse=True)
    corners = place[faces.ravel()]
    order = np.argsort(corners, kind="stable")
    firsts = np.concatenate([[0], np.cumsum(np.bincount(corners, minlength=int(place.max()) + 1))])
    a, b, c = (xyz[faces[:, i]].astype(np.float64) for i in range(3))
    areas = np.cross(b - a, c - a)
    return kernels.corner_normals(corners, order // 3, firsts, areas, _CREASE)


def _pyramids(textures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Ten reductions of each texture, each half the size of the one before."""
    from PIL import Image

    levels = np.zeros((len(textures), 10, 3), np.int64)
    parts: list[NDArray[np.uint8]] = []
    total = 0
    for t, texture in enumerate(textures):
        image = Image.fromarray(np.ascontiguousarray(texture))
        if (factor := -(-max(image.size) // _TEXTURE_SIDE)) > 1:
            image = image.reduce(factor)
        for level in range(10):
            width, height = (max(1, side >> level) for side in image.size)
            part = image if level == 0 else image.resize((width, height), Image.Resampling.BOX)
            levels[t, level] = total, width, height
            parts.append(np.asarray(part).reshape(-1, 3))
            total += width * height
    return levels, np.concatenate(parts) if parts else np.zeros((1, 3), np.uint8)


def _holes(textures: list[NDArray[np.uint8]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Lay the fourth channels of the textures that have one behind one another."""
    there = np.full((len(textures), 3), -1, np.int64)
    parts: list[NDArray[np.uint8]] = []
    total = 0
    for row, texture in enumerate(textures):
        if texture.shape[2] == 4:
            height, width = texture.shape[:2]
            there[row] = total, width, height
            parts.append(texture[:, :, 3].ravel())
            total += width * height
    return there, np.concatenate(parts) if parts else np.zeros(1, np.uint8)


def _cloud_scene(cloud: PointCloud) -> Scene:
    from scipy.spatial import cKDTree

    xyz, rgb = cloud.xyz, cloud.rgb
    if len(xyz) > _MOST_POINTS:
        kept = np.random.default_rng(0).choice(len(xyz), _MOST_POINTS, replace=False)
        xyz, rgb = xyz[kept], rgb[kept]
    count = min(_NEIGHBOURS, len(xyz))
    distances, rows = cKDTree(xyz).query(xyz, k=list(range(1, count + 1)))
    around = xyz[rows].astype(np.float64)
    around -= around.mean(1, keepdims=True)
    # The direction in which the neighbours spread least is the surface's normal; its sign is settled when lit.
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around))
    # Discs are no larger than twice what is usual, so that stray points stay small.
    reach = distances[:, min(_REACH, count - 1)]
    usual = float(np.median(reach)) or 0.02
    none = np.zeros(0, np.int32)
    return Scene(
        xyz=np.ascontiguousarray(xyz, np.float32),
        rgb=np.ascontiguousarray(rgb, np.float32),
        faces=np.zeros((0, 3), np.int32),
        normals=axes[:, :, 0].astype(np.float32),
        uv=np.zeros((0, 2), np.float32),
        texture_of_face=none,
        levels=np.zeros((0, 10, 3), np.int64),
        texels=np.zeros((1, 3), np.uint8),
        wraps=np.zeros((0, 2), np.int64),
        there=np.zeros((0, 3), np.int64),
        solid=np.zeros(1, np.uint8),
        radii=np.clip(reach, 0.5 * usual, 2.0 * usual).astype(np.float32),
    )
