"""Which way is up where a shape's form does not tell: a few of its sides are drawn, and the picture tower looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.media.upright import CLEAR, DIRECTIONS, chosen, turned
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import PointCloud

__all__ = ["EYES", "HEAD", "SIDE", "VIEWS", "decided", "drawn", "looked", "settled"]

EYES = "efficientnet_lite0"
"""The tower that looks; presets without it go by the form alone."""

HEAD = "mini/upright.safetensors"
"""What tells by its features whether a drawn shape stands, in the committed assets."""

VIEWS: tuple[float, ...] = (35.0, 125.0)
"""Azimuth of each view, degrees; two that are a quarter apart, as nobody knows where the front is."""

SIDE = 128
"""Pixels of a drawing's sides: the tower sees it as it is."""

_ELEVATION = 15.0
_LIKELY = 0.04  # share from which on a direction is looked at
_MOST = 3


def settled(cloud: PointCloud, towers: Mapping[str, Any]) -> PointCloud:
    """Turn a shape whose way up was guessed once more, where the guess is not clear and the views know better.

    Parameters
    ----------
    cloud : PointCloud
        With ``standing``; others come back as they are.
    towers : mapping of str to specialist
        Those that are loaded.

    Returns
    -------
    PointCloud
        Without ``standing``.
    """
    if not cloud.standing:
        return cloud
    return replace(turned(cloud, tuple(map(float, decided(cloud, towers)))), standing=())


def decided(cloud: PointCloud, towers: Mapping[str, Any]) -> NDArray[np.float64]:
    """Say how likely each direction of a shape's file is up, by its form and, where that is not clear, by its views.

    Parameters
    ----------
    cloud, towers
        As for :func:`settled`; ``standing`` is set.

    Returns
    -------
    ndarray, shape (6,), float64
        In the order of :data:`omnibind_core.media.upright.DIRECTIONS`.
    """
    shares = np.array(cloud.standing)
    if shares.max() < CLEAR and EYES in towers:
        likely = np.argsort(-shares)[:_MOST]
        likely = likely[shares[likely] >= _LIKELY]
        if len(likely) > 1:
            shares = looked(cloud, shares, [int(one) for one in likely], towers[EYES])
    return shares


def looked(cloud: PointCloud, shares: NDArray[np.float64], likely: list[int], eyes: Any) -> NDArray[np.float64]:
    """Share out among some directions anew what they have together.

    Parameters
    ----------
    cloud : PointCloud
        Turned as its ``standing`` says.
    shares : ndarray, shape (6,), float64
        Before the look.
    likely : list of int
        Which directions are drawn.
    eyes : EfficientNetLite
        The tower :data:`EYES`.
    """
    features = eyes.as_they_are(drawn(cloud, likely)).cpu().numpy()
    head = _head()
    scores = (features @ head["weight"]).reshape(len(likely), len(VIEWS)).mean(axis=1).astype(np.float64)
    fresh = shares.copy()
    fresh[likely] *= np.exp(scores - scores.max())
    fresh[likely] *= shares[likely].sum() / fresh[likely].sum()
    return fresh


def drawn(cloud: PointCloud, directions: Sequence[int], spins: Sequence[float] = ()) -> NDArray[np.uint8]:
    """Draw a shape standing on some of its sides.

    Parameters
    ----------
    cloud : PointCloud
        Turned as its ``standing`` says, or as its file has it where that is empty.
    directions : sequence of int
        Numbers of :data:`omnibind_core.media.upright.DIRECTIONS`.
    spins : sequence of float
        For each of them, degrees that are added to the azimuths of :data:`VIEWS`; empty for none.

    Returns
    -------
    ndarray, shape (directions times views, SIDE, SIDE, 3), uint8
    """
    # Importing numba takes a second: only who draws pays.
    from omnibind_core.media import raster

    before = chosen(cloud.standing) if cloud.standing else "y"
    scene, pictures = raster.prepare(cloud), []
    for direction, spin in zip(directions, spins or [0.0] * len(directions), strict=True):
        way = (TO_Y_UP[DIRECTIONS[direction]] @ TO_Y_UP[before].T).astype(np.float32)
        stands = replace(
            scene,
            xyz=np.ascontiguousarray(scene.xyz @ way.T),
            normals=np.ascontiguousarray(scene.normals @ way.T),
        )
        pictures += [raster.render_scene(stands, azimuth + spin, _ELEVATION, SIDE) for azimuth in VIEWS]
    return np.stack(pictures)


@cache
def _head() -> dict[str, NDArray[np.float32]]:
    head: dict[str, NDArray[np.float32]] = load_file(assets_directory() / HEAD)
    return head
