"""What the shape readers hand over, and how it becomes a `PointCloud`: checks, sampling, colour, unit sphere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.types import FloatArray, PointCloud, Surface, Wrap

__all__ = ["TO_Y_UP", "Axis", "Doubles", "Part", "Points", "check_counts", "cloud_of_parts", "cloud_of_points"]

Axis: TypeAlias = Literal["x", "y", "z", "-x", "-y", "-z"]
Doubles: TypeAlias = NDArray[np.float64]

TO_Y_UP: dict[Axis, Doubles] = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "x": np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "-x": np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
}
"""Proper rotations that bring the named direction to Y: rows give the new x, y and z."""

_SEED = 0
_REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")
_SLIVER = 3e-8  # area of a triangle whose reach is 1 below which it is a line: rounding to 24 bits makes that much
_ROUNDS = 20  # draws, before a shape that is nearly all transparent has as many points as it gets
_FRAME = 0.95  # of a shape's size that is left without what cannot be seen: less, and that would set the scale
_FAR = 1000.0  # texture coordinates beyond which a clamped or mirrored texture is the same as there
_MANY = 100  # points from which on a few far ones are strays
_STRAY = 20.0  # times as far from the middle as 99 % of all points
_REPEATED = 10  # points of one number or place, from which on it may stand for nothing seen
_APART = 0.1  # of the size of all others that such a place lies outside of them
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
    texture : ndarray, shape (h, w, 3) or (h, w, 4), uint8, optional
        Row 0 on top; parts that share one share the array. A fourth channel is 0 where there is no surface.
    wrap : tuple of (Wrap, Wrap)
        What lies beyond the texture's edges.
    """

    vertices: Doubles
    faces: NDArray[np.int64]
    rgb: FloatArray | None = None
    uv: FloatArray | None = None
    texture: NDArray[np.uint8] | None = None
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")


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


def cloud_of_points(points: Points, name: str, up: Axis) -> PointCloud:
    """Thin a file of points to `limits.POINTS`, turn it upright and scale it to the unit sphere."""
    check_counts(name, points=len(points.xyz))
    points = _without_strays(_seen(_finite(points, name)))
    count = len(points.xyz)
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


def cloud_of_parts(parts: Sequence[Part], name: str, up: Axis) -> PointCloud:
    """Sample `limits.POINTS` points from a mesh, uniformly by area and always the same ones."""
    parts = [_compact(part, name) for part in parts if len(part.faces)]
    had_faces = bool(parts)
    parts = [part for part in parts if len(part.faces)]
    flat = had_faces and not parts
    parts = _without_far_holes(parts, name)
    if flat:
        raise MediaError(f"{name}, whose faces have no area", "a surface of triangles with an area", "export it again")
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
    layers = float(areas.sum()) / 2  # as seen from anywhere, of a box whose longest side is 1
    if layers > limits.MAX_LAYERS:
        raise MediaError(
            f"{name}, whose faces cover it {layers:,.0f} times over", f"at most {limits.MAX_LAYERS} times",
            "remove the faces that lie behind or on one another",
        )  # fmt: skip
    xyz, rgb = _sample(scaled, merged, areas, name)
    centre, scale = _unit_sphere(xyz, name)
    surfaces = tuple(
        Surface(
            vertices=_place(vertices, centre, scale, up),
            faces=part.faces.astype(np.int32),
            rgb=_vertex_colours(part),
            uv=part.uv,
            texture=part.texture,
            wrap=part.wrap,
        )
        for vertices, part in zip(scaled, merged, strict=True)
    )
    has_colour = any(part.rgb is not None or part.texture is not None for part in merged)
    return PointCloud(_place(xyz, centre, scale, up), rgb, surfaces, has_colour)


def _compact(part: Part, name: str) -> Part:
    """Check a part's indices; drop faces without area and vertices that no face uses: these must not set the scale."""
    count = len(part.vertices)
    if part.faces.min() < 0 or part.faces.max() >= count:
        raise MediaError(
            f"{name}, whose faces name vertices that it does not have",
            f"indices within its {count:,} vertices",
            "export it again",
        )
    return _only(part, part.faces[_with_area(part.vertices, part.faces)])


def _only(part: Part, faces: NDArray[np.int64]) -> Part:
    """Leave a part with some of its faces, and with the vertices that these use."""
    used = np.zeros(len(part.vertices), bool)
    used[faces] = True
    if used.all() and len(faces) == len(part.faces):
        return part
    return replace(
        part,
        vertices=part.vertices[used],
        faces=(np.cumsum(used) - 1)[faces],
        rgb=None if part.rgb is None else part.rgb[used],
        uv=None if part.uv is None else part.uv[used],
    )


def _without_far_holes(parts: list[Part], name: str) -> list[Part]:
    """Drop faces that a texture makes invisible where they would set the scale; elsewhere sampling passes them by."""
    if not any(part.texture is not None and part.texture.shape[2] == 4 for part in parts):
        return parts
    seen = [part for part in map(_with_surface, parts) if len(part.faces)]
    if not seen:
        raise MediaError(f"{name}, whose surfaces are transparent", "a surface that can be seen", "export it again")
    return seen if _reach(seen) < _FRAME * _reach(parts) else parts


def _reach(parts: Sequence[Part]) -> float:
    """Longest side of the box about all parts."""
    low = np.min([part.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.vertices.max(axis=0) for part in parts], axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        return float((high - low).max())


def _with_surface(part: Part) -> Part:
    """Drop faces that lie wholly where their texture says that there is no surface: these must not set the scale.

    Judged by the texels about all three corners; a face that reaches over the texture's edge is kept.
    """
    if part.texture is None or part.uv is None or part.texture.shape[2] < 4 or part.texture[:, :, 3].all():
        return part
    solid = np.pad((part.texture[:, :, 3] > 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # summed areas
    first, last, inside = [], [], np.ones(len(part.faces), bool)
    for axis, size in enumerate((part.texture.shape[1], part.texture.shape[0])):
        along = part.uv[:, axis].astype(np.float64)
        along = np.clip(np.nan_to_num(along if axis == 0 else 1.0 - along), -_FAR, _FAR)[part.faces]
        low, high = along.min(axis=1), along.max(axis=1)
        if part.wrap[axis] == "repeat":
            turn = np.floor(low)
            low, high = low - turn, high - turn
        elif part.wrap[axis] == "clamp":
            low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        inside &= (low >= 0) & (high <= 1)
        first.append(np.clip(np.floor(low * size), 0, size - 1).astype(np.int64))
        last.append(np.clip(np.floor(high * size), 0, size - 1).astype(np.int64) + 1)
    (left, top), (right, bottom) = first, last
    texels = solid[bottom, right] - solid[top, right] - solid[bottom, left] + solid[top, left]
    return _only(part, part.faces[~inside | (texels > 0)])


def _with_area(vertices: Doubles, faces: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which triangles are more than a line or a point, and all of numbers: (f,) bool. Their size does not matter."""
    kept = np.zeros(len(faces), bool)
    finite = np.isfinite(vertices).all(axis=1)
    lost = int((~finite[faces].all(axis=1)).sum())
    if lost and lost < len(faces):
        note(f"{lost:,} of {len(faces):,} faces have corners that are not numbers and were left out")
    elif lost:
        return ~kept  # nothing is left: the check of coordinates tells
    for part in np.array_split(np.arange(len(faces)), max(1, len(faces) // 500_000)):
        corners = vertices[faces[part]]
        with np.errstate(all="ignore"):
            reach = np.abs(corners - corners[:, :1]).max(axis=(1, 2))
            unit = (corners - corners[:, :1]) / reach[:, None, None]  # so that no square over- or underflows
            area = np.linalg.norm(np.cross(unit[:, 1], unit[:, 2]), axis=1)
            kept[part] = (reach > 0) & (area > _SLIVER) & finite[faces[part]].all(axis=1)
    return kept


def _finite(points: Points, name: str) -> Points:
    """Drop points that are not numbers, as depth cameras write for what they did not see."""
    good = np.isfinite(points.xyz).all(axis=1)
    if good.all() or not good.any():
        return points
    note(f"{int((~good).sum()):,} of {len(good):,} points were not numbers and were left out")
    return Points(points.xyz[good], None if points.rgb is None else points.rgb[good])


def _seen(points: Points) -> Points:
    """Drop points that stand for "nothing was seen": one number such as -9999, or the camera's own place, repeated."""
    xyz = points.xyz
    if len(xyz) < _MANY:
        return points
    good = np.ones(len(xyz), bool)
    for axis in range(3):
        for most in (np.min, np.max):
            at = xyz[:, axis] == most(xyz[good, axis])
            rest = good & ~at
            if int((good & at).sum()) < _REPEATED or int(rest.sum()) < limits.MIN_POINTS:
                continue
            gap = float(np.abs(xyz[rest, axis] - most(xyz[good, axis])).min())
            if gap > _STRAY * float(np.ptp(xyz[rest], axis=0).max()):
                good = rest
    rows, counts = np.unique(xyz[good], axis=0, return_counts=True)
    row = rows[counts.argmax()]
    rest = good & (xyz != row).any(axis=1)
    if counts.max() >= _REPEATED and int(rest.sum()) >= limits.MIN_POINTS:
        low, high = xyz[rest].min(axis=0), xyz[rest].max(axis=0)
        if float(np.maximum(low - row, row - high).max()) > _APART * float((high - low).max()):
            good = rest
    if good.all():
        return points
    note(f"{int((~good).sum()):,} of {len(good):,} points stand for nothing seen and were left out")
    return Points(xyz[good], None if points.rgb is None else points.rgb[good])


def _without_strays(points: Points) -> Points:
    """Drop a few points that lie so far from all others that these would shrink to a dot."""
    xyz = points.xyz
    if len(xyz) < _MANY or not np.isfinite(xyz).all():
        return points
    with np.errstate(over="ignore"):
        middle = np.median(xyz, axis=0)
        distance = np.abs(xyz - middle).max(axis=1)
    most = max(1, len(xyz) // 100)
    usual = float(np.partition(distance, len(xyz) - most - 1)[len(xyz) - most - 1])
    far = distance > _STRAY * usual
    if not far.any() or usual == 0 or int(far.sum()) > most:
        return points
    note(f"{int(far.sum()):,} of {len(xyz):,} points lie far from all others and were left out")
    return Points(xyz[~far], None if points.rgb is None else points.rgb[~far])


def _merge(parts: Sequence[Part]) -> list[Part]:
    """Join parts that share a texture, and all that have none: a scene of thousands of parts draws as a few."""
    groups: dict[tuple[int, tuple[Wrap, Wrap]], list[Part]] = {}
    for part in parts:
        plain = part.texture is None or part.uv is None
        groups.setdefault((0, _REPEAT) if plain else (id(part.texture), part.wrap), []).append(part)
    merged = []
    for (key, wrap), group in groups.items():
        starts = np.cumsum([0, *(len(part.vertices) for part in group)])
        coloured = any(part.rgb is not None for part in group)
        merged.append(
            Part(
                vertices=np.concatenate([part.vertices for part in group]),
                faces=np.concatenate([part.faces + start for part, start in zip(group, starts[:-1], strict=True)]),
                rgb=np.concatenate([_vertex_colours(part) for part in group]) if coloured else None,
                uv=np.concatenate([part.uv for part in group if part.uv is not None]) if key else None,
                texture=group[0].texture if key else None,
                wrap=wrap,
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


def _place(xyz: Doubles, centre: Doubles, scale: float, up: Axis) -> FloatArray:
    return np.ascontiguousarray(((xyz - centre) / scale) @ TO_Y_UP[up].T, np.float32)


def _areas(triangles: Doubles) -> Doubles:
    """Area of each triangle: (f, 3, 3) -> (f,)."""
    edges = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    areas: Doubles = np.linalg.norm(edges, axis=1) / 2
    return areas


def _sample(scaled: Sequence[Doubles], parts: Sequence[Part], areas: Doubles, name: str) -> tuple[Doubles, FloatArray]:
    """Points on the triangles, and their colours; none where a texture says that there is no surface."""
    random = np.random.default_rng(_SEED)
    xyz, rgb, there = _drawn(scaled, parts, areas, random)
    if there.all():
        return xyz, rgb
    kept = [(xyz[there], rgb[there])]
    for _ in range(_ROUNDS):
        if sum(len(found) for found, _ in kept) >= limits.POINTS:
            break
        xyz, rgb, there = _drawn(scaled, parts, areas, random)
        kept.append((xyz[there], rgb[there]))
    xyz, rgb = (np.concatenate(found)[: limits.POINTS] for found in zip(*kept, strict=True))
    if len(xyz) < limits.MIN_POINTS:
        raise MediaError(f"{name}, whose surfaces are transparent", "a surface that can be seen", "export it again")
    return xyz, rgb


def _drawn(
    scaled: Sequence[Doubles], parts: Sequence[Part], areas: Doubles, random: np.random.Generator
) -> tuple[Doubles, FloatArray, NDArray[np.bool_]]:
    """Draw `limits.POINTS` points by area: places, colours, and whether there is a surface."""
    cumulative = np.cumsum(areas)
    chosen = np.searchsorted(cumulative, random.random(limits.POINTS) * cumulative[-1], side="right")
    chosen = np.sort(np.minimum(chosen, len(areas) - 1))
    corners = random.random((limits.POINTS, 2))
    outside = corners.sum(axis=1) > 1  # fold the parallelogram onto its triangle
    corners[outside] = 1 - corners[outside]
    weights = np.column_stack([1 - corners.sum(axis=1), corners])  # barycentric
    xyz, rgb = np.empty((limits.POINTS, 3)), np.empty((limits.POINTS, 3), np.float32)
    there = np.ones(limits.POINTS, bool)
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
            uv = at_points(part.uv)
            rgb[mine] *= _look_up(part.texture, uv, part.wrap)
            if part.texture.shape[2] == 4:
                there[mine] = _surface_at(part.texture, uv, part.wrap)
    return xyz, np.clip(rgb, 0.0, 1.0), there


def _look_up(texture: NDArray[np.uint8], uv: Doubles, wrap: tuple[Wrap, Wrap] = _REPEAT) -> FloatArray:
    """Bilinear colour of a texture: (h, w, 3 or 4) uint8 at (n, 2), v upwards -> (n, 3) in 0..1."""
    height, width = texture.shape[:2]
    x, y = (_place_on(uv, axis, size, wrap) - 0.5 for axis, size in enumerate((width, height)))
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    columns = [_wrapped(left + step, width, wrap[0]) for step in (0, 1)]
    rows = [_wrapped(top + step, height, wrap[1]) for step in (0, 1)]
    colour = texture[:, :, :3]
    upper = colour[rows[0], columns[0]] * (1 - fx) + colour[rows[0], columns[1]] * fx
    lower = colour[rows[1], columns[0]] * (1 - fx) + colour[rows[1], columns[1]] * fx
    rgb: FloatArray = ((upper * (1 - fy) + lower * fy) / 255).astype(np.float32)
    return rgb


def _surface_at(texture: NDArray[np.uint8], uv: Doubles, wrap: tuple[Wrap, Wrap]) -> NDArray[np.bool_]:
    """Whether the nearest texel is a part of the surface: (n,) bool."""
    height, width = texture.shape[:2]
    x, y = (
        _wrapped(np.floor(_place_on(uv, axis, size, wrap)).astype(np.int64), size, wrap[axis])
        for axis, size in enumerate((width, height))
    )
    there: NDArray[np.bool_] = texture[y, x, 3] > 0
    return there


def _place_on(uv: Doubles, axis: int, size: int, wrap: tuple[Wrap, Wrap]) -> Doubles:
    """Coordinates in texels along one axis, row 0 on top."""
    along = np.nan_to_num(uv[:, axis].astype(np.float64), posinf=0.0, neginf=0.0)
    if wrap[axis] != "repeat":
        along = np.clip(along, -_FAR, _FAR)
        return (along if axis == 0 else 1.0 - along) * size
    return (along % 1.0 if axis == 0 else (1.0 - along) % 1.0) * size


def _wrapped(places: NDArray[np.int64], size: int, wrap: Wrap) -> NDArray[np.int64]:
    """Bring numbers of texels into 0..size - 1."""
    if wrap == "clamp":
        return np.clip(places, 0, size - 1)
    if wrap == "mirror":
        there = places % (2 * size)
        return np.minimum(there, 2 * size - 1 - there)
    return places % size
