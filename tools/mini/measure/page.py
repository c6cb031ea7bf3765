"""Sections of the results page about finding, binding and routing; see :mod:`tools.mini.measure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.evaluation.ablation import VariantResult, compare, difference, one_head, recalls
from omnibind_core.evaluation.bench import Bench, Pool, Task, subset
from omnibind_core.evaluation.report import Cell, Chart, Section
from omnibind_core.evaluation.retrieval import Figure, figure, section
from omnibind_core.presets.preset import Preset
from omnibind_core.store.paths import assets_directory
from omnibind_core.training.losses import domain_shares
from omnibind_core.types import MODALITIES, Modality
from tools.mini.measure.frozen import TASKS, frozen_tasks
from tools.mini.measure.shapes import FIGURES, kept_rows
from tools.mini.pools.vectors import texts
from tools.mini.routers import MEMBERS_OF, SEEDS, evaluation_preset, evaluation_routers, routed
from tools.mini.routing_sentences import DOMAINS, judged

__all__ = ["binding_sections", "variants"]

Hits: TypeAlias = Mapping[str, NDArray[Any]]

_FOUND = """\
What `mini` finds by media alone: no caption is used anywhere. R@1 and R@5 are percentages of queries with a right
answer first, or among the first five; in brackets the 95 % bootstrap interval over queries; chance is R@5 of guessing.
Pictures that are named or asked for by name are the held-out half of Tux Paint's photographs; with sounds and shapes
all of them are matched, also those of the half that choices were made on. Shapes are all of Sweet Home 3D's furniture,
each by models that never saw it (five-fold), while the weights of members were chosen on one half of them. Sounds are
recordings from four packages that the heads never heard and no choice was made on, among them most of the gallery's.
"""
_RAW: Mapping[str, Mapping[Modality, Sequence[str]]] = {
    "meaning": {"text": ("words",), "image": ("words",), "audio": ("raw words",), "point": ("words",)},
    "second towers": {"text": ("words",), "image": ("names",), "audio": ("raw names",), "point": ("words",)},
    "looks": {"text": ("looks",), "image": ("looks",), "audio": ("raw looks",), "point": ("looks",)},
}
_PROJECTED: Mapping[str, Mapping[Modality, Sequence[str]]] = {
    "meaning": {"text": ("words",), "image": ("words",), "audio": ("words",), "point": ("views",)},
    "second towers": {"text": ("words",), "image": ("names",), "audio": ("names",), "point": ("names",)},
    "looks": {"text": ("looks",), "image": ("looks",), "audio": ("looks",), "point": ("looks",)},
}


def variants(preset: Preset) -> dict[str, Preset]:
    """Give the rows of the comparison that need no router, by name."""

    def alike(members: Mapping[Modality, Sequence[str]]) -> Preset:
        return subset(preset, {m: dict.fromkeys(names, 1.0) for m, names in members.items()})

    def union(spaces: Mapping[str, Mapping[Modality, Sequence[str]]]) -> dict[Modality, list[str]]:
        return {m: list(dict.fromkeys(n for space in spaces.values() for n in space[m])) for m in MODALITIES}

    rows = {f"{name}, raw": alike(members) for name, members in _RAW.items()}
    rows |= {f"{name}, projected": alike(members) for name, members in _PROJECTED.items()}
    rows["flat, raw spaces"] = alike(union(_RAW))
    rows["flat, projected spaces"] = alike({m: [one.name for one in preset.members[m]] for m in MODALITIES})
    rows["weighed (the default)"] = preset
    return rows


def binding_sections() -> list[Section]:
    """Measure and lay out everything about finding, binding and routing."""
    preset, tasks = evaluation_preset(), frozen_tasks()
    bench = Bench(preset, evaluation_routers())
    outcomes = compare(bench, tasks, variants(preset))
    default = outcomes[-1]
    seeds = {default.name: [recalls(bench, tasks, one_head(preset, seed)) for seed in SEEDS]}
    for name, kind in (("routed without decoupling", "plain"), ("routed", "decoupled")):
        seeds[name] = [recalls(bench, tasks, _routed(preset, kind, seed)) for seed in SEEDS]
        outcomes.append(
            VariantResult(name, {t: np.mean([hits[t] for hits in seeds[name]], axis=0) for t in default.hits})
        )
    spread = {name: _ends(found) for name, found in seeds.items()}
    first = recalls(bench, tasks, preset, 1)
    return [_found(tasks, first, default.hits), _compared(outcomes, spread), _routing(bench, preset), _by_points()]


def _routed(preset: Preset, kind: str, seed: int) -> Preset:
    return routed(preset, f"routers-{kind}-{seed}")


def _ends(seeds: Sequence[Hits]) -> tuple[float, float]:
    """Lowest and highest mean over tasks among seeds, in percent."""
    means = [100 * float(np.mean([hits.mean() for hits in found.values()])) for found in seeds]
    return min(means), max(means)


def _found(tasks: Sequence[Task], first: Hits, five: Hits) -> Section:
    columns = ["task", "n", "among", "chance", "R@1", "R@5", "low", "high"]
    rows: list[list[Cell]] = []
    for name in dict.fromkeys(task.name for task in tasks):
        one, of_five = figure(first[name]), figure(five[name])
        same = [task for task in tasks if task.name == name]
        rows.append([
            name, len(five[name]), len(same[0].candidates), _chance(same), str(one),
            of_five.value, of_five.low, of_five.high,
        ])  # fmt: skip
    return Section("What mini finds", _FOUND, columns, rows, Chart("task", "R@5", "low", "high", "chance"))


def _chance(tasks: Sequence[Task], k: int = 5) -> float:
    """Percent of queries with a right answer among k drawn at random."""
    shares: list[float] = []
    for task in tasks:
        right = task.right[task.asked]
        n = right.shape[1]
        for count in right.sum(1)[right.any(1)]:
            missed = np.prod([(n - count - i) / (n - i) for i in range(k)])
            shares.append(1 - float(missed))
    return 100 * float(np.mean(shares))


def _compared(outcomes: Sequence[VariantResult], spread: Mapping[str, tuple[float, float]]) -> Section:
    names = [task for task in TASKS if task in outcomes[-1].hits]
    columns = ["row", *names, "mean", "low", "high", "three seeds"]
    rows: list[list[Cell]] = []
    for outcome in outcomes:
        cells: list[Cell] = [f"{100 * outcome.hits[t].mean():.1f}" if t in outcome.hits else "" for t in names]
        mean = outcome.mean(names)
        ends: list[Cell] = ["", "", ""] if mean is None else [mean.value, mean.low, mean.high]
        seeds = "{:.1f} to {:.1f}".format(*spread[outcome.name]) if outcome.name in spread else ""
        rows.append([outcome.name, *cells, *ends, seeds])
    return Section(
        "What binding and routing give", _verdict(outcomes, names), columns, rows, Chart("row", "mean", "low", "high")
    )


def _verdict(outcomes: Sequence[VariantResult], names: Sequence[str]) -> str:
    """Say in words what the table shows, from its own numbers."""
    by_name = {outcome.name: outcome for outcome in outcomes}
    raw = [o for o in outcomes if o.name.endswith(", raw") and o.mean(names) is not None]
    best = max(raw, key=lambda o: _value(o.mean(names)))
    default, trained = by_name["weighed (the default)"], by_name["routed"]
    flat = by_name["flat, projected spaces"]
    lines = [
        "R@5 on the tasks above, all queries and candidates the same in every row. *Raw* spaces are training-free: "
        "pictures and drawn shapes by ImageNet's classes, sounds by the labels of the nearest taught sounds. "
        "*Projected* ones have the trained heads instead. *Flat* weighs all members alike, the default by weights that "
        "were chosen "
        "on development data, *routed* by routers of the published form, for each input anew; *decoupling* is our own "
        "loss (docs/training.md). Rows of routers are means over three seeds; the last column says "
        "how far single seeds (for the default: single heads) lie apart. "
        "The router of shapes reads the application's point encoder, which knows these meshes: that favours routed "
        "rows.",
        f"The default is {_told(difference(default, best, names))} than the best raw space ({best.name}), and "
        f"{_told(difference(default, flat, names))} than the flat mean of projected spaces.",
        f"Trained routers with decoupling are {_told(difference(trained, default, names))} than the default, without "
        f"it {_told(difference(by_name['routed without decoupling'], default, names))}.",
    ]
    return "\n\n".join(lines)


def _value(mean: Figure | None) -> float:
    return -1.0 if mean is None else mean.value


def _told(gap: Figure) -> str:
    """Say a difference and whether its interval leaves out 0."""
    size = f"{abs(gap.value):.1f} points ({gap.low:+.1f} to {gap.high:+.1f})"
    if gap.low > 0:
        return f"better by {size}"
    if gap.high < 0:
        return f"worse by {size}"
    return f"{'better' if gap.value >= 0 else 'worse'} by {size}, which is within the noise,"


def _by_points() -> Section:
    found = kept_rows(assets_directory() / "mini" / FIGURES)
    text = (
        "Sweet Home 3D's 761 meshes among 204 classes, each by models that never saw it: the meshes are parted in five "
        "by their keys. *Without namesakes* counts only the meshes no namesake of which was learned from; *without "
        "colour* they are grey, *clouds* have no surface. These figures come from "
        "`python -m tools.mini.shapes --folds`, a stage of `make train-mini`."
    )
    rows = [replace(row, task=row.task.replace(" -> class, five-fold", "").removeprefix("shapes: ")) for row in found]
    return section("Shapes by points, by views and by both", text, rows)


def _routing(bench: Bench, preset: Preset) -> Section:
    shares = domain_shares([m.name for m in preset.members["text"]], MEMBERS_OF, DOMAINS).numpy()
    rows: list[list[Cell]] = []
    for kind, sentences in judged().items():
        pool = texts(sentences.texts)
        always = float(100 * sentences.targets.mean(0).max())
        for name, trained in (("decoupling", "decoupled"), ("no decoupling", "plain")):
            hits = np.mean(
                [_right(bench, pool, _routed(preset, trained, s), shares, sentences.targets) for s in SEEDS], 0
            )
            got = figure(hits)
            rows.append([f"{kind}, {name}", len(sentences), always, got.value, got.low, got.high])
    text = (
        "How often the text router gives most weight to the text heads of a domain that the sentence belongs to: "
        'captions of pictures, of sounds or of shapes. Templates ("a snapshot of the X", "listen to the X", "a '
        'low-poly X") and nouns are others than those that the router learned from; a bare noun may go to any domain '
        "in which something is called so. *Always the same* is the best that giving every sentence to one domain could "
        "do. Mean over three seeds."
    )
    columns = ["sentences", "n", "always the same", "right", "low", "high"]
    return Section(
        "Where sentences are sent", text, columns, rows, Chart("sentences", "right", "low", "high", "always the same")
    )


def _right(
    bench: Bench, pool: Pool, preset: Preset, shares: NDArray[np.float32], targets: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    sent = (bench.weights(pool, preset) @ shares).argmax(1)
    right: NDArray[np.bool_] = targets[np.arange(len(targets)), sent]
    return right
