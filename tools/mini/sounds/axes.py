"""Heads for sounds in closed form: the axes that tell the labels of the pool apart.

Linear discriminant analysis, shrunk: rows are whitened by the scatter within labels, most of which comes from
augmented copies and other packages' recordings; what is left tells the labels apart. From it come

heard
    the block of sound itself: a sound enters by its place on the axes (kind "linear"), a sentence by the mean place
    of the labels whose meaning is near (kind "anchors"). Each tower has half of the columns, so that the cosine of two
    sounds is the mean over the towers.
any other block
    by ConSE (Norouzi et al., arXiv 1312.5650): the ten likeliest labels, mixed from their vectors in that block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from omnibind_core.specialists.base import unit
from tools.mini.blocks import width_of

__all__ = ["SHRINK", "Axes", "conse_tensors", "discriminant_axes", "heard_tensors"]

SHRINK = 0.1
"""Share of the scatter within labels that is replaced by the same for all directions."""
_LIKENESS = 14.0  # what cosines on the axes are multiplied with to share a sound out among labels
_TEXT_TEMPERATURE = 0.05


@dataclass(frozen=True, eq=False)
class Axes:
    """Discriminant axes of a tower's vectors.

    Attributes
    ----------
    weight : Tensor, shape (d, d), float64
    bias : Tensor, shape (d,), float64
        A row x lies at ``weight @ x + bias``; the scatter within labels is about 1 in all directions there.
    centres : Tensor, shape (L, d), float64
        Unit rows: in which direction the labels lie; zero where a label has no sound.
    length : float
        Mean distance of sounds from the middle.
    """

    weight: Tensor
    bias: Tensor
    centres: Tensor
    length: float

    @property
    def taught(self) -> Tensor:
        """Which labels have sounds: (L,) bool."""
        return self.centres.any(1)


def discriminant_axes(rows: Tensor, label: Tensor, weights: Tensor, labels: int, shrink: float = SHRINK) -> Axes:
    """Find the axes that tell labels apart.

    Parameters
    ----------
    rows : Tensor, shape (n, d), float32
        A tower's vectors.
    label : Tensor, shape (n,), int64
        Of each row, 0..labels - 1.
    weights : Tensor, shape (n,), float64
        What each row counts; those of weight 0 are not looked at.
    labels : int
        Number L of labels.
    shrink : float
        0..1, see :data:`SHRINK`.

    Returns
    -------
    Axes
    """
    used = weights > 0
    x, label, w = rows[used].double(), label[used], weights[used] / weights[used].sum()
    mean = w @ x
    scale = (w @ (x - mean).square()).sqrt().clamp(min=1e-6)
    x = (x - mean) / scale
    mass = torch.zeros(labels, dtype=torch.float64).index_add(0, label, w)
    centres = torch.zeros(labels, x.shape[1], dtype=torch.float64).index_add(0, label, w[:, None] * x)
    centres = centres / mass.clamp(min=1e-12)[:, None]
    apart = (x - centres[label]) * w.sqrt()[:, None]
    scatter = apart.T @ apart
    level = scatter.diagonal().mean()
    scatter = (1 - shrink) * scatter + shrink * level * torch.eye(len(scatter), dtype=torch.float64)
    whitened = torch.linalg.inv(torch.linalg.cholesky(scatter))
    weight = whitened / scale
    length = float(w @ (x @ whitened.T).norm(dim=1))
    return Axes(weight, -weight @ mean, torch.nn.functional.normalize(centres @ whitened.T, dim=1), length)


def conse_tensors(axes: Axes, vectors: Tensor) -> dict[str, Tensor]:
    """Mix the likeliest labels: tensors of a head of the kind "anchors".

    Parameters
    ----------
    axes : Axes
        Of a tower.
    vectors : Tensor, shape (L, width), float32
        What the labels are in a block.

    Returns
    -------
    dict of str to Tensor
        A, a, B and m, over the labels that have sounds.
    """
    towards = _LIKENESS / axes.length * axes.centres[axes.taught]
    return {
        "A": towards @ axes.weight,
        "a": towards @ axes.bias,
        "B": vectors[axes.taught],
        "m": torch.zeros(vectors.shape[1]),
    }


def heard_tensors(towers: Mapping[str, Axes], meanings: Tensor) -> dict[str, Tensor]:
    """Heads of the block `heard`: ``"<tower>.W"``, ``"<tower>.b"`` of kind "linear", ``"text."`` of kind "anchors".

    Parameters
    ----------
    towers : mapping of str to Axes
        By tower, with the same labels taught.
    meanings : Tensor, shape (L, 384), float32
        MiniLM's unit rows of the labels.
    """
    width = width_of("heard")
    share = width // len(towers)
    tensors: dict[str, Tensor] = {}
    places: list[Tensor] = []
    for number, (name, axes) in enumerate(towers.items()):
        known = axes.centres[axes.taught]
        # Principal directions of the labels, each with its largest entry positive: the same on every machine.
        basis = torch.linalg.svd(known, full_matrices=False).Vh[:share]
        basis = basis * basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
        columns = slice(number * share, number * share + len(basis))
        weight, bias = torch.zeros(width, axes.weight.shape[1]), torch.zeros(width)
        weight[columns], bias[columns] = (
            (basis @ axes.weight).float() / axes.length,
            (basis @ axes.bias).float() / axes.length,
        )
        tensors |= {f"{name}.W": weight, f"{name}.b": bias}
        place = torch.zeros(len(known), width)
        place[:, columns] = unit(known @ basis.T)
        places.append(place)
        taught = axes.taught
    return tensors | {
        "text.A": meanings[taught] / _TEXT_TEMPERATURE,
        "text.a": torch.zeros(int(taught.sum())),
        "text.B": unit(torch.stack(places).sum(0)),
        "text.m": torch.zeros(width),
    }
