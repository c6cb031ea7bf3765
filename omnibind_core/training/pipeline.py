"""From a plan to a preset folder, stage by stage; what an earlier run finished is not done again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from omnibind_core.binding.forms import head_tensors, write_heads
from omnibind_core.binding.projectors import Projectors
from omnibind_core.presets.preset import load_preset
from omnibind_core.store.kept import digest, identity
from omnibind_core.store.paths import replace_file
from omnibind_core.store.shards import ArrayRows, Rows, extract, open_shards
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.extraction import extract_pools
from omnibind_core.training.loop import TrainingError, curve_svg
from omnibind_core.training.model_card import model_card
from omnibind_core.training.plan import Plan
from omnibind_core.training.pseudo_pairs import pseudo_pairs, read_pairs, read_report, write_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import FusedRows, train_space
from omnibind_core.training.train_routers import Languages, train_routers
from omnibind_core.training.validation import figures, held_out
from omnibind_core.training.write_preset import PROJECTORS, ROUTERS, write_preset
from omnibind_core.types import Modality

__all__ = ["carry_out"]

log = logging.getLogger(__name__)

PAIRS = "pairs.safetensors"
_IN_MEMORY = 100_000  # rows of a target: 600 MB at a width of 1536


def carry_out(plan: Plan, run: Run) -> Path:
    """Extract, pair, bind, route; write weights, preset, curves and model card.

    Parameters
    ----------
    plan : Plan
        From :func:`omnibind_core.training.plan.read_plan`.
    run : Run
        In the plan's folder; it gets all that the stages find.

    Returns
    -------
    Path
        The preset's JSON: ``omnibind_core.binder.OmniBind.from_pretrained`` takes it.

    Raises
    ------
    OmniBindError
        With what was given, what is allowed and what to do.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    targets = extract_pools(run, plan)
    aside = {m: held_out(m, keys, plan.validation, plan.projectors.seed) for m, keys in run.keys.items()}
    found = run.folder / PAIRS
    if run.first:
        _search(run, plan, aside)
    run.wait()
    run.pairs = read_pairs(found)
    heads = _bind(run, plan)
    about = {"plan_sha256": hashlib.sha256(plan.text.encode()).hexdigest(), "name": plan.name}
    path = run.folder / f"{plan.name}.json"
    if run.first:
        write_heads(run.folder / PROJECTORS, head_tensors(heads), about, entry="about", dtype=None)
        write_preset(
            path, title=plan.title or plan.name, licence=plan.licence, note=plan.note, spaces=plan.spaces,
            width=len(next(iter(heads.values()))[0].state_dict()["3.bias"]), heads=len(plan.mixtures),
            router_inputs=plan.inputs,
        )  # fmt: skip
    run.wait()
    languages = None
    if plan.domains:
        languages = Languages(plan.domains, targets, torch.from_numpy(np.nonzero(~aside["text"])[0]))
    if plan.inputs:
        preset = load_preset(path)
        projectors = Projectors(preset, {"projectors": read_tensors(run.folder / PROJECTORS)}, run.device)
        routers = train_routers(run, preset, projectors, plan.routers, languages=languages)
        if run.first:
            write_heads(run.folder / ROUTERS, head_tensors(routers), about, entry="about", dtype=None)
    if run.first:
        replace_file(run.folder / "curves.svg", curve_svg(run.curves, f"{plan.name}: losses").encode())
        measured = figures(run, path, read_pairs(run.work(PAIRS)), languages) if plan.validation else ""
        replace_file(run.folder / "MODEL_CARD.md", model_card(plan, run, read_report(found), measured).encode())
    run.wait()
    return path


def _search(run: Run, plan: Plan, aside: Mapping[Modality, NDArray[np.bool_]]) -> None:
    """Search pairs (held-out ones too), unless an earlier run found them with the same vectors and routes."""
    path, mark = run.folder / PAIRS, run.work("pairs.json")
    decides = {
        "vectors": [[m, name, rows.identity] for m, spaces in run.vectors.items() for name, rows in spaces.items()],
        "aside": digest(*aside.values()), "validation": bool(plan.validation), "k": plan.k,
        "routes": [[*way, [asdict(hop) for hop in hops]] for way, hops in plan.routes.items()],
        "duplicates": plan.duplicates,
    }  # fmt: skip
    who = identity(decides)
    if path.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == who:
        return
    mark.unlink(missing_ok=True)
    sides = [(path, {m: ~rows for m, rows in aside.items()})]
    if plan.validation:
        sides.append((run.work(PAIRS), dict(aside)))
    for file, among in sides:
        pairs, report = pseudo_pairs(
            run.vectors, plan.routes, k=plan.k, duplicates=plan.duplicates, among=among, device=run.device
        )
        write_pairs(file, pairs, report)
        for (start, end), hubs in report.items():
            log.info("%s -> %s: %s", start, end, hubs)
    mark.parent.mkdir(parents=True, exist_ok=True)
    replace_file(mark, who.encode())


def _bind(run: Run, plan: Plan) -> dict[str, list[nn.Sequential]]:
    """Train the heads of all spaces; parts of the target that are projected go first, towards the rest of it."""

    def bound(name: str, target: Mapping[Modality, Rows], place: str) -> list[nn.Sequential]:
        return train_space(run, name, target, plan.projectors, mixtures=plan.mixtures, place=place)

    rest = _target(run, "rest", [(part.share, part.space, []) for part in plan.target if not part.project])
    first = {p.space: bound(p.space, rest, "projectors/first") for p in plan.target if p.project}
    whole = _target(run, "whole", [(part.share, part.space, first.get(part.space, [])) for part in plan.target])
    return {name: first[name] if name in first else bound(name, whole, "projectors") for name in plan.spaces}


def _target(run: Run, name: str, parts: Sequence[tuple[float, str, list[nn.Sequential]]]) -> dict[Modality, Rows]:
    """Rows of the target for each modality that all of its parts understand."""
    target: dict[Modality, Rows] = {}
    for modality, spaces in run.vectors.items():
        if not all(space in spaces for _, space, _ in parts):
            continue
        fused = FusedRows([(share, spaces[space], heads) for share, space, heads in parts], run.device)
        if len(fused) <= _IN_MEMORY:
            target[modality] = ArrayRows(fused.chunk(0, len(fused)))
        elif any(heads for _, _, heads in parts):  # computed once instead of in every step
            target[modality] = _laid_down(run, run.work("target", name, modality), fused)
        else:
            target[modality] = fused
    if not target:
        names = ", ".join(space for _, space, _ in parts)
        raise TrainingError(f"a target of {names}", "parts that share a modality", "correct the target")
    return target


def _laid_down(run: Run, folder: Path, fused: FusedRows) -> Rows:
    """Lay a target's rows down in shards."""
    items = range(len(fused))
    if run.first:
        keys = [str(number) for number in items]
        who = f"target {fused.identity}"
        extract(folder, items, keys, lambda some: fused.take(np.asarray(some)), specialist=who, batch=4096)
    run.wait()
    return open_shards(folder)
