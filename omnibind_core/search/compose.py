"""Signed terms -> query. Operators are a registry: a new one is a class here and a line in `OPERATORS`.

What is known (and why there is a choice): the sum of unit vectors is the textbook's operator, the product of
similarities beat it on instance-level composed retrieval (i-CIR, mAP 17.5 against 8.2), and removing a direction is
the textbook's way to subtract. Which serves this gallery best is a matter of measurement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, get_args

import numpy as np

from omnibind_core.errors import QueryError
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = [
    "DEFAULT_CENTRED",
    "DEFAULT_MATCH",
    "DEFAULT_OPERATOR",
    "MATCHES",
    "MAX_HITS",
    "OPERATORS",
    "Match",
    "Operator",
    "Options",
    "Term",
    "centre",
    "check_request",
    "check_terms",
    "check_vector",
    "unit_rows",
]

Match: TypeAlias = Literal["media", "media+caption"]
MATCHES: tuple[Match, ...] = get_args(Match)

# What the application, the command line and the API do where nothing else is asked for; nowhere else is it written.
# `python -m omnibind_core.evaluation.composing_page` measures the choice.
DEFAULT_OPERATOR: Final = "sum"
DEFAULT_CENTRED: Final[bool] = False
DEFAULT_MATCH: Final[Match] = "media+caption"

MAX_HITS = 200  # answers for each modality
_TINY = 1e-6


@dataclass(frozen=True)
class Options:
    """What was chosen about a search.

    Attributes
    ----------
    operator : str
        Key of :data:`OPERATORS`.
    match : {"media", "media+caption"}
        What the query is compared with: the item itself, or the mean of the item and its caption.
    k : int
        Answers for each modality.
    centred : bool
        Whether each modality's mean is subtracted first.
    kinds : tuple of Modality
        Where to look; empty for everywhere.
    licences, concepts : tuple of str
        Only items under one of these licences, that show one of these concepts; empty for all.
    collections : tuple of str
        Only items that one of these collections has, where several are searched together; empty for all.
    """

    operator: str = DEFAULT_OPERATOR
    match: Match = DEFAULT_MATCH
    k: int = 6
    centred: bool = DEFAULT_CENTRED
    kinds: tuple[Modality, ...] = ()
    licences: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Term:
    """One ingredient of a query.

    Attributes
    ----------
    vector : ndarray, shape (D,), float32
        Unit vector in the shared space.
    weight : float
        -1 to 1, not 0: negative means "less of this".
    modality : Modality
        What it came from; decides which mean is subtracted by centring.
    label : str
        What people read.
    """

    vector: FloatArray
    weight: float = 1.0
    modality: Modality = "text"
    label: str = ""


class Operator(Protocol):
    """How terms become scores.

    Attributes
    ----------
    title, summary : str
        For people.
    """

    title: str
    summary: str

    def queries(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        """Vectors to look up in the index: (t, D), (t,) -> (m, D) unit rows. Their neighbours are the candidates."""
        ...

    def scores(self, vectors: FloatArray, weights: FloatArray, candidates: FloatArray) -> FloatArray:
        """Score candidates: (t, D), (t,), (n, D) unit rows -> (n,), higher is better."""
        ...


def check_terms(terms: Sequence[Term]) -> tuple[FloatArray, FloatArray]:
    """Hold terms to the rules and stack them.

    Returns
    -------
    vectors : ndarray, shape (t, D), float32
    weights : ndarray, shape (t,), float32
        As given; at least one is not 0.

    Raises
    ------
    QueryError
        No terms, all weights 0, a weight that is not a number from -1 to 1, or a vector that is not finite numbers, as
        many as the first one has.
    """
    weights = np.array([check_weight(term.weight) for term in terms], np.float32)
    weights[abs(weights) <= _TINY] = 0
    if not weights.any():
        raise QueryError(
            f"{len(terms)} terms, none with a weight other than 0",
            "at least one term with a weight from -1 to 1",
            "add a term, or move a slider away from 0",
        )
    first: object = terms[0].vector
    length = int(first.size) if isinstance(first, np.ndarray) else len(first) if isinstance(first, (list, tuple)) else 0
    return np.stack([check_vector(term.vector, length, term.label) for term in terms]), weights


def check_vector(given: object, length: int, label: str = "") -> FloatArray:
    """Give a vector as finite numbers: (D,), float32.

    Parameters
    ----------
    given : object
        What is said to be one.
    length : int
        D, of what it is compared with.
    label : str
        Of its term, for the message.

    Raises
    ------
    QueryError
        It is not so many finite numbers.
    """
    named = f" of the term '{label[:60]}'" if label else ""
    try:
        vector = np.asarray(given, np.float32)
    except (TypeError, ValueError):
        raise QueryError(f"a vector{named} that is not numbers", "a row of numbers", "embed it again") from None
    if vector.ndim != 1 or not len(vector) or len(vector) != length:
        allowed = f"a row of {length} numbers, as what it is compared with" if length else "a row of numbers"
        raise QueryError(f"a vector{named} of shape {vector.shape}", allowed, "embed everything with the same preset")
    if not np.isfinite(vector).all():
        raise QueryError(f"a vector{named} with values that are not numbers", "finite numbers", "embed it again")
    return vector


def check_weight(weight: object) -> float:
    """Give a weight as a number.

    Raises
    ------
    QueryError
        It is not a finite number from -1 to 1.
    """
    try:
        value = float(weight)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(weight, bool) or not -1 <= value <= 1:
        raise QueryError(f"weight {weight!r}", "a number from -1 to 1", "correct the weight")
    return value


def centre(vectors: FloatArray, mean: FloatArray) -> FloatArray:
    """Subtract a modality's mean and scale back to unit rows: (n, D), (D,) -> (n, D).

    Contrastive spaces put each modality into its own cone; the mean is the cone's axis.
    """
    return unit_rows(vectors - mean)


def unit_rows(rows: FloatArray) -> FloatArray:
    """Scale rows to unit length: (n, D) -> (n, D); zero rows stay zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: FloatArray = (rows / np.maximum(norms, _TINY)).astype(np.float32)
    return scaled


def _query(vector: FloatArray) -> FloatArray:
    if float(np.linalg.norm(vector)) < _TINY:
        raise QueryError(
            "terms that cancel one another out", "terms whose sum is not zero", "change a weight or leave a term out"
        )
    return unit_rows(vector)[None]


class _VectorOperator:
    """An operator whose answer is one query vector."""

    def vector(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        raise QueryError("an operator without a vector", "one of the registry", "choose another")

    def queries(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        return _query(self.vector(vectors, weights))

    def scores(self, vectors: FloatArray, weights: FloatArray, candidates: FloatArray) -> FloatArray:
        scores: FloatArray = candidates @ self.queries(vectors, weights)[0]
        return scores


class Sum(_VectorOperator):
    """``unit(sum_i w_i v_i)``: the paper's composition (section 4.4), with weights."""

    title = "Sum"
    summary = "Adds the weighted vectors up; simple, and forgiving with many terms."

    def vector(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        """(t, D), (t,) -> (D,), not yet of unit length."""
        total: FloatArray = weights @ vectors
        return total


class Slerp(_VectorOperator):
    """Spherical interpolation between two terms; at equal weights it is the sum."""

    title = "Slerp"
    summary = "Walks along the sphere from one term to the other; two terms, both with positive weights."

    def vector(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        """(2, D), (2,) -> (D,)."""
        if len(vectors) == 1 and weights[0] > 0:
            only: FloatArray = vectors[0]
            return only
        if len(vectors) != 2 or (weights <= 0).any():
            raise QueryError(
                f"slerp with {len(vectors)} terms and weights {[round(float(w), 2) for w in weights]}",
                "two terms with positive weights",
                "use the sum, or change the terms",
            )
        share = float(weights[1] / weights.sum())
        angle = math.acos(float(np.clip(vectors[0] @ vectors[1], -1, 1)))
        if math.sin(angle) < _TINY:
            return Sum().vector(vectors, weights)
        mixed: FloatArray = (
            math.sin((1 - share) * angle) * vectors[0] + math.sin(share * angle) * vectors[1]
        ) / math.sin(angle)
        return mixed


class Projection(_VectorOperator):
    """Sum of the positive terms, with the direction of each negative term removed in proportion to its weight."""

    title = "Projection"
    summary = "Adds the positive terms; a negative term only removes what the sum has in common with it."

    def vector(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        """(t, D), (t,) -> (D,)."""
        positive, negative = weights > 0, weights < 0
        if not positive.any():
            return Sum().vector(vectors, weights)
        total: FloatArray = weights[positive] @ vectors[positive]
        for vector, weight in zip(vectors[negative], weights[negative], strict=True):
            total = total + weight * max(0.0, float(total @ vector)) * vector
        return total


class Product:
    """Weighted geometric mean of ``(1 + cos) / 2``, for negative terms of ``(1 - cos) / 2``."""

    title = "Product"
    summary = "Multiplies the similarities: only what suits every term scores high."

    def queries(self, vectors: FloatArray, weights: FloatArray) -> FloatArray:
        """Each term on its own (negative ones turned round), and their sum."""
        signed: FloatArray = np.sign(weights)[:, None] * vectors
        total: FloatArray = weights @ vectors
        return np.vstack([unit_rows(signed), _query(total)])

    def scores(self, vectors: FloatArray, weights: FloatArray, candidates: FloatArray) -> FloatArray:
        """(t, D), (t,), (n, D) -> (n,) in 0..1."""
        similarity = (1 + np.sign(weights) * (candidates @ vectors.T)) / 2  # (n, t)
        logs = np.log(np.clip(similarity, _TINY, 1)) @ np.abs(weights) / np.abs(weights).sum()
        scores: FloatArray = np.exp(logs).astype(np.float32)
        return scores


OPERATORS: Mapping[str, Operator] = {
    "sum": Sum(),
    "slerp": Slerp(),
    "product": Product(),
    "projection": Projection(),
}


def check_request(k: int, modalities: Sequence[str], operator: str, match: str) -> None:
    """Hold what was chosen about a search to the rules; nothing needs to be loaded for it.

    Parameters
    ----------
    k : int
        Answers for each modality.
    modalities : sequence of str
        Where to look.
    operator : str
        A name in :data:`OPERATORS`.
    match : str
        One of :data:`MATCHES`.

    Raises
    ------
    QueryError
        One of them is not allowed.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_HITS:
        raise QueryError(f"k = {k!r}", f"a whole number from 1 to {MAX_HITS}", "correct k")
    if not modalities or not all(isinstance(one, str) for one in modalities) or set(modalities) - set(MODALITIES):
        raise QueryError(f"modalities {list(modalities)}", f"some of {', '.join(MODALITIES)}", "correct the list")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise QueryError(f"operator '{operator}'", f"one of {', '.join(OPERATORS)}", "choose one of these")
    if match not in MATCHES:
        raise QueryError(f"match '{match}'", f"one of {', '.join(MATCHES)}", "choose one of these")
