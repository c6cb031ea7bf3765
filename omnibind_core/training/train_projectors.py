"""Binding: heads that lead each space into a target space (arXiv 2407.11895, section 3.2).

A space has several heads, each trained on another mixture of pools (as FreeBind does, arXiv 2405.04883), and all of
them averaged afterwards. A head takes the vectors of all modalities of its space, as in the published presets; it is
trained by InfoNCE between what it gives for one modality of a tuple and the target's vector of each modality of that
tuple. The target is a space, or a weighted fusion of spaces, some of them projected already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omnibind_core.binding.forms import Temperature, info_nce, new_head
from omnibind_core.specialists.base import unit
from omnibind_core.store.shards import PoolError, Rows
from omnibind_core.training.loop import Recipe, TrainingError, batch_rows, exact, train
from omnibind_core.training.losses import same_items
from omnibind_core.training.processes import BatchNorm, gather, own
from omnibind_core.training.pseudo_pairs import PseudoPairs
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = ["MIXTURES", "PUBLISHED_MIXTURES", "FusedRows", "digest", "train_space"]

MIXTURES: dict[str, tuple[Modality, ...]] = {
    "all": MODALITIES,
    "A": ("audio",),
    "T": ("text",),
    "V": ("image",),
    "AT": ("audio", "text"),
    "AV": ("audio", "image"),
    "TV": ("text", "image"),
    "P": ("point",),
    "PV": ("point", "image"),
    "PT": ("point", "text"),
}
"""Pools whose items' tuples a head learns from."""
PUBLISHED_MIXTURES: tuple[str, ...] = ("all", "A", "T", "V", "AT", "AV", "TV")
"""Seven, for the seven heads of a space; P, PV and PT are ours."""


class FusedRows:
    """Weighted fusion of several spaces' rows of one modality, e.g. 0.1 projected ImageBind + 0.9 EVA-CLIP.

    Parameters
    ----------
    parts : sequence of (float, Rows, sequence of Sequential)
        Share, rows, and the heads that project them (averaged, in evaluation mode); no heads: rows as they are.
    device : str
        Where heads compute; they are moved there.
    """

    def __init__(self, parts: Sequence[tuple[float, Rows, Sequence[nn.Sequential]]], device: str = "cpu") -> None:
        self._parts, self._device = parts, device
        for _, _, heads in parts:
            for head in heads:
                head.to(device)
        sizes = {(self._width(rows, heads), len(rows)) for _, rows, heads in parts}
        if len(sizes) != 1:
            raise PoolError(f"parts of (width, rows) {sorted(sizes)}", "one size", "correct the target's parts")

    @staticmethod
    def _width(rows: Rows, heads: Sequence[nn.Sequential]) -> int:
        return len(heads[0].state_dict()["3.bias"]) if heads else rows.width

    @property
    def width(self) -> int:
        """Width D of the target."""
        _, rows, heads = self._parts[0]
        return self._width(rows, heads)

    def __len__(self) -> int:
        return len(self._parts[0][1])

    def chunk(self, start: int, stop: int) -> FloatArray:
        """See :meth:`~omnibind_core.store.shards.Rows.chunk`."""
        return self._fuse([rows.chunk(start, stop) for _, rows, _ in self._parts])

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """See :meth:`~omnibind_core.store.shards.Rows.take`."""
        return self._fuse([part.take(rows) for _, part, _ in self._parts])

    @torch.no_grad()
    def _fuse(self, read: list[FloatArray]) -> FloatArray:
        total = torch.zeros(())
        for (share, _, heads), array in zip(self._parts, read, strict=True):
            x = torch.from_numpy(array).to(self._device)
            x = torch.stack([unit(head(x)) for head in heads]).mean(0) if heads else x
            total = total + share * x.cpu()
        fused: FloatArray = unit(total).numpy()
        return fused


def train_space(
    name: str,
    space: Mapping[Modality, Rows],
    target: Mapping[Modality, Rows],
    pairs: PseudoPairs,
    recipe: Recipe,
    folder: Path,
    *,
    mixtures: Sequence[str] = PUBLISHED_MIXTURES,
    device: str = "cpu",
) -> tuple[list[nn.Sequential], dict[str, FloatArray]]:
    """Train all heads of a space; a head that is finished is not trained again.

    Parameters
    ----------
    name : str
        The space's, for folders and progress.
    space : mapping of Modality to Rows
        What its towers make of each pool, all of one width.
    target : mapping of Modality to Rows
        Target vectors of the pools, all of one width D; see :class:`FusedRows`.
    pairs : PseudoPairs
        Which items belong together.
    recipe : Recipe
        How. Head number i has the seed ``recipe.seed + i``.
    folder : Path
        Checkpoints: one folder for each head below it.
    mixtures : sequence of str
        Names of :data:`MIXTURES`, one for each head.
    device : str
        Where it is trained.

    Returns
    -------
    list of Sequential
        Heads in evaluation mode, on the CPU.
    dict of str to ndarray, shape (steps,)
        Learning curves by mixture.

    Raises
    ------
    TrainingError
        An unknown mixture, or one without tuples; widths that differ; checkpoints of another training.
    """
    if len({rows.width for rows in space.values()}) != 1 or len({rows.width for rows in target.values()}) != 1:
        raise TrainingError(f"space '{name}' or its target of several widths", "one width each", "correct the spaces")
    heads: list[nn.Sequential] = []
    curves: dict[str, FloatArray] = {}
    for number, mixture in enumerate(mixtures):
        if mixture not in MIXTURES:
            raise TrainingError(f"mixture '{mixture}'", f"one of {', '.join(MIXTURES)}", "correct the mixtures")
        tuples = pairs.of(MIXTURES[mixture])
        usable = [_both(pairs, tuples, a, b) for a in space for b in target]
        if max((int(both.sum()) for both in usable), default=0) < 2:
            raise TrainingError(
                f"mixture '{mixture}' with {len(tuples)} tuples, none that joins '{name}' and the target",
                "mixtures of pools that there are",
                "leave it out, or add a pool or a route",
            )
        head, curve = _train_head(name, mixture, number, space, target, pairs, tuples, recipe, folder, device)
        heads.append(head.cpu())
        curves[mixture] = curve
    return heads, curves


def _train_head(
    name: str,
    mixture: str,
    number: int,
    space: Mapping[Modality, Rows],
    target: Mapping[Modality, Rows],
    pairs: PseudoPairs,
    tuples: NDArray[np.int64],
    recipe: Recipe,
    folder: Path,
    device: str,
) -> tuple[nn.Sequential, FloatArray]:
    mine = Recipe(**{**vars(recipe), "seed": recipe.seed + number})
    d, width = next(iter(space.values())).width, next(iter(target.values())).width
    head = new_head(d, mine.hidden, width, mine.seed, BatchNorm).to(device)
    temperature = Temperature(mine.scale, learnable=mine.learn_scale).to(device)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = tuples[batch_rows(mine.seed, step, len(tuples), mine.batch)]
        items = {m: pairs.items[m][rows] for m in {*space, *target}}
        counts = [int((items[m] >= 0).sum()) for m in space]
        # One pass for all modalities: BatchNorm's statistics are those of their mixture, as in use.
        share = own(sum(counts))
        x = _taken(space, items, share)
        if mine.noise:
            noise = torch.randn(sum(counts), d, generator=generator)[share]
            x = unit(x + mine.noise * d**-0.5 * noise)
        out = gather(unit(head(x.to(device))), sum(counts))
        outputs = dict(zip(space, torch.split(out, counts), strict=True))
        wanted = {m: torch.from_numpy(target[m].take(items[m][items[m] >= 0])).to(device) for m in target}
        losses = []
        for a in space:
            for b in target:
                both = (items[a] >= 0) & (items[b] >= 0)
                if both.sum() < 2:
                    continue
                chosen = {m: torch.from_numpy(items[m][both]).to(device) for m in {a, b}}
                given = outputs[a][torch.from_numpy(both[items[a] >= 0]).to(device)]
                seen = wanted[b][torch.from_numpy(both[items[b] >= 0]).to(device)]
                with exact(device):
                    losses.append(info_nce(given, seen, temperature(), same_items(chosen, chosen)))
        if not losses:  # a batch without one complete pair asks for nothing
            losses.append(0.0 * out.sum())
        return torch.stack(losses).mean()

    identity = {
        "space": name, "mixture": mixture, "widths": [d, width], "modalities": [sorted(space), sorted(target)],
        "tuples": digest(tuples, *(pairs.items[m] for m in sorted(pairs.items))),
        "vectors": digest(*(source[m].chunk(0, 256) for source in (space, target) for m in sorted(source))),
    }  # fmt: skip
    whole = nn.ModuleDict({"head": head, "temperature": temperature})
    title, place = f"{name}, {mixture}", folder / name / mixture
    curve = train(whole, loss_of, mine, place, identity=identity, title=title, device=device)
    return head, curve


def _taken(space: Mapping[Modality, Rows], items: Mapping[Modality, NDArray[np.int64]], share: slice) -> Tensor:
    """Read a slice of all modalities' items that are not missing, one modality after the other."""
    read: list[Tensor] = []
    first = 0
    for modality, rows in space.items():
        there = items[modality][items[modality] >= 0]
        read.append(torch.from_numpy(rows.take(there[max(share.start - first, 0) : max(share.stop - first, 0)])))
        first += len(there)
    return torch.cat(read)


def _both(pairs: PseudoPairs, tuples: NDArray[np.int64], a: Modality, b: Modality) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (pairs.items[a][tuples] >= 0) & (pairs.items[b][tuples] >= 0)
    return found


def digest(*arrays: NDArray[Any]) -> str:
    """Hash of arrays' contents, 16 hexadecimal digits: tells whether a checkpoint belongs to these data."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]
