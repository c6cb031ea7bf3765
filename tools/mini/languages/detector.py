"""What tells English from other languages in Latin letters: a list of words, and a regression over their pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit
from torch import Tensor

from omnibind_core.specialists._english import ROWS, grams, number, only_latin
from omnibind_core.types import FloatArray
from tools.mini.languages.lists import LEARNED, english_words, nouns, other_words, pairs

__all__ = ["learn"]

_RIDGE = 2e-7
_STEPS = 80
_NOUNS, _GLOSSES = 40_000, 20_000


def learn() -> dict[str, Tensor]:
    """Learn it from the word lists.

    Returns
    -------
    dict of str to Tensor
        "english.words" (n,), "english.others" (m,) int32, "english.weight" (16384,) and "english.bias" (1,) float32: as
        :mod:`omnibind_core.specialists._english` reads them.
    """
    english = {one for language in LEARNED for one, _ in pairs(language)}
    english |= {noun for noun, _ in nouns()[:_NOUNS]} | {gloss for _, gloss in nouns()[:_GLOSSES]}
    known = {one.lower() for one in english}
    foreign = {other for language in LEARNED for _, other in pairs(language) if only_latin(other)}
    foreign = {one for one in foreign if one.lower() not in known}
    texts = [*sorted(english), *sorted(foreign)]
    is_foreign = np.repeat([0.0, 1.0], [len(english), len(foreign)])
    rows = _rows(texts)
    # Both sides count alike, however long their lists are.
    share = np.where(is_foreign > 0, 0.5 / len(foreign), 0.5 / len(english))

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        logits = rows @ w[:-1] + w[-1]
        wrong = share * (expit(logits) - is_foreign)
        value = share @ (np.logaddexp(0, logits) - is_foreign * logits) + _RIDGE * (w[:-1] ** 2).sum()
        return float(value), np.concatenate([rows.T @ wrong + 2 * _RIDGE * w[:-1], [wrong.sum()]])

    found = minimize(loss, np.zeros(ROWS + 1), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    weights = torch.from_numpy(found.astype(np.float32))
    return {
        "english.words": _numbers(english_words()),
        "english.others": _numbers(other_words()),
        "english.weight": weights[:-1].contiguous(),
        "english.bias": weights[-1:].contiguous(),
    }


def _numbers(words: Iterable[str]) -> Tensor:
    return torch.tensor(sorted({number(word) for word in words}), dtype=torch.int32)


def _rows(texts: Sequence[str]) -> csr_matrix:
    """Shares of the pieces in each text: (n, 16384)."""
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        found = grams(text) or [0]
        columns += found
        values += [1 / len(found)] * len(found)
        ends.append(len(columns))
    return csr_matrix((values, columns, ends), shape=(len(texts), ROWS))
