"""How well items are sorted into what belongs together: handfuls of the gallery's, by a fixed recipe.

Concepts are split in two halves by a hash of their names: measure, linkage and cut were chosen on one half, the figures
are those of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omnibind_core.evaluation.localising import Half, everywhere
from omnibind_core.evaluation.report import Section
from omnibind_core.search.compare import compare
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.catalogue import Item
from omnibind_core.types import MODALITIES, FloatArray

__all__ = ["Sorting", "comparing_section", "handfuls", "sorting"]

_COUNT = 200
_DRAWS = 2000
_PLAIN = 0.95  # the cut of 1 - cosine that was best on the other half


@dataclass(frozen=True)
class Sorting:
    """Adjusted Rand index over handfuls: 0 is chance, 1 is right.

    Attributes
    ----------
    way : str
        What was sorted by.
    n : int
        Handfuls.
    mean, low, high : float
        With its 95 % interval, by drawing handfuls again.
    exact : float
        Share of the handfuls that were sorted without a mistake.
    """

    way: str
    n: int
    mean: float
    low: float
    high: float
    exact: float


def handfuls(gallery: Gallery, half: Half, count: int = _COUNT, seed: int = 0) -> list[list[Item]]:
    """Draw two to five concepts of a half, and two to four items of each, no two of one modality.

    Concepts that the gallery does not have in every modality are left out.
    """
    by = everywhere(gallery, half)
    pool = list(by)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        chosen: list[Item] = []
        for concept in draw.choice(pool, int(draw.integers(2, 6)), replace=False):
            for modality in draw.choice(MODALITIES, int(draw.integers(2, 5)), replace=False):
                many = by[str(concept)][modality]
                chosen.append(many[int(draw.integers(len(many)))])
        found.append(chosen)
    return found


def sorting(gallery: Gallery, half: Half = "test") -> list[Sorting]:
    """Sort handfuls as :func:`omnibind_core.search.compare.compare` does, and by plain cosines beside it."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from sklearn.metrics import adjusted_rand_score

    ways: dict[str, list[float]] = {"shares, as the page does": [], "plain cosines": []}
    for items in handfuls(gallery, half):
        truth = [item.concept for item in items]
        vectors = np.stack([gallery.term(item.id).vector for item in items])
        made = compare(vectors, [item.modality for item in items], gallery.scale)
        distances = squareform(np.clip(1 - made.cosines, 0, None), checks=False)
        plain = fcluster(linkage(distances, "complete"), _PLAIN, "distance")
        for scores, groups in zip(ways.values(), (made.groups, plain), strict=True):
            scores.append(float(adjusted_rand_score(truth, groups)))
    return [_summed(way, np.array(scores, np.float32)) for way, scores in ways.items()]


def _summed(way: str, scores: FloatArray) -> Sorting:
    again = np.random.default_rng(0).choice(scores, (_DRAWS, len(scores))).mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return Sorting(way, len(scores), float(scores.mean()), float(low), float(high), float((scores > 1 - 1e-6).mean()))


def comparing_section(found: list[Sorting]) -> Section:
    """Lay the figures out, a row for each way."""
    return Section(
        "Which belong together",
        "Handfuls of two to five concepts, with two to four gallery items of each, no two of one modality, sorted "
        "into groups without being told how many. **Agreement** is the adjusted Rand index (0 is chance, 100 is "
        "right), **all right** the share of handfuls without a mistake. Concepts are split in halves; measure, linkage "
        "and cut were chosen on the other half, those of the plain cosines too. With 95 % intervals. "
        "`omnibind_core/evaluation/comparing.py` has the recipe.",
        ["sorted by", "n", "chance", "agreement", "all right"],
        [
            [one.way, one.n, "0", f"{100 * one.mean:.1f} ({100 * one.low:.1f}-{100 * one.high:.1f})",
             f"{100 * one.exact:.1f}"]
            for one in found
        ],
    )  # fmt: skip
