"""Which way is up in a shape whose file does not say: how it would rest, balance and mirror on each of its six sides.

Judged by its points alone, so that meshes and clouds are judged alike. Small trees of decisions, the same for all six
directions, turn what is measured of each into a score; they are learned, see ``tools/mini/shapes/upright.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media.notices import MOST
from omnibind_core.media.shapes import TO_Y_UP, Axis, Doubles
from omnibind_core.types import FloatArray, PointCloud

__all__ = [
    "CLEAR",
    "DIRECTIONS",
    "PRIOR",
    "WEIGHTS",
    "beside",
    "chosen",
    "is_guess",
    "judged",
    "measured",
    "preload",
    "stood",
    "turn",
    "turned",
]

DIRECTIONS: tuple[Axis, ...] = ("x", "-x", "y", "-y", "z", "-z")
"""What may point up, in the order of all scores."""

PRIOR: tuple[float, ...] = (0.02, 0.01, 0.6, 0.01, 0.35, 0.01)
"""How often files are made so, before a shape is looked at: nearly all programs put Y or Z up. Set by hand."""

CLEAR = 0.85
"""Share of the likeliest direction from which on it counts as told; below it Y is taken. Chosen on the development
half, so that at most 3 % of shapes that have Y up are turned."""

WEIGHTS = Path(__file__).parent / "data" / "upright.json"
"""What was learned: trees as rows of nodes."""

_TOLD = "the file does not say which way is up: {} was taken"
_DOUBTFUL = "which way is up is neither said nor clear: {} was taken"

_MOST = 4096  # points that are looked at
_SLABS = (0.01, 0.03)  # share of the height that counts as the side it rests on
_ANGLES = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)
_ROUND = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])  # (2, 16)
_CELLS = 16  # of the grid that is mirrored, along the longest side
_COLUMNS = 20  # of the grid that is looked at from above and below
_LAYERS = 8
_BINS = 64


def measured(xyz: NDArray[Any], rgb: NDArray[Any] | None = None) -> Doubles:
    """Measure a shape standing on each of its sides.

    Parameters
    ----------
    xyz : ndarray, shape (n, 3)
        Points spread over its surface.
    rgb : ndarray, shape (n, 3), optional
        0..1; None where there is no colour.

    Returns
    -------
    ndarray, shape (6, d), float64
        A row for each of `DIRECTIONS`.
    """
    step = -(-len(xyz) // _MOST)
    points = np.asarray(xyz[::step], np.float64)
    light = np.full(len(points), 0.5) if rgb is None else np.asarray(rgb[::step], np.float64).mean(axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    points = (points - (low + high) / 2) / max(float((high - low).max()), 1e-12)  # within -0.5..0.5
    sides = np.maximum((high - low) / max(float((high - low).max()), 1e-12), 1e-3)
    mirrors = _mirrored(points)
    rows = []
    for axis in range(3):
        others = [one for one in range(3) if one != axis]
        plane, height = points[:, others], sides[axis]
        whole = (plane @ _ROUND).max(axis=0)
        shared = [
            np.log(height / np.sqrt(sides[others].prod())), abs(np.log(sides[others[0]] / sides[others[1]])),
            *mirrors[axis],
        ]  # fmt: skip
        for sign in (1.0, -1.0):
            t = np.clip(sign * points[:, axis] / height + 0.5, 0.0, 1.0)
            rows.append([*shared, *_standing(t, plane, whole, light, sides[others])])
    return np.array(rows)


def _mirrored(points: Doubles) -> list[list[float]]:
    """How alike the shape is to itself mirrored along each axis, along the two others, and turned about it."""
    cells = np.clip(((points + 0.5) * _CELLS).astype(np.int64), 0, _CELLS - 1)
    grid = np.bincount(np.ravel_multi_index(tuple(cells.T), (_CELLS,) * 3), minlength=_CELLS**3).astype(np.float64)
    grid = np.sqrt(grid).reshape((_CELLS,) * 3)
    for axis in range(3):  # a place that is off by half a cell counts too
        padded = np.pad(grid, [(1, 1) if one == axis else (0, 0) for one in range(3)])
        low, middle, high = (np.take(padded, range(i, i + _CELLS), axis) for i in range(3))
        grid = low / 4 + middle / 2 + high / 4
    grid /= np.linalg.norm(grid)
    flat = [float((grid * np.flip(grid, axis)).sum()) for axis in range(3)]
    found = []
    for axis in range(3):
        others = tuple(one for one in range(3) if one != axis)
        pair = sorted(flat[one] for one in others)
        half = float((grid * np.flip(grid, others)).sum())
        quarter = float((grid * np.rot90(grid, axes=(others[0], others[1]))).sum())
        found.append([flat[axis], pair[1], pair[0], half, quarter])
    return found


def _standing(t: Doubles, plane: Doubles, whole: Doubles, light: Doubles, sides: Doubles) -> list[float]:
    """Measure how well a shape stands: `t` is the height of its points, 0 to 1."""
    middle, found = plane.mean(axis=0), [float(t.mean()), float(t.std()), float(((t - t.mean()) ** 3).mean() * 10)]
    reach = whole - middle @ _ROUND
    size = max(float(whole.mean()), 1e-3)
    for share in _SLABS:
        for side in (t <= share, t >= 1 - share):
            held = (plane[side] @ _ROUND).max(axis=0) if side.any() else np.full(len(_ANGLES), -size)
            opposite = held + np.roll(held, len(_ANGLES) // 2)
            found += [
                float(np.sqrt(side.mean())),
                float(np.clip((held - middle @ _ROUND).min() / size, -1.0, 1.0)),
                float(np.clip(((held - middle @ _ROUND) / np.maximum(reach, 1e-3)).min(), -1.0, 1.0)),
                float(opposite.mean() / max(2 * size, 1e-3)),
            ]
    counts = np.bincount(np.minimum((t * _BINS).astype(np.int64), _BINS - 1), minlength=_BINS) / len(t)
    found += [
        float(np.log((counts**2).sum() * _BINS)), float(counts.argmax() / _BINS),
        float(np.sqrt(counts[: _BINS // 2].max())), float(np.sqrt(counts[_BINS // 2 :].max())),
    ]  # fmt: skip
    found += [*np.sqrt(counts.reshape(_LAYERS, -1).sum(axis=1))]
    cells = np.clip(((plane / sides + 0.5) * _COLUMNS).astype(np.int64), 0, _COLUMNS - 1)
    place = cells[:, 0] * _COLUMNS + cells[:, 1]
    found += _from_above(t, place)
    layer = np.minimum((t * _LAYERS).astype(np.int64), _LAYERS - 1)
    filled = np.bincount(layer * _COLUMNS**2 + place, minlength=_LAYERS * _COLUMNS**2) > 0
    found += [*np.sqrt(filled.reshape(_LAYERS, -1).mean(axis=1))]
    spread = max(float(plane.std(axis=0).mean()), 1e-6)
    for third in (t < 1 / 3, (t >= 1 / 3) & (t < 2 / 3), t >= 2 / 3):
        enough = int(third.sum()) > 3
        found.append(float(plane[third].std(axis=0).mean() / spread) if enough else 0.0)
        off = plane[third].mean(axis=0) - middle if enough else np.zeros(2)
        found.append(float(np.linalg.norm(off) / size))
        found.append(float(light[third].mean() - light.mean()) if enough else 0.0)
    return found


def _from_above(t: Doubles, place: NDArray[np.int64]) -> list[float]:
    """Look from above and from below: heights over the ground, where there is anything."""
    top, bottom = np.full(_COLUMNS**2, -1.0), np.full(_COLUMNS**2, 2.0)
    np.maximum.at(top, place, t)
    np.minimum.at(bottom, place, t)
    there = top >= 0
    top, bottom = top[there], bottom[there]
    covered = len(top) / _COLUMNS**2
    return [
        covered, float(top.mean()), float(top.std()), float(bottom.mean()), float(bottom.std()),
        float((bottom < 0.06).mean()), float((top > 0.94).mean()), float((top - bottom).mean()),
        float((top - bottom < 0.1).mean()),
    ]  # fmt: skip


@cache
def preload() -> dict[str, NDArray[Any]]:
    """Read what was learned, once: rows of trees of equal length, and what their sum is added to and scaled by."""
    kept: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    whole = ("column", "left", "right")
    return {name: np.array(rows, np.int64 if name in whole else np.float64) for name, rows in kept.items()}


def beside(rows: NDArray[Any]) -> NDArray[Any]:
    """Put what was measured of each direction beside its opposite's and beside all: (.., 6, d) -> (.., 6, 3 d)."""
    opposite = rows[..., [1, 0, 3, 2, 5, 4], :]
    return np.concatenate([rows, rows - opposite, rows - rows.mean(axis=-2, keepdims=True)], axis=-1)


def judged(rows: Doubles, prior: Sequence[float] | None = PRIOR) -> Doubles:
    """Say how likely each direction is to be up.

    Parameters
    ----------
    rows : ndarray, shape (6, d), float64
        From :func:`measured`.
    prior : sequence of 6 float, optional
        How often files are made so; None where all are alike.

    Returns
    -------
    ndarray, shape (6,), float64
        Shares that sum to 1, in the order of `DIRECTIONS`.
    """
    trees, x = preload(), beside(rows)
    number = np.arange(len(trees["column"]))
    at = np.zeros((len(x), len(number)), np.int64)
    while (column := trees["column"][number, at]).max() >= 0:  # a leaf has none, and leads to itself
        low = np.take_along_axis(x, np.maximum(column, 0), axis=1) <= trees["threshold"][number, at]
        at = np.where(low, trees["left"][number, at], trees["right"][number, at])
    scores = trees["scale"] * (trees["start"] + trees["value"][number, at].sum(axis=1))
    if prior is not None:
        scores = scores + np.log(prior)
    shares = np.exp(scores - scores.max())
    shared: Doubles = shares / shares.sum()
    return shared


def chosen(shares: Sequence[float] | NDArray[Any]) -> Axis:
    """Give the direction that is taken to be up: Y, unless another one is clear."""
    return DIRECTIONS[int(np.argmax(shares))] if np.max(shares) >= CLEAR else "y"


def stood(cloud: PointCloud, prior: Sequence[float] | None = PRIOR) -> PointCloud:
    """Turn a shape that lies as in its file onto the side that it seems to stand on.

    Parameters
    ----------
    cloud : PointCloud
        Y is what the file has as its second axis.
    prior : sequence of 6 float, optional
        See :func:`judged`.

    Returns
    -------
    PointCloud
        With the shares in ``standing``, and with a notice where Y was not taken, or where it is not clear.
    """
    shares = judged(measured(cloud.xyz, cloud.rgb if cloud.has_colour else None), prior)
    return turned(cloud, tuple(map(float, shares)))


def turned(cloud: PointCloud, shares: tuple[float, ...]) -> PointCloud:
    """Turn a shape so that what is taken to be up is Y, and say so.

    Parameters
    ----------
    cloud : PointCloud
        As it is in its file, or as :func:`stood` gave it.
    shares : tuple of 6 float
        How likely each of `DIRECTIONS` is.
    """
    before, up = chosen(cloud.standing) if cloud.standing else "y", chosen(shares)
    notices = tuple(text for text in cloud.notices if not is_guess(text))
    if max(shares) < CLEAR:
        notices = (_DOUBTFUL.format(up), *notices)
    elif up != "y":
        notices = (_TOLD.format(up), *notices)
    way = TO_Y_UP[up] @ TO_Y_UP[before].T
    return replace(turn(cloud, way), notices=notices[:MOST], standing=shares)


def is_guess(notice: str) -> bool:
    """Whether a notice says that it was guessed which way is up."""
    return notice.startswith((_TOLD.partition("{")[0], _DOUBTFUL.partition("{")[0]))


def turn(cloud: PointCloud, way: Doubles) -> PointCloud:
    """Turn a shape, surfaces and all: `way` is a rotation, shape (3, 3)."""
    if np.array_equal(way, np.eye(3)):
        return cloud

    def placed(xyz: FloatArray) -> FloatArray:
        return np.ascontiguousarray(xyz @ way.T, np.float32)

    surfaces = tuple(replace(one, vertices=placed(one.vertices)) for one in cloud.surfaces)
    return replace(cloud, xyz=placed(cloud.xyz), surfaces=surfaces)
