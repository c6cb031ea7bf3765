"""Trains heads that name: from what a tower makes of a thing to the vector of what it is called.

Heads are of the published form (Linear, BatchNorm, ReLU, Linear, BatchNorm, unit rows), several of a tower averaged.
They learn by InfoNCE over all labels of the pool: a thing shall lie nearer to the vector of its own label than to those
of all others, a label being written in a different way at each step. Labels that mean nearly the same share a part of
the target, so that "thunder" is no foe of "rain"; at each step things and their targets are mixed in pairs, and
entries of what is read are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import new_head
from omnibind_core.specialists.base import unit
from omnibind_core.store.kept import digest, identity
from omnibind_core.training.loop import Recipe, train

__all__ = ["Draw", "NamingRecipe", "train_naming"]

Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]
"""All chance comes from the generator -> what a head reads of a batch, (b, d), and the numbers of its labels, (b,)."""

_VERSION = 1  # of the loss below


@dataclass(frozen=True)
class NamingRecipe:
    """How heads are trained.

    Attributes
    ----------
    training : Recipe
        Steps, batch, rates, scale; the seed is that of the first head.
    heads : int
        How many that differ by their seeds are averaged.
    hidden : int
        Width of the middle layer.
    kinship : float
        Share of the target that goes to labels of similar meaning.
    mixing : float
        Upper end of the share of another thing's vector and target that is mixed in.
    dropout : float
        Share of the input's entries that are left out at each step.
    balance : float
        Labels are drawn in proportion to their number of things to the power of 1 - balance.
    bfloat16 : bool
        Whether heads compute in it: half the time for wide rows.
    """

    training: Recipe = field(default_factory=Recipe)
    heads: int = 3
    hidden: int = 512
    kinship: float = 0.2
    mixing: float = 0.3
    dropout: float = 0.1
    balance: float = 0.5
    bfloat16: bool = False


def train_naming(
    draw: Draw, d: int, written: Tensor, kin: Tensor, recipe: NamingRecipe, folder: Path, data: object, title: str
) -> list[nn.Sequential]:
    """Train heads that differ by their seeds.

    Parameters
    ----------
    draw : callable
        Gives a batch.
    d : int
        Width of what heads read.
    written : Tensor, shape (templates, L, D), float32
        Unit rows: vectors of the L labels.
    kin : Tensor, shape (L, L), float32
        Rows that sum to 1: which labels mean nearly the same.
    recipe : NamingRecipe
        How.
    folder : Path
        Where the trainings under way are kept, one folder for each; another recipe or other data have others.
    data : JSON values
        All that decides what `draw` gives, see :func:`omnibind_core.store.kept.identity`.
    title : str
        For the progress bar.

    Returns
    -------
    list of Sequential
        Heads from d to D, in evaluation mode.
    """
    names = torch.eye(len(kin))
    decides = {"recipe": replace(recipe, heads=0), "data": data, "labels": digest(written, kin), "version": _VERSION}

    def one(how: Recipe) -> nn.Sequential:
        head = new_head(d, recipe.hidden, written.shape[2], how.seed)

        def loss_of(_step: int, rng: torch.Generator) -> Tensor:
            x, y = draw(rng)
            wanted = (1 - recipe.kinship) * names[y] + recipe.kinship * kin[y]
            partner = torch.randperm(len(x), generator=rng)
            share = torch.rand(len(x), 1, generator=rng) * recipe.mixing
            x, wanted = torch.lerp(x, x[partner], share), torch.lerp(wanted, wanted[partner], share)
            x = x * (torch.rand(x.shape, generator=rng) >= recipe.dropout) / (1 - recipe.dropout)
            texts = written[int(torch.randint(len(written), (1,), generator=rng))]
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                found = head(x)
            rows, scale = unit(found), how.scale
            # Both forms are the same but for rounding, and the committed heads of each kind were trained with theirs.
            logits = (scale * rows) @ texts.T if recipe.bfloat16 else scale * (rows @ texts.T)
            return nn.functional.cross_entropy(logits, wanted)

        who = identity(decides)
        train(head, loss_of, how, folder / f"{who}-{how.seed}", identity={"who": who}, title=f"{title} {how.seed}")
        return head

    first = recipe.training.seed
    return [one(replace(recipe.training, seed=first + number)) for number in range(recipe.heads)]
