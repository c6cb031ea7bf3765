"""Where a query is: its place in a picture, its seconds in a sound, its part of a shape.

The paper shows this in figures without saying how. Here nothing is trained: overlapping pieces are embedded as if each
were an input of its own, and a place is as near to the query as the pieces that cover it are on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from omnibind_core.errors import QueryError
from omnibind_core.search.compose import centre, check_vector
from omnibind_core.search.parts import parts_of
from omnibind_core.types import Audio, FloatArray, Image, Media, Modality, PointCloud

__all__ = ["Located", "Pieces", "localise", "piece_at", "pieces"]

_SHARES = (0.5, 0.34)  # of a picture's sides: how large its windows are
_STEPS = 5  # windows along each side
_HEAT = 4.0  # times as much as its own nearness counts how much hotter a window is than what lies around it
_FEWEST_PIXELS = 32
_GRID = 48  # places along the longer side at which heat is told
_NEAR = (
    0.1  # of 280 true places in pictures nine of ten were nearer; of 280 queries for what was not there three of ten
)
_SECONDS, _STEP = 2.0, 0.5  # of a sound's windows
_MOST_WINDOWS = 60  # of a sound: longer ones are looked at in larger steps
_FAINT = 10 ** (-40 / 20)  # of the loudest window; fainter ones are silence


@dataclass(frozen=True, eq=False)
class Located:
    """Where a query is in an input.

    Attributes
    ----------
    modality : {"image", "audio", "point"}
        What was looked into.
    heat : ndarray, float32
        How near each place is: centred cosines, -1..1. Of a picture (rows, columns), a coarse grid over it; of a sound
        (n,), one for each half second or so; of a shape (parts,).
    best : tuple of float
        The nearest piece. Of a picture left, top, right, bottom, as shares of its sides; of a sound its first and last
        second; of a shape the number of the part.
    score : float
        Centred cosine of that piece.
    edges : ndarray, float32
        Of a sound: the seconds between which `heat` is told, (n + 1,); else empty.
    parts : tuple of PointCloud
        Of a shape: its parts, in the coordinates of the whole.
    """

    modality: Modality
    heat: FloatArray
    best: tuple[float, ...]
    score: float
    edges: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    parts: tuple[PointCloud, ...] = ()

    @property
    def near(self) -> bool:
        """Whether anything there is near; where not, what is looked for is probably not in it."""
        return self.score >= _NEAR


@dataclass(frozen=True, eq=False)
class Pieces:
    """What an input is cut into.

    Attributes
    ----------
    modality : {"image", "audio", "point"}
        Of the input and of its pieces.
    media : list of Media
        Each to be embedded as an input of its own.
    bounds : list of tuple of float
        Where each lies: as :attr:`Located.best`.
    parts : tuple of PointCloud
        Of a shape: the pieces where they lie in the whole; those in `media` are of the size of a whole one.
    """

    modality: Modality
    media: Sequence[Media]
    bounds: list[tuple[float, ...]]
    parts: tuple[PointCloud, ...] = ()


def pieces(media: Media) -> Pieces:
    """Cut an input into what is embedded; raises QueryError for a sentence."""
    if isinstance(media, Image):
        return _windows(media)
    if isinstance(media, Audio):
        return _spans(media)
    if isinstance(media, PointCloud):
        found = parts_of(media)
        return Pieces("point", [_alone(one) for one in found], [(float(i),) for i in range(len(found))], found)
    raise QueryError(
        "a sentence to look into", "a picture, a sound or a shape", "look for the sentence in one of these"
    )


def piece_at(cut: Pieces, at: Sequence[float]) -> int:
    """Choose the piece that shows one place best: the smallest one around it whose middle is nearest.

    Parameters
    ----------
    cut : Pieces
        From :func:`pieces`.
    at : sequence of float
        Of a picture x and y, as shares of its sides, 0..1; of a sound a second; of a shape the number of a part.
        Outside of all pieces, as in a silence, the nearest one is taken. A piece's own bounds mean that piece.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    QueryError
        Other numbers than these.
    """
    if tuple(at) in cut.bounds:
        return cut.bounds.index(tuple(at))
    axes = 2 if cut.modality == "image" else 1
    if len(at) != axes or not all(np.isfinite(at)):
        raise QueryError(f"a place of {len(at)} numbers", f"{axes}, finite", "click into the picture or the sound")
    if cut.modality == "point":
        return int(np.clip(round(at[0]), 0, len(cut.bounds) - 1))
    bounds = np.array(cut.bounds, float)
    first, last = bounds[:, :axes], bounds[:, axes:]
    place = np.clip(np.asarray(at, float), first.min(axis=0), last.max(axis=0))
    outside = np.maximum(0, np.maximum(first - place, place - last)).sum(axis=1)
    size = np.prod(last - first, axis=1).round(3)
    middle = np.linalg.norm((first + last) / 2 - place, axis=1)
    return int(np.lexsort((middle, size, outside.round(6)))[0])


def localise(
    query: FloatArray, media: Media, cut: Pieces, rows: FloatArray, *, query_mean: FloatArray, mean: FloatArray
) -> Located:
    """Find a query in an input.

    Parameters
    ----------
    query : ndarray, shape (D,), float32
        Unit vector.
    media : Image, Audio or PointCloud
        What is looked into.
    cut : Pieces
        From :func:`pieces`.
    rows : ndarray, shape (pieces, D), float32
        Unit vectors of the pieces.
    query_mean, mean : ndarray, shape (D,), float32
        The mean vector of many inputs of the query's modality, and of the input's: what all of them share says nothing
        about a place, and is taken away.

    Returns
    -------
    Located

    Raises
    ------
    QueryError
        A vector of another length.
    """
    query = check_vector(query, rows.shape[1])
    near = centre(rows, mean) @ centre(query[None], query_mean)[0]
    best = int(np.argmax(near))
    if isinstance(media, Image):
        heat = _over_picture(near, cut.bounds, media)
        best = _best_window(heat, near, cut.bounds)
        return Located(cut.modality, heat, cut.bounds[best], float(near[best]))
    if isinstance(media, Audio):
        heat, edges = _over_time(near, cut.bounds)
        return Located(cut.modality, heat, cut.bounds[best], float(near[best]), edges)
    return Located(cut.modality, near.astype(np.float32), cut.bounds[best], float(near[best]), parts=cut.parts)


def _alone(part: PointCloud) -> PointCloud:
    """Bring a part to where shapes of their own are: centred, within the unit sphere."""
    middle = part.xyz.mean(axis=0)
    scale = 1 / max(float(np.linalg.norm(part.xyz - middle, axis=1).max()), 1e-6)
    surfaces = tuple(replace(one, vertices=(one.vertices - middle) * scale) for one in part.surfaces)
    return replace(part, xyz=(part.xyz - middle) * scale, surfaces=surfaces)


def _windows(picture: Image) -> Pieces:
    height, width, _ = picture.rgb.shape
    windows: list[Media] = []
    bounds: list[tuple[float, ...]] = []
    for share in _SHARES:
        for top in np.linspace(0, 1 - share, _STEPS):
            for left in np.linspace(0, 1 - share, _STEPS):
                y, x = round(top * height), round(left * width)
                tall, wide = (max(round(share * side), min(side, _FEWEST_PIXELS)) for side in (height, width))
                y, x = min(y, height - tall), min(x, width - wide)
                windows.append(Image(np.ascontiguousarray(picture.rgb[y : y + tall, x : x + wide])))
                bounds.append((x / width, y / height, (x + wide) / width, (y + tall) / height))
    return Pieces("image", windows, bounds)


def _over_picture(near: FloatArray, bounds: Sequence[tuple[float, ...]], picture: Image) -> FloatArray:
    """Average the windows that cover each place of a grid: (rows, columns)."""
    height, width, _ = picture.rgb.shape
    rows, columns = (max(4, round(_GRID * side / max(height, width))) for side in (height, width))
    total, count = np.zeros((rows, columns)), np.zeros((rows, columns))
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    for value, (left, top, right, bottom) in zip(near, bounds, strict=True):
        inside = np.outer((y >= top) & (y <= bottom), (x >= left) & (x <= right))
        total += value * inside
        count += inside
    heat: FloatArray = (total / np.maximum(count, 1)).astype(np.float32)
    return heat


def _best_window(heat: FloatArray, near: FloatArray, bounds: Sequence[tuple[float, ...]]) -> int:
    """Take the window that is nearest itself and is hotter inside than the picture is around it."""
    y, x = ((np.arange(count) + 0.5) / count for count in heat.shape)
    scores = []
    for value, (left, top, right, bottom) in zip(near, bounds, strict=True):
        inside = np.outer((y >= top) & (y <= bottom), (x >= left) & (x <= right))
        around = float(heat[~inside].mean()) if not inside.all() else 0.0
        scores.append(float(value) + _HEAT * (float(heat[inside].mean()) - around) if inside.any() else -np.inf)
    return int(np.argmax(scores))


def _spans(sound: Audio) -> Pieces:
    seconds = sound.seconds
    length = min(_SECONDS, seconds)
    step = max(_STEP, (seconds - length) / _MOST_WINDOWS)
    starts = np.linspace(0, seconds - length, max(1, round((seconds - length) / step) + 1))
    levels, spans = [], []
    for start in starts:
        first = round(start * sound.rate)
        samples = sound.samples[first : first + round(length * sound.rate)]
        spans.append((float(start), float(start + length), samples))
        levels.append(float(np.sqrt(np.square(samples).mean())))
    heard = [one for one, level in zip(spans, levels, strict=True) if level >= _FAINT * max(levels)]
    return Pieces("audio", [Audio(s, sound.rate) for _, _, s in heard], [(first, last) for first, last, _ in heard])


def _over_time(near: FloatArray, bounds: Sequence[tuple[float, ...]]) -> tuple[FloatArray, FloatArray]:
    """Average the windows that cover each moment; where none does, it is silent and as far as the farthest."""
    end = max(last for _, last in bounds)
    edges = np.linspace(0, end, max(2, round(end / 0.25) + 1))
    middle = (edges[:-1] + edges[1:]) / 2
    inside = np.array([(middle >= first) & (middle <= last) for first, last in bounds])
    count = inside.sum(axis=0)
    heat = np.where(count > 0, (near[:, None] * inside).sum(axis=0) / np.maximum(count, 1), near.min())
    return heat.astype(np.float32), edges.astype(np.float32)
