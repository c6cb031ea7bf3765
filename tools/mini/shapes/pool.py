"""Shapes as encoders and heads learn them: points in several samplings, drawn views in several styles, all kept.

Everything is kept in the cache directory under the identity of all that decides it, and what is killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from omnibind_core.media import limits
from omnibind_core.media import raster as _raster
from omnibind_core.media.shapes import Part, cloud_of_parts
from omnibind_core.specialists import load, point_encoder
from omnibind_core.specialists.shape_views import VIEWS
from omnibind_core.store.kept import digest
from omnibind_core.store.shards import kept_rows
from omnibind_core.training.extraction import tower_identity
from omnibind_core.types import FloatArray, Image, PointCloud
from tools.mini.pools.meshes import load_mesh
from tools.mini.pools.parametric import build as procedural
from tools.mini.pools.vectors import named_shapes

__all__ = ["PROCEDURAL", "SWEET_HOME", "ShapeSet", "Style", "clouds", "queried", "sampled", "seen"]

Style: TypeAlias = Literal["colour", "grey", "splat"]

_VERSION = 1  # of what is worked out here: whoever changes it raises this
_SIDE = 256  # pixels, as specialists/shape_views.py draws
_EVEN, _RAW = 1024, 2048
_SPLATS = (1024, 2048, 5000, 10_000)  # points of a cloud that is drawn as discs
_AROUND: tuple[tuple[float, float], ...] = (*VIEWS, (180.0, 15.0), (25.0, 35.0))


@dataclass(frozen=True, eq=False)
class ShapeSet:
    """A set of shapes with labels.

    Attributes
    ----------
    name : str
        Folder in the cache.
    views : mapping of Style to views
        Azimuth and elevation, degrees, of the views to draw in each style.
    samplings : int
        Even samplings of each shape.
    """

    name: str
    views: dict[Style, tuple[tuple[float, float], ...]]
    samplings: int


SWEET_HOME = ShapeSet("sweet_home", {"colour": _AROUND, "grey": VIEWS[:3], "splat": VIEWS[:3]}, 4)
PROCEDURAL = ShapeSet("procedural", {"colour": (*VIEWS[:2], VIEWS[3]), "grey": VIEWS[:1]}, 2)


def clouds(pool: ShapeSet) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[int], PointCloud]]:
    """Keys and labels of a pool's shapes, and what makes the i-th as the application would read it (10,000 points)."""
    if pool.name == SWEET_HOME.name:
        meshes = named_shapes()
        return (
            tuple(m.key for m in meshes),
            tuple(m.label for m in meshes),
            lambda i: _as_read(load_mesh(meshes[i])),
        )
    made = procedural.catalogue()
    return (
        tuple(f"{m.label}/{m.number}" for m in made),
        tuple(m.label for m in made),
        lambda i: procedural.build(made[i]),
    )


def _as_read(cloud: PointCloud) -> PointCloud:
    """Sample the points again, as the application's reader does: textures give each point its own colour."""
    parts = [
        Part(s.vertices.astype(np.float64), s.faces.astype(np.int64), s.rgb, s.uv, s.texture) for s in cloud.surfaces
    ]
    return cloud_of_parts(parts, "mesh", "y")


def _kept(
    pool: ShapeSet, what: str, make: Callable[[int, PointCloud], FloatArray], d: int, tower: str | None = None
) -> Tensor:
    """Work out (k, d) rows for every shape, or read what was kept of them: (n, k, d) float16."""
    keys, _, cloud = clouds(pool)
    decides = {
        "views": pool.views, "samplings": pool.samplings, "splats": _SPLATS, "side": _SIDE, "sizes": [_EVEN, _RAW],
        "points": limits.POINTS, "probes": [_probe(cloud(i)) for i in (0, len(keys) // 2)], "version": _VERSION,
        "parametric": procedural.fingerprint() if pool is PROCEDURAL else None,
        "tower": tower and tower_identity(tower),
    }  # fmt: skip

    def rows(some: Sequence[int]) -> FloatArray:
        return np.stack([make(i, cloud(i)).ravel() for i in some])

    found = kept_rows(f"{pool.name}-{what}", decides, keys, rows, dtype="float16")
    return torch.from_numpy(np.concatenate(found.parts)).view(len(keys), -1, d)


def _probe(cloud: PointCloud) -> str:
    """Tell by a shape whether readers, samplers and renderers still give the same."""
    points = np.round(100 * point_encoder.even(torch.from_numpy(cloud.xyz), _EVEN).numpy())
    return digest(points, _raster.render(cloud, size=32))


@cache
def sampled(pool: ShapeSet) -> tuple[Tensor, Tensor]:
    """Points of all shapes, xyz and rgb.

    Returns
    -------
    even : Tensor, shape (n, samplings, 1024, 6), float16
        Farthest points, each first k of which are the k farthest; the first sampling is what a query gets.
    raw : Tensor, shape (n, 2048, 6), float16
        Points drawn at random by area.
    """

    def points(i: int, cloud: PointCloud) -> FloatArray:
        rows = np.concatenate([cloud.xyz, cloud.rgb], axis=1)
        rng = np.random.default_rng(i)
        parts = [point_encoder.even(torch.from_numpy(rows), _EVEN)]
        for _ in range(1, pool.samplings):
            some = rows[rng.choice(len(rows), rng.integers(1500, 5000), replace=False)]
            parts.append(point_encoder.even(torch.from_numpy(some), _EVEN))
        parts.append(torch.from_numpy(rows[rng.choice(len(rows), _RAW, replace=False)]))
        found: FloatArray = torch.cat(parts).numpy()
        return found

    stored = _kept(pool, "points", points, 6)
    split = pool.samplings * _EVEN
    return stored[:, :split].view(len(stored), pool.samplings, _EVEN, 6), stored[:, split:]


@cache
def queried(pool: ShapeSet, count: int) -> Tensor:
    """Points of all shapes as they reach the encoder from a query of `count` points.

    Parameters
    ----------
    pool : ShapeSet
        Whose shapes.
    count : int
        Points of a query, at most 10,000.

    Returns
    -------
    Tensor, shape (n, min(count, 512), 6), float16
        Drawn at random by area from the application's points, then thinned as the specialist does.
    """
    samples, raw = sampled(pool)
    if count == limits.POINTS:
        return samples[:, 0, : point_encoder.SAMPLES]
    if count <= _RAW:
        return torch.stack([point_encoder.even(row[:count].float()) for row in raw])

    def points(i: int, cloud: PointCloud) -> FloatArray:
        rows = np.concatenate([cloud.xyz, cloud.rgb], axis=1)
        if count < len(rows):
            rows = rows[np.random.default_rng(i + 1).choice(len(rows), count, replace=False)]
        thinned: FloatArray = point_encoder.even(torch.from_numpy(rows)).numpy()
        return thinned

    return _kept(pool, f"query{count}", points, 6)


@cache
def seen(pool: ShapeSet, style: Style, tower: str = "efficientnet_lite2") -> Tensor:
    """Features of the drawn views of all shapes.

    Parameters
    ----------
    pool : ShapeSet
        Whose shapes.
    style : {"colour", "grey", "splat"}
        As they are; with all colours and textures put to one grey; or as a cloud of 1,024 to 10,000 points.
    tower : str
        A specialist of the family efficientnet_lite.

    Returns
    -------
    Tensor, shape (n, views of the style, 1280), float16
        Not scaled; their mean over the views is what the specialist ``shape_views`` scales to unit length.
    """

    def features(i: int, cloud: PointCloud) -> FloatArray:
        # bfloat16 for what is only learned from: half the time, and the same features but for a thousandth.
        eyes: Any = load.tower(tower, torch.bfloat16)
        scene = _raster.prepare(_styled(cloud, style, i))
        drawn = [Image(_raster.render_scene(scene, azimuth, up, _SIDE)) for azimuth, up in pool.views[style]]
        rows: FloatArray = eyes.features(drawn).numpy()
        return rows

    return _kept(pool, f"{style}-{tower}", features, 1280, tower)


def _styled(cloud: PointCloud, style: Style, seed: int) -> PointCloud:
    if style == "grey":
        return replace(
            cloud, surfaces=tuple(replace(s, uv=None, texture=None) for s in cloud.surfaces), has_colour=False
        )
    if style == "splat":
        rng = np.random.default_rng(seed)
        some = rng.choice(len(cloud.xyz), int(rng.choice(_SPLATS)), replace=False)
        return PointCloud(cloud.xyz[some], cloud.rgb[some], (), cloud.has_colour and rng.random() < 0.7)
    return cloud
