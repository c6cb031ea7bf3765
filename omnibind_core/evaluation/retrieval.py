"""Figures of retrieval: recall at 1 and 5, mean average precision, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omnibind_core.evaluation import report
from omnibind_core.evaluation.report import Cell, Chart, Section
from omnibind_core.types import FloatArray

__all__ = ["Figure", "Row", "bootstrap", "figure", "hits_of", "measure", "section", "table"]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A mean over queries.

    Attributes
    ----------
    value : float
        Percent, 0..100.
    low, high : float
        Its 95 % bootstrap interval over queries.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} ({self.low:.1f}-{self.high:.1f})"


@dataclass(frozen=True)
class Row:
    """What one task gave.

    Attributes
    ----------
    task : str
        Who looks for what, among what.
    n : int
        Number of queries.
    candidates : int
        Number of things to choose from.
    chance : float
        Recall at 1 of guessing, percent.
    r1, r5 : Figure
        Share of queries with a right answer first, or among the first five.
    mean_average_precision : Figure
        Over all right answers of a query; with a single one, the mean reciprocal rank.
    """

    task: str
    n: int
    candidates: int
    chance: float
    r1: Figure
    r5: Figure
    mean_average_precision: Figure


def measure(task: str, queries: FloatArray, candidates: FloatArray, right: NDArray[np.bool_]) -> Row:
    """Rank all candidates for each query by the product of their vectors.

    Parameters
    ----------
    task : str
        For people.
    queries : ndarray, shape (n, D), float32
        Unit rows.
    candidates : ndarray, shape (m, D), float32
        Unit rows.
    right : ndarray, shape (n, m), bool
        Which candidates are right answers; queries without any are left out.

    Returns
    -------
    Row
        Equal scores count against us.
    """
    asked = right.any(1)
    hits = hits_of(queries, candidates, right)
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    average = (precision * hits).sum(1) / hits.sum(1)
    return Row(
        task=task,
        n=len(hits),
        candidates=len(candidates),
        chance=float(100 * right[asked].mean()),
        r1=figure(hits[:, 0]),
        r5=figure(hits[:, :5].any(1)),
        mean_average_precision=figure(average),
    )


def hits_of(queries: FloatArray, candidates: FloatArray, right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say of each place of each query's ranking whether a right answer stands there.

    Parameters
    ----------
    queries, candidates, right
        As for :func:`measure`.

    Returns
    -------
    ndarray, shape (queries with a right answer, m), bool
        Best place first.
    """
    asked = right.any(1)
    scores, wanted = queries[asked] @ candidates.T, right[asked]
    # Among equal scores the right ones come last.
    order = np.lexsort((wanted, -scores), axis=1)
    return np.take_along_axis(wanted, order, axis=1)


def bootstrap(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Means of 2000 resamples of n values, the same draws for the same n: (n,) -> (2000,)."""
    given = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(0, len(given), (_RESAMPLES, len(given)))
    means: NDArray[np.float64] = given[drawn].mean(1)
    return means


def figure(values: NDArray[np.float64] | NDArray[np.bool_]) -> Figure:
    """Mean of values in 0..1 with its interval, in percent."""
    low, high = np.percentile(100 * bootstrap(values), [2.5, 97.5])
    return Figure(float(100 * np.asarray(values, np.float64).mean()), float(low), float(high))


def table(rows: Sequence[Row]) -> str:
    """Lay rows out as a Markdown table."""
    columns = ["task", "n", "candidates", "chance", "R@1", "R@5", "mAP"]
    cells: list[list[Cell]] = [
        [r.task, r.n, r.candidates, r.chance, str(r.r1), str(r.r5), str(r.mean_average_precision)] for r in rows
    ]
    return report.table(columns, cells)


def section(title: str, text: str, rows: Sequence[Row]) -> Section:
    """Make a section of the results page: the same table, and bars of R@1 with their intervals and chance."""
    cells: list[list[Cell]] = [
        [
            *(row.task, row.n, row.candidates, round(row.chance, 1)),
            *(round(x, 1) for x in (row.r1.value, row.r1.low, row.r1.high)),
            *(str(row.r5), str(row.mean_average_precision)),
        ]
        for row in rows
    ]
    columns = ["task", "n", "candidates", "chance", "R@1", "from", "to", "R@5", "mAP"]
    return Section(title, text, columns, cells, Chart("task", "R@1", "from", "to", "chance"))
