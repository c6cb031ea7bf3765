"""From a plan to a preset folder, stage by stage; what an earlier run finished is not done again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from omnibind_core.binding.forms import export_heads
from omnibind_core.binding.projectors import Projectors
from omnibind_core.presets.preset import load_preset
from omnibind_core.store.paths import replace_file
from omnibind_core.store.shards import ArrayRows, Rows, extract, open_shards
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.extraction import extract_pools
from omnibind_core.training.loop import TrainingError, curve_svg
from omnibind_core.training.model_card import model_card
from omnibind_core.training.plan import Plan
from omnibind_core.training.processes import rank, wait
from omnibind_core.training.pseudo_pairs import PseudoPairs, Vectors, pseudo_pairs, read_pairs, read_report, write_pairs
from omnibind_core.training.train_projectors import FusedRows, digest, train_space
from omnibind_core.training.train_routers import Languages, export_routers, train_routers
from omnibind_core.training.validation import figures, held_out
from omnibind_core.training.write_preset import PROJECTORS, ROUTERS, write_preset
from omnibind_core.types import FloatArray, Modality

__all__ = ["run"]

log = logging.getLogger(__name__)

PAIRS = "pairs.safetensors"
_IN_MEMORY = 100_000  # rows of a target: 600 MB at a width of 1536


def run(plan: Plan, *, device: str = "cpu") -> Path:
    """Extract, pair, bind, route; write weights, preset, curves and model card.

    Parameters
    ----------
    plan : Plan
        From :func:`omnibind_core.training.plan.read_plan`.
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
    aside = {
        m: held_out(m, next(iter(rows.values())).keys, plan.validation, plan.projectors.seed)
        for m, rows in vectors.items()
    }
    if rank() == 0:
        _search(plan, vectors, aside, plan.out / PAIRS, device)
    wait()
    pairs, report = read_pairs(plan.out / PAIRS), read_report(plan.out / PAIRS)
    heads, curves = _bind(plan, vectors, pairs, work, device)
    about = {"plan_sha256": hashlib.sha256(plan.text.encode()).hexdigest(), "name": plan.name}
    path = plan.out / f"{plan.name}.json"
    width = len(next(iter(heads.values()))[0].state_dict()["3.bias"])
    if rank() == 0:
        export_heads(plan.out / PROJECTORS, heads, about)
        write_preset(
            path, title=plan.title or plan.name, licence=plan.licence, note=plan.note, width=width, spaces=plan.spaces,
            heads=len(plan.mixtures), router_inputs=plan.inputs,
        )  # fmt: skip
    wait()
    languages = None
    if plan.domains:
        languages = Languages(plan.domains, targets, torch.from_numpy(np.nonzero(~aside["text"])[0]))
    if plan.inputs:
        preset = load_preset(path)
        projectors = Projectors(preset, {"projectors": read_tensors(plan.out / PROJECTORS)}, device)
        routers, curves["routers"] = train_routers(
            preset, projectors, vectors, pairs, plan.routers, work, languages=languages, device=device
        )
        if rank() == 0:
            export_routers(plan.out / ROUTERS, routers, about)
    if rank() == 0:
        replace_file(plan.out / "curves.svg", curve_svg(curves, f"{plan.name}: losses").encode())
        measured = ""
        if plan.validation:
            measured = figures(path, vectors, read_pairs(work / PAIRS), languages, device)
        replace_file(plan.out / "MODEL_CARD.md", model_card(plan, vectors, pairs, report, curves, measured).encode())
    wait()
    return path


def _search(plan: Plan, vectors: Vectors, aside: Mapping[Modality, NDArray[np.bool_]], path: Path, device: str) -> None:
    """Search pairs (held-out ones too), unless an earlier run found them with the same vectors and routes."""
    work = plan.out / "work"
    mark = work / "pairs.json"
    seen = digest(*(rows.chunk(0, 256) for m in vectors.values() for rows in m.values()), *aside.values())
    sizes = [[m, name, len(rows)] for m, spaces in vectors.items() for name, rows in spaces.items()]
    identity = hashlib.sha256(repr((seen, sizes, plan.routes, plan.k, plan.duplicates)).encode()).hexdigest()
    if path.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == identity:
        return
    mark.unlink(missing_ok=True)
    sides = [(path, {m: ~rows for m, rows in aside.items()})]
    if plan.validation:
        sides.append((work / PAIRS, dict(aside)))
    for file, among in sides:
        pairs, report = pseudo_pairs(
            vectors, plan.routes, k=plan.k, duplicates=plan.duplicates, among=among, device=device
        )
        write_pairs(file, pairs, report)
        for (start, end), found in report.items():
            log.info("%s -> %s: %s", start, end, found)
    replace_file(mark, identity.encode())


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

    def target(name: str, parts: Sequence[tuple[float, str, list[nn.Sequential]]]) -> dict[Modality, Rows]:
        return _target(vectors, parts, work / "target" / name, device)

    plain = [part for part in plan.target if not part.project]
    rest = target("rest", [(part.share, part.space, []) for part in plain])
    first = {part.space: bound(part.space, rest, work / "projectors" / "first") for part in plan.target if part.project}
    whole = target("whole", [(part.share, part.space, first.get(part.space, [])) for part in plan.target])
    for name in plan.spaces:
        heads[name] = first[name] if name in first else bound(name, whole, work / "projectors")
    return heads, curves


def _target(
    vectors: Vectors, parts: Sequence[tuple[float, str, list[nn.Sequential]]], folder: Path, device: str
) -> dict[Modality, Rows]:
    """Rows of the target for each modality that all of its parts understand."""
    target: dict[Modality, Rows] = {}
    for modality, spaces in vectors.items():
        if not all(space in spaces for _, space, _ in parts):
            continue
        fused = FusedRows([(share, spaces[space], heads) for share, space, heads in parts], device)
        if len(fused) <= _IN_MEMORY:
            target[modality] = ArrayRows(fused.chunk(0, len(fused)))
        elif any(heads for _, _, heads in parts):  # computed once instead of in every step
            target[modality] = _kept(folder / modality, fused, parts, spaces)
        else:
            target[modality] = fused
    if not target:
        names = ", ".join(space for _, space, _ in parts)
        raise TrainingError(f"a target of {names}", "parts that share a modality", "correct the target")
    return target


def _kept(
    folder: Path,
    fused: FusedRows,
    parts: Sequence[tuple[float, str, list[nn.Sequential]]],
    spaces: Mapping[str, Rows],
) -> Rows:
    """Lay a target's rows down in shards."""
    weights = [tensor.cpu().numpy() for _, _, heads in parts for head in heads for tensor in head.state_dict().values()]
    who = digest(*weights, *(spaces[space].chunk(0, 256) for _, space, _ in parts))

    def embed(rows: Sequence[int]) -> FloatArray:
        return fused.take(np.asarray(rows))

    if rank() == 0:
        keys = [str(number) for number in range(len(fused))]
        extract(folder, range(len(fused)), keys, embed, specialist=f"target {who}", batch=4096)
    wait()
    return open_shards(folder)
