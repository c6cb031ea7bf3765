"""The head from E5's vectors to MiniLM's: taught by pairs, and by English whose vectors are moved as translations move.

Translations of one thing do not lie at one place in E5's space. What lies between a word and its English is added to
English words at random, so that the head learns to look past it for words that no pair names.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

log = logging.getLogger(__name__)

__all__ = ["Lessons", "learn"]

_WIDTH, _HIDDEN = 384, 1024
_BATCH = 512  # of pairs, and as many of English
_RATE, _DECAY, _DROPOUT = 2e-3, 0.01, 0.1
_TEMPERATURE = 0.05
_MOVED = 0.8  # share of the English that is moved


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the head learns from; unit rows of width 384, float32.

    Attributes
    ----------
    other, between, same : Tensor, shape (n, 384)
        Of pairs: E5 of the translation, that minus E5 of the English, MiniLM of the English.
    english, meant : Tensor, shape (m, 384)
        Of English alone: E5 and MiniLM.
    """

    other: Tensor
    between: Tensor
    same: Tensor
    english: Tensor
    meant: Tensor


class _Head(nn.Module):
    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale
        self.up, self.down, self.skip = (
            nn.Linear(_WIDTH, _HIDDEN), nn.Linear(_HIDDEN, _WIDTH), nn.Linear(_WIDTH, _WIDTH, bias=False)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.scale
        hidden = functional.dropout(functional.gelu(self.up(x)), _DROPOUT, self.training)
        return functional.normalize(self.down(hidden) + self.skip(x), dim=1)


def learn(lessons: Lessons, steps: int, seed: int = 0) -> dict[str, Tensor]:
    """Teach the head by InfoNCE among a batch, and by cosine.

    Returns
    -------
    dict of str to Tensor, float16
        "up.weight" (1024, 384), "up.bias", "down.weight" (384, 1024), "down.bias", "skip.weight" (384, 384), for E5's
        vectors as they are.
    """
    torch.manual_seed(seed)
    head = _Head(lessons.english.mean(0), lessons.english.std(0))
    optimiser = torch.optim.AdamW(head.parameters(), _RATE / 2, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps)
    for step in range(steps):
        x, y = _batch(lessons)
        found = head(x)
        logits = found @ y.T / _TEMPERATURE
        equal = (y @ y.T > 1 - 1e-4) & ~torch.eye(len(y), dtype=torch.bool)  # another pair of the same English
        loss = functional.cross_entropy(logits.masked_fill(equal, -1e4), torch.arange(len(y)))
        loss = loss + 2 * (1 - (found * y).sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            log.info("languages: step %d of %d, loss %.3f", step + 1, steps, loss.item())
    return _folded(head)


def _batch(lessons: Lessons) -> tuple[Tensor, Tensor]:
    of_pairs = torch.randint(len(lessons.other), (_BATCH,))
    of_english = torch.randint(len(lessons.english), (_BATCH,))
    between = lessons.between[torch.randint(len(lessons.between), (_BATCH,))]
    moved = lessons.english[of_english] + (torch.rand(_BATCH, 1) < _MOVED) * between
    x = torch.cat([lessons.other[of_pairs], functional.normalize(moved, dim=1)])
    return x, torch.cat([lessons.same[of_pairs], lessons.meant[of_english]])


@torch.no_grad()
def _folded(head: _Head) -> dict[str, Tensor]:
    up, skip = head.up.weight / head.scale, head.skip.weight / head.scale
    tensors = {
        "up.weight": up,
        "up.bias": head.up.bias - up @ head.mean,
        "down.weight": head.down.weight,
        "down.bias": head.down.bias - skip @ head.mean,
        "skip.weight": skip,
    }
    return {name: tensor.half().contiguous() for name, tensor in tensors.items()}
