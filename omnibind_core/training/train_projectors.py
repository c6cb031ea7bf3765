"""Binding: heads that lead each space into a target space (arXiv 2407.11895, section 3.2).

A space has several heads, each trained on another mixture of pools (as FreeBind does, arXiv 2405.04883), and all of
them averaged afterwards. A head takes the vectors of all modalities of its space, as in the published presets; it is
trained by InfoNCE between what it gives for one modality of a tuple and the target's vector of each modality of that
tuple. The target is a space, or a weighted fusion of spaces, some of them projected already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omnibind_core.binding.forms import Temperature, apply_heads, info_nce, new_head
from omnibind_core.specialists.base import unit
from omnibind_core.store.kept import digest, identity
from omnibind_core.store.shards import PoolError, Rows
from omnibind_core.training.loop import Recipe, TrainingError, batch_rows, exact, train
from omnibind_core.training.losses import same_items
from omnibind_core.training.processes import BatchNorm, gather, own
from omnibind_core.training.pseudo_pairs import PseudoPairs
from omnibind_core.training.run import Run
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = ["MIXTURES", "PUBLISHED_MIXTURES", "FusedRows", "HeadRecipe", "train_space"]


@dataclass(frozen=True)
class HeadRecipe(Recipe):
    """How heads are trained, beside what every training has.

    Attributes
    ----------
    hidden : int
        Width of the middle layer: 2048 in the published presets.
    learn_scale : bool
        Whether the scale is trained too.
    noise : float
        Standard deviation of normal noise on a specialist's vectors, times 1 / sqrt(d), renormalised; 0 for none.
    """

    hidden: int = 2048
    learn_scale: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden < 1:
            raise TrainingError(f"hidden = {self.hidden}", "1 or more", "correct the training's section")


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

    @property
    def identity(self) -> str:
        """See :attr:`~omnibind_core.store.shards.Rows.identity`."""
        parts = [
            [share, rows.identity, digest(*(tensor for head in heads for tensor in head.state_dict().values()))]
            for share, rows, heads in self._parts
        ]
        return identity({"fused": parts})

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
            x = apply_heads(heads, x) if heads else x
            total = total + share * x.cpu()
        fused: FloatArray = unit(total).numpy()
        return fused


def train_space(
    run: Run,
    name: str,
    target: Mapping[Modality, Rows],
    recipe: HeadRecipe,
    *,
    mixtures: Sequence[str] = PUBLISHED_MIXTURES,
    place: str = "projectors",
) -> list[nn.Sequential]:
    """Train all heads of a space; a head that is finished is not trained again.

    Parameters
    ----------
    run : Run
        With the vectors of the space, all of one width, and with pairs; it gets the learning curves.
    name : str
        The space's.
    target : mapping of Modality to Rows
        Target vectors of the pools, all of one width D; see :class:`FusedRows`.
    recipe : HeadRecipe
        How. Head number i has the seed ``recipe.seed + i``.
    mixtures : sequence of str
        Names of :data:`MIXTURES`, one for each head.
    place : str
        Folder of the run's work for checkpoints: ``<place>/<name>/<mixture>``.

    Returns
    -------
    list of Sequential
        Heads in evaluation mode, on the CPU.

    Raises
    ------
    TrainingError
        An unknown mixture, or one without tuples; widths that differ; checkpoints of another training.
    """
    space, pairs = run.space(name), run.pairs
    if len({rows.width for rows in space.values()}) != 1 or len({rows.width for rows in target.values()}) != 1:
        raise TrainingError(f"space '{name}' or its target of several widths", "one width each", "correct the spaces")
    heads: list[nn.Sequential] = []
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
        mine = replace(recipe, seed=recipe.seed + number)
        folder = run.work(place, name, mixture)
        heads.append(_train_head(run, name, mixture, folder, target, tuples, mine).cpu())
    return heads


def _train_head(
    run: Run,
    name: str,
    mixture: str,
    folder: Path,
    target: Mapping[Modality, Rows],
    tuples: NDArray[np.int64],
    recipe: HeadRecipe,
) -> nn.Sequential:
    space, pairs, device = run.space(name), run.pairs, run.device
    d, width = next(iter(space.values())).width, next(iter(target.values())).width
    head = new_head(d, recipe.hidden, width, recipe.seed, BatchNorm).to(device)
    temperature = Temperature(recipe.scale, learnable=recipe.learn_scale).to(device)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = tuples[batch_rows(recipe.seed, step, len(tuples), recipe.batch)]
        items = {m: pairs.items[m][rows] for m in {*space, *target}}
        counts = [int((items[m] >= 0).sum()) for m in space]
        # One pass for all modalities: BatchNorm's statistics are those of their mixture, as in use.
        share = own(sum(counts))
        x = _taken(space, items, share)
        if recipe.noise:
            noise = torch.randn(sum(counts), d, generator=generator)[share]
            x = unit(x + recipe.noise * d**-0.5 * noise)
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

    decides = {
        "space": name, "mixture": mixture, "widths": [d, width], "modalities": [sorted(space), sorted(target)],
        "tuples": digest(tuples, *(pairs.items[m] for m in sorted(pairs.items))),
        "vectors": [source[m].identity for source in (space, target) for m in sorted(source)],
    }  # fmt: skip
    whole = nn.ModuleDict({"head": head, "temperature": temperature})
    title = f"{name}, {mixture}"
    run.curves[title] = train(whole, loss_of, recipe, folder, identity=decides, title=title, device=device)
    return head


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
