"""Shapes as encoders and heads learn them: points in several samplings, drawn views in several styles, all kept.

Everything is worked out in pieces of 32 shapes that are written atomically to the cache directory, so that a run that
is killed goes on where it was. The folder's name changes with all that decides its content.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.media import limits
from omnibind_core.media import raster as _raster
from omnibind_core.media.shapes import Part, cloud_of_parts
from omnibind_core.specialists import load, point_encoder
from omnibind_core.specialists.shape_views import VIEWS
from omnibind_core.store.paths import cache_directory
from omnibind_core.types import FloatArray, Image, PointCloud
from tools.mini.pools.meshes import load_mesh
from tools.mini.pools.parametric import build as procedural
from tools.mini.pools.vectors import named_shapes

__all__ = ["PROCEDURAL", "SWEET_HOME", "Pool", "Style", "clouds", "queried", "sampled", "seen"]

log = logging.getLogger(__name__)

Style: TypeAlias = Literal["colour", "grey", "splat"]

_PIECE = 32
_SIDE = 256  # pixels, as specialists/shape_views.py draws
_EVEN, _RAW = 1024, 2048
_SPLATS = (1024, 2048, 5000, 10_000)  # points of a cloud that is drawn as discs
_AROUND: tuple[tuple[float, float], ...] = (*VIEWS, (180.0, 15.0), (25.0, 35.0))


@dataclass(frozen=True, eq=False)
class Pool:
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


SWEET_HOME = Pool("sweet_home", {"colour": _AROUND, "grey": VIEWS[:3], "splat": VIEWS[:3]}, 4)
PROCEDURAL = Pool("procedural", {"colour": (*VIEWS[:2], VIEWS[3]), "grey": VIEWS[:1]}, 2)


def clouds(pool: Pool) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[int], PointCloud]]:
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


def _folder(pool: Pool, what: str, probe: Callable[[PointCloud], NDArray[Any]]) -> Path:
    """Folder that changes with the pool's settings, with its shapes and with what is worked out of two of them."""
    keys, _, make = clouds(pool)
    digest = hashlib.sha256(repr((keys, pool.views, pool.samplings, _SPLATS, _SIDE, limits.POINTS)).encode())
    for i in (0, len(keys) // 2):
        digest.update(probe(make(i)).tobytes())
    if pool.name == PROCEDURAL.name:
        digest.update(procedural.fingerprint())
    return cache_directory() / "shapes" / f"{pool.name}-{what}-{digest.hexdigest()[:12]}"


def _kept(folder: Path, count: int, title: str, make: Callable[[int], FloatArray]) -> Tensor:
    """Work out `make(i)` for every i, or read what was kept: (count, ...) float16."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    pieces: list[FloatArray] = []
    for start in tqdm(range(0, count, _PIECE), title, disable=None):
        path = folder / f"{start:05d}.npy"
        if not path.is_file():
            rows = np.stack([make(i) for i in range(start, min(start + _PIECE, count))]).astype(np.float16)
            part = path.with_suffix(f".{os.getpid()}.part")
            with part.open("wb") as stream:
                np.save(stream, rows)
            part.replace(path)
        pieces.append(np.load(path, allow_pickle=False))
    return torch.from_numpy(np.concatenate(pieces))


@cache
def sampled(pool: Pool) -> tuple[Tensor, Tensor]:
    """Points of all shapes, xyz and rgb.

    Returns
    -------
    even : Tensor, shape (n, samplings, 1024, 6), float16
        Farthest points, each first k of which are the k farthest; the first sampling is what a query gets.
    raw : Tensor, shape (n, 2048, 6), float16
        Points drawn at random by area.
    """
    keys, _, make = clouds(pool)

    def points(i: int) -> FloatArray:
        cloud = make(i)
        rows = np.concatenate([cloud.xyz, cloud.rgb], axis=1)
        rng = np.random.default_rng(i)
        parts = [point_encoder.even(torch.from_numpy(rows), _EVEN)]
        for _ in range(1, pool.samplings):
            some = rows[rng.choice(len(rows), rng.integers(1500, 5000), replace=False)]
            parts.append(point_encoder.even(torch.from_numpy(some), _EVEN))
        parts.append(torch.from_numpy(rows[rng.choice(len(rows), _RAW, replace=False)]))
        found: FloatArray = torch.cat(parts).numpy()
        return found

    def probe(cloud: PointCloud) -> NDArray[Any]:
        return np.round(100 * point_encoder.even(torch.from_numpy(cloud.xyz), _EVEN).numpy())

    stored = _kept(_folder(pool, "points", probe), len(keys), f"{pool.name}: points", points)
    split = pool.samplings * _EVEN
    return stored[:, :split].view(len(keys), pool.samplings, _EVEN, 6), stored[:, split:]


@cache
def queried(pool: Pool, count: int) -> Tensor:
    """Points of all shapes as they reach the encoder from a query of `count` points.

    Parameters
    ----------
    pool : Pool
        Whose shapes.
    count : int
        Points of a query, at most 10,000.

    Returns
    -------
    Tensor, shape (n, min(count, 512), 6), float16
        Drawn at random by area from the application's points, then thinned as the specialist does.
    """
    keys, _, make = clouds(pool)
    samples, raw = sampled(pool)
    if count == limits.POINTS:
        return samples[:, 0, : point_encoder.SAMPLES]
    if count <= _RAW:
        return torch.stack([point_encoder.even(row[:count].float()) for row in raw])

    def points(i: int) -> FloatArray:
        cloud = make(i)
        rows = np.concatenate([cloud.xyz, cloud.rgb], axis=1)
        if count < len(rows):
            rows = rows[np.random.default_rng(i + 1).choice(len(rows), count, replace=False)]
        thinned: FloatArray = point_encoder.even(torch.from_numpy(rows)).numpy()
        return thinned

    def probe(cloud: PointCloud) -> NDArray[Any]:
        return np.round(100 * point_encoder.even(torch.from_numpy(cloud.xyz)).numpy())

    return _kept(_folder(pool, f"query{count}", probe), len(keys), f"{pool.name}: {count} points", points)


@cache
def seen(pool: Pool, style: Style, tower: str = "efficientnet_lite2") -> Tensor:
    """Features of the drawn views of all shapes.

    Parameters
    ----------
    pool : Pool
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
    keys, _, make = clouds(pool)

    def features(i: int) -> FloatArray:
        # bfloat16 for what is only learned from: half the time, and the same features but for a thousandth.
        eyes: Any = load.tower(tower, torch.bfloat16)
        scene = _raster.prepare(_styled(make(i), style, i))
        drawn = [Image(_raster.render_scene(scene, azimuth, up, _SIDE)) for azimuth, up in pool.views[style]]
        rows: FloatArray = eyes.features(drawn).numpy()
        return rows

    def probe(cloud: PointCloud) -> NDArray[Any]:
        return _raster.render(cloud, size=32)

    folder = _folder(pool, f"{style}-{tower}", probe)
    return _kept(folder, len(keys), f"{pool.name}: {style} by {tower}", features)


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
