"""What a score means: how it compares with all of the gallery's, and whether anything is near at all.

Cosines of one pair of modalities are not those of another: a sound is never as near to a picture as to another sound.
So each pair has its own scale, read off the gallery itself, for any preset: its items are asked for one another, and
those whose best answer shows the same thing say how near "near" is. No nonsense is needed to set the threshold.

Cosines alone do not tell: noise is always nearer to something than to the rest. For `mini` there is one more number of
a query, its sense: along a direction of the shared space that was learned for each modality, from real things and from
nonsense of other kinds than those it is measured on (``tools/mini/sense.py``). Its threshold, too, is the gallery's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from omnibind_core.store.integrity import check_committed
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import FloatArray, Hit, Modality

__all__ = ["FALSE_ALARMS", "FEWEST", "NEAR_DUPLICATE", "SENSES", "SURE", "Scale", "directions", "scale"]

FALSE_ALARMS = 0.05  # of true matches may be called far
FEWEST = 20  # true matches that a threshold is read off; with fewer nothing is called far
NEAR_DUPLICATE = 0.995  # cosine; the same file decoded twice reaches 0.999, two takes of one object about 0.94
SURE = 0.998  # share of all pairs: nearer ones are never called far
SENSES: Mapping[str, str] = {"mini": "mini/sense.safetensors"}
"""By preset: what tells things from nonsense, in the committed assets; the others go by cosines alone."""

_PART = 1 / 2  # of that share of a gallery's items make too little sense
_MOST = 2000  # queries that a scale is read off
_PAIRS = 20_000_000  # cosines that are held at once: of larger galleries fewer queries serve


@dataclass(frozen=True, eq=False)
class Scale:
    """How near items of one modality are to queries of another.

    Attributes
    ----------
    cosines : ndarray, shape (n,), float32
        Of all pairs, in ascending order.
    least : tuple of (float, float, float) or None
        The cosine and the z-score that a best answer must reach to count as near, and the sense that its query must
        make: where the preset knows the sense, the z-score is not looked at. None where too few true matches are known.
    """

    cosines: FloatArray
    least: tuple[float, float, float] | None

    def share(self, cosine: float) -> float:
        """Give the share of all pairs that are not as near: 0..1."""
        return float(np.searchsorted(self.cosines, cosine, side="left") / max(1, len(self.cosines)))

    def reached(self, cosines: FloatArray, z: FloatArray, sense: FloatArray | None = None) -> NDArray[np.bool_]:
        """Say which best answers are as near as true matches are; among the nearest of all pairs they always are.

        Parameters
        ----------
        cosines, z : ndarray, shape (n,)
            Of the best answers: their cosines, and how far these stand out of their columns.
        sense : ndarray, shape (n,), optional
            Of the queries, see :func:`directions`; None where the preset does not know it.

        Returns
        -------
        ndarray, shape (n,), bool
        """
        if self.least is None:
            return np.ones(len(cosines), bool)
        place = np.searchsorted(self.cosines, cosines, side="left") / max(1, len(self.cosines))
        near = (cosines >= self.least[0]) & (z >= self.least[1])
        if sense is not None:
            near &= sense >= self.least[2]
        return np.asarray((place >= SURE) | near, bool)

    def is_near(self, best: Hit, sense: FloatArray | None = None) -> bool:
        """Say the same of one; `sense` has one number."""
        return bool(self.reached(np.array([best.terms[0]]), np.array([best.z]), sense)[0])


@cache
def directions(preset: str) -> Mapping[Modality, FloatArray]:
    """Give the directions that a preset's things differ from nonsense in; the inner product with one is the sense.

    Returns
    -------
    mapping of Modality to ndarray, shape (D,), float32
        Empty where the preset has none.

    Raises
    ------
    DamagedError
        The file is not what was committed.
    """
    from safetensors.numpy import load_file

    if preset not in SENSES or not (path := assets_directory() / SENSES[preset]).is_file():
        return {}  # of assets without it, as while mini is trained
    check_committed([path])
    found: Mapping[Modality, FloatArray] = load_file(path)
    return found


def scale(
    queries: FloatArray,
    candidates: FloatArray,
    asked: Sequence[str],
    there: Sequence[str],
    *,
    sense: FloatArray | None = None,
    same: bool = False,
) -> Scale:
    """Read a scale off a gallery.

    Parameters
    ----------
    queries : ndarray, shape (n, D), float32
        Unit rows; of more than 2,000, or than 20 million pairs, an even choice is taken.
    candidates : ndarray, shape (m, D), float32
        Unit rows.
    asked, there : sequence of str
        What the queries and the candidates show (their concepts), n and m words; empty where that is not known.
    sense : ndarray, shape (n,), optional
        Of the queries; None where the preset has none.
    same : bool
        Whether both are the same items, of which none answers itself.

    Returns
    -------
    Scale
    """
    most = max(1, min(_MOST, _PAIRS // max(1, len(candidates))))
    rows = np.arange(0, len(queries), max(1, -(-len(queries) // most)))
    cosines = queries[rows] @ candidates.T
    if same:
        cosines[np.arange(len(rows)), rows] = np.nan
    if cosines.shape[1] - same < 2:
        return Scale(np.sort(cosines[~np.isnan(cosines)]), None)
    mean, deviation = np.nanmean(cosines, axis=1), np.maximum(np.nanstd(cosines, axis=1), 1e-6)
    best = np.nanargmax(cosines, axis=1)
    right = np.array(
        [bool(asked[row]) and asked[row] == there[found] for row, found in zip(rows, best, strict=True)], bool
    )
    top = cosines[np.arange(len(rows)), best]
    z = (top - mean) / deviation
    known = None if sense is None else sense[rows]
    return Scale(np.sort(cosines[~np.isnan(cosines)]), _least(top, z, known, right))


def _least(
    cosines: FloatArray, z: FloatArray, sense: FloatArray | None, right: NDArray[np.bool_]
) -> tuple[float, float, float] | None:
    """Find the thresholds that together call `FALSE_ALARMS` of the right answers far; the sense's is all queries'."""
    count = int(right.sum())
    if count < FEWEST:
        return None
    least_sense = -np.inf if sense is None else float(np.quantile(sense, FALSE_ALARMS * _PART))
    cosines, z = cosines[right], z[right]
    senseless = np.zeros(count, bool) if sense is None else sense[right] < least_sense
    # With the sense fewer than that many of those that are known: it refuses nonsense, and right answers count more.
    allowed = FALSE_ALARMS if sense is None else float(np.floor(FALSE_ALARMS * (count + 1))) / count
    low, high = 0.0, allowed
    for _ in range(20):
        middle = (low + high) / 2
        far = senseless | (cosines < np.quantile(cosines, middle))
        if sense is None:
            far |= z < np.quantile(z, middle)
        low, high = (middle, high) if far.mean() < allowed else (low, middle)
    least_z = -np.inf if sense is not None else float(np.quantile(z, low))
    return float(np.quantile(cosines, low)), least_z, least_sense
