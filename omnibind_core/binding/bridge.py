"""Binds one text-and-media space to another by text alone: both read the same sentences, and nothing else is paired.

The idea is C-MCR's (Wang et al., arXiv 2305.14381). A sentence has a vector in each of two pretrained spaces; light
heads learn to carry the one to the other (InfoNCE), with noise on what they read, so that they do not only know the
sentences' own places. What the first space puts beside its sentences, such as sounds, is then carried along, and finds
what the second puts beside them, such as pictures.

In such a space, media lie apart from the sentences about them (the modality gap, arXiv 2203.02053). Two ways to close
it, neither of which needs pairs:

- :class:`Centre`: each kind of input is centred by its own mean.
- :class:`Memory`, as in C-MCR: a sentence is also represented by the media that lie nearest to it in each space,
  mixed by softmax; these mixtures are aligned too, and drawn to the sentence. It wants many media: with a
  hundred, sounds found their pictures less often (``python -m tools.mini.measure.bridge``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import apply_heads, info_nce, new_head
from omnibind_core.errors import OmniBindError
from omnibind_core.specialists.base import unit

__all__ = ["Bridge", "Centre", "Memory", "Recipe", "bridge", "untrained"]


@dataclass(frozen=True)
class Recipe:
    """How heads are trained; chosen on the gallery's sounds from the development packages, in mini's spaces.

    Attributes
    ----------
    heads : int
        Heads that differ by their seeds, averaged.
    hidden : int
        Width of the middle layer.
    steps, batch : int
        Steps of AdamW and sentences in each.
    rate, decay : float
        Highest learning rate, which rises for a tenth of the steps and falls as a cosine; weight decay.
    scale : float
        What cosines are multiplied with before the softmax.
    noise : float
        Length of the noise on what is read, where a centred vector has length 1.
    mixtures, gap : float
        With a memory: weights of the alignment of its mixtures, and of their distance from the sentences.
    sharpness : float
        With a memory: what cosines are multiplied with to mix its media.
    """

    heads: int = 3
    hidden: int = 1024
    steps: int = 250
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.01
    scale: float = 10.0
    noise: float = 0.5
    mixtures: float = 1.0
    gap: float = 0.1
    sharpness: float = 100.0

    @property
    def identity(self) -> str:
        """What a digest of made heads counts: these fields in this form, whatever else a recipe may come to say."""
        return (
            f"heads={self.heads} hidden={self.hidden} steps={self.steps} batch={self.batch} rate={self.rate} "
            f"decay={self.decay} scale={self.scale} noise={self.noise} mixtures={self.mixtures} gap={self.gap} "
            f"sharpness={self.sharpness}"
        )


@dataclass(frozen=True, eq=False)
class Centre:
    """One kind of input's own mean in a space, and the usual distance from it.

    Attributes
    ----------
    mean : Tensor, shape (d,), float32
        Of unit rows.
    length : float
        Mean length of what is left, above 0.
    """

    mean: Tensor
    length: float

    @classmethod
    def of(cls, rows: Tensor) -> Centre:
        """Take the mean of unit rows, (n, d) with n >= 1; of a single row it would be the row itself: then 0."""
        mean = rows.float().mean(0) if len(rows) > 1 else torch.zeros(rows.shape[1])
        return cls(mean, max(float((rows - mean).norm(dim=1).mean()), 1e-6))

    def __call__(self, rows: Tensor) -> Tensor:
        """Centre rows and bring them to length 1 on average: (n, d) -> (n, d)."""
        return (rows - self.mean) / self.length


@dataclass(frozen=True, eq=False)
class Memory:
    """Media of both spaces, unpaired.

    Attributes
    ----------
    source : Tensor, shape (m, d), float32
        Centred rows beside the source's sentences.
    target : Tensor, shape (k, D), float32
        The same of the target.
    """

    source: Tensor
    target: Tensor


@dataclass(frozen=True, eq=False)
class Bridge:
    """Trained heads.

    Attributes
    ----------
    heads : sequence of Sequential
        Linear, BatchNorm, ReLU, Linear, BatchNorm, in evaluation mode.
    """

    heads: Sequence[nn.Sequential]

    @torch.inference_mode()
    def __call__(self, rows: Tensor) -> Tensor:
        """Carry centred rows over: (n, d) -> (n, D) unit rows."""
        return unit(apply_heads(self.heads, rows))

    def tensors(self, prefix: str, centre: Centre) -> dict[str, Tensor]:
        """Give the heads as :mod:`.projectors` reads the kind "mlp", for rows that are not yet centred.

        Parameters
        ----------
        prefix : str
            Names begin with it; ``{}`` stands for the number of the head.
        centre : Centre
            Of the kind of input, folded into the first layer.
        """
        found: dict[str, Tensor] = {}
        for number, head in enumerate(self.heads):
            state = {name: value for name, value in head.state_dict().items() if "num_batches" not in name}
            weight = state["0.weight"] / centre.length
            state |= {"0.weight": weight, "0.bias": state["0.bias"] - weight @ centre.mean}
            found |= {prefix.format(number) + name: value.clone() for name, value in state.items()}
        return found


def untrained(d: int, width: int, recipe: Recipe | None = None) -> Bridge:
    """Give heads as they are before training, d wide to `width` wide."""
    recipe = recipe or Recipe()
    return Bridge([new_head(d, recipe.hidden, width, seed).eval() for seed in range(recipe.heads)])


def bridge(
    source: Tensor,
    target: Tensor,
    recipe: Recipe | None = None,
    memory: Memory | None = None,
    progress: Callable[[float], None] | None = None,
) -> Bridge:
    """Train heads that carry the source space to the target space.

    Parameters
    ----------
    source, target : Tensor, shape (n, d) and (n, D), float32
        Centred rows of the same n sentences in the two spaces.
    recipe : Recipe, optional
        How.
    memory : Memory, optional
        Unpaired media of both spaces; None binds by text alone.
    progress : callable, optional
        Called with the share done, 0..1.

    Returns
    -------
    Bridge

    Raises
    ------
    OmniBindError
        The rows are not as many on both sides, or fewer than two.
    """
    if len(source) != len(target) or len(source) < 2:
        raise OmniBindError(
            f"{len(source)} sentences in one space and {len(target)} in the other",
            "the same sentences in both, two at least",
            "embed one list in both spaces",
        )
    recipe = recipe or Recipe()
    source, target = source.float(), unit(target)
    mixed = (_mix(source, memory.source, recipe), unit(_mix(target, memory.target, recipe))) if memory else None
    heads = []
    for seed in range(recipe.heads):
        done = (lambda share, seed=seed: progress((seed + share) / recipe.heads)) if progress else None
        heads.append(_train(source, target, mixed, recipe, seed, done))
    return Bridge(heads)


def _mix(sentences: Tensor, media: Tensor, recipe: Recipe) -> Tensor:
    """Represent each sentence by the media nearest to it: (n, d), (m, d) -> (n, d)."""
    return (recipe.sharpness * unit(sentences) @ unit(media).T).softmax(1) @ media.float()


def _train(
    source: Tensor,
    target: Tensor,
    mixed: tuple[Tensor, Tensor] | None,
    recipe: Recipe,
    seed: int,
    progress: Callable[[float], None] | None,
) -> nn.Sequential:
    # A loop of its own: the general one lies above this room, and seconds of training need no checkpoints.
    rng = torch.Generator().manual_seed(seed)
    head = new_head(source.shape[1], recipe.hidden, target.shape[1], seed)
    optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.1, cycle_momentum=False
    )

    def carry(rows: Tensor) -> Tensor:
        noise = torch.randn(rows.shape, generator=rng) * (recipe.noise / rows.shape[1] ** 0.5)
        return unit(head(rows + noise))

    for step in range(recipe.steps):
        drawn = torch.randperm(len(source), generator=rng)[: recipe.batch]
        said = carry(source[drawn])
        loss = info_nce(said, target[drawn], recipe.scale)
        if mixed is not None:
            heard = carry(mixed[0][drawn])
            loss = loss + recipe.mixtures * info_nce(heard, mixed[1][drawn], recipe.scale)
            loss = loss + recipe.gap * (said - heard).square().sum(1).mean() / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if progress:
            progress((step + 1) / recipe.steps)
    return head.eval()
