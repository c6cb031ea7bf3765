"""Batches for the point encoder: clouds in chance densities, poses and colours, and what their views look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from omnibind_core.media.limits import GREY
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.point_encoder import GROUPS, SAMPLES, farthest, group, sphere
from omnibind_core.store.kept import digest
from tools.mini.shapes.pool import ShapeSet, clouds, sampled, seen
from tools.mini.shapes.targets import looks_of, numbered

__all__ = ["MANY", "QUERIES", "VERSION", "Densities", "Lessons", "augmented", "looks_targets"]

VERSION = 1
"""Of what chance does to a batch: whoever changes that raises it."""

_KEPT = 32  # groups of the 64 that are read in a step: half the time, and no group can be relied on
_BALANCE = 0.5  # classes are drawn in proportion to their number of shapes to the power of 1 - this


@dataclass(frozen=True)
class Densities:
    """How many points the clouds of a batch have.

    Attributes
    ----------
    most : int
        Points of clouds that lie evenly.
    full, thinner : float
        Shares of batches at `most`, and at a quarter of it or more; the rest are drawn unevenly by area.
    fewest : int
        Points of these at least.
    """

    most: int
    full: float
    thinner: float
    fewest: int


MANY = Densities(1024, 0.5, 0.2, 192)
"""For parametric shapes, of which all there is may be learned."""
QUERIES = Densities(SAMPLES, 0.45, 0.2, 160)
"""About what queries are thinned to."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Shapes of one pool with what is taught of them; all have a row for each shape.

    Attributes
    ----------
    even, raw : Tensor, shapes (n, samplings, 1024, 6) and (n, 2048, 6), float16
        From :func:`~tools.mini.shapes.pool.sampled`.
    label : Tensor, shape (n,), int64
        Class.
    views : Tensor, shape (n, views, 1280), float16
        From :func:`~tools.mini.shapes.pool.seen`.
    weights : Tensor, shape (n,), float64
        How often a shape is drawn.
    """

    even: Tensor
    raw: Tensor
    label: Tensor
    views: Tensor
    weights: Tensor

    @classmethod
    def of(cls, pool: ShapeSet, labels: Sequence[str], rows: Tensor | None = None) -> Lessons:
        """Read a pool, or `rows` of it; `labels` are all classes' names."""
        even, raw = sampled(pool)
        label, views = numbered(clouds(pool)[1], labels), seen(pool, "colour")
        if rows is not None:
            even, raw, label, views = even[rows], raw[rows], label[rows], views[rows]
        count = torch.bincount(label).double()
        return cls(even, raw, label, views, count[label] ** -_BALANCE)

    @property
    def identity(self) -> str:
        """Hash of all of it."""
        return digest(self.even, self.raw, self.label, self.views, self.weights)

    def draw(self, count: int, rng: torch.Generator) -> Tensor:
        """Rows for a batch, classes balanced half-way."""
        return torch.multinomial(self.weights, count, replacement=True, generator=rng)


def augmented(drawn: Sequence[tuple[Lessons, Tensor]], densities: Densities, rng: torch.Generator) -> Tensor:
    """Give the groups of a batch of clouds, each changed by chance.

    A fifth of the batches are cropped by planes. A third of the shapes lose their colour. Three quarters are turned by
    about 10 degrees, the rest by any angle about Y; all are stretched, half are mirrored.

    Parameters
    ----------
    drawn : sequence of (Lessons, Tensor)
        Which rows of which pools.
    densities : Densities
        Numbers of points.
    rng : torch.Generator
        All chance comes from it.

    Returns
    -------
    Tensor, shape (b, 32, 16, 9), float32
        As :func:`~omnibind_core.specialists.point_encoder.group` gives them.
    """

    def between(low: float, high: float, *size: int) -> Tensor:
        return torch.rand(size, generator=rng) * (high - low) + low

    way = float(between(0, 1, 1))
    most, fewest = densities.most, densities.fewest
    if way < densities.full + densities.thinner:
        n = most if way < densities.full else int(between(most / 4, most, 1))
        picks = [torch.randint(lessons.even.shape[1], (len(rows),), generator=rng) for lessons, rows in drawn]
        parts = [lessons.even[rows, pick, :n] for (lessons, rows), pick in zip(drawn, picks, strict=True)]
    else:
        n = int(fewest * (most / fewest) ** float(between(0, 1, 1)))
        parts = [
            lessons.raw[rows][:, torch.randperm(lessons.raw.shape[1], generator=rng)[:n]] for lessons, rows in drawn
        ]
    points = torch.cat(parts).float()
    b = len(points)
    if float(between(0, 1, 1)) < 0.2:
        direction = unit(torch.randn(b, 3, 1, generator=rng))
        kept = int(n * float(between(0.6, 0.95, 1)))
        near = (points[..., :3] @ direction)[..., 0].argsort(1)[:, :kept]
        points = points.gather(1, near[..., None].expand(-1, -1, 6))
    xyz, rgb = points[..., :3], points[..., 3:]
    slight = 0.2 * torch.randn(b, generator=rng)
    yaw = torch.where(between(0, 1, b) < 0.25, between(-math.pi, math.pi, b), slight)
    turn = torch.zeros(b, 3, 3)
    turn[:, 0, 0] = turn[:, 2, 2] = yaw.cos()
    turn[:, 0, 2], turn[:, 2, 0], turn[:, 1, 1] = yaw.sin(), -yaw.sin(), 1.0
    turn = turn + 0.06 * torch.randn(b, 3, 3, generator=rng)
    size = between(-0.18, 0.18, b, 1, 3).exp()
    size[:, :, 0] *= torch.where(between(0, 1, b, 1) < 0.5, 1.0, -1.0)
    xyz = sphere((xyz * size) @ turn.mT)
    xyz = xyz + between(0, 0.015, b, 1, 1) * torch.randn(xyz.shape, generator=rng)
    lost = between(0, 1, b) < 1 / 3
    rgb = (rgb * between(0.75, 1.25, b, 1, 3) + between(-0.1, 0.1, b, 1, 3)).clamp(0, 1)
    rgb = torch.where(lost[:, None, None], GREY, rgb)
    centres = farthest(xyz, GROUPS)[:, torch.randperm(GROUPS, generator=rng)[:_KEPT]]
    return group(torch.cat([xyz, rgb], 2), centres)


def looks_targets(drawn: Sequence[tuple[Lessons, Tensor]], rng: torch.Generator) -> Tensor:
    """Mix the looks of the shapes of a batch, the views weighted by chance: (b, 256) unit rows."""
    parts = []
    for lessons, rows in drawn:
        views = lessons.views[rows].float()
        share = torch.rand(views.shape[:2], generator=rng)[..., None] + 0.3
        parts.append(looks_of((views * share).sum(1) / share.sum(1)))
    return torch.cat(parts)
