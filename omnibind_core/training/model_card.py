"""What is written beside trained weights for people: data, licences, recipe, figures, date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from omnibind_core.specialists import registry
from omnibind_core.training.plan import Plan
from omnibind_core.training.pseudo_pairs import Hubness, PseudoPairs, Vectors
from omnibind_core.types import FloatArray, Modality

__all__ = ["model_card"]

_BOTH = ("seed", "steps", "batch", "rate", "decay", "warm_up", "scale", "learn_scale", "noise")


def model_card(
    plan: Plan,
    vectors: Vectors,
    pairs: PseudoPairs,
    report: Mapping[tuple[Modality, Modality], Hubness],
    curves: Mapping[str, FloatArray],
    figures: str,
) -> str:
    """Give the model card as Markdown.

    Parameters
    ----------
    plan : Plan
        What was trained.
    vectors : mapping
        Rows of each pool by space.
    pairs : PseudoPairs
        What it was trained on.
    report : mapping of (Modality, Modality) to Hubness
        How evenly the pairs' searches retrieved.
    curves : mapping of str to ndarray, shape (steps,)
        Losses.
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
    lines += [f"| {m} | {len(next(iter(vectors[m].values())))} | {p.licence} |" for m, p in plan.pools.items()]
    lines += ["", f"{len(pairs)} pseudo tuples, k = {plan.k}; no item was labelled or paired by hand.", ""]
    lines += [f"- {a} -> {b}: {found}" for (a, b), found in report.items()]
    lines += ["", "## Spaces", ""]
    for name, space in plan.spaces.items():
        towers = [
            f"{m} {t} ({specs[t].licence if t in specs else 'licence not known'})" for m, t in space.towers.items()
        ]
        lines.append(f"- {name}: {', '.join(towers)}")
    target = ", ".join(f"{p.share:g} {'projected ' if p.project else ''}{p.space}" for p in plan.target)
    lines += ["", "## Training", "", f"Target: {target}. Heads of each space: {', '.join(plan.mixtures)}."]
    recipes: list[tuple[str, Any, tuple[str, ...]]] = [("projectors", plan.projectors, (*_BOTH, "hidden"))]
    if plan.inputs:
        recipes.append(("routers", plan.routers, (*_BOTH, "decoupling")))
    for name, recipe, fields in recipes:
        lines.append(f"- {name}: {json.dumps({key: getattr(recipe, key) for key in fields})}")
    lines += ["", "| loss | first 10 steps | last 10 steps |", "| --- | --- | --- |"]
    lines += [f"| {n} | {c[:10].mean():.3f} | {c[-10:].mean():.3f} |" for n, c in curves.items()]
    held_out = figures or "None: the plan asks for no validation. The losses are on the training's own pseudo pairs."
    lines += ["", "## Held-out figures", "", held_out]
    return "\n".join(lines) + "\n"
