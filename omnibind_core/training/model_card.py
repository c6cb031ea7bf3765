"""What is written beside trained weights for people: data, licences, recipe, figures, date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone

from omnibind_core.specialists import registry
from omnibind_core.training.plan import Plan
from omnibind_core.training.pseudo_pairs import Hubness
from omnibind_core.training.run import Run
from omnibind_core.types import Modality

__all__ = ["model_card"]


def model_card(plan: Plan, run: Run, report: Mapping[tuple[Modality, Modality], Hubness], figures: str) -> str:
    """Give the model card as Markdown.

    Parameters
    ----------
    plan : Plan
        What was trained.
    run : Run
        With its rows, pairs and losses.
    report : mapping of (Modality, Modality) to Hubness
        How evenly the pairs' searches retrieved.
    figures : str
        Held-out figures as Markdown, see :func:`omnibind_core.training.validation.figures`; may be empty.
    """
    specs = registry.all_specs()
    lines = [
        f"# {plan.title or plan.name}", "",
        f"Trained {datetime.now(timezone.utc):%Y-%m-%d} by `python -m omnibind_core.training`. "
        f"Licence: {plan.licence}.", "", plan.note, "",
        "## Data", "", "| pool | items | licence |", "| --- | --- | --- |",
    ]  # fmt: skip
    lines += [f"| {m} | {len(next(iter(run.vectors[m].values())))} | {p.licence} |" for m, p in plan.pools.items()]
    lines += ["", f"{len(run.pairs)} pseudo tuples, k = {plan.k}; no item was labelled or paired by hand.", ""]
    lines += [f"- {a} -> {b}: {found}" for (a, b), found in report.items()]
    lines += ["", "## Spaces", ""]
    for name, space in plan.spaces.items():
        towers = [
            f"{m} {t} ({specs[t].licence if t in specs else 'licence not known'})" for m, t in space.towers.items()
        ]
        lines.append(f"- {name}: {', '.join(towers)}")
    target = ", ".join(f"{p.share:g} {'projected ' if p.project else ''}{p.space}" for p in plan.target)
    lines += ["", "## Training", "", f"Target: {target}. Heads of each space: {', '.join(plan.mixtures)}."]
    recipes = {"projectors": asdict(plan.projectors)} | ({"routers": asdict(plan.routers)} if plan.inputs else {})
    lines += [f"- {name}: {json.dumps(recipe)}" for name, recipe in recipes.items()]
    lines += ["", "| loss | first 10 steps | last 10 steps |", "| --- | --- | --- |"]
    lines += [f"| {n} | {c[:10].mean():.3f} | {c[-10:].mean():.3f} |" for n, c in run.curves.items()]
    held_out = figures or "None: the plan asks for no validation. The losses are on the training's own pseudo pairs."
    lines += ["", "## Held-out figures", "", held_out]
    return "\n".join(lines) + "\n"
