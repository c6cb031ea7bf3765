"""First stage of a plan: every pool through every tower of its modality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from omnibind_core import media
from omnibind_core.specialists import registry
from omnibind_core.specialists.base import Specialist
from omnibind_core.specialists.load import load
from omnibind_core.store.kept import file_digest, identity
from omnibind_core.store.shards import Shards, extract, open_shards
from omnibind_core.store.weights import CommittedFile
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.losses import domain_targets
from omnibind_core.training.plan import Plan
from omnibind_core.training.run import Run
from omnibind_core.types import FloatArray, Modality

__all__ = ["extract_pools", "tower_identity"]


def extract_pools(run: Run, plan: Plan) -> torch.Tensor:
    """Embed every pool with every tower of its modality; several processes share the towers out.

    Parameters
    ----------
    run : Run
        Gets keys and rows of each pool; shards lie in its work, one folder for each tower and modality.
    plan : Plan
        Says which.

    Returns
    -------
    Tensor, shape (texts, domains), bool
        Domains of each text, in the order of the plan's.

    Raises
    ------
    TrainingError
        A pattern that finds nothing.
    """
    targets = torch.zeros(0, len(plan.domains), dtype=torch.bool)
    pools: dict[Modality, Sequence[str]] = {}
    opened: dict[tuple[Modality, str], Shards] = {}
    for modality, pool in plan.pools.items():
        if modality == "text":
            said = {domain: _lines(plan, files) for domain, files in pool.lines.items()}
            domains = domain_targets(said, list(plan.domains))
            keys, items = list(domains), list(domains)
            targets = torch.stack(list(domains.values())) if domains else targets
        else:
            found = [path for pattern in pool.files for path in sorted(plan.folder.glob(pattern)) if path.is_file()]
            items = [str(path) for path in dict.fromkeys(found)]
            keys = [path.relative_to(plan.folder).as_posix() for path in dict.fromkeys(found)]
        if not items:
            raise TrainingError(f"an empty pool of {modality}", "at least one item", "correct files or lines")
        pools[modality], run.keys[modality] = items, keys
        opened |= {(modality, t): _finished(plan.folder / f, t, modality, keys) for t, f in pool.vectors.items()}
    jobs = [(m, tower) for m in pools for tower in plan.towers(m) if (m, tower) not in opened]
    for modality, tower in run.mine(jobs):
        _extract(run, modality, tower, pools[modality], plan.pools[modality].batch)
    run.wait()
    opened |= {(m, tower): open_shards(run.work("pools", tower, m)) for m, tower in jobs}
    for m in pools:
        run.vectors[m] = {n: opened[m, space.towers[m]] for n, space in plan.spaces.items() if m in space.towers}
    return targets


def tower_identity(name: str) -> str:
    """Hash of a tower's weights, and of those that it shares: what is kept of its rows goes by it."""
    stated = [
        [part, role, weights.identity, file_digest(weights.local()) if isinstance(weights, CommittedFile) else ""]
        for part in registry.required([name])
        for role, weights in sorted(registry.find(part)[0].weights.items())
    ]
    return identity({"towers": [name, *stated]})


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


def _extract(run: Run, modality: Modality, tower: str, items: Sequence[str], batch: int) -> None:
    loaded: dict[str, Specialist] = {}

    def embed(some: Sequence[str]) -> FloatArray:
        if not loaded:  # a finished pool needs no tower
            loaded.update(load([tower], torch.device(run.device)))
        decoded = [media.load(item, modality) for item in some]
        rows: FloatArray = loaded[tower].embed(modality, decoded).float().cpu().numpy()
        return rows

    who = f"{tower} {tower_identity(tower)}"
    extract(run.work("pools", tower, modality), items, run.keys[modality], embed, specialist=who, batch=batch)
