"""Pseudo item pairs: every item of every pool finds its nearest in the others (arXiv 2407.11895, section 3.2).

An item looks for its partners with the specialist that is best for the two modalities. Where no specialist joins
them (shapes and sounds), it goes by way of a third: shape -> text with one specialist, that text -> sound with
another. What is found is treated as paired from there on, and every item's tuple belongs to the pool it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.store.kept import digest, identity, read_about, write_tensors
from omnibind_core.store.shards import PoolError, Rows
from omnibind_core.training.neighbours import representatives, top_k
from omnibind_core.types import MODALITIES, Modality

__all__ = [
    "Hop",
    "Hubness",
    "PseudoPairs",
    "Vectors",
    "hubness",
    "pseudo_pairs",
    "read_pairs",
    "read_report",
    "write_pairs",
]

Indices: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = Mapping[Modality, Mapping[str, Rows]]
"""Rows of each modality's pool by space: ``vectors["audio"]["wavcaps"]``; all of one modality are equally many."""

_MISSING = -1


@dataclass(frozen=True)
class Hop:
    """One search: from where one is into the pool of `to`, by the vectors of `space`."""

    space: str
    to: Modality


@dataclass(frozen=True, eq=False)
class PseudoPairs:
    """Tuples of items that are treated as paired.

    Attributes
    ----------
    items : mapping of Modality to ndarray, shape (n,), int64
        Row in that modality's pool, or -1 where no route leads there; one entry for each of the n tuples.
    source : ndarray, shape (n,), int64
        Which pool's item looked for partners: position in :data:`omnibind_core.types.MODALITIES`.
    scores : mapping of Modality to ndarray, shape (n,), float32
        Cosine with which that partner was found at the last hop, -1..1; 1 for the source itself.
    """

    items: Mapping[Modality, Indices]
    source: Indices
    scores: Mapping[Modality, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.source)

    @classmethod
    def none(cls) -> PseudoPairs:
        """Give no tuples, of no modality."""
        return cls({}, np.zeros(0, np.int64), {})

    def of(self, sources: Sequence[Modality]) -> Indices:
        """Numbers of the tuples that come from any of these pools: one mixture of pools."""
        return np.nonzero(np.isin(self.source, [MODALITIES.index(m) for m in sources]))[0]


@dataclass(frozen=True)
class Hubness:
    """How unevenly items are retrieved (Radovanović et al., JMLR 11, 2010).

    Attributes
    ----------
    queries, candidates : int
        How many searched, among how many.
    skew : float
        Third standardised moment of the number of times each candidate is retrieved: 0 is even, above 2 is hubby.
    never : float
        Share of candidates that nobody retrieves, 0..1.
    most : tuple of (int, int)
        (row, times) of the most retrieved candidates, the first the worst.
    """

    queries: int
    candidates: int
    skew: float
    never: float
    most: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        hubs = ", ".join(f"{row}: {times}" for row, times in self.most)
        return (
            f"{self.queries} queries among {self.candidates}: skew {self.skew:.2f}, "
            f"{100 * self.never:.1f} % never found, most found {hubs}"
        )


def hubness(found: Indices, candidates: int, *, most: int = 5) -> Hubness:
    """Count how often each candidate is retrieved.

    Parameters
    ----------
    found : ndarray, shape (n, k) or (n,), int64
        Rows that were retrieved; negative ones are left out.
    candidates : int
        How many there were to choose from.
    most : int
        How many hubs to name.

    Returns
    -------
    Hubness
    """
    times = np.bincount(found[found >= 0].ravel(), minlength=candidates)
    spread = float(times.std())
    skew = float(((times - times.mean()) ** 3).mean()) / spread**3 if spread else 0.0
    worst = np.argsort(-times, kind="stable")[:most]
    hubs = tuple((int(row), int(times[row])) for row in worst)
    return Hubness(len(found), candidates, skew, float((times == 0).mean()), hubs)


def pseudo_pairs(
    vectors: Vectors,
    routes: Mapping[tuple[Modality, Modality], Sequence[Hop]],
    *,
    k: int = 1,
    duplicates: Mapping[Modality, tuple[str, float]] | None = None,
    among: Mapping[Modality, NDArray[np.bool_]] | None = None,
    chunk: int = 4096,
    device: str = "cpu",
) -> tuple[PseudoPairs, dict[tuple[Modality, Modality], Hubness]]:
    """Let every item of every pool find partners in the others.

    Parameters
    ----------
    vectors : mapping
        See :data:`Vectors`.
    routes : mapping of (Modality, Modality) to sequence of Hop
        How to get from the first to the second: the best specialist for the two, or several hops. Pairs that are
        not named stay empty.
    k : int
        Tuples for each item: the j-th joins its j-th nearest partners. Hops before the last follow the nearest.
    duplicates : mapping of Modality to (str, float), optional
        Space and cosine from which two items of a pool count as one: only the first of them can be retrieved or
        look for partners.
    among : mapping of Modality to ndarray, shape (n,), bool, optional
        Items that take part; a copy of an item outside is left out too. None: all.
    chunk : int
        Rows of queries and of candidates that are compared at once: decides the memory, not the result.
    device : str
        Where products are computed.

    Returns
    -------
    PseudoPairs
        k tuples for each item that is kept, without those that say the same twice.
    dict of (Modality, Modality) to Hubness
        How evenly each search's partners are retrieved.

    Raises
    ------
    PoolError
        Routes that name what is not there, or pools of unequal length.
    """
    present = [m for m in MODALITIES if m in vectors]
    sizes = {m: _size(m, vectors[m]) for m in present}
    kept = {m: np.arange(sizes[m]) for m in present}
    for modality, (space, cosine) in (duplicates or {}).items():
        first = representatives(_rows(vectors, modality, space), cosine, chunk=chunk, device=device)
        kept[modality] = np.nonzero(first == np.arange(sizes[modality]))[0]
    for modality, inside in (among or {}).items():
        kept[modality] = kept[modality][inside[kept[modality]]]
    report: dict[tuple[Modality, Modality], Hubness] = {}
    blocks: list[dict[Modality, tuple[Indices, NDArray[np.float32]]]] = []
    sources: list[Indices] = []
    for start in present:
        count = len(kept[start])
        block = {m: (np.full((count, k), _MISSING), np.zeros((count, k), np.float32)) for m in present}
        block[start] = (np.repeat(kept[start][:, None], k, 1), np.ones((count, k), np.float32))
        for target in present:
            if hops := routes.get((start, target)):
                block[target] = _follow(vectors, start, target, hops, kept, k, chunk, device)
                report[start, target] = hubness(block[target][0], sizes[target])
        blocks.append({m: (rows.ravel(), scores.ravel()) for m, (rows, scores) in block.items()})
        sources.append(np.full(count * k, MODALITIES.index(start)))
    items = {m: np.concatenate([block[m][0] for block in blocks]) for m in present}
    scores = {m: np.concatenate([block[m][1] for block in blocks]) for m in present}
    source = np.concatenate(sources)
    _, first = np.unique(np.stack([source, *items.values()], 1), axis=0, return_index=True)
    first.sort()
    pairs = PseudoPairs(
        {m: rows[first] for m, rows in items.items()}, source[first], {m: s[first] for m, s in scores.items()}
    )
    return pairs, report


def _follow(
    vectors: Vectors,
    start: Modality,
    target: Modality,
    hops: Sequence[Hop],
    kept: Mapping[Modality, Indices],
    k: int,
    chunk: int,
    device: str,
) -> tuple[Indices, NDArray[np.float32]]:
    """Search along the hops: rows and scores, (n, k); columns beyond the pool's size repeat the last."""
    if hops[-1].to != target:
        raise PoolError(f"a route from {start} to {target} that ends at {hops[-1].to}", target, "correct the route")
    here, at = kept[start], start
    for number, hop in enumerate(hops):
        wanted = k if number == len(hops) - 1 else 1
        queries, candidates = _rows(vectors, at, hop.space), _rows(vectors, hop.to, hop.space)
        asked, back = np.unique(here, return_inverse=True)  # several may stand at the same item
        scores, found = top_k(
            _Subset(queries, asked), _Subset(candidates, kept[hop.to]), wanted, chunk=chunk, device=device
        )
        scores, found = scores[back], kept[hop.to][found[back]]
        if number < len(hops) - 1:
            here, at = found[:, 0], hop.to
    lacking = ((0, 0), (0, k - found.shape[1]))
    return np.pad(found, lacking, mode="edge"), np.pad(scores, lacking, mode="edge")


class _Subset:
    """Some rows of others."""

    def __init__(self, rows: Rows, chosen: Indices) -> None:
        self._rows, self._chosen = rows, chosen

    @property
    def width(self) -> int:
        return self._rows.width

    @property
    def identity(self) -> str:
        return identity({"rows": self._rows.identity, "chosen": digest(self._chosen)})

    def __len__(self) -> int:
        return len(self._chosen)

    def chunk(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._rows.take(self._chosen[start:stop])

    def take(self, rows: Indices) -> NDArray[np.float32]:
        return self._rows.take(self._chosen[rows])


def _rows(vectors: Vectors, modality: Modality, space: str) -> Rows:
    if modality not in vectors or space not in vectors[modality]:
        there = [f"{m}/{s}" for m, spaces in vectors.items() for s in spaces]
        raise PoolError(f"vectors of {modality} in '{space}'", f"one of {', '.join(there)}", "correct the routes")
    return vectors[modality][space]


def _size(modality: Modality, spaces: Mapping[str, Rows]) -> int:
    sizes = {name: len(rows) for name, rows in spaces.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise PoolError(f"{modality} pools of {sizes} rows", "one number of at least 1", "extract the same items")
    return next(iter(sizes.values()))


def write_pairs(path: Path, pairs: PseudoPairs, report: Mapping[tuple[Modality, Modality], Hubness]) -> None:
    """Write tuples as safetensors, with the hubness report as JSON in the file's metadata."""
    arrays: dict[str, NDArray[Any]] = {f"items.{m}": rows for m, rows in pairs.items.items()}
    arrays |= {f"scores.{m}": scores for m, scores in pairs.scores.items()}
    about = {f"{a}->{b}": vars(found) for (a, b), found in report.items()}
    tensors = {name: torch.from_numpy(rows) for name, rows in {**arrays, "source": pairs.source}.items()}
    write_tensors(path, tensors, {"hubness": about})


def read_pairs(path: Path) -> PseudoPairs:
    """Read what :func:`write_pairs` wrote."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    named: Iterator[Modality] = (m for m in MODALITIES if f"items.{m}" in tensors)
    present = list(named)
    return PseudoPairs(
        {m: tensors[f"items.{m}"] for m in present}, tensors["source"], {m: tensors[f"scores.{m}"] for m in present}
    )


def read_report(path: Path) -> dict[tuple[Modality, Modality], Hubness]:
    """Read the hubness report that :func:`write_pairs` wrote."""
    about = read_about(path, "hubness")
    report: dict[tuple[Modality, Modality], Hubness] = {}
    for start in MODALITIES:
        for end in MODALITIES:
            if found := about.get(f"{start}->{end}"):
                report[start, end] = Hubness(**{**found, "most": tuple((row, times) for row, times in found["most"])})
    return report
