"""Heads by which shapes enter the shared space beside ConSE: from pooled views, and onto axes that part the classes.

views_words (384 wide)
    What the picture tower sees of a shape's views -> its class's vector in the block of meaning. Learned from Sweet
    Home's shapes as they are, in plain grey, and drawn as clouds; of each another few views at each step.
shaped (128 wide)
    Axes on which classes of shapes lie far apart and shapes of a class together: Fisher's discriminant of the views'
    features, with a part of all features' spread added to that within the classes. Sentences enter as a mixture of
    the classes whose names lie nearest.

Heads are stored at their block's own width, as :mod:`omnibind_core.binding.projectors` names the tensors of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.specialists.base import unit
from omnibind_core.store.kept import digest
from omnibind_core.training.loop import Recipe
from tools.mini.naming import NamingRecipe, train_naming

__all__ = ["SHAPED", "VIEW_RECIPE", "Discriminant", "train_views"]

SHAPED = 128
"""Width of the block of shape classes."""

VIEW_RECIPE = NamingRecipe(
    Recipe(steps=400, batch=256, rate=2e-3, decay=0.05, warm_up=0.2, one_cycle=True, scale=20.0),
    dropout=0.2,
    bfloat16=True,
)
"""How heads for views are trained; chosen on meshes of the development half."""

_SEEN = 0.6  # share of a shape's views that are looked at in a step


def train_views(
    styles: Sequence[Tensor], label: Tensor, written: Tensor, kin: Tensor, recipe: NamingRecipe, folder: Path
) -> list[nn.Sequential]:
    """Train heads from pooled views to words, by :func:`~tools.mini.naming.train_naming`.

    Parameters
    ----------
    styles : sequence of Tensor, shape (n, views, d), float
        Features of the views of n shapes, drawn in several styles.
    label : Tensor, shape (n,), int64
        Classes.
    written : Tensor, shape (templates, L, 384), float32
        Unit rows: vectors of the L classes.
    kin : Tensor, shape (L, L), float32
        Rows that sum to 1: which classes mean nearly the same.
    recipe : NamingRecipe
        How.
    folder : Path
        Where the trainings under way are kept.

    Returns
    -------
    list of Sequential
        Heads from d to 384, in evaluation mode.
    """
    weights = torch.bincount(label, minlength=len(kin)).double()[label] ** -recipe.balance

    def draw(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.multinomial(weights, recipe.training.batch, replacement=True, generator=rng)
        views = styles[int(torch.randint(len(styles), (1,), generator=rng))][rows].float()
        share = (torch.rand(views.shape[:2], generator=rng) < _SEEN).float()[..., None] + 1e-4
        return unit((views * share).sum(1) / share.sum(1)), label[rows]

    data = {"rows": digest(*styles, label), "seen": _SEEN}
    return train_naming(draw, styles[0].shape[2], written, kin, recipe, folder, data, "views head")


@dataclass(frozen=True)
class Discriminant:
    """Axes on which classes lie apart.

    Attributes
    ----------
    weight : Tensor, shape (128, d), float32
        The axes.
    bias : Tensor, shape (128,), float32
        Puts the mean at 0.
    centres : Tensor, shape (C, 128), float32
        Unit rows: where each class that was seen lies.
    classes : Tensor, shape (C,), int64
        Which these are.
    """

    weight: Tensor
    bias: Tensor
    centres: Tensor
    classes: Tensor

    @classmethod
    def fit(cls, features: Tensor, label: Tensor, shrinkage: float = 0.3, width: int = SHAPED) -> Discriminant:
        """Work the axes out in closed form.

        Parameters
        ----------
        features : Tensor, shape (n, d), float32
            Unit rows.
        label : Tensor, shape (n,), int64
            Classes.
        shrinkage : float
            Share of the mean spread that is added to every direction's spread within classes.
        width : int
            Number of axes.
        """
        classes, numbers, count = torch.unique(label, return_inverse=True, return_counts=True)
        x = features.double()
        middle = x.mean(0)
        x = x - middle
        means = torch.zeros(len(classes), x.shape[1], dtype=torch.float64).index_add_(0, numbers, x)
        means = means / count[:, None]
        within = x - means[numbers]
        spread = within.T @ within / len(x)
        spread += shrinkage * x.square().sum(1).mean() / x.shape[1] * torch.eye(x.shape[1], dtype=torch.float64)
        whiten = torch.linalg.inv(torch.linalg.cholesky(spread))
        weighed = means * (count.double().sqrt() / count.double().sqrt().sum()).sqrt()[:, None]
        axes = torch.linalg.svd(weighed @ whiten.T, full_matrices=False).Vh[:width] @ whiten
        axes = (axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()).float()
        return cls(axes, -axes @ middle.float(), unit(means.float() @ axes.T), classes)

    def __call__(self, features: Tensor) -> Tensor:
        """Place features: (n, d) -> (n, 128) unit rows."""
        return unit(features @ self.weight.T + self.bias)

    def text_head(self, words: Tensor, temperature: float) -> dict[str, Tensor]:
        """Anchors for sentences.

        Parameters
        ----------
        words : Tensor, shape (L, d), float32
            Unit rows of all classes' names, as sentences' vectors are.
        temperature : float
            What cosines of sentences are divided by before the softmax over classes.

        Returns
        -------
        dict of str to Tensor
            A, a, B and m of a head of the kind "anchors".
        """
        a = words[self.classes] / temperature
        return {"A": a, "a": torch.zeros(len(a)), "B": self.centres, "m": torch.zeros(self.centres.shape[1])}
