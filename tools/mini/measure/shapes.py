"""How well shapes are named by points, by views and by both: each mesh by models that never saw it.

The meshes of Sweet Home 3D are parted in five by their keys; what is learned, is learned five times, each time without
one part, which it then names. The models of the five parts would be 54 MB, so that they are not committed: the command
``python -m tools.mini.shapes --folds`` trains them again (or goes on from its cache) and keeps the
figures as JSON, which :func:`kept_rows` reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.errors import OmniBindError
from omnibind_core.evaluation.retrieval import Figure, Row, measure
from tools.mini.labels import label_vectors
from tools.mini.pools.vectors import in_development, named_shapes
from tools.mini.shapes.folds import DENSITIES, STYLES, class_rows, fold_vectors, pooled_views
from tools.mini.shapes.targets import FOLDS, conse_of, fold_of, looks_of, words_of

__all__ = ["FIGURES", "SHARES", "five_fold_scores", "kept_rows", "measured", "rows_of", "write_rows"]

FIGURES = Path("eval/shapes_folds.json")
"""Where in mini's folder the figures are kept."""

SHARES: dict[str, float] = {
    "points, words": 0.25,
    "views, words": 0.2,
    "views, ConSE": 0.15,
    "views, shaped": 0.2,
    "views, looks": 0.15,
    "points, looks": 0.05,
}
"""Weights of the members when all are bound; chosen on the meshes of the development half."""

_BEFORE = ("", "grey: ", "splat: ")
_COMMAND = "python -m tools.mini.shapes --folds"


def five_fold_scores(work: Path) -> dict[str, Tensor]:
    """Cosine of each mesh with each class by each way of seeing it.

    Parameters
    ----------
    work : Path
        Where the trainings are; what is missing there is trained.

    Returns
    -------
    dict of str to Tensor, shape (n, L), float32
        ``"points, words at 256"`` and so on for each density, and :data:`SHARES`'s names, which are also there with
        ``"grey: "`` before them for shapes without colour, and with ``"splat: "`` for views of clouds; classes in
        alphabetical order.
    """
    labels = sorted({mesh.label for mesh in named_shapes()})
    words = words_of(labels)[0]
    looks = label_vectors(labels, "looks")[0]
    scores: dict[str, Tensor] = {}

    def put(name: str, rows: Tensor, values: Tensor) -> None:
        scores.setdefault(name, torch.zeros(len(named_shapes()), len(labels)))[rows] = values

    for fold in range(FOLDS):
        found = fold_vectors(work, fold)
        rows = found["rows"]
        for density in DENSITIES:
            put(f"points, words at {density:,}", rows, found[f"points.{density}"] @ words.T)
        classes = class_rows(labels, found["shaped.centres"], found["shaped.classes"])
        for style, before in zip(STYLES, _BEFORE, strict=True):
            points = "grey.points" if style == "grey" else "points"
            put(f"{before}points, words", rows, found[f"{points}.{DENSITIES[-1]}"] @ words.T)
            put(f"{before}points, looks", rows, found["grey.looks" if style == "grey" else "looks"] @ looks.T)
            put(f"{before}views, words", rows, found[f"{style}.views"] @ words.T)
            put(f"{before}views, shaped", rows, found[f"{style}.shaped"] @ classes.T)
    for style, before in zip(STYLES, _BEFORE, strict=True):
        views = pooled_views(style)
        scores[f"{before}views, ConSE"] = conse_of(views) @ words.T
        scores[f"{before}views, looks"] = looks_of(views) @ looks.T
    return scores


def measured(work: Path) -> list[Row]:
    """Figures of all five parts, from trainings in `work` (those missing are made)."""
    scores = five_fold_scores(work)
    shown = {name: rank for name, rank in scores.items() if " at " in name}
    shown |= {name: scores[name] for name in SHARES if name != "points, words"}
    shown["flat mean of all"] = torch.stack([scores[name] for name in SHARES]).mean(0)

    def fused(before: str) -> Tensor:
        return torch.stack([share * scores[before + name] for name, share in SHARES.items()]).sum(0)

    shown["points, words, without colour"] = scores["grey: points, words"]
    shown["fused, without colour"] = fused("grey: ")
    shown["views of clouds, ConSE"] = scores["splat: views, ConSE"]
    shown["views of clouds, words"] = scores["splat: views, words"]
    shown["fused, clouds"] = fused("splat: ")
    shown["fused"] = fused("")
    return rows_of(shown)


def rows_of(scores: Mapping[str, Tensor]) -> list[Row]:
    """Rank the classes for each mesh.

    Parameters
    ----------
    scores : mapping of str to Tensor, shape (n, L), float32
        What names the shapes -> score of each class in alphabetical order, for all meshes of
        :func:`~tools.mini.pools.vectors.named_shapes`.

    Returns
    -------
    list of Row
        For each of `scores` all meshes; for points at 10,000 and for the last of `scores` also the half that nothing
        was chosen on, and the meshes no namesake of which was among those learned from.
    """
    meshes = named_shapes()
    labels = sorted({mesh.label for mesh in meshes})
    right = np.array([mesh.label for mesh in meshes])[:, None] == np.array(labels)[None, :]
    rows = [_row(f"shapes -> class, five-fold: {name}", rank, right) for name, rank in scores.items()]
    held = np.array([not in_development(mesh.key) for mesh in meshes])
    parts: dict[str, set[int]] = {}
    for mesh in meshes:
        parts.setdefault(mesh.name.lower(), set()).add(fold_of(mesh.key))
    alone = np.array([len(parts[mesh.name.lower()]) == 1 for mesh in meshes])
    for name in dict.fromkeys([*(n for n in scores if n.endswith(f" at {DENSITIES[-1]:,}")), *list(scores)[-1:]]):
        rows.append(_row(f"held-out shapes -> class, five-fold: {name}", scores[name], right, held))
        rows.append(_row(f"shapes without namesakes -> class, five-fold: {name}", scores[name], right, alone))
    return rows


def _row(task: str, scores: Tensor, right: NDArray[np.bool_], chosen: NDArray[np.bool_] | None = None) -> Row:
    rank = scores.numpy() if chosen is None else scores.numpy()[chosen]
    return measure(task, rank, np.eye(right.shape[1], dtype=np.float32), right if chosen is None else right[chosen])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Keep figures as JSON, with the command that makes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"command": _COMMAND, "rows": [asdict(row) for row in rows]}, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


def kept_rows(path: Path) -> list[Row]:
    """Read figures that :func:`write_rows` kept.

    Raises
    ------
    OmniBindError
        The file is not there.
    """
    if not path.is_file():
        raise OmniBindError(f"{path} is not there", "figures of five folds", f"run `{_COMMAND}`")
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    figures = ("r1", "r5", "mean_average_precision")
    return [Row(**{**row, **{key: Figure(**row[key]) for key in figures}}) for row in rows]
