"""How often "nothing here is near" is right: refused nonsense, and true matches that are called far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.bench import same_name
from omnibind_core.evaluation.nonsense import nonsense
from omnibind_core.evaluation.report import Section
from omnibind_core.evaluation.retrieval import Figure, figure
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.nearness import Scale, scale
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = ["Abstention", "Mixes", "abstention", "abstention_section", "mixes", "outside", "strangers"]

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


@dataclass(frozen=True)
class Mixes:
    """Of sums of two, all modalities together.

    Attributes
    ----------
    refused : float
        Share of sums of two nonsense inputs that is told "nothing here is near", percent.
    alarms : float
        Share of right answers to sums of two gallery items that is told so, percent.
    n : int
        Number of those right answers. They share their items, so there is no interval.
    """

    refused: float
    alarms: float
    n: int


def strangers(model: OmniBind, n: int = 120, seed: int = TEST_SEED) -> dict[Modality, FloatArray]:
    """Embed inputs that show nothing: {modality: (n, D) float32 unit rows}."""
    return {m: np.vstack([model.embed(m, [one]).vectors for one in nonsense(m, n, seed)]) for m in MODALITIES}


def abstention(gallery: Gallery, strange: Mapping[Modality, FloatArray]) -> list[Abstention]:
    """Measure it for each pair of modalities.

    Parameters
    ----------
    gallery : Gallery
    strange : mapping of Modality to ndarray
        From :func:`strangers`, with the gallery's preset.
    """
    found = []
    for asked in MODALITIES:
        for among in MODALITIES:
            cosines = strange[asked] @ gallery.rows(among, "media+caption").T
            refused = ~_near(gallery.scale(asked, among), cosines, gallery.sense(asked, strange[asked]))
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
    sense = gallery.sense(asked, queries)
    alarms = []
    for side in (0, 1):
        shown = [name if mine == side else "" for name, mine in zip(names, half, strict=True)]
        other = scale(queries, candidates, shown, there, sense=sense, same=asked == among)
        these = right & (half != side)
        alarms.append(~_near(other, cosines[these], None if sense is None else sense[these]))
    return np.concatenate(alarms)


def outside(gallery: Gallery, things: Mapping[Modality, tuple[FloatArray, Sequence[str]]]) -> NDArray[np.bool_]:
    """Say which right answers to real things that are not the gallery's are called far, of all pairs together.

    Parameters
    ----------
    gallery : Gallery
    things : mapping of Modality to (ndarray of shape (n, D), sequence of n str)
        Unit rows, and what they show; a best answer that is called so is right.
    """
    far = []
    for asked, (vectors, names) in things.items():
        for among in MODALITIES:
            cosines = vectors @ gallery.rows(among, "media+caption").T
            best = cosines.argmax(axis=1)
            right = same_name(names, gallery.concepts(among))[np.arange(len(best)), best]
            far.append(~_near(gallery.scale(asked, among), cosines, gallery.sense(asked, vectors))[right])
    return np.concatenate(far)


def mixes(gallery: Gallery, strange: Mapping[Modality, FloatArray], n: int = 400, seed: int = TEST_SEED) -> Mixes:
    """Measure it for sums of two, where a column is far if each of the two alone finds nothing near there.

    Parameters
    ----------
    gallery : Gallery
    strange : mapping of Modality to ndarray
        From :func:`strangers`, with the gallery's preset.
    n : int
        Sums of gallery items, and of nonsense, for each pair of modalities and each column.
    seed : int
        Of what is drawn.
    """
    draw, alarms, refused = np.random.default_rng(seed), [], []
    for pair, among in product(combinations_with_replacement(MODALITIES, 2), MODALITIES):
        drawn = [(m, draw.integers(len(gallery.rows(m, "media")), size=n)) for m in pair]
        terms = [(m, gallery.rows(m, "media")[own]) for m, own in drawn]
        best = np.nanargmax(_cosines(gallery, terms[0][1] + terms[1][1], among, drawn), axis=1)
        shown = np.array(gallery.concepts(among))[best]
        right = np.any([np.array(gallery.concepts(m))[own] == shown for m, own in drawn], axis=0)
        alarms.append(_far(gallery, terms, among, drawn)[right])
        nothing = [(m, strange[m][draw.integers(len(strange[m]), size=n)]) for m in pair]
        refused.append(_far(gallery, nothing, among))
    told = np.concatenate(alarms)
    return Mixes(100 * float(np.concatenate(refused).mean()), 100 * float(told.mean()), len(told))


_Drawn = Sequence[tuple[Modality, NDArray[np.int64]]]


def _cosines(gallery: Gallery, queries: FloatArray, among: Modality, own: _Drawn) -> FloatArray:
    """Compare (n, D) with a column: (n, m), NaN where an item is part of the query."""
    found: FloatArray = queries @ gallery.rows(among, "media+caption").T
    for modality, which in own:
        if modality == among:
            found[np.arange(len(found)), which] = np.nan
    return found


def _far(
    gallery: Gallery, terms: Sequence[tuple[Modality, FloatArray]], among: Modality, own: _Drawn = ()
) -> NDArray[np.bool_]:
    """Say of n sums whether each of their terms alone finds nothing near: (n,)."""
    near = [
        _near(gallery.scale(m, among), _cosines(gallery, rows, among, own), gallery.sense(m, rows)) for m, rows in terms
    ]
    return np.asarray(~np.any(near, axis=0), bool)


def _near(measure: Scale, cosines: FloatArray, sense: FloatArray | None) -> NDArray[np.bool_]:
    """Say of each row of a query's cosines (n, m), with the sense that the query makes, whether its best is near."""
    if not len(cosines):
        return np.ones(0, bool)
    best = np.nanmax(cosines, axis=1)
    return measure.reached(best, (best - np.nanmean(cosines, axis=1)) / np.nanstd(cosines, axis=1), sense)


def abstention_section(found: list[Abstention], summed: Mixes, real: NDArray[np.bool_]) -> Section:
    """Lay the figures out, a row for each modality of queries; sums of two, and :func:`outside`, in a sentence each."""
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
        'A column says "nothing here is near" where the best answer\'s cosine is lower than those of nearly all true '
        "matches (gallery items whose best answer shows the same concept), or where the query itself looks like "
        "nonsense: along a direction of the space that was learned from real things and from nonsense, it lies "
        "lower than 39 of 40 gallery items. Both together call fewer than 1 of 20 true matches far; the nearest "
        "0.2 % of all pairs are never called far. Each cell: **refused nonsense** (noise, plain colours, tones, random "
        "points, random letters in eight scripts; percent, 95 % interval) **/ true matches called far** by thresholds "
        "read off the other half of the concepts (percent; their number). **No kind of this nonsense was learned "
        "from**: the direction knows stripes, spots, chords, sweeps, random triangles, syllables and the like "
        "(`tools/mini/strange.py`). Choices were made on other nonsense of the kinds measured here. The mean over "
        f"all pairs: {refused:.1f} % of nonsense refused, {alarms:.1f} % of true matches called far. Of "
        f"{len(real)} right answers to real things that neither the gallery nor the direction knows, "
        f"{100 * real.mean():.1f} % are called far. Noise is no nonsense to the ears: rain and wind are noise, so "
        "a sound of noise may find them near among sounds. A mix is far where each of its wanted terms alone is: "
        f"of sums of two nonsense inputs {summed.refused:.1f} % are refused, of the right answers to sums of two "
        f"gallery items (n {summed.n:,}; they show what one of the two shows) {summed.alarms:.1f} % are called "
        "far, by the same gallery's thresholds. Presets without such a direction go by the cosine and by how far "
        "it stands out of its column.",
        ["query", *(f"among {_TITLES[among]}s" for among in MODALITIES)],
        rows,
    )


def _alarm(one: Abstention) -> str:
    return f"{one.alarms.value:.1f} ({one.n})" if one.alarms else "-"
