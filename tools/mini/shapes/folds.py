"""What is learned of shapes without one part of the meshes, and how that part's meshes are named by it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.media.limits import GREY
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.point_encoder import GROUPS, farthest, group, sphere
from tools.mini.pools.vectors import named_shapes, shape_vectors
from tools.mini.shapes.heads import Discriminant, ViewRecipe, consensus, train_views
from tools.mini.shapes.pool import SWEET_HOME, Style, clouds, queried, seen
from tools.mini.shapes.targets import fold_of, kinship, taught_rows, words_of
from tools.mini.shapes.train import PRETRAINING, TRAINING, Learner, trained

__all__ = [
    "DENSITIES",
    "STYLES",
    "TEMPERATURE",
    "VIEW_HEADS",
    "discriminant",
    "fold_vectors",
    "point_rows",
    "pooled_views",
    "view_heads",
]

DENSITIES: tuple[int, ...] = (256, 512, 1024, 2048, 4096, 10_000)
"""Numbers of points that each mesh is queried with."""

TEMPERATURE = 0.1
"""What cosines of sentences with class names are divided by, to mix a sentence from classes in the block shaped."""

VIEW_HEADS = 3
"""Heads from views to words whose outputs are averaged."""

STYLES: tuple[Style, ...] = ("colour", "grey", "splat")
"""Styles of the views that heads learn from and are measured on."""

_BATCH = 64


def view_heads(fold: int | None, recipe: ViewRecipe | None = None) -> list[nn.Sequential]:
    """Train :data:`VIEW_HEADS` heads from views to words that differ by their seeds, without a part of the meshes."""
    names = clouds(SWEET_HOME)[1]
    labels = sorted(set(names))
    numbers = {label: number for number, label in enumerate(labels)}
    rows = taught_rows(fold)
    label = torch.tensor([numbers[name] for name in names])[rows]
    styles = [seen(SWEET_HOME, style)[rows] for style in STYLES]
    written = words_of(labels)
    kin = kinship(written[0])
    return [train_views(styles, label, written, kin, recipe or ViewRecipe(), seed) for seed in range(VIEW_HEADS)]


def discriminant(fold: int | None) -> Discriminant:
    """Axes that part the classes, worked out without a part of the meshes."""
    names = clouds(SWEET_HOME)[1]
    labels = sorted(set(names))
    numbers = {label: number for number, label in enumerate(labels)}
    rows = taught_rows(fold)
    label = torch.tensor([numbers[name] for name in names])[rows]
    colour, grey, splat = (seen(SWEET_HOME, style)[rows].float() for style in STYLES)
    pooled = [colour[:, :4].mean(1), colour[:, [0, 1, 3]].mean(1), colour[:, [1, 4]].mean(1), colour[:, [0, 5]].mean(1)]
    pooled += [colour[:, [2, 3]].mean(1), grey.mean(1), splat.mean(1)]
    return Discriminant.fit(unit(torch.cat(pooled)), label.repeat(len(pooled)))


def pooled_views(style: Style) -> Tensor:
    """Give the pooled views' unit rows of all meshes in a style: (n, 1280); "colour" is what the application sees."""
    return torch.from_numpy(shape_vectors()) if style == "colour" else unit(seen(SWEET_HOME, style).float().mean(1))


@torch.inference_mode()
def point_rows(learner: Learner, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features, words and looks of clouds that are thinned already.

    Parameters
    ----------
    learner : Learner
        In evaluation mode.
    points : Tensor, shape (n, m, 6), float
        From :func:`~tools.mini.shapes.pool.queried`.

    Returns
    -------
    tuple of Tensor, shapes (n, 256), (n, 384), (n, 256), float32
        Unit rows.
    """
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in torch.split(points.float(), _BATCH):
        part = torch.cat([sphere(part[..., :3]), part[..., 3:]], 2)
        features = unit(learner.network(group(part, farthest(part[..., :3], GROUPS))))
        found.append((features, unit(learner.words(features)), unit(learner.looks(features))))
    features, words, looks = (torch.cat(rows) for rows in zip(*found, strict=True))
    return features, words, looks


def fold_vectors(work: Path, fold: int) -> dict[str, Tensor]:
    """Vectors of a part's meshes by what was learned without them; kept in `work`.

    Parameters
    ----------
    work : Path
        Where the trainings are.
    fold : int
        The part, 0 to 4.

    Returns
    -------
    dict of str to Tensor
        ``rows`` (n,), which meshes; ``points.<density>`` (n, 384) and for the densest ``looks`` (n, 256); the same with
        ``grey.`` before it where their colour is lost; ``<style>.views`` (n, 384) and ``<style>.shaped`` (n, 128) for
        each of :data:`STYLES`; all unit rows. ``shaped.centres`` (C, 128) of ``shaped.classes`` (C,).
    """
    from safetensors.torch import load_file, save_file

    recipes = repr((PRETRAINING, TRAINING, ViewRecipe(), VIEW_HEADS, DENSITIES, STYLES))
    path = work / f"vectors{fold}-{hashlib.sha256(recipes.encode()).hexdigest()[:12]}.safetensors"
    if path.is_file():
        kept: dict[str, Tensor] = load_file(path)
        return kept
    rows = torch.tensor([i for i, mesh in enumerate(named_shapes()) if fold_of(mesh.key) == fold])
    learner = trained(work, fold)
    found = {"rows": rows}
    for density in DENSITIES:
        points = queried(SWEET_HOME, density)[rows]
        _, found[f"points.{density}"], found["looks"] = point_rows(learner, points)
    points[..., 3:] = GREY
    _, found[f"grey.points.{DENSITIES[-1]}"], found["grey.looks"] = point_rows(learner, points)
    heads, axes = view_heads(fold), discriminant(fold)
    with torch.inference_mode():
        for style in STYLES:
            views = pooled_views(style)[rows]
            found[f"{style}.views"], found[f"{style}.shaped"] = consensus(heads, views), axes(views)
        found["shaped.centres"], found["shaped.classes"] = axes.centres, axes.classes
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in found.items()}, part)
    part.replace(path)
    return found
