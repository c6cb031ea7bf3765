"""Held-out figures of a training: what binding keeps of pseudo pairs that nothing was trained on.

A share of each pool is put aside by a hash of its keys, before pairs are searched: these items find partners only
among themselves, and no tuple that is trained on holds one of them. What counts as right is still a pseudo pair, not
a person's word. The space that found a pair finds it again by construction; what is measured is how much of that the
bound space keeps, and what it gives where no single space joins two modalities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.binder import bind
from omnibind_core.binding.files import load_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.evaluation.retrieval import measure
from omnibind_core.presets.preset import load_preset
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.losses import bare_noun, domain_shares
from omnibind_core.training.pseudo_pairs import PseudoPairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_routers import Languages
from omnibind_core.types import FloatArray, Modality

__all__ = ["figures", "held_out"]

_MOST = 2000  # items of a modality that are ranked: the page is for people, and a matrix of scores has to fit


def held_out(modality: Modality, keys: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Say which items of a pool are put aside.

    Parameters
    ----------
    modality : Modality
        Of texts, a noun and what is said of it in a template (:func:`~omnibind_core.training.losses.bare_noun`) lie on
        one side.
    keys : sequence of str
        The pool's.
    share : float
        About how many, 0..1; nothing but key, share and seed decides.
    seed : int
        Another seed puts others aside.

    Returns
    -------
    ndarray, shape (n,), bool

    Raises
    ------
    TrainingError
        Fewer than two items on a side.
    """
    said = [bare_noun(key) if modality == "text" else key for key in keys]
    numbers = [int(hashlib.sha256(f"{seed}:{one}".encode()).hexdigest()[:8], 16) for one in said]
    out = np.array(numbers) < share * 16**8
    if share and min(out.sum(), (~out).sum()) < 2:
        raise TrainingError(
            f"validation = {share} of {len(keys)} items of {modality}", "two items at least on each side",
            "change the share, or leave it out",
        )  # fmt: skip
    return out


def figures(run: Run, path: Path, pairs: PseudoPairs, languages: Languages | None) -> str:
    """Measure how often the pseudo partner of a held-out item is the nearest of all held-out items.

    Parameters
    ----------
    run : Run
        With its rows.
    path : Path
        The preset's JSON, with its weights beside it.
    pairs : PseudoPairs
        Tuples of held-out items only.
    languages : Languages, optional
        Domains of the texts: for how often a held-out sentence's own domain gets most of the weight.

    Returns
    -------
    str
        Markdown: a table with n, candidates, chance, and R@1 in percent of every space that joins the two modalities,
        of the bound space with equal weights, and with its routers.
    """
    preset = load_preset(path)
    files = load_files(preset)
    projectors, routers = Projectors(preset, files, run.device), Routers(preset, files, run.device)
    rows = {m: np.unique(items[items >= 0])[:_MOST] for m, items in pairs.items.items()}
    found: dict[str, dict[Modality, FloatArray]] = {}
    routed = any(routers.is_trained(m) for m in rows)
    language = ""
    with torch.inference_mode():
        for m, chosen in rows.items():
            read = {s: torch.from_numpy(run.vectors[m][s].take(chosen)).to(run.device) for s in preset.spaces_of(m)}
            for name, raw in read.items():
                found.setdefault(name, {})[m] = raw.cpu().numpy()
            projected, weights = projectors(m, read), routers(m, read, len(chosen))
            members = preset.members[m]
            flat = torch.full_like(weights, 1 / len(members))
            found.setdefault("bound, equal weights", {})[m] = bind(members, projected, flat).cpu().numpy()
            if routed:
                found.setdefault("bound, routed", {})[m] = bind(members, projected, weights).cpu().numpy()
            if m == "text" and languages is not None and routers.is_trained(m):
                names = [member.name for member in members]
                language = _language(names, languages, weights.cpu(), torch.from_numpy(chosen))
    names = [n for n in found if not n.startswith("bound")] + [n for n in found if n.startswith("bound")]
    lines = [
        f"| who finds whom | n | candidates | chance | {' | '.join(names)} |",
        f"| --- |{' ---: |' * (3 + len(names))}",
    ]
    for a, b in permutations(rows, 2):
        if cells := _cells(a, b, rows, pairs, [found[name] for name in names]):
            lines.append(f"| {a} -> {b} | {cells} |")
    return "\n".join([_HEAD, "", *lines, *(["", language] if language else [])])


_HEAD = (
    "R@1 in percent on items that were put aside before pairs were searched: is an item's pseudo partner the nearest "
    "of all such items? A space that found the pairs itself has 100 by construction; - stands where a space does not "
    "join the two. Chance is that of guessing."
)


def _cells(
    a: Modality,
    b: Modality,
    rows: Mapping[Modality, NDArray[np.int64]],
    pairs: PseudoPairs,
    found: Sequence[Mapping[Modality, FloatArray]],
) -> str:
    """Give one line's cells; empty where no item of `a` has a partner in `b`."""
    from_a = pairs.of([a])
    left, right = pairs.items[a][from_a], pairs.items[b][from_a]
    known = np.isin(left, rows[a]) & np.isin(right, rows[b])
    asked = np.unique(left[known])
    if not len(asked):
        return ""
    wanted = np.zeros((len(asked), len(rows[b])), np.bool_)
    wanted[np.searchsorted(asked, left[known]), np.searchsorted(rows[b], right[known])] = True
    at = np.searchsorted(rows[a], asked)
    measured = [measure("", one[a][at], one[b], wanted) if a in one and b in one else None for one in found]
    first = next(row for row in measured if row)
    cells = [str(first.n), str(first.candidates), f"{first.chance:.1f}"]
    return " | ".join(cells + ["-" if row is None else f"{row.r1.value:.1f}" for row in measured])


def _language(names: Sequence[str], languages: Languages, weights: Tensor, chosen: Tensor) -> str:
    targets = languages.targets[chosen]
    single = targets.sum(1) == 1
    if not single.any():
        return ""
    share = weights.float() @ domain_shares(names, languages.domains, list(languages.domains))
    right = share[single].argmax(1) == targets[single].int().argmax(1)
    return (
        f"Of {int(single.sum())} held-out sentences that are said in one domain only, the text router gives most of "
        f"its weight to that domain for {100 * float(right.float().mean()):.1f} % (chance "
        f"{100 / len(languages.domains):.1f} %)."
    )
