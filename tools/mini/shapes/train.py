"""Trains mini's point encoder: first on parametric shapes, then on meshes.

The encoder learns to place a cloud of points at its class's name in the block of meaning (InfoNCE over all classes,
those of similar meaning sharing a part of the target), and at the looks that the picture tower gives the same shape's
views (cosine, and InfoNCE within the batch): that says more of a shape than one of 204 names. It begins with 1,296
parametric shapes of 162 classes (:mod:`tools.mini.pools.parametric.build`) and goes on with Sweet Home's meshes, a
quarter of each batch still parametric. Densities, crops, poses, noise and lost colours are drawn anew at each step.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import layers, seeded
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.point_encoder import WIDTH, Network
from omnibind_core.store.kept import digest, file_digest, identity
from omnibind_core.store.paths import assets_directory
from omnibind_core.training.loop import Recipe, train
from tools.mini.labels import kinship
from tools.mini.shapes.lessons import MANY, QUERIES, VERSION, Densities, Lessons, augmented, looks_targets
from tools.mini.shapes.pool import PROCEDURAL, SWEET_HOME, clouds
from tools.mini.shapes.targets import taught_rows, words_of

__all__ = ["PRETRAINING", "TRAINING", "Learner", "Teacher", "all_labels", "pretrained", "trained"]

log = logging.getLogger(__name__)

PRETRAINING = Recipe(steps=1600, batch=64, rate=1.2e-3, decay=0.05, warm_up=0.1, checkpoint=100)
"""How parametric shapes are learned."""
TRAINING = Recipe(steps=1200, batch=48, rate=6e-4, decay=0.05, warm_up=0.1, checkpoint=100)
"""How meshes are learned after that."""

_PARAMETRIC = 12  # of a batch of TRAINING
_KINSHIP = 0.2
_LOOKS, _PAIRS = 2.0, 0.5  # weights of the losses beside the names' one
_PAIR_SCALE = 15.0
_HIDDEN = 512


class Learner(nn.Module):
    """The encoder with both its heads."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        self.words = layers(WIDTH, _HIDDEN, 384)
        self.looks = layers(WIDTH, _HIDDEN, 256)

    def forward(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Place groups of points: words (b, 384) and looks (b, 256), unit rows."""
        # bfloat16 halves the time of a step; weights and losses stay float32.
        with torch.autocast("cpu", torch.bfloat16):
            found = self.network(groups)
        features = unit(found)
        return unit(self.words(features)), unit(self.looks(features))


@dataclass(frozen=True)
class Teacher:
    """The losses.

    Attributes
    ----------
    written : Tensor, shape (templates, L, 384), float32
        Vectors of all classes' names.
    kin : Tensor, shape (L, L), float32
        Which classes mean nearly the same.
    scale : float
        What cosines with names are multiplied with.
    densities : Densities
        Numbers of points of the clouds.
    """

    written: Tensor
    kin: Tensor
    scale: float = 20.0
    densities: Densities = QUERIES

    @classmethod
    def of(cls, labels: Sequence[str], densities: Densities) -> Teacher:
        """Teach the names of these classes."""
        written = words_of(labels)
        return cls(written, kinship(written[0]), densities=densities)

    @property
    def decides(self) -> dict[str, object]:
        """All that decides the losses but for the shapes."""
        weights = [_KINSHIP, _LOOKS, _PAIRS, _PAIR_SCALE]
        heads = file_digest(assets_directory() / "mini" / "looks.safetensors")  # what looks are taken with
        names = digest(self.written, self.kin)
        about = {"names": names, "scale": self.scale, "weights": weights, "looks": heads, "version": VERSION}
        return {**about, "densities": asdict(self.densities)}

    def loss(self, learner: nn.Module, drawn: Sequence[tuple[Lessons, Tensor]], rng: torch.Generator) -> Tensor:
        """Loss of a batch, each shape of which is changed by chance.

        Parameters
        ----------
        learner : Module
            A :class:`Learner` in training mode.
        drawn : sequence of (Lessons, Tensor)
            Which rows of which pools.
        rng : torch.Generator
            All chance comes from it.
        """
        words, looks = learner(augmented(drawn, self.densities, rng))
        label = torch.cat([lessons.label[rows] for lessons, rows in drawn])
        names = nn.functional.one_hot(label, len(self.kin)).float()
        wanted = (1 - _KINSHIP) * names + _KINSHIP * self.kin[label]
        written = self.written[int(torch.randint(len(self.written), (1,), generator=rng))]
        naming = nn.functional.cross_entropy(self.scale * words @ written.T, wanted)
        target = looks_targets(drawn, rng)
        seeing = (1 - (looks * target).sum(1)).mean()
        pairs = nn.functional.cross_entropy(_PAIR_SCALE * looks @ target.T, torch.arange(len(looks)))
        total: Tensor = naming + _LOOKS * seeing + _PAIRS * pairs
        return total


def all_labels() -> list[str]:
    """Classes of both pools, in alphabetical order."""
    return sorted({*clouds(SWEET_HOME)[1], *clouds(PROCEDURAL)[1]})


def pretrained(work: Path, seed: int = 0, recipe: Recipe = PRETRAINING) -> Learner:
    """Train on parametric shapes alone, or go on with it.

    Parameters
    ----------
    work : Path
        Holds a folder for each training.
    seed : int
        Of first weights and all chance.
    recipe : Recipe
        How.
    """
    labels = all_labels()
    return _taught([(Lessons.of(PROCEDURAL, labels), recipe.batch)], Teacher.of(labels, MANY), seeded(Learner, seed),
                   replace(recipe, seed=seed), work, "parametric shapes")  # fmt: skip


def trained(work: Path, fold: int | None, seed: int = 0, recipe: Recipe = TRAINING) -> Learner:
    """Train on Sweet Home's meshes after parametric ones, or go on with it.

    Parameters
    ----------
    work : Path
        Holds a folder for each training.
    fold : int, optional
        Part of the meshes that is held out; None for none.
    seed : int
        As for :func:`pretrained`, whose weights are where this begins.
    recipe : Recipe
        How.
    """
    labels = all_labels()
    meshes, parametric = Lessons.of(SWEET_HOME, labels, taught_rows(fold)), Lessons.of(PROCEDURAL, labels)
    batch = [(meshes, recipe.batch - _PARAMETRIC), (parametric, _PARAMETRIC)]
    title = "all meshes" if fold is None else f"all meshes but part {fold}"
    return _taught(batch, Teacher.of(labels, QUERIES), pretrained(work, seed), replace(recipe, seed=seed), work, title)


def _taught(
    batch: Sequence[tuple[Lessons, int]], teacher: Teacher, learner: Learner, recipe: Recipe, work: Path, title: str
) -> Learner:
    """Train with so many shapes of each pool in a batch; other data, classes, heads or first weights train anew."""

    def loss_of(step: int, rng: torch.Generator) -> Tensor:
        return teacher.loss(learner, [(lessons, lessons.draw(count, rng)) for lessons, count in batch], rng)

    decides = {
        "lessons": [[lessons.identity, count] for lessons, count in batch], "teacher": teacher.decides,
        "first": digest(*learner.state_dict().values()), "recipe": replace(recipe, checkpoint=1),
    }  # fmt: skip
    who = identity(decides)
    folder = work / f"{title.replace(' ', '-')}-{who}"
    losses = train(learner, loss_of, recipe, folder, identity={"who": who}, title=title)
    log.info("%s: loss %.2f", title, float(losses[-recipe.steps // 10 :].mean()))
    return learner
