"""First stage of a plan: every pool through every tower of its modality."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from omnibind_core import media
from omnibind_core.specialists import registry
from omnibind_core.specialists.base import Specialist
from omnibind_core.specialists.load import load
from omnibind_core.store.shards import Shards, extract, open_shards
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.losses import domain_targets
from omnibind_core.training.plan import Plan
from omnibind_core.training.processes import rank, size, wait
from omnibind_core.types import FloatArray, Modality

__all__ = ["extract_pools"]


@dataclass(frozen=True, eq=False)
class _Pool:
    """What there is to embed: items as towers take them, and their keys."""

    items: Sequence[str]
    keys: Sequence[str]
    finished: Mapping[str, Shards] = field(default_factory=dict)


def extract_pools(plan: Plan, folder: Path, device: str) -> tuple[dict[Modality, dict[str, Shards]], torch.Tensor]:
    """Embed every pool with every tower of its modality; several processes share the towers out.

    Parameters
    ----------
    plan : Plan
        Says which.
    folder : Path
        Where shards go, one folder for each tower and modality.
    device : str
        Where towers compute.

    Returns
    -------
    dict
        Rows by modality and space.
    Tensor, shape (texts, domains), bool
        Domains of each text, in the order of the plan's.

    Raises
    ------
    TrainingError
        A pattern that finds nothing.
    """
    order = list(plan.domains)
    targets = torch.zeros(0, len(order), dtype=torch.bool)
    pools: dict[Modality, _Pool] = {}
    for modality, pool in plan.pools.items():
        if modality == "text":
            domains = domain_targets({domain: _lines(plan, files) for domain, files in pool.lines.items()}, order)
            keys, items = list(domains), list(domains)
            targets = torch.stack(list(domains.values())) if domains else targets
        else:
            found = [path for pattern in pool.files for path in sorted(plan.folder.glob(pattern)) if path.is_file()]
            items = [str(path) for path in dict.fromkeys(found)]
            keys = [path.relative_to(plan.folder).as_posix() for path in dict.fromkeys(found)]
        if not items:
            raise TrainingError(f"an empty pool of {modality}", "at least one item", "correct files or lines")
        finished = {t: _finished(plan.folder / f, t, modality, keys) for t, f in pool.vectors.items()}
        pools[modality] = _Pool(items, keys, finished)
    jobs = [(m, tower) for m, pool in pools.items() for tower in plan.towers(m) if tower not in pool.finished]
    for modality, tower in jobs[rank() :: size()]:
        _extract(folder / tower / modality, modality, tower, pools[modality], plan.pools[modality].batch, device)
    wait()
    rows = {(m, tower): open_shards(folder / tower / m) for m, tower in jobs}
    rows |= {(m, tower): shards for m, pool in pools.items() for tower, shards in pool.finished.items()}
    vectors = {
        m: {name: rows[m, space.towers[m]] for name, space in plan.spaces.items() if m in space.towers} for m in pools
    }
    return vectors, targets


def _lines(plan: Plan, files: Sequence[str]) -> list[str]:
    read = [line.strip() for file in files for line in (plan.folder / file).read_text(encoding="utf-8").splitlines()]
    return [line for line in read if line]


def _finished(folder: Path, tower: str, modality: Modality, keys: Sequence[str]) -> Shards:
    shards = open_shards(folder)
    if list(shards.keys) != list(keys):
        raise TrainingError(
            f"finished vectors of '{tower}' for {len(shards)} items of {modality}",
            f"those of the pool's {len(keys)} items, in their order",
            "extract them anew",
        )
    return shards


def _extract(folder: Path, modality: Modality, tower: str, pool: _Pool, batch: int, device: str) -> None:
    spec, _ = registry.find(tower)
    loaded: dict[str, Specialist] = {}

    def embed(some: Sequence[str]) -> FloatArray:
        if not loaded:  # a finished pool needs no tower
            loaded.update(load([tower], torch.device(device)))
        decoded = [media.load(item, modality) for item in some]
        rows: FloatArray = loaded[tower].embed(modality, decoded).float().cpu().numpy()
        return rows

    version = hashlib.sha256(repr(sorted(spec.weights.items())).encode()).hexdigest()[:16]
    extract(folder, pool.items, pool.keys, embed, specialist=f"{tower} {version}", batch=batch)
