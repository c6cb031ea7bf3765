"""Why something answers: a score taken apart into terms, each term's cosine into specialists, and item and caption.

Nothing is estimated: what is told adds up to the score (with the product of similarities, multiplies), because a vector
is a weighted sum of its specialists' vectors, and a query of its terms'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from omnibind_core.search.compose import OPERATORS, Options, Term, centre, check_terms
from omnibind_core.types import Bound, FloatArray

if TYPE_CHECKING:
    from omnibind_core.search.gallery import Gallery

__all__ = ["Explained", "TermPart", "explain"]

_ROUNDING = 1e-3  # what bfloat16 may leave over before parts count as not summing up


@dataclass(frozen=True)
class TermPart:
    """What one term did for an answer.

    Attributes
    ----------
    label : str
        The term's.
    weight : float
        As given, -1 to 1.
    cosine : float
        Of the term with the answer, -1 to 1.
    part : float
        Of the score: these sum to it, or multiply to it where :attr:`Explained.multiplies`.
    specialists : dict of str to float
        What each specialist brought to `cosine`, by name; they sum to it. Empty where that is not known: for a film,
        whose vector is a mean of several, and for a bare vector.
    """

    label: str
    weight: float
    cosine: float
    part: float
    specialists: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Explained:
    """Why an item answers.

    Attributes
    ----------
    id : str
        The item's.
    score : float
        What :meth:`omnibind_core.search.gallery.Gallery.search` gives it.
    multiplies : bool
        Whether the terms' parts multiply to the score instead of summing to it.
    terms : tuple of TermPart
    item, caption : float
        What the item itself and its caption bring to the score; they sum to it. `caption` is 0 where only the items
        are compared, and both are 0 where the parts multiply.
    """

    id: str
    score: float
    multiplies: bool
    terms: tuple[TermPart, ...]
    item: float = 0.0
    caption: float = 0.0


def explain(
    gallery: Gallery, item_id: str, terms: Sequence[Term], bounds: Sequence[Bound | None], options: Options
) -> Explained:
    """Take an answer's score apart.

    Parameters
    ----------
    gallery : Gallery
        What is searched.
    item_id : str
        The answer.
    terms : sequence of Term
        The query.
    bounds : sequence of Bound or None
        How each term was embedded, with what was weighed (``keep=True``); None where that is not known.
    options : Options
        The search's.

    Raises
    ------
    QueryError
        Terms that make no query, or no such item.
    """
    vectors, weights = check_terms(terms)
    modality = gallery.item(item_id).modality
    answer = gallery.row(item_id, options.match)
    alone = gallery.row(item_id, "media")
    means = [np.zeros_like(answer)] * len(terms)
    if options.centred:
        means = [gallery.mean(term.modality, options.match) for term in terms]
        vectors = np.vstack([centre(v[None], mean) for v, mean in zip(vectors, means, strict=True)])
        answer = centre(answer[None], gallery.mean(modality, options.match))[0]
    cosines = vectors @ answer
    operator, used = OPERATORS[options.operator], weights != 0
    score = float(operator.scores(vectors[used], weights[used], answer[None])[0])
    multiplies = len(operator.queries(vectors[used], weights[used])) > 1
    parts = np.ones(len(terms)) if multiplies else np.zeros(len(terms))
    item = 0.0
    if multiplies:
        parts[used] = _factors(cosines[used], weights[used])
    else:
        query = operator.queries(vectors[used], weights[used])[0]
        coefficients = np.linalg.lstsq(vectors[used].T.astype(float), query.astype(float), rcond=None)[0]
        parts[used] = coefficients * cosines[used]
        # An answer compared with its caption is unit(item + caption), whose length is twice its cosine with the item.
        item = (
            score if options.match == "media" or options.centred else float(query @ alone) / (2 * float(answer @ alone))
        )
    told = [
        TermPart(
            term.label,
            float(weight),
            float(cosine),
            float(part),
            {} if options.centred or bound is None else _specialists(bound, answer, float(cosine)),
        )
        for term, weight, cosine, part, bound in zip(terms, weights, cosines, parts, bounds, strict=True)
    ]
    return Explained(item_id, score, multiplies, tuple(told), item, 0.0 if multiplies else score - item)


def _factors(cosines: FloatArray, weights: FloatArray) -> FloatArray:
    similarity = np.clip((1 + np.sign(weights) * cosines) / 2, 1e-6, 1)
    factors: FloatArray = similarity ** (np.abs(weights) / np.abs(weights).sum())
    return factors


def _specialists(bound: Bound, answer: FloatArray, cosine: float) -> dict[str, float]:
    """Give what each specialist brings to a cosine; nothing where that does not sum to it."""
    if bound.projected is None:
        return {}
    weighed = bound.weights[0][:, None] * bound.projected[0]  # (members, D)
    shares = weighed @ answer / max(float(np.linalg.norm(weighed.sum(axis=0))), 1e-9)
    if abs(float(shares.sum()) - cosine) > _ROUNDING:
        return {}
    return {name: float(share) for name, share in zip(bound.members, shares, strict=True)}
