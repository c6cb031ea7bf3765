"""The tasks by which presets and their ablations are compared: who looks for what, among what, and what is right.

Every tower runs once over each pool; a preset, or what is left of it when members are taken away, is then only heads
and weights over kept vectors, so that a row of the ablation costs a second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.binder import bind
from omnibind_core.binding.files import load_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.presets.preset import MemberSpec, Preset, RouterSpec
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import FloatArray, Modality

__all__ = ["Bench", "Pool", "Task", "same_name", "subset"]

Same = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pool:
    """Items of one modality with what their towers made of them.

    Attributes
    ----------
    modality : Modality
        What they are.
    names : tuple of str
        What each is called; equal names mean the same thing.
    vectors : callable
        Name of a specialist -> its unit rows of all items, (n, d) float32.
    held_out : ndarray, shape (n,), bool
        Items on which no choice was made.
    projected : mapping of str to ndarray, shape (n, width of the head), float32
        By space: what heads gave that never saw the item, in place of the preset's own heads.
    """

    modality: Modality
    names: tuple[str, ...]
    vectors: Callable[[str], FloatArray]
    held_out: Same
    projected: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: NDArray[np.int64]) -> Pool:
        """Give some of the items, by number."""
        names = tuple(self.names[i] for i in rows)
        projected = {space: every[rows] for space, every in self.projected.items()}
        return Pool(self.modality, names, lambda tower: self.vectors(tower)[rows], self.held_out[rows], projected)


@dataclass(frozen=True, eq=False)
class Task:
    """One column of the comparison.

    Attributes
    ----------
    name : str
        E.g. ``"image -> text"``.
    queries, candidates : Pool
        Who looks, and among what.
    asked : ndarray, shape (n,), bool
        Which queries count.
    right : ndarray, shape (n, m), bool
        Right answers.
    """

    name: str
    queries: Pool
    candidates: Pool
    asked: Same
    right: Same


def same_name(queries: Sequence[str], candidates: Sequence[str]) -> Same:
    """Which candidates are called as a query: the same, or one is the other with a word before it ("acoustic guitar").

    Returns
    -------
    ndarray, shape (n, m), bool
    """
    left, right = np.array(queries)[:, None], np.array(candidates)[None, :]
    same: Same = left == right
    same |= np.char.endswith(left, np.char.add(" ", right)) | np.char.endswith(right, np.char.add(" ", left))
    return same


class Bench:
    """Binds pools as a preset, or a variant of it, does.

    Parameters
    ----------
    preset : Preset
        With all spaces that its variants need.
    routers : mapping of str to Path, optional
        Files of trained routers, by the names that variants call them.
    """

    def __init__(self, preset: Preset, routers: Mapping[str, Path] | None = None) -> None:
        self.preset = preset
        self._files = load_files(preset) | {name: read_tensors(path) for name, path in (routers or {}).items()}

    @torch.inference_mode()
    def bound(self, pool: Pool, variant: Preset | None = None) -> FloatArray:
        """Bind a pool.

        Parameters
        ----------
        pool : Pool
            With the towers' vectors.
        variant : Preset, optional
            Other members, weights, routers or heads out of the same files; None takes the preset itself.

        Returns
        -------
        ndarray, shape (n, D), float32
            Unit rows.
        """
        used, m = variant or self.preset, pool.modality
        vectors = self._vectors(pool, used)
        ready = {
            space: Projectors.spread(used.spaces[space].heads[m], torch.from_numpy(rows), used.width)
            for space, rows in pool.projected.items()
            if space in vectors
        }
        heads = Projectors(_only(used, m, set(vectors) - set(ready)), self._files)
        projected = ready | heads(m, {space: rows for space, rows in vectors.items() if space not in ready})
        weights = Routers(_only(used, m), self._files)(m, vectors, len(pool))
        bound: FloatArray = bind(used.members[m], projected, weights).numpy()
        return bound

    @torch.inference_mode()
    def weights(self, pool: Pool, variant: Preset | None = None) -> FloatArray:
        """Give the router's weights of each item: (n, members) float32."""
        used, m = variant or self.preset, pool.modality
        weights: FloatArray = Routers(_only(used, m), self._files)(m, self._vectors(pool, used), len(pool)).numpy()
        return weights

    @staticmethod
    def _vectors(pool: Pool, used: Preset) -> dict[str, torch.Tensor]:
        m = pool.modality
        return {space: torch.from_numpy(pool.vectors(used.tower(m, space))) for space in used.spaces_of(m)}


def _only(preset: Preset, modality: Modality, spaces: Collection[str] | None = None) -> Preset:
    """Keep one modality's heads and router, so that no others are built."""
    kept = {
        name: replace(space, heads={modality: space.heads[modality]})
        for name, space in preset.spaces.items()
        if modality in space.heads and (spaces is None or name in spaces)
    }
    members, router = preset.members[modality], preset.routers[modality]
    if spaces is not None:
        members, router = tuple(MemberSpec(name, {name: 1.0}) for name in kept), RouterSpec("flat")
    return replace(preset, spaces=kept, members={modality: members}, routers={modality: router})


def subset(preset: Preset, members: Mapping[Modality, Mapping[str, float]]) -> Preset:
    """Keep only some members, with flat weights.

    Parameters
    ----------
    preset : Preset
        Of which.
    members : mapping of Modality to mapping of str to float
        Weights by the name of a member, or of a space that is none, scaled to sum to 1; modalities that are not named
        are left out.
    """
    chosen: dict[Modality, tuple[MemberSpec, ...]] = {}
    routers: dict[Modality, RouterSpec] = {}
    for m, names in members.items():
        known = {one.name: one for one in preset.members[m]}
        chosen[m] = tuple(known.get(name, MemberSpec(name, {name: 1.0}, normalise=True)) for name in names)
        total = sum(names.values())
        routers[m] = RouterSpec("flat", weights=tuple(weight / total for weight in names.values()))
    return replace(preset, members=chosen, routers=routers)
