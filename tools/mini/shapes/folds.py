"""What is learned of shapes without one part of the meshes, and how that part's meshes are named by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import apply_heads
from omnibind_core.media.limits import GREY
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.point_encoder import GROUPS, farthest, group, sphere
from omnibind_core.store.kept import digest, kept
from tools.mini.labels import kinship, meanings
from tools.mini.naming import NamingRecipe
from tools.mini.pools.vectors import named_shapes, shape_vectors
from tools.mini.shapes.heads import VIEW_RECIPE, Discriminant, train_views
from tools.mini.shapes.pool import SWEET_HOME, Style, clouds, queried, seen
from tools.mini.shapes.targets import fold_of, numbered, taught_rows, words_of
from tools.mini.shapes.train import Learner, trained

__all__ = [
    "DENSITIES",
    "STYLES",
    "TEMPERATURE",
    "class_rows",
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

STYLES: tuple[Style, ...] = ("colour", "grey", "splat")
"""Styles of the views that heads learn from and are measured on."""

_BATCH = 64
_VERSION = 1  # of what is worked out of the trained models


def _known(fold: int | None) -> tuple[list[str], Tensor, list[Tensor]]:
    """Classes, and label and features of the drawn views of the meshes that may be learned from, by style."""
    names, rows = clouds(SWEET_HOME)[1], taught_rows(fold)
    labels = sorted(set(names))
    return labels, numbered(names, labels)[rows], [seen(SWEET_HOME, style)[rows] for style in STYLES]


def view_heads(work: Path, fold: int | None, recipe: NamingRecipe = VIEW_RECIPE) -> list[nn.Sequential]:
    """Train heads from views to words that differ by their seeds, without a part of the meshes."""
    labels, label, styles = _known(fold)
    written = words_of(labels)
    return train_views(styles, label, written, kinship(written[0]), recipe, work / "views")


def discriminant(fold: int | None) -> Discriminant:
    """Axes that part the classes, worked out without a part of the meshes."""
    _, label, styles = _known(fold)
    colour, grey, splat = (style.float() for style in styles)
    pooled = [colour[:, :4].mean(1), colour[:, [0, 1, 3]].mean(1), colour[:, [1, 4]].mean(1), colour[:, [0, 5]].mean(1)]
    pooled += [colour[:, [2, 3]].mean(1), grey.mean(1), splat.mean(1)]
    return Discriminant.fit(unit(torch.cat(pooled)), label.repeat(len(pooled)))


def class_rows(labels: Sequence[str], centres: Tensor, classes: Tensor) -> Tensor:
    """Place class names in the block shaped, as its head for sentences does: mixed from the classes that are known.

    Parameters
    ----------
    labels : sequence of str
        L names.
    centres, classes
        See :class:`~tools.mini.shapes.heads.Discriminant`; `classes` are places in `labels`.

    Returns
    -------
    Tensor, shape (L, 128), float32
        Unit rows.
    """
    sentences = meanings(labels)[0]
    return unit((sentences @ sentences[classes].T / TEMPERATURE).softmax(1) @ centres)


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
    rows = torch.tensor([i for i, mesh in enumerate(named_shapes()) if fold_of(mesh.key) == fold])
    learner, queries = trained(work, fold), [queried(SWEET_HOME, density)[rows] for density in DENSITIES]
    views = [pooled_views(style)[rows] for style in STYLES]
    labels, label, styles = _known(fold)
    decides = {
        "learner": digest(*learner.state_dict().values()), "queries": digest(rows, *queries), "views": digest(*views),
        "taught": digest(label, *styles), "words": digest(words_of(labels)), "recipe": VIEW_RECIPE, "version": _VERSION,
    }  # fmt: skip

    def make() -> tuple[dict[str, Tensor], None]:
        found = {"rows": rows}
        for density, points in zip(DENSITIES, queries, strict=True):
            _, found[f"points.{density}"], found["looks"] = point_rows(learner, points)
        grey = torch.cat([points[..., :3], torch.full_like(points[..., 3:], GREY)], 2)
        _, found[f"grey.points.{DENSITIES[-1]}"], found["grey.looks"] = point_rows(learner, grey)
        heads, axes = view_heads(work, fold), discriminant(fold)
        with torch.inference_mode():
            for style, pooled in zip(STYLES, views, strict=True):
                found[f"{style}.views"], found[f"{style}.shaped"] = unit(apply_heads(heads, pooled)), axes(pooled)
        return {**found, "shaped.centres": axes.centres, "shaped.classes": axes.classes}, None

    return kept(work, f"vectors{fold}", decides, make)[0]
