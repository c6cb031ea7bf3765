"""Answering signed queries in every setting: operators, centring and captions, and single terms beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from omnibind_core.binder import OmniBind
from omnibind_core.errors import GalleryError
from omnibind_core.evaluation.compositions import GROUPS, Composition, QueryTerm, read_compositions
from omnibind_core.evaluation.retrieval import Figure, figure
from omnibind_core.search.compose import DEFAULT_OPERATOR, MATCHES, MAX_HITS, OPERATORS, Match, Term
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import FloatArray

__all__ = [
    "Decision",
    "Measured",
    "Setting",
    "SettingResult",
    "decide",
    "evaluate_compositions",
    "measure_compositions",
    "winner",
]

HITS: Final = 10  # hit@10: a page shows about that many answers of each kind

EmbedTexts = Callable[[Sequence[str]], FloatArray]


@dataclass(frozen=True)
class Setting:
    """A way to answer.

    Attributes
    ----------
    way : str
        An operator's name, or one of the baselines "first term", "best single term", "words only", "chance".
    centred : bool
    match : {"media", "media+caption"}
    """

    way: str
    centred: bool = False
    match: Match = "media"


@dataclass(frozen=True)
class SettingResult:
    """What one setting gave for one group of queries.

    Attributes
    ----------
    setting : Setting
    group : str
        A key of `GROUPS`.
    n : int
        Queries of the group that the setting can answer.
    mrr, hit, mean : Figure
        Mean reciprocal rank of the best right answer, share of queries with one among the first ten, and the mean
        of both: percent, with 95 % bootstrap intervals over queries.
    """

    setting: Setting
    group: str
    n: int
    mrr: Figure
    hit: Figure
    mean: Figure


@dataclass(frozen=True, eq=False)
class Measured:
    """What every query got in every setting.

    Attributes
    ----------
    queries : tuple of Composition
    scores : mapping of Setting to ndarray, shape (queries, 2), float64
        Reciprocal rank and hit@10, 0..1, averaged over the query's targets; NaN where the setting does not apply.
    """

    queries: tuple[Composition, ...]
    scores: Mapping[Setting, NDArray[np.float64]]

    def outcomes(self) -> list[SettingResult]:
        """Average over each group, in the order of settings and `GROUPS`."""
        found = []
        for setting, scores in self.scores.items():
            for group, belongs in GROUPS.items():
                chosen = np.array([belongs(q) for q in self.queries]) & ~np.isnan(scores[:, 0])
                if chosen.any():
                    rows = scores[chosen]
                    figures = figure(rows[:, 0]), figure(rows[:, 1]), figure(rows.mean(1))
                    found.append(SettingResult(setting, group, len(rows), *figures))
        return found


def measure_compositions(
    gallery: Gallery, embed_texts: EmbedTexts, queries: Iterable[Composition] | None = None
) -> Measured:
    """Answer every query in every setting, as the product does: what is asked with never comes back.

    Parameters
    ----------
    gallery : Gallery
        With the vectors of a preset.
    embed_texts : callable
        That preset's: sentences -> (n, D) unit rows.
    queries : iterable of Composition, optional
        None takes the committed ones.

    Returns
    -------
    Measured
        Ranks beyond 200 count as 0. Single terms and words alone hide all inputs of the query too, so that they
        choose among the same answers.

    Raises
    ------
    GalleryError
        A query names an item that this gallery does not have.
    """
    asked = tuple(read_compositions() if queries is None else queries)
    known = {item.id for item in gallery.items}
    for query in asked:
        unknown = [name for name in (*query.gold, *(t.item for t in query.terms if t.item)) if name not in known]
        if unknown:
            raise GalleryError(
                f"{', '.join(unknown)} in query '{query.id}'", "items of the catalogue", "mend the query"
            )
    words = sorted({t.text for q in asked for t in q.terms if t.text})
    vectors = dict(zip(words, embed_texts(words), strict=True)) if words else {}

    def term(one: QueryTerm) -> Term:
        return replace(gallery.term(one.item), weight=one.weight) if one.item else Term(vectors[one.text], one.weight)

    made = [[term(one) for one in query.terms] for query in asked]
    scores: dict[Setting, NDArray[np.float64]] = {
        Setting("chance"): np.array([_chance(gallery, query) for query in asked])
    }
    for match in MATCHES:
        for centred in (False, True):

            def judge(query: Composition, terms: Sequence[Term], operator: str = DEFAULT_OPERATOR) -> list[float]:
                return _judge(gallery, query, terms, operator, centred, match)  # noqa: B023  # used in this turn only

            pairs = list(zip(asked, made, strict=True))
            alone = [[judge(q, [t]) for t in terms if t.weight > 0] for q, terms in pairs]
            rows: dict[str, list[Any]] = {"first term": [judge(q, terms[:1]) for q, terms in pairs]}
            rows["best single term"] = [max(each, key=sum) for each in alone]
            rows["words only"] = [judge(q, _words(q, terms)) for q, terms in pairs]
            rows |= {name: [judge(q, terms, name) for q, terms in pairs] for name in OPERATORS}
            scores |= {Setting(way, centred, match): np.array(found) for way, found in rows.items()}
    return Measured(asked, scores)


def _words(query: Composition, terms: Sequence[Term]) -> list[Term]:
    """Terms that are words; none where no word is positive."""
    return [t for t, one in zip(terms, query.terms, strict=True) if not one.item] if GROUPS["with words"](query) else []


def _judge(
    gallery: Gallery, query: Composition, terms: Sequence[Term], operator: str, centred: bool, match: Match
) -> list[float]:
    if not terms or (operator == "slerp" and (len(terms) != 2 or any(t.weight <= 0 for t in terms))):
        return [np.nan, np.nan]
    inputs = {one.item for one in query.terms if one.item}
    hits = gallery.search(
        terms, MAX_HITS, modalities=query.targets, operator=operator, match=match, centred=centred, exclude=inputs
    )
    ranks = [
        next((rank for rank, hit in enumerate(found, 1) if hit.id in query.gold), np.inf) for found in hits.values()
    ]
    return [float(np.mean([1 / rank for rank in ranks])), float(np.mean([rank <= HITS for rank in ranks]))]


def _chance(gallery: Gallery, query: Composition) -> list[float]:
    """Compute what a shuffled gallery gives on average: reciprocal rank and hit@10."""
    inputs = {one.item for one in query.terms}
    found = []
    for target in query.targets:
        rest = sum(item.modality == target and item.id not in inputs for item in gallery.items)
        right = sum(answer.startswith(f"{target}/") for answer in query.gold)
        ranks = np.arange(1, rest + 1)
        # Of the answers that are still unseen, which all before it left wrong, the next one is right.
        here = np.minimum(right / np.maximum(rest - ranks + 1, 1), 1)
        first = here * np.concatenate([[1.0], np.cumprod(1 - here)[:-1]])
        found.append((float((first / ranks).sum()), float(first[:HITS].sum())))
    return [float(x) for x in np.mean(found, axis=0)]


def evaluate_compositions(model: OmniBind, gallery: Gallery | None = None) -> Measured:
    """Measure a preset on its committed gallery; raises GalleryError where it has no vectors of it."""
    return measure_compositions(gallery or Gallery.load(model), model.embed_texts)


@dataclass(frozen=True)
class Decision:
    """Which setting should be the default, and why.

    Attributes
    ----------
    chosen : Setting
        The simplest that the best does not beat by more than chance.
    best : Setting
        Highest mean of MRR and hit@10.
    lead : Figure
        By how much the best leads over the chosen: percentage points, with the 95 % interval of the paired difference.
    """

    chosen: Setting
    best: Setting
    lead: Figure


def decide(measured: Measured) -> Decision:
    """Choose among the settings that can answer every query, by the mean of MRR and hit@10 over all of them.

    The best wins only by more than chance. Otherwise the first takes its place from which it does not differ beyond
    the 95 % interval of the paired difference, in the order of simplicity: sum before projection before product,
    plain before centred, with captions (which the page has always used) before without.
    """
    every = {
        setting: scores.mean(1)
        for setting, scores in measured.scores.items()
        if setting.way in OPERATORS and not np.isnan(scores).any()
    }
    simple = ["sum", "projection", "product"]

    def effort(setting: Setting) -> tuple[int, bool, bool]:
        place = simple.index(setting.way) if setting.way in simple else len(simple)
        return place, setting.centred, setting.match != "media+caption"

    best = max(every, key=lambda setting: float(every[setting].mean()))
    leads = {setting: figure(every[best] - every[setting]) for setting in sorted(every, key=effort)}
    chosen = next(setting for setting, lead in leads.items() if lead.low <= 0)
    return Decision(chosen, best, leads[chosen])


def winner(measured: Measured) -> Setting:
    """Give the setting that should be the default: :func:`decide` says by which rule."""
    return decide(measured).chosen
