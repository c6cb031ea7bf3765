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

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import seeded
from omnibind_core.specialists.base import unit

__all__ = ["SHAPED", "Discriminant", "ViewRecipe", "consensus", "mlp", "train_views", "write_heads"]

SHAPED = 128
"""Width of the block of shape classes."""

_VERSION = "1"


def mlp(d: int, hidden: int, width: int) -> nn.Sequential:
    """Make a head of the published form: Linear, BatchNorm, ReLU, Linear, BatchNorm."""
    return nn.Sequential(
        nn.Linear(d, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, width), nn.BatchNorm1d(width)
    )


@torch.inference_mode()
def consensus(heads: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Mean of the heads' unit rows, scaled to unit length: (n, d) -> (n, width)."""
    return unit(torch.stack([unit(head(x)) for head in heads]).mean(0))


@dataclass(frozen=True)
class ViewRecipe:
    """How a head for views is trained; chosen on meshes of the development half.

    Attributes
    ----------
    hidden : int
        Width of the middle layer.
    steps, batch : int
        Steps of AdamW, and shapes in each.
    rate, decay : float
        Highest learning rate of one cycle; weight decay.
    scale : float
        What cosines are multiplied with before the softmax over classes.
    kinship : float
        Share of the target that goes to classes of similar meaning.
    mixing : float
        Upper end of the share of another shape's features and target that is mixed in.
    dropout : float
        Share of the input's entries that are left out at each step.
    balance : float
        Classes are drawn in proportion to their number of shapes to the power of 1 - balance.
    """

    hidden: int = 512
    steps: int = 400
    batch: int = 256
    rate: float = 2e-3
    decay: float = 0.05
    scale: float = 20.0
    kinship: float = 0.2
    mixing: float = 0.3
    dropout: float = 0.2
    balance: float = 0.5


def train_views(
    styles: Sequence[Tensor], label: Tensor, written: Tensor, kin: Tensor, recipe: ViewRecipe, seed: int
) -> nn.Sequential:
    """Train a head from pooled views to words.

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
    recipe : ViewRecipe
        How.
    seed : int
        Of first weights and order.

    Returns
    -------
    Sequential
        Head from d to 384, in evaluation mode.
    """
    rng = torch.Generator().manual_seed(seed)
    head = seeded(lambda: mlp(styles[0].shape[2], recipe.hidden, written.shape[2]), seed)
    optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.2, cycle_momentum=False
    )
    count = torch.bincount(label, minlength=len(kin)).double()
    weights = count[label] ** -recipe.balance
    for _ in range(recipe.steps):
        rows = torch.multinomial(weights, recipe.batch, replacement=True, generator=rng)
        views = styles[int(torch.randint(len(styles), (1,), generator=rng))][rows].float()
        share = (torch.rand(views.shape[:2], generator=rng) < 0.6).float()[..., None] + 1e-4
        x = unit((views * share).sum(1) / share.sum(1))
        names = nn.functional.one_hot(label[rows], len(kin)).float()
        wanted = (1 - recipe.kinship) * names + recipe.kinship * kin[label[rows]]
        partner = torch.randperm(recipe.batch, generator=rng)
        mixed = torch.rand(recipe.batch, 1, generator=rng) * recipe.mixing
        x, wanted = torch.lerp(x, x[partner], mixed), torch.lerp(wanted, wanted[partner], mixed)
        x = x * (torch.rand(x.shape, generator=rng) >= recipe.dropout) / (1 - recipe.dropout)
        texts = written[int(torch.randint(len(written), (1,), generator=rng))]
        with torch.autocast("cpu", torch.bfloat16):
            found = head(x)
        loss = nn.functional.cross_entropy(recipe.scale * unit(found) @ texts.T, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    trained: nn.Sequential = head.eval()
    return trained


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


def write_heads(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
    """Write heads as float16 safetensors at their block's own width, and what they say of themselves as JSON."""
    from safetensors.torch import save_file

    stored = {
        n: t.detach().to(torch.float16).contiguous() for n, t in sorted(tensors.items()) if "num_batches" not in n
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # One key: safetensors writes several in no fixed order.
    save_file(stored, path, {"heads": json.dumps({"version": _VERSION, **about}, sort_keys=True)})
