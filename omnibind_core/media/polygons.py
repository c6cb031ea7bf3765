"""Polygons -> triangles: a fan where a polygon is convex, ears cut off where it is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Doubles

__all__ = ["triangles"]

_MOST_CUT = 10_000
"""Polygons of a file whose ears are cut: a second of time."""
_MOST_CORNERS = 20_000
"""Corners of one polygon whose ears are cut; the time grows with their square in bad cases."""


def triangles(counts: NDArray[np.int64], corners: NDArray[np.int64], vertices: Doubles, name: str) -> NDArray[np.int64]:
    """Cut polygons into triangles.

    Parameters
    ----------
    counts : ndarray, shape (p,), int64
        Corners of each polygon; those of fewer than three vanish.
    corners : ndarray, shape (sum of counts,), int64
        Vertices of all polygons behind one another; may be out of range, which whoever checks faces tells.
    vertices : ndarray, shape (v, 3), float64
        Where they lie: decides which polygons are convex.
    name : str
        The file's, for messages.

    Returns
    -------
    ndarray, shape (f, 3), int64
        **Places in `corners`**, so that whatever else belongs to a corner can be looked up too. Polygons keep their
        order, so do the triangles of each.

    Raises
    ------
    MediaError
        More triangles than `limits.MAX_FACES`.
    """
    starts = np.cumsum(counts) - counts
    made = np.maximum(counts - 2, 0)
    total = int(made.sum())
    if total > limits.MAX_FACES:
        raise MediaError(f"{name} with {total:,} triangles", f"at most {limits.MAX_FACES:,}", "simplify it")
    # A fan from the first corner of each polygon.
    ends = np.cumsum(made)
    owner = np.repeat(np.arange(len(counts)), made)
    step = np.arange(total) - np.repeat(ends - made, made)
    first = starts[owner]
    faces = np.column_stack([first, first + step + 1, first + step + 2]).astype(np.int64)
    if (counts <= 3).all() or not len(vertices):
        return faces
    inside = (corners >= 0) & (corners < len(vertices))
    bent = np.array(_concave(counts, starts, corners, vertices, inside), np.int64)
    fours = bent[counts[bent] == 4]
    if len(fours):  # a fan from the corner that turns inward fits every quadrilateral, and costs nothing
        first = starts[fours][:, None]
        place = first + (_inward(vertices[corners[first + np.arange(4)]])[:, None] + np.arange(4)) % 4
        rows = (ends - made)[fours]
        faces[rows], faces[rows + 1] = place[:, [0, 1, 2]], place[:, [0, 2, 3]]
    others = bent[counts[bent] > 4]
    if len(others) > _MOST_CUT:
        note(f"{len(others) - _MOST_CUT:,} polygons that turn inward are filled up")
    for polygon in others[:_MOST_CUT]:
        rows = slice(int(ends[polygon] - made[polygon]), int(ends[polygon]))
        place = np.arange(starts[polygon], starts[polygon] + counts[polygon])
        ears = _ears(vertices[corners[place]])
        if ears is not None and len(ears) <= len(faces[rows]):
            padded = np.zeros((len(faces[rows]), 3), np.int64)  # what is missing has no area, and is dropped later
            padded[: len(ears)] = ears
            faces[rows] = place[padded]
    return faces


def _inward(rings: Doubles) -> NDArray[np.int64]:
    """Corner of each quadrilateral that turns inward most: (p, 4, 3) -> (p,)."""
    edges = np.roll(rings, -1, axis=1) - rings
    turns = np.cross(np.roll(edges, 1, axis=1), edges)
    found: NDArray[np.int64] = np.einsum("pki,pi->pk", turns, turns.sum(axis=1)).argmin(axis=1)
    return found


def _concave(
    counts: NDArray[np.int64],
    starts: NDArray[np.int64],
    corners: NDArray[np.int64],
    vertices: Doubles,
    inside: NDArray[np.bool_],
) -> list[int]:
    """Numbers of the polygons of four corners or more that turn both ways."""
    found: list[int] = []
    for size in np.unique(counts[counts > 3]):
        if size > _MOST_CORNERS:
            continue
        which = np.flatnonzero(counts == size)
        place = starts[which][:, None] + np.arange(size)
        good = inside[place].all(axis=1)
        which, place = which[good], place[good]
        if not len(which):
            continue
        # In pieces, for a million quadrilaterals would take a gigabyte at once.
        for part in np.array_split(np.arange(len(which)), max(1, len(which) * int(size) // 400_000)):
            ring = vertices[corners[place[part]]]
            edges = np.roll(ring, -1, axis=1) - ring
            turns = np.cross(edges, np.roll(edges, -1, axis=1))
            normal = turns.sum(axis=1)
            along = np.einsum("pki,pi->pk", turns, normal)
            limit = 1e-9 * np.abs(along).max(axis=1, keepdims=True)
            found += which[part][(along < -limit).any(axis=1)].tolist()
    return sorted(found)


def _ears(ring: Doubles) -> NDArray[np.int64] | None:
    """Triangles of one polygon, by corner number: (t, 3); None where it has no plane."""
    import mapbox_earcut

    ring = ring - ring.mean(axis=0)
    # Newell's normal; the two axes across it are the plane.
    normal = np.cross(ring, np.roll(ring, -1, axis=0)).sum(axis=0)
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length == 0:
        return None
    normal /= length
    across = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    across /= np.linalg.norm(across)
    flat = np.column_stack([ring @ across, ring @ np.cross(normal, across)])
    cut = mapbox_earcut.triangulate_float64(flat, np.array([len(ring)], np.uint32)).astype(np.int64)
    ears: NDArray[np.int64] = cut.reshape(-1, 3)
    return ears
