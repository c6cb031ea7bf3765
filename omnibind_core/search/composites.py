"""Several inputs of one modality in one: four pictures in a square, sounds after one another, shapes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import QueryError
from omnibind_core.media import resample
from omnibind_core.types import Audio, FloatArray, Image, Media, PointCloud

__all__ = ["SECONDS", "joined"]

SECONDS = 4.0
"""Of each sound, at most."""

_SIDE = 240  # pixels of each picture
_RATE = 22_050
_APART = 1.3  # of a shape's radius: its middle is so far from the middle of both


def joined(many: Sequence[Media]) -> Image | Audio | PointCloud:
    """Put inputs together.

    Parameters
    ----------
    many : sequence of Media
        Four pictures, two or more sounds, or two shapes.

    Returns
    -------
    Image, Audio or PointCloud
        Pictures left to right, then top to bottom, each cut to a square; sounds at most 4 s each and equally loud.

    Raises
    ------
    QueryError
        Another number, or inputs of several modalities.
    """
    pictures = [one for one in many if isinstance(one, Image)]
    sounds = [one for one in many if isinstance(one, Audio)]
    shapes = [one for one in many if isinstance(one, PointCloud)]
    if len(pictures) == len(many) == 4:
        tiles = [_tile(one) for one in pictures]
        return Image(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]))
    if len(sounds) == len(many) >= 2:
        return Audio(np.concatenate([_clip(one) for one in sounds]), _RATE)
    if len(shapes) == len(many) == 2:
        return _side_by_side(shapes)
    raise QueryError(f"{len(many)} inputs to put together", "four pictures, sounds, or two shapes", "choose others")


def _tile(picture: Image) -> NDArray[np.uint8]:
    from PIL import Image as Pillow
    from PIL import ImageOps

    return np.asarray(ImageOps.fit(Pillow.fromarray(picture.rgb), (_SIDE, _SIDE)))


def _clip(sound: Audio) -> FloatArray:
    samples = resample(sound, _RATE)[: int(SECONDS * _RATE)]
    loud = float(np.sqrt(np.square(samples).mean()))
    level: FloatArray = (0.1 * samples / max(loud, 1e-6)).clip(-1, 1).astype(np.float32)
    return level


def _side_by_side(shapes: Sequence[PointCloud]) -> PointCloud:
    moved = []
    for side, shape in zip((-_APART, _APART), shapes, strict=True):
        shift = np.array([side, 0, 0], np.float32)
        surfaces = tuple(replace(one, vertices=one.vertices + shift) for one in shape.surfaces)
        moved.append(replace(shape, xyz=shape.xyz + shift, surfaces=surfaces))
    xyz = np.vstack([one.xyz for one in moved])
    scale = np.float32(1 / float(np.linalg.norm(xyz, axis=1).max()))
    surfaces = tuple(replace(s, vertices=s.vertices * scale) for one in moved for s in one.surfaces)
    return PointCloud(xyz * scale, np.vstack([one.rgb for one in moved]), surfaces)
