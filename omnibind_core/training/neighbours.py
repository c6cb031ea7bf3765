"""Exact search among more rows than memory holds: the k nearest, and near duplicates, chunk by chunk.

Memory of :func:`top_k` for n queries among m candidates of width d, with chunks of c rows and k results, in bytes:

=================  ==============================  ===========================================
result             n * k * (4 + 8)                 a million, k = 10: 120 MB
chunk of queries   c * d * 4                       c = 4096, d = 1536: 25 MB
and of candidates  c * d * 4                       25 MB
their products     c * c * 4, and a copy at most   2 * 67 MB
best so far        6 * c * 2k * (4 + 8)            6 MB
=================  ==============================  ===========================================

The rows themselves stay in memory-mapped shards: a million of width 1536 in float16 are 3 GB, and two pools of them
fit into the page cache of a 16 GB machine besides these 0.32 GB. :func:`peak_bytes` is the same sum as a function.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.store.shards import PoolError, Rows

__all__ = ["peak_bytes", "representatives", "top_k"]

_SCORE, _ROW = 4, 8  # bytes of a float32 and of an int64


def peak_bytes(queries: int, width: int, k: int, chunk: int) -> int:
    """Memory that :func:`top_k` needs at most, in bytes, whatever the number of candidates.

    Parameters
    ----------
    queries, width, k, chunk : int
        As for :func:`top_k`.
    """
    products = 2 * chunk * chunk * _SCORE
    best = 6 * chunk * 2 * k * (_SCORE + _ROW)
    return queries * k * (_SCORE + _ROW) + 2 * chunk * width * _SCORE + products + best


@torch.inference_mode()
def top_k(
    queries: Rows, candidates: Rows, k: int, *, chunk: int = 4096, device: str = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the k nearest candidates of each query.

    Parameters
    ----------
    queries, candidates : Rows
        (n, d) and (m, d), unit rows.
    k : int
        At least 1; more than there are is cut.
    chunk : int
        Rows of either that are compared at once.
    device : str
        Where products are computed.

    Returns
    -------
    scores : ndarray, shape (n, min(k, m)), float32
        Cosines, best first; among equal ones the lower row.
    rows : ndarray, shape (n, min(k, m)), int64

    Raises
    ------
    PoolError
        Widths that differ, no candidates, or a k or chunk below 1.
    """
    if queries.width != candidates.width or not len(candidates) or k < 1 or chunk < 1:
        raise PoolError(
            f"k {k}, chunk {chunk}, queries {queries.width} wide, {len(candidates)} candidates {candidates.width} wide",
            "one width, and at least one of everything",
            "correct the search",
        )
    k = min(k, len(candidates))
    all_scores = np.empty((len(queries), k), np.float32)
    all_rows = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), chunk):
        asked = torch.from_numpy(queries.chunk(start, start + chunk)).to(device)
        scores = torch.empty(len(asked), 0, device=device)
        rows = torch.empty(len(asked), 0, dtype=torch.int64, device=device)
        for first in range(0, len(candidates), chunk):
            products = asked @ torch.from_numpy(candidates.chunk(first, first + chunk)).to(device).T
            found = products.topk(min(k, products.shape[1]), dim=1)
            scores, rows = _best(torch.cat([scores, found.values], 1), torch.cat([rows, found.indices + first], 1), k)
        all_scores[start : start + chunk] = scores.cpu().numpy()
        all_rows[start : start + chunk] = rows.cpu().numpy()
    return all_scores, all_rows


def _best(scores: Tensor, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Keep the k best of each line; equal scores in the order of rows."""
    by_row = rows.argsort(dim=1)
    scores, rows = scores.gather(1, by_row), rows.gather(1, by_row)
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    return scores.gather(1, order), rows.gather(1, order)


@torch.inference_mode()
def representatives(rows: Rows, cosine: float, *, chunk: int = 4096, device: str = "cpu") -> NDArray[np.int64]:
    """Find near duplicates: each row is stood for by the first kept row that is at least as near as `cosine`.

    Parameters
    ----------
    rows : Rows
        (n, d) unit rows.
    cosine : float
        From where two rows count as one, 0..1; 0.999 leaves only copies.
    chunk : int
        Rows that are compared at once.
    device : str
        Where products are computed.

    Returns
    -------
    ndarray, shape (n,), int64
        The row that stands for each; its own number where it is kept. Rows in order, so the first of several stays.
    """
    stands = np.arange(len(rows))
    for start in range(0, len(rows), chunk):
        here = torch.from_numpy(rows.chunk(start, start + chunk)).to(device)
        for first in range(0, start, chunk):
            near = here @ torch.from_numpy(rows.chunk(first, first + chunk)).to(device).T >= cosine
            earlier = np.arange(first, min(first + chunk, start))
            near[:, torch.from_numpy(stands[earlier] != earlier).to(device)] = False
            _assign(stands, near, start, first)
        near = (here @ here.T >= cosine).tril(-1)
        for i in torch.nonzero(near.any(1))[:, 0].tolist():  # in order: a row that is not kept stands for nobody
            own = start + np.nonzero(near[i].cpu().numpy())[0]
            kept = own[stands[own] == own]
            if stands[start + i] == start + i and len(kept):
                stands[start + i] = kept[0]
    return stands


def _assign(stands: NDArray[np.int64], near: Tensor, start: int, first: int) -> None:
    hit = near.any(1).cpu().numpy()
    which = first + near.int().argmax(1).cpu().numpy()
    numbers = np.arange(start, start + len(hit))
    free = hit & (stands[numbers] == numbers)
    stands[numbers[free]] = which[free]
