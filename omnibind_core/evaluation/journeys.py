"""How good walks from one thing to another are: whether the ends are right, and whether both are there halfway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnibind_core.evaluation.localising import Half, everywhere
from omnibind_core.evaluation.report import Section
from omnibind_core.search.compose import Options
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.journey import journey
from omnibind_core.store.catalogue import Item
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Walks", "journeys", "journeys_section", "pairs"]

_COUNT = 300
_DRAWS = 2000
_SEEN = 6  # answers that are looked at, as on the page
_WAYS = {"as the page walks": Options(k=_SEEN), "with each modality centred": Options(k=_SEEN, centred=True)}


@dataclass(frozen=True)
class Walks:
    """Figures of one way of walking.

    Attributes
    ----------
    way : str
    n : int
        Walks.
    ends : tuple of float
        Share of the walks with the right thing among the first six answers at both ends, and its 95 % interval.
    halfway : tuple of float
        Share with things of both ends among the first six answers halfway, and its 95 % interval.
    chance : float
        Of the latter, for six answers drawn by lot.
    met : float
        Different best answers on a walk of nine stops, on average.
    """

    way: str
    n: int
    ends: tuple[float, float, float]
    halfway: tuple[float, float, float]
    chance: float
    met: float


def pairs(gallery: Gallery, half: Half, count: int = _COUNT, seed: int = 0) -> list[tuple[Item, Item, Modality]]:
    """Draw two items of different concepts and modalities, and a third modality to look in, in which both are there."""
    by = everywhere(gallery, half)
    pool = list(by)
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        a, b = (by[str(one)] for one in draw.choice(pool, 2, replace=False))
        first, second, seen = (MODALITIES[i] for i in draw.permutation(len(MODALITIES))[:3])
        chosen = [many[int(draw.integers(len(many)))] for many in (a[first], b[second])]
        found.append((chosen[0], chosen[1], seen))
    return found


def journeys(gallery: Gallery, half: Half = "test") -> list[Walks]:
    """Walk between pairs, in each of the ways that are compared."""
    drawn = pairs(gallery, half)
    chance = float(np.mean([_by_lot(gallery, a, b, seen) for a, b, seen in drawn]))
    found = []
    for way, options in _WAYS.items():
        ends, halfway, met = [], [], []
        for a, b, seen in drawn:
            terms = gallery.term(a.id), gallery.term(b.id)
            stops = [stop.hits[seen] for stop in journey(gallery, *terms, options, exclude=[a.id, b.id])]
            shown = [{hit.details["concept"] for hit in hits} for hits in stops]
            ends.append(a.concept in shown[0] and b.concept in shown[-1])
            halfway.append({a.concept, b.concept} <= shown[len(shown) // 2])
            met.append(len({hits[0].id for hits in stops}))
        shares = [_share(np.array(one)) for one in (ends, halfway)]
        found.append(Walks(way, len(drawn), shares[0], shares[1], chance, float(np.mean(met))))
    return found


def _by_lot(gallery: Gallery, a: Item, b: Item, seen: Modality) -> float:
    """Give the probability that six items of a modality, drawn by lot, show both concepts."""
    from scipy.special import comb

    names = gallery.concepts(seen)
    n, of_a, of_b = len(names), names.count(a.concept), names.count(b.concept)
    none_of = [float(comb(n - many, _SEEN) / comb(n, _SEEN)) for many in (of_a, of_b, of_a + of_b)]
    return 1 - none_of[0] - none_of[1] + none_of[2]


def _share(right: NDArray[np.bool_]) -> tuple[float, float, float]:
    again = np.random.default_rng(0).choice(right, (_DRAWS, len(right))).mean(axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return float(right.mean()), float(low), float(high)


def journeys_section(found: Sequence[Walks]) -> Section:
    """Lay the figures out, a row for each way."""
    return Section(
        "Walks from one thing to another",
        "From a gallery item to one of another concept and modality, in nine stops along the sphere, looking at the "
        "first six answers in a third modality. **Both ends**: the right thing is there at the start and at the end. "
        "**Halfway**: things of both are there at once; chance is for six answers drawn by lot. **Met**: different "
        "best answers on the way. Concepts of the held-out half, with 95 % intervals. "
        "`omnibind_core/evaluation/journeys.py` has the recipe.",
        ["walked", "n", "both ends", "halfway", "chance", "met"],
        [
            [one.way, one.n, _spelt(one.ends), _spelt(one.halfway), f"{100 * one.chance:.1f}", f"{one.met:.1f}"]
            for one in found
        ],
    )


def _spelt(share: tuple[float, float, float]) -> str:
    middle, low, high = (100 * one for one in share)
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
