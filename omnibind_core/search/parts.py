"""A shape's parts: things that stand apart, else its connected pieces, else clusters of its points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import FloatArray, PointCloud, Surface

__all__ = ["parts_of"]

_MOST = 6
_GAP = 0.04  # of a shape's radius: things that stand farther apart are two
_SAMPLE = 1_200  # points that gaps are looked for among
_FEWEST = 40  # points of a part that can be told what it is
_CLUSTERS = 4


def parts_of(cloud: PointCloud) -> tuple[PointCloud, ...]:
    """Cut a shape.

    Parameters
    ----------
    cloud : PointCloud
        With surfaces or without.

    Returns
    -------
    tuple of PointCloud
        At least one and at most six, each in the coordinates of the whole; together they are all of it.
    """
    labels = _things(cloud.xyz)
    if labels.max() == 0:
        labels = _clusters(cloud.xyz)
    found = []
    owners = [_owners(surface, cloud.xyz, labels) for surface in cloud.surfaces]
    for number in range(labels.max() + 1):
        mine = labels == number
        surfaces = tuple(
            _cut(surface, owner == number)
            for surface, owner in zip(cloud.surfaces, owners, strict=True)
            if (owner == number).any()
        )
        found.append(replace(cloud, xyz=cloud.xyz[mine], rgb=cloud.rgb[mine], surfaces=surfaces, notices=()))
    return tuple(found)


def _things(xyz: FloatArray) -> NDArray[np.int64]:
    """Label points by the thing they belong to: (n, 3) -> (n,); small fragments count to the nearest thing."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial import cKDTree

    chosen = np.linspace(0, len(xyz) - 1, min(len(xyz), _SAMPLE)).astype(int)
    points = xyz[chosen]
    # Points of one surface are as far apart as chance has them: the gap must be larger than that.
    spacing = float(np.quantile(cKDTree(points).query(points, k=2)[0][:, 1], 0.98))
    tree = linkage(points, "single")
    groups = fcluster(tree, max(_GAP, 2.5 * spacing), "distance")
    names, counts = np.unique(groups, return_counts=True)
    large = names[counts >= max(_FEWEST * len(points) / max(len(xyz), 1), 0.06 * len(points))]
    if len(large) < 2:
        return np.zeros(len(xyz), np.int64)
    large = large[np.argsort(-counts[np.isin(names, large)])][:_MOST]
    kept = np.isin(groups, large)
    nearest = cKDTree(points[kept]).query(xyz)[1]
    order = {name: i for i, name in enumerate(large)}
    labels: NDArray[np.int64] = np.array([order[name] for name in groups[kept]], np.int64)[nearest]
    return labels


def _clusters(xyz: FloatArray) -> NDArray[np.int64]:
    from scipy.cluster.vq import kmeans2

    if len(xyz) < _CLUSTERS * _FEWEST:
        return np.zeros(len(xyz), np.int64)
    _, labels = kmeans2(xyz.astype(np.float64), _CLUSTERS, minit="++", seed=0)
    names, labels = np.unique(labels, return_inverse=True)
    return np.asarray(labels if len(names) > 1 else np.zeros(len(xyz)), np.int64)


def _owners(surface: Surface, xyz: FloatArray, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Say which part each face belongs to: that of the point nearest to its middle."""
    from scipy.spatial import cKDTree

    middles = surface.vertices[surface.faces].mean(axis=1)
    return np.asarray(labels[cKDTree(xyz).query(middles)[1]], np.int64)


def _cut(surface: Surface, chosen: NDArray[np.bool_]) -> Surface:
    used, faces = np.unique(surface.faces[chosen], return_inverse=True)
    return replace(
        surface,
        vertices=surface.vertices[used],
        faces=faces.reshape(-1, 3).astype(np.int32),
        rgb=surface.rgb[used],
        uv=None if surface.uv is None else surface.uv[used],
    )
