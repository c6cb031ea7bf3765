"""What the shape readers hand over, and how it becomes a `PointCloud`: checks, sampling, colour, unit sphere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.types import FloatArray, PointCloud, Surface

__all__ = ["Doubles", "Part", "Points", "Up", "check_counts", "cloud_of_parts", "cloud_of_points"]

Up: TypeAlias = Literal["x", "y", "z"]
Doubles: TypeAlias = NDArray[np.float64]

# Rows give the new x, y and z: proper rotations that bring the named axis to Y.
_TO_Y_UP: dict[str, Doubles] = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}
_SEED = 0
_SMALLEST_AREA = 1e-9  # of a shape scaled to a box of 1: below it, triangles are slivers of rounding


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a mesh as its file has it.

    Attributes
    ----------
    vertices : ndarray, shape (v, 3), float64
        File coordinates, instances' transforms applied.
    faces : ndarray, shape (f, 3), int64
        Rows of indices into `vertices`; may be out of range until checked.
    rgb : ndarray, shape (v, 3), float32, optional
        0..1; None where the file gives no colour.
    uv : ndarray, shape (v, 2), float32, optional
        v upwards.
    texture : ndarray, shape (h, w, 3), uint8, optional
        Row 0 on top; parts that share one share the array.
    """

    vertices: Doubles
    faces: NDArray[np.int64]
    rgb: FloatArray | None = None
    uv: FloatArray | None = None
    texture: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Points:
    """A file of points as it is: xyz (n, 3) float64 in file coordinates, rgb (n, 3) float32 in 0..1 or None."""

    xyz: Doubles
    rgb: FloatArray | None = None


def check_counts(name: str, faces: int = 0, vertices: int = 0, points: int = 0) -> None:
    """Refuse by declared or counted sizes, before anything is allocated for them."""
    for count, limit, what in (
        (faces, limits.MAX_FACES, "faces"),
        (vertices, limits.MAX_VERTICES, "vertices"),
        (points, limits.MAX_POINTS, "points"),
    ):
        if count > limit:
            raise MediaError(f"{name} with {count:,} {what}", f"at most {limit:,} {what}", "simplify it")


def cloud_of_points(points: Points, name: str, up: Up) -> PointCloud:
    """Thin a file of points to `limits.POINTS`, turn it upright and scale it to the unit sphere."""
    count = len(points.xyz)
    check_counts(name, points=count)
    if count < limits.MIN_POINTS:
        raise MediaError(f"{name} with {count} points", f"at least {limits.MIN_POINTS} points", "use a denser shape")
    xyz = _box(points.xyz, name)
    rgb = points.rgb
    if count > limits.POINTS:
        chosen = np.sort(np.random.default_rng(_SEED).choice(count, limits.POINTS, replace=False))
        xyz, rgb = xyz[chosen], None if rgb is None else rgb[chosen]
    centre, scale = _unit_sphere(xyz, name)
    grey = np.full((len(xyz), 3), limits.GREY, np.float32)
    return PointCloud(
        xyz=_place(xyz, centre, scale, up),
        rgb=grey if rgb is None else np.ascontiguousarray(rgb, np.float32),
        has_colour=rgb is not None,
    )


def cloud_of_parts(parts: Sequence[Part], name: str, up: Up) -> PointCloud:
    """Sample `limits.POINTS` points from a mesh, uniformly by area and always the same ones."""
    parts = [_compact(part, name) for part in parts if len(part.faces)]
    if not parts:
        raise MediaError(f"{name}, which has no faces", "a mesh with at least one triangle", "export it as a mesh")
    check_counts(name, sum(len(part.faces) for part in parts), sum(len(part.vertices) for part in parts))
    merged = _merge(parts)
    everything = _box(np.concatenate([part.vertices for part in merged]), name)
    starts = np.cumsum([0, *(len(part.vertices) for part in merged)])
    scaled = [everything[a:b] for a, b in itertools.pairwise(starts)]
    areas = np.concatenate([_areas(v[part.faces]) for v, part in zip(scaled, merged, strict=True)])
    if not areas.sum() > _SMALLEST_AREA:
        raise MediaError(f"{name}, whose faces have no area", "a surface of triangles with an area", "export it again")
    xyz, rgb = _sample(scaled, merged, areas)
    centre, scale = _unit_sphere(xyz, name)
    surfaces = tuple(
        Surface(
            vertices=_place(vertices, centre, scale, up),
            faces=part.faces.astype(np.int32),
            rgb=_vertex_colours(part),
            uv=part.uv,
            texture=part.texture,
        )
        for vertices, part in zip(scaled, merged, strict=True)
    )
    has_colour = any(part.rgb is not None or part.texture is not None for part in merged)
    return PointCloud(_place(xyz, centre, scale, up), rgb, surfaces, has_colour)


def _compact(part: Part, name: str) -> Part:
    """Check a part's indices, and drop the vertices that no face uses: strays must not set the scale."""
    count = len(part.vertices)
    if part.faces.min() < 0 or part.faces.max() >= count:
        raise MediaError(
            f"{name}, whose faces name vertices that it does not have",
            f"indices within its {count:,} vertices",
            "export it again",
        )
    used = np.zeros(count, bool)
    used[part.faces] = True
    if used.all():
        return part
    return Part(
        vertices=part.vertices[used],
        faces=(np.cumsum(used) - 1)[part.faces],
        rgb=None if part.rgb is None else part.rgb[used],
        uv=None if part.uv is None else part.uv[used],
        texture=part.texture,
    )


def _merge(parts: Sequence[Part]) -> list[Part]:
    """Join parts that share a texture, and all that have none: a scene of thousands of parts draws as a few."""
    groups: dict[int, list[Part]] = {}
    for part in parts:
        groups.setdefault(0 if part.texture is None or part.uv is None else id(part.texture), []).append(part)
    merged = []
    for key, group in groups.items():
        starts = np.cumsum([0, *(len(part.vertices) for part in group)])
        coloured = any(part.rgb is not None for part in group)
        merged.append(
            Part(
                vertices=np.concatenate([part.vertices for part in group]),
                faces=np.concatenate([part.faces + start for part, start in zip(group, starts[:-1], strict=True)]),
                rgb=np.concatenate([_vertex_colours(part) for part in group]) if coloured else None,
                uv=np.concatenate([part.uv for part in group if part.uv is not None]) if key else None,
                texture=group[0].texture if key else None,
            )
        )
    return merged


def _vertex_colours(part: Part) -> FloatArray:
    """Colour of each vertex: white under a texture, grey without any colour."""
    if part.rgb is not None:
        return np.ascontiguousarray(part.rgb, np.float32)
    return np.full((len(part.vertices), 3), limits.GREY if part.texture is None else 1.0, np.float32)


def _box(xyz: Doubles, name: str) -> Doubles:
    """Scale to a box whose longest side is 1, so that no later square or product overflows."""
    if not np.isfinite(xyz).all():
        raise MediaError(f"{name}, which has coordinates that are not numbers", "finite coordinates", "export it again")
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    with np.errstate(over="ignore"):
        extent = float((high - low).max())
    if extent == 0:
        raise MediaError(f"{name}, whose points all coincide", "points at different places", "export it again")
    if not 1e-100 < extent < 1e100:
        raise MediaError(
            f"{name}, whose longest side measures {extent:g}", "1e-100 to 1e+100 units", "export it at a usual scale"
        )
    scaled: Doubles = (xyz - low) / extent
    return scaled


def _unit_sphere(xyz: Doubles, name: str) -> tuple[Doubles, float]:
    """Centre and radius that put the points' mean at 0 and the farthest at distance 1."""
    centre = xyz.mean(axis=0)
    radius = float(np.linalg.norm(xyz - centre, axis=1).max())
    if not radius > 0.0:
        raise MediaError(f"{name}, whose points all coincide", "points at different places", "export it again")
    return centre, radius


def _place(xyz: Doubles, centre: Doubles, scale: float, up: Up) -> FloatArray:
    return np.ascontiguousarray(((xyz - centre) / scale) @ _TO_Y_UP[up].T, np.float32)


def _areas(triangles: Doubles) -> Doubles:
    """Area of each triangle: (f, 3, 3) -> (f,)."""
    edges = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas: Doubles = np.linalg.norm(edges, axis=1) / 2
    return areas


def _sample(scaled: Sequence[Doubles], parts: Sequence[Part], areas: Doubles) -> tuple[Doubles, FloatArray]:
    """Points on the triangles, and their colours."""
    random = np.random.default_rng(_SEED)
    cumulative = np.cumsum(areas)
    chosen = np.searchsorted(cumulative, random.random(limits.POINTS) * cumulative[-1], side="right")
    chosen = np.sort(np.minimum(chosen, len(areas) - 1))
    corners = random.random((limits.POINTS, 2))
    outside = corners.sum(axis=1) > 1  # fold the parallelogram onto its triangle
    corners[outside] = 1 - corners[outside]
    weights = np.column_stack([1 - corners.sum(axis=1), corners])  # barycentric
    xyz, rgb = np.empty((limits.POINTS, 3)), np.empty((limits.POINTS, 3), np.float32)
    starts = np.cumsum([0, *(len(part.faces) for part in parts)])
    for vertices, part, first, last in zip(scaled, parts, starts[:-1], starts[1:], strict=True):
        mine = slice(*np.searchsorted(chosen, [first, last]))
        faces = part.faces[chosen[mine] - first]

        def at_points(values: NDArray[Any], faces: NDArray[np.int64] = faces, mine: slice = mine) -> NDArray[Any]:
            mixed: NDArray[Any] = np.einsum("nc,ncd->nd", weights[mine], values[faces])
            return mixed

        xyz[mine] = at_points(vertices)
        rgb[mine] = at_points(_vertex_colours(part))
        if part.texture is not None and part.uv is not None:
            rgb[mine] *= _look_up(part.texture, at_points(part.uv))
    return xyz, np.clip(rgb, 0.0, 1.0)


def _look_up(texture: NDArray[np.uint8], uv: Doubles) -> FloatArray:
    """Bilinear colour of a repeating texture: (h, w, 3) uint8 at (n, 2), v upwards -> (n, 3) in 0..1."""
    height, width = texture.shape[:2]
    uv = np.nan_to_num(uv, posinf=0.0, neginf=0.0)
    u, v = uv[:, 0] % 1.0, (1.0 - uv[:, 1]) % 1.0
    x, y = u * width - 0.5, v * height - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    columns, rows = (left % width, (left + 1) % width), (top % height, (top + 1) % height)
    upper = texture[rows[0], columns[0]] * (1 - fx) + texture[rows[0], columns[1]] * fx
    lower = texture[rows[1], columns[0]] * (1 - fx) + texture[rows[1], columns[1]] * fx
    rgb: FloatArray = ((upper * (1 - fy) + lower * fy) / 255).astype(np.float32)
    return rgb
