"""Trains the heads by which sounds enter the preset `mini`: aiSFX -> words, and aiSFX -> looks.

Heads have the published form (Linear, BatchNorm, ReLU, Linear, BatchNorm, unit rows; several of a space are averaged).

words
    InfoNCE over all labels of the pool: a sound, changed by :mod:`omnibind_core.binding.augment`, shall lie nearer to
    the vector of its own label than to those of all others, a label being written in a different way at each step.
    Labels that mean nearly the same share a part of the target, so that "thunder" is no foe of "rain".
looks
    What the words heads make of the sound, put as looks: shares of the labels, and the mixture of what these look
    like. The head learns this mixture. On the development packages sounds found their picture among the first five
    49 % of the time so, 38 % with a looks head taught by InfoNCE, 35 % by words alone.

Run ``python -m omnibind_core.binding.ears``: about 13 minutes on one core, 11 of them for the copies of sounds, which
are kept in the cache directory; the first run also fetches 2 GB of packages. Seeds are fixed: on one machine the
files come out the same to the byte.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.hearing import Hearing, hear
from omnibind_core.binding.pools_sounds import TEST
from omnibind_core.binding.sound_heads import BLOCKS, kinship, label_vectors, write_heads
from omnibind_core.config import assets_directory
from omnibind_core.specialists.base import unit

__all__ = ["HEADS", "Recipe", "distil_heads", "main", "train_heads"]

log = logging.getLogger(__name__)

HEADS = 3
"""Heads of each space."""


@dataclass(frozen=True)
class Recipe:
    """How a head is trained; chosen on the development packages.

    Attributes
    ----------
    hidden : int
        Width of the middle layer.
    steps, batch : int
        Steps of AdamW and copies in each.
    rate, decay : float
        Highest learning rate of one cycle; weight decay.
    scale : float
        What cosines are multiplied with before the softmax over labels.
    kinship : float
        Share of the target that goes to labels of similar meaning.
    mixing : float
        Upper end of the share of another sound's vector and target that is mixed in.
    dropout : float
        Share of the input's entries that are left out at each step.
    likeness : float
        What cosines of words are multiplied with to share a sound out among labels, for its looks.
    balance : float
        Labels are drawn in proportion to their number of sounds to the power of 1 - balance.
    """

    hidden: int = 768
    steps: int = 500
    batch: int = 256
    rate: float = 2e-3
    decay: float = 0.05
    scale: float = 20.0
    kinship: float = 0.2
    mixing: float = 0.3
    dropout: float = 0.1
    balance: float = 0.5
    likeness: float = 14.0


def train_heads(
    heard: Hearing, targets: Tensor, kin: Tensor, labels: Sequence[str], held_out: Collection[str], recipe: Recipe
) -> list[nn.Sequential]:
    """Train :data:`HEADS` heads that differ by their seeds.

    Parameters
    ----------
    heard : Hearing
        The pool, with copies.
    targets : Tensor, shape (templates, L, D), float32
        Vectors of the labels.
    kin : Tensor, shape (L, L), float32
        Rows that sum to 1: which labels mean nearly the same.
    labels : sequence of str
        The L labels.
    held_out : collection of str
        Sources that are not learned from.
    recipe : Recipe
        How.

    Returns
    -------
    list of Sequential
        Heads from 512 to D, in evaluation mode.
    """
    number = {label: i for i, label in enumerate(labels)}
    taught = torch.tensor([clip.source not in held_out for clip in heard.clips])
    rows = torch.nonzero(taught[heard.origin])[:, 0]
    copies, origin = heard.copies[rows], heard.origin[rows]
    label = torch.tensor([number[clip.label] for clip in heard.clips])
    sounds = torch.bincount(label[taught], minlength=len(labels)).double()
    made = torch.bincount(origin, minlength=len(heard.clips)).double()
    # A rendered sound has fewer copies and counts for less.
    worth = torch.tensor([1.0 if "." in Path(clip.file).name else 0.5 for clip in heard.clips]).double()
    weights = sounds[label[origin]] ** -recipe.balance / made[origin] * worth[origin]
    heads = []
    for seed in range(HEADS):
        heads.append(_train(copies, label[origin], weights, targets, kin, recipe, seed))
        log.info("words head %d of %d: %d copies of %d sounds", seed + 1, HEADS, len(rows), int(taught.sum()))
    return heads


def distil_heads(
    heard: Hearing,
    teachers: Sequence[nn.Sequential],
    words: Tensor,
    looks: Tensor,
    held_out: Collection[str],
    recipe: Recipe,
) -> list[nn.Sequential]:
    """Train :data:`HEADS` heads to see what the words heads hear.

    Parameters
    ----------
    heard : Hearing
        The pool, with copies.
    teachers : sequence of Sequential
        Words heads that were not taught `held_out` either.
    words, looks : Tensor, shape (L, 384) and (L, 256), float32
        Vectors of the labels in both blocks.
    held_out : collection of str
        Sources that are not learned from.
    recipe : Recipe
        How.

    Returns
    -------
    list of Sequential
        Heads from 512 to 256, in evaluation mode.
    """
    taught = torch.tensor([clip.source not in held_out for clip in heard.clips])
    copies = heard.copies[taught[heard.origin]]
    with torch.no_grad():
        bound = unit(torch.stack([unit(teacher(copies)) for teacher in teachers]).mean(0))
        seen = unit((recipe.likeness * bound @ words.T).softmax(1) @ looks)
    heads = []
    for seed in range(HEADS):
        rng = torch.Generator().manual_seed(seed)
        head = _new_head(copies.shape[1], recipe.hidden, looks.shape[1], seed)
        optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        schedule = _one_cycle(optimiser, recipe)
        for _ in range(recipe.steps):
            drawn = torch.randint(len(copies), (recipe.batch,), generator=rng)
            loss = (1 - (unit(head(copies[drawn])) * seen[drawn]).sum(1)).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        heads.append(head.eval())
        log.info("looks head %d of %d: mean cosine to its teachers %.2f", seed + 1, HEADS, 1 - loss.item())
    return heads


def _new_head(d: int, hidden: int, width: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(d, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, width), nn.BatchNorm1d(width)
        )


def _one_cycle(optimiser: torch.optim.Optimizer, recipe: Recipe) -> torch.optim.lr_scheduler.OneCycleLR:
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.2, cycle_momentum=False
    )


def _train(
    copies: Tensor, label: Tensor, weights: Tensor, targets: Tensor, kin: Tensor, recipe: Recipe, seed: int
) -> nn.Sequential:
    rng = torch.Generator().manual_seed(seed)
    head = _new_head(copies.shape[1], recipe.hidden, targets.shape[2], seed)
    optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = _one_cycle(optimiser, recipe)
    names = torch.eye(len(kin))
    for _ in range(recipe.steps):
        drawn = torch.multinomial(weights, recipe.batch, replacement=True, generator=rng)
        x, y = copies[drawn], label[drawn]
        wanted = (1 - recipe.kinship) * names[y] + recipe.kinship * kin[y]
        partner = torch.randperm(recipe.batch, generator=rng)
        share = torch.rand(recipe.batch, 1, generator=rng) * recipe.mixing
        x, wanted = torch.lerp(x, x[partner], share), torch.lerp(wanted, wanted[partner], share)
        kept = torch.rand(x.shape, generator=rng) >= recipe.dropout
        written = targets[int(torch.randint(len(targets), (1,), generator=rng))]
        cosines = unit(head(x * kept / (1 - recipe.dropout))) @ written.T
        loss = nn.functional.cross_entropy(recipe.scale * cosines, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return head.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and write mini's heads for sounds: those that are used, and those that never heard the test packages."""
    parser = argparse.ArgumentParser(description="Train mini's heads for sounds.")
    parser.add_argument("--out", type=Path, default=assets_directory() / "mini", help="folder to write to")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)  # sums in one order on every machine, and the fastest for layers of this size
    heard = hear()
    labels = sorted({clip.label for clip in heard.clips})
    words, looks = (label_vectors(labels, options.out, block) for block in BLOCKS)
    recipe = Recipe()
    for folder, held_out in ((options.out, ()), (options.out / "eval", TEST)):
        first = train_heads(heard, words, kinship(words[0]), labels, held_out, recipe)
        second = distil_heads(heard, first, words[0], looks[0], held_out, recipe)
        taught = sorted({clip.label for clip in heard.clips if clip.source not in held_out})
        about = {"labels": labels, "taught": taught, "held_out": held_out}
        for block, heads in zip(BLOCKS, (first, second), strict=True):
            path = folder / f"aisfx_{block}.safetensors"
            write_heads(path, heads, block, about)
            log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
