"""How often "nothing here is near" is right: refused nonsense, and true matches that are called far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.nonsense import nonsense
from omnibind_core.evaluation.report import Section
from omnibind_core.evaluation.retrieval import Figure, figure
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.nearness import Scale, scale
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = ["Abstention", "abstention", "abstention_section"]

TEST_SEED = 2  # seed 1 is what the rule was chosen on
_TITLES: Mapping[Modality, str] = {"image": "picture", "audio": "sound", "point": "shape", "text": "sentence"}


@dataclass(frozen=True)
class Abstention:
    """Of one pair of modalities.

    Attributes
    ----------
    asked, among : Modality
        Of the queries, and of what is searched.
    refused : Figure
        Share of nonsense that is told "nothing here is near", percent.
    alarms : Figure or None
        Share of true matches that are told so, by thresholds of concepts that are not theirs; None without any.
    n : int
        Number of those true matches.
    """

    asked: Modality
    among: Modality
    refused: Figure
    alarms: Figure | None
    n: int


def abstention(model: OmniBind, gallery: Gallery, n: int = 120, seed: int = TEST_SEED) -> list[Abstention]:
    """Measure it for each pair of modalities.

    Parameters
    ----------
    model : OmniBind
    gallery : Gallery
        Of the model's preset.
    n : int
        Inputs that show nothing, of each modality.
    seed : int
        Of these inputs.
    """
    found = []
    for asked in MODALITIES:
        strange = np.vstack([model.embed(asked, [one]).vectors for one in nonsense(asked, n, seed)])
        for among in MODALITIES:
            refused = ~_near(gallery.scale(asked, among), strange @ gallery.rows(among, "media+caption").T)
            alarms = _alarms(gallery, asked, among)
            found.append(
                Abstention(asked, among, figure(refused), figure(alarms) if len(alarms) else None, len(alarms))
            )
    return found


def _alarms(gallery: Gallery, asked: Modality, among: Modality) -> NDArray[np.bool_]:
    """Judge the true matches of either half of the concepts by the other half's scale."""
    queries, candidates = gallery.rows(asked, "media"), gallery.rows(among, "media+caption")
    names, there = gallery.concepts(asked), gallery.concepts(among)
    half = np.array([sha256(name.encode()).digest()[0] % 2 for name in names])
    cosines = queries @ candidates.T
    if asked == among:
        np.fill_diagonal(cosines, np.nan)
    right = np.array([names[i] == there[j] for i, j in enumerate(np.nanargmax(cosines, axis=1))])
    alarms = []
    for side in (0, 1):
        shown = [name if mine == side else "" for name, mine in zip(names, half, strict=True)]
        other = scale(queries, candidates, shown, there, same=asked == among)
        alarms.append(~_near(other, cosines[right & (half != side)]))
    return np.concatenate(alarms)


def _near(measure: Scale, cosines: FloatArray) -> NDArray[np.bool_]:
    """Say of each row of a query's cosines whether its best is near: (n, m) -> (n,)."""
    if not len(cosines):
        return np.ones(0, bool)
    best = np.nanmax(cosines, axis=1)
    return measure.reached(best, (best - np.nanmean(cosines, axis=1)) / np.nanstd(cosines, axis=1))


def abstention_section(found: list[Abstention]) -> Section:
    """Lay the figures out, a row for each modality of queries."""
    of = {(one.asked, one.among): one for one in found}
    refused = np.mean([one.refused.value for one in found])
    told = [one for one in found if one.alarms is not None]
    alarms = np.average([one.alarms.value for one in told if one.alarms], weights=[one.n for one in told])
    rows = [
        [_TITLES[asked], *(f"{of[asked, among].refused} / {_alarm(of[asked, among])}" for among in MODALITIES)]
        for asked in MODALITIES
    ]
    return Section(
        "When nothing is near",
        'A column says "nothing here is near" where the best answer\'s cosine, or how far it stands out of its '
        "column, is lower than with 19 of 20 true matches: gallery items whose best answer shows the same concept; "
        "the nearest 0.2 % of all pairs are never called far. "
        "Each cell: **refused nonsense** (noise, plain colours, tones, random points, random letters in eight scripts; "
        "percent, 95 % interval) **/ true matches called far** by thresholds read off the other half of the concepts "
        "(percent; their number). Noise is no nonsense to the ears: rain and wind are noise, so sounds are refused "
        f"least. The mean over all pairs: {refused:.1f} % of nonsense refused, {alarms:.1f} % of true matches called "
        "far.",
        ["query", *(f"among {_TITLES[among]}s" for among in MODALITIES)],
        rows,
    )


def _alarm(one: Abstention) -> str:
    return f"{one.alarms.value:.1f} ({one.n})" if one.alarms else "-"
