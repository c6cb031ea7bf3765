"""What binding and routing give: the same tasks with single spaces, with all of them, and with trained routers.

A *raw* space is one that nothing was trained for: pictures and drawn shapes by the classifiers of their towers,
sounds by the labels of the nearest sounds. A *projected* space has the trained heads in place of these. *Flat*
weighs all members alike (or as the preset says), *routed* by trained routers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.evaluation.bench import Bench, Pool, Task
from omnibind_core.evaluation.retrieval import Figure, bootstrap, hits_of
from omnibind_core.presets.preset import HeadSpec, Preset
from omnibind_core.types import FloatArray

__all__ = ["VariantResult", "compare", "difference", "one_head", "recalls"]


@dataclass(frozen=True, eq=False)
class VariantResult:
    """What one variant reached.

    Attributes
    ----------
    name : str
        For people.
    hits : mapping of str to ndarray, shape (queries,), bool or float64
        By task: whether a right answer was among the first five, or in what share of several seeds. Tasks that the
        variant cannot do are missing.
    """

    name: str
    hits: Mapping[str, NDArray[Any]]

    def mean(self, tasks: Sequence[str]) -> Figure | None:
        """Mean over tasks, each counting the same, in percent; None where one is missing."""
        if any(task not in self.hits for task in tasks):
            return None
        value = 100 * float(np.mean([self.hits[task].mean() for task in tasks]))
        low, high = np.percentile(100 * np.mean([bootstrap(self.hits[task]) for task in tasks], axis=0), [2.5, 97.5])
        return Figure(value, float(low), float(high))


def recalls(bench: Bench, tasks: Sequence[Task], variant: Preset, k: int = 5) -> dict[str, NDArray[np.bool_]]:
    """Say for each task of each query whether a right answer is among its first k; each pool is bound once.

    Parameters
    ----------
    bench : Bench
        With the heads.
    tasks : sequence of Task
        Those of modalities that the variant lacks are left out; parts of one task have one name.
    variant : Preset
        Members, weights and routers.
    k : int
        Places that count.
    """
    kept: dict[int, FloatArray] = {}

    def bound(pool: Pool) -> FloatArray:
        if id(pool) not in kept:
            kept[id(pool)] = bench.bound(pool, variant)
        return kept[id(pool)]

    found: dict[str, list[NDArray[np.bool_]]] = {}
    for task in tasks:
        if {task.queries.modality, task.candidates.modality} <= set(variant.members):
            hits = hits_of(bound(task.queries)[task.asked], bound(task.candidates), task.right[task.asked])
            found.setdefault(task.name, []).append(hits[:, :k].any(1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def compare(bench: Bench, tasks: Sequence[Task], variants: Mapping[str, Preset]) -> list[VariantResult]:
    """Measure all variants, in order."""
    return [VariantResult(name, recalls(bench, tasks, variant)) for name, variant in variants.items()]


def difference(one: VariantResult, other: VariantResult, tasks: Sequence[str]) -> Figure:
    """How much further `one` is than `other` on the mean of tasks, with the interval of the paired difference.

    Both are resampled with the same queries, so that what is hard for both does not widen the interval.
    """
    value = 100 * float(np.mean([one.hits[t].mean() - other.hits[t].mean() for t in tasks]))
    drawn = np.mean([bootstrap(one.hits[t]) - bootstrap(other.hits[t]) for t in tasks], axis=0)
    low, high = np.percentile(100 * drawn, [2.5, 97.5])
    return Figure(value, float(low), float(high))


def one_head(preset: Preset, number: int) -> Preset:
    """Keep of each space's several heads only one: the preset as a single seed would have made it."""

    def only(head: HeadSpec) -> HeadSpec:
        return replace(head, first=head.first + number, count=1) if head.count > number else head

    spaces = {
        name: replace(space, heads={m: only(head) for m, head in space.heads.items()})
        for name, space in preset.spaces.items()
    }
    return replace(preset, spaces=spaces)
