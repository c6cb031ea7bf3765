"""From a plan to a preset folder, stage by stage; what an earlier run finished is not done again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn

from omnibind_core import media
from omnibind_core.binding.losses import domain_targets
from omnibind_core.binding.plan import Plan
from omnibind_core.binding.pools import ArrayRows, Rows, Shards, extract, open_shards, replace_file
from omnibind_core.binding.presets import PROJECTORS, ROUTERS, write_preset
from omnibind_core.binding.pseudo_pairs import (
    Hubness,
    PseudoPairs,
    Vectors,
    pseudo_pairs,
    read_pairs,
    read_report,
    write_pairs,
)
from omnibind_core.binding.train_projectors import FusedRows, digest, export_heads, train_space
from omnibind_core.binding.train_routers import Languages, export_routers, train_routers
from omnibind_core.binding.training import TrainingError, curve_svg
from omnibind_core.config import load_preset
from omnibind_core.projectors import Projectors
from omnibind_core.specialists import registry
from omnibind_core.specialists.base import Specialist
from omnibind_core.types import FloatArray, Modality
from omnibind_core.weights import local_files, read_tensors

__all__ = ["extract_pools", "run"]

log = logging.getLogger(__name__)

_FAMILY = (
    "seed",
    "steps",
    "batch",
    "rate",
    "decay",
    "warm_up",
    "scale",
    "learn_scale",
    "noise",
    "hidden",
    "decoupling",
)


def run(plan: Plan, *, device: str = "cpu") -> Path:
    """Extract, pair, bind, route; write weights, preset, curves and model card.

    Parameters
    ----------
    plan : Plan
        From :func:`omnibind_core.binding.plan.read_plan`.
    device : str
        Where towers and trainings run.

    Returns
    -------
    Path
        The preset's JSON: ``omnibind_core.binder.OmniBind.from_pretrained`` takes it.

    Raises
    ------
    OmniBindError
        With what was given, what is allowed and what to do.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    work = plan.out / "work"
    vectors, targets = extract_pools(plan, work / "pools", device)
    pairs, report = _pairs(plan, vectors, device)
    for (start, end), found in report.items():
        log.info("%s -> %s: %s", start, end, found)
    heads, curves = _bind(plan, vectors, pairs, work / "projectors", device)
    about = {"plan_sha256": hashlib.sha256(plan.text.encode()).hexdigest(), "name": plan.name}
    export_heads(plan.out / PROJECTORS, heads, about)
    path = plan.out / f"{plan.name}.json"
    width = len(next(iter(heads.values()))[0].state_dict()["3.bias"])
    write_preset(
        path, title=plan.title or plan.name, licence=plan.licence, note=plan.note, width=width, spaces=plan.spaces,
        heads=len(plan.mixtures), router_inputs=plan.inputs,
    )  # fmt: skip
    if plan.inputs:
        preset = load_preset(path)
        languages = Languages(plan.domains, targets) if plan.domains else None
        projectors = Projectors(preset, {"projectors": read_tensors(plan.out / PROJECTORS)}, device)
        routers, curves["routers"] = train_routers(
            preset, projectors, vectors, pairs, plan.routers, work, languages=languages, device=device
        )
        export_routers(plan.out / ROUTERS, routers, about)
    replace_file(plan.out / "curves.svg", curve_svg(curves, f"{plan.name}: losses").encode())
    replace_file(plan.out / "MODEL_CARD.md", _card(plan, vectors, pairs, report, curves).encode())
    return path


def extract_pools(plan: Plan, folder: Path, device: str) -> tuple[dict[Modality, dict[str, Rows]], torch.Tensor]:
    """Embed every pool with every tower of its modality.

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
    vectors: dict[Modality, dict[str, Rows]] = {}
    targets = torch.zeros(0, len(order), dtype=torch.bool)
    for modality, pool in plan.pools.items():
        if modality == "text":
            said = {domain: _lines(plan, files) for domain, files in pool.lines.items()}
            domains = domain_targets(said, order)
            keys, items = list(domains), list(domains)
            targets = torch.stack(list(domains.values()))
        else:
            found = [path for pattern in pool.files for path in sorted(plan.folder.glob(pattern)) if path.is_file()]
            items = [str(path) for path in dict.fromkeys(found)]
            keys = [path.relative_to(plan.folder).as_posix() for path in dict.fromkeys(found)]
        if not items:
            raise TrainingError(f"an empty pool of {modality}", "at least one item", "correct files or lines")
        by_tower: dict[str, Shards] = {}
        for tower in plan.towers(modality):
            if tower in pool.vectors:
                by_tower[tower] = open_shards(plan.folder / pool.vectors[tower])
                if list(by_tower[tower].keys) != keys:
                    raise TrainingError(
                        f"finished vectors of '{tower}' for {len(by_tower[tower])} items of {modality}",
                        f"those of the pool's {len(keys)} items, in their order",
                        "extract them anew",
                    )
            else:
                by_tower[tower] = _extract(folder / tower / modality, modality, tower, items, keys, pool.batch, device)
        vectors[modality] = {
            name: by_tower[space.towers[modality]] for name, space in plan.spaces.items() if modality in space.towers
        }
    return vectors, targets


def _lines(plan: Plan, files: Sequence[str]) -> list[str]:
    read = [line.strip() for file in files for line in (plan.folder / file).read_text(encoding="utf-8").splitlines()]
    return [line for line in read if line]


def _extract(
    folder: Path, modality: Modality, tower: str, items: Sequence[str], keys: Sequence[str], batch: int, device: str
) -> Shards:
    spec, _ = registry.find(tower)
    loaded: dict[str, Specialist] = {}

    def embed(some: Sequence[str]) -> FloatArray:
        if not loaded:  # a finished pool needs no tower
            for part in registry.required([tower]):
                one, build = registry.find(part)
                loaded[part] = build(one, local_files(one.weights), loaded, torch.device(device), torch.float32)
        decoded = [media.load(item, modality) for item in some]
        rows: FloatArray = loaded[tower].embed(modality, decoded).float().cpu().numpy()
        return rows

    version = hashlib.sha256(repr(sorted(spec.weights.items())).encode()).hexdigest()[:16]
    return extract(folder, items, keys, embed, specialist=f"{tower} {version}", batch=batch)


def _pairs(
    plan: Plan, vectors: Vectors, device: str
) -> tuple[PseudoPairs, Mapping[tuple[Modality, Modality], Hubness]]:
    """Search, or read what an earlier run found with the same vectors and routes."""
    path, mark = plan.out / "pairs.safetensors", plan.out / "work" / "pairs.json"
    seen = digest(*(rows.chunk(0, 256) for m in vectors.values() for rows in m.values()))
    sizes = [[m, name, len(rows)] for m, spaces in vectors.items() for name, rows in spaces.items()]
    identity = hashlib.sha256(repr((seen, sizes, plan.routes, plan.k, plan.duplicates)).encode()).hexdigest()
    if path.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == identity:
        return read_pairs(path), read_report(path)
    pairs, report = pseudo_pairs(vectors, plan.routes, k=plan.k, duplicates=plan.duplicates, device=device)
    mark.unlink(missing_ok=True)
    write_pairs(path, pairs, report)
    replace_file(mark, identity.encode())
    return pairs, report


def _bind(
    plan: Plan, vectors: Vectors, pairs: PseudoPairs, work: Path, device: str
) -> tuple[dict[str, list[nn.Sequential]], dict[str, FloatArray]]:
    """Train the heads of all spaces; parts of the target that are projected go first, towards the rest of it."""
    curves: dict[str, FloatArray] = {}
    heads: dict[str, list[nn.Sequential]] = {}

    def bound(name: str, target: Mapping[Modality, Rows], folder: Path) -> list[nn.Sequential]:
        space = {m: rows[name] for m, rows in vectors.items() if name in rows}
        trained, losses = train_space(
            name, space, target, pairs, plan.projectors, folder, mixtures=plan.mixtures, device=device
        )
        curves.update({f"{name}, {mixture}": curve for mixture, curve in losses.items()})
        return trained

    plain = [part for part in plan.target if not part.project]
    first = {part.space: bound(part.space, _target(vectors, [(p.share, p.space, []) for p in plain]), work / "first")
             for part in plan.target if part.project}  # fmt: skip
    whole = _target(vectors, [(part.share, part.space, first.get(part.space, [])) for part in plan.target])
    for name in plan.spaces:
        heads[name] = first[name] if name in first else bound(name, whole, work)
    return heads, curves


def _target(vectors: Vectors, parts: Sequence[tuple[float, str, list[nn.Sequential]]]) -> dict[Modality, Rows]:
    """Rows of the target for each modality that all of its parts understand."""
    target: dict[Modality, Rows] = {}
    for modality, spaces in vectors.items():
        if all(space in spaces for _, space, _ in parts):
            fused = FusedRows([(share, spaces[space], heads) for share, space, heads in parts])
            target[modality] = ArrayRows(fused.chunk(0, len(fused))) if len(fused) <= 100_000 else fused
    if not target:
        names = ", ".join(space for _, space, _ in parts)
        raise TrainingError(f"a target of {names}", "parts that share a modality", "correct the target")
    return target


def _card(
    plan: Plan,
    vectors: Vectors,
    pairs: PseudoPairs,
    report: Mapping[tuple[Modality, Modality], Hubness],
    curves: Mapping[str, FloatArray],
) -> str:
    specs = registry.all_specs()
    lines = [
        f"# {plan.title or plan.name}", "",
        f"Trained {datetime.now(timezone.utc):%Y-%m-%d} by `python -m omnibind_core.binding`. Licence: {plan.licence}.",
        "", plan.note, "", "## Data", "", "| pool | items | licence |", "| --- | --- | --- |",
    ]  # fmt: skip
    lines += [f"| {m} | {len(next(iter(vectors[m].values())))} | {p.licence} |" for m, p in plan.pools.items()]
    lines += ["", f"{len(pairs)} pseudo tuples, k = {plan.k}; no item was labelled or paired by hand.", ""]
    lines += [f"- {a} -> {b}: {found}" for (a, b), found in report.items()]
    lines += ["", "## Spaces", ""]
    for name, space in plan.spaces.items():
        towers = [
            f"{m} {t} ({specs[t].licence if t in specs else 'licence not known'})" for m, t in space.towers.items()
        ]
        lines.append(f"- {name}: {', '.join(towers)}")
    recipes: dict[str, Any] = {"projectors": plan.projectors}
    if plan.inputs:
        recipes["routers"] = plan.routers
    lines += ["", "## Training", "", f"Heads of each space: {', '.join(plan.mixtures)}."]
    for name, recipe in recipes.items():
        lines.append(f"- {name}: {json.dumps({key: getattr(recipe, key) for key in _FAMILY})}")
    lines += ["", "| loss | first 10 steps | last 10 steps |", "| --- | --- | --- |"]
    lines += [f"| {n} | {c[:10].mean():.3f} | {c[-10:].mean():.3f} |" for n, c in curves.items()]
    lines += ["", "These are losses on the training's own pseudo pairs. Retrieval was not measured by this command."]
    return "\n".join(lines) + "\n"
