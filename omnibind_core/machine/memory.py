"""Where a tower's weights lie when they do not all fit the card, and how they get there when they are read.

Three plans:

``resident``
    All weights on the card, in the type that it computes in.
``streamed``
    What does not fit stays in pinned memory of the machine, and each weight is brought to the card when an operation
    reads it. The vectors are those of ``resident``, to the last bit.
``int8``
    Large matrices are kept as whole numbers of eight bits with one scale for each group of a row (its largest absolute
    value; Dettmers et al., arXiv 2208.07339, section 2.1), and become floating-point numbers when they are read. A
    tower whose vectors change by more than `TOLERANCE` is streamed instead. Towers of made-up weights, 512 wide and 12
    layers deep, change by 0.01 to 0.4 %; by bfloat16 alone, by 0.006 to 0.07 %.

In all three, tables of words and tensors under `SMALL` bytes lie on the card.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.machine.interception import Interception
from omnibind_core.machine.names import Plan
from omnibind_core.specialists.base import Specialist, SpecialistSpec
from omnibind_core.types import Audio, Image, Media, Modality, PointCloud, Text

__all__ = ["GROUP", "SMALL", "TOLERANCE", "Budget", "Quantised", "place", "role", "vector_error"]

SMALL = 1 << 18  # numbers: what is smaller is not worth a journey
GROUP = 64  # numbers that share a scale
TOLERANCE = 0.01  # one minus the cosine of a vector with what it was
Role: TypeAlias = Literal["stays", "travels", "shrinks"]

log = logging.getLogger(__name__)


def role(owner: nn.Module, tensor: Tensor) -> Role:
    """Tell what becomes of one weight where not all fit.

    Parameters
    ----------
    owner : nn.Module
        The layer that holds it.
    tensor : Tensor
        The weight; the meta device will do.

    Returns
    -------
    {"stays", "travels", "shrinks"}
        On the card always; streamed where it does not fit; likewise, but a matrix that int8 suits.
    """
    if tensor.numel() < SMALL or isinstance(owner, nn.Embedding):
        return "stays"
    return "shrinks" if tensor.ndim == 2 and tensor.shape[1] % GROUP == 0 else "travels"


@dataclass
class Budget:
    """Bytes of the card that weights may still take."""

    left: float

    def take(self, wanted: int) -> bool:
        """Take `wanted` bytes if they are left."""
        if wanted > self.left:
            return False
        self.left -= wanted
        return True


@dataclass(frozen=True, eq=False)
class Quantised:
    """A matrix of 8-bit whole numbers.

    Attributes
    ----------
    numbers : Tensor, shape (rows, columns), int8
        -127..127.
    scales : Tensor, shape (rows, columns / GROUP, 1), floating point
        What each group is multiplied by; their type is the matrix's.
    """

    numbers: Tensor
    scales: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> Quantised:
        """Quantise a matrix whose columns are a multiple of `GROUP`."""
        groups = matrix.reshape(len(matrix), -1, GROUP).float()
        # Rounded to the matrix's type before they are used, so that they are exact when they are used again.
        scales = (groups.abs().amax(dim=2, keepdim=True) / 127).clamp(min=1e-12).to(matrix.dtype)
        numbers = (groups / scales.float()).round_().clamp_(-127, 127).to(torch.int8)
        return cls(numbers.view_as(matrix), scales)

    def matrix(self) -> Tensor:
        """Give the matrix back: (rows, columns) in the scales' type."""
        rows, groups, _ = self.scales.shape
        numbers = self.numbers.view(rows, groups, -1).to(self.scales.dtype)
        return numbers.mul_(self.scales).view(rows, -1)

    def to(self, device: torch.device) -> Quantised:
        """Give the same on `device`."""
        numbers, scales = (tensor.to(device, non_blocking=True) for tensor in (self.numbers, self.scales))
        return Quantised(numbers, scales)

    @property
    def nbytes(self) -> int:
        """Bytes of both parts."""
        return self.numbers.nbytes + self.scales.nbytes


class _Placed:
    """A specialist whose weights come to the card when they are read."""

    spec: SpecialistSpec

    def __init__(self, inner: Specialist, interception: Interception) -> None:
        self.spec = inner.spec
        self._inner = inner
        self._interception = interception

    def embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed as the specialist itself does."""
        with self._interception:
            return self._inner.embed(modality, items)


def place(specialist: Specialist, plan: Plan, device: torch.device, budget: Budget) -> Specialist:
    """Spread a specialist's weights over the card and the machine's memory.

    Parameters
    ----------
    specialist : Specialist
        Loaded on the CPU, in the type that the card shall compute in; it is changed. Its networks, its tables and its
        device must be attributes of it.
    plan : {"resident", "streamed", "int8"}
        See the module. "resident" has nothing to place: such a specialist is built on the card.
    device : torch.device
        The card.
    budget : Budget
        Bytes of it that weights may take; what they take is subtracted.

    Returns
    -------
    Specialist
        That computes on `device`.
    """
    if plan == "resident":
        return specialist
    kept: dict[int, Tensor | Quantised] = {}
    holders: list[Tensor] = []
    shrinking: list[int] = []
    for name, value in list(vars(specialist).items()):
        if isinstance(value, torch.device):
            setattr(specialist, name, device)
        elif isinstance(value, Tensor):
            setattr(specialist, name, value.to(device))
        elif isinstance(value, nn.Module):
            for owner, leaf, tensor, becomes in _weights(value):
                if becomes == "stays":
                    budget.left -= tensor.nbytes
                    setattr(owner, leaf, _like(tensor, tensor.to(device)))
                    continue
                holder = _like(tensor, torch.empty_like(tensor, device="meta"))
                setattr(owner, leaf, holder)
                holders.append(holder)
                kept[id(holder)] = tensor.detach()
                if becomes == "shrinks":
                    shrinking.append(id(holder))

    def read(function: Any, holder: Tensor) -> Tensor:
        found = kept[id(holder)]
        if isinstance(found, Quantised):
            return found.to(device).matrix()
        return found.to(device, non_blocking=True)

    placed = _Placed(specialist, Interception(holders, read, device))
    if plan == "int8" and shrinking:
        exact = {key: kept[key] for key in shrinking}
        error = vector_error(placed, lambda: kept.update(_shrunk(exact, device)))
        log.info("%s in int8: its vectors change by %.3f %%", specialist.spec.title, 100 * error)
        if not error <= TOLERANCE:  # nor if it is not a number
            log.warning("%s is not kept in int8, for its vectors would change too much", specialist.spec.title)
            kept.update(exact)
    for key, found in kept.items():
        kept[key] = _settled(found, device, budget)
    return placed


def _weights(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor, Role]]:
    """Give (layer, name, weight or buffer, role) of a network; what two layers share, once for each."""
    for owner in network.modules():
        for leaf, parameter in list(owner.named_parameters(recurse=False)):
            yield owner, leaf, parameter, role(owner, parameter)
        for leaf, buffer in list(owner.named_buffers(recurse=False)):
            yield owner, leaf, buffer, "stays"


def _like(old: Tensor, new: Tensor) -> Tensor:
    return nn.Parameter(new, requires_grad=False) if isinstance(old, nn.Parameter) else new


def _shrunk(exact: dict[int, Tensor | Quantised], device: torch.device) -> Iterator[tuple[int, Quantised]]:
    """Quantise on the card, where it is quick; the result is kept outside it until the tower is found good."""
    for key, tensor in exact.items():
        if isinstance(tensor, Tensor):
            yield key, Quantised.of(tensor.to(device)).to(torch.device("cpu"))


def _settled(found: Tensor | Quantised, device: torch.device, budget: Budget) -> Any:
    """Put a weight on the card for good if there is room, else where the card can fetch it quickly."""
    if budget.take(found.nbytes):
        return found.to(device)
    if device.type != "cuda":
        return found
    if isinstance(found, Quantised):
        return Quantised(found.numbers.pin_memory(), found.scales.pin_memory())
    return found.pin_memory()


def vector_error(specialist: Specialist, change: Callable[[], object]) -> float:
    """Measure how much a change of its weights moves a specialist's vectors.

    Parameters
    ----------
    specialist : Specialist
        Asked before and after.
    change : callable
        Makes the change.

    Returns
    -------
    float
        The largest of one minus the cosine of a vector before and after, over one made-up input of each modality.
    """
    modalities = list(specialist.spec.widths)
    before = [specialist.embed(modality, [_example(modality)]) for modality in modalities]
    change()
    after = [specialist.embed(modality, [_example(modality)]) for modality in modalities]
    return max(float(1 - (a * b).sum(dim=1).min()) for a, b in zip(before, after, strict=True))


def _example(modality: Modality) -> Media:
    """Make an input up: neither empty nor smooth."""
    rng = np.random.default_rng(0)
    if modality == "text":
        return Text("a small dog barks at the postman in front of a house")
    if modality == "image":
        coarse = rng.integers(0, 256, (7, 7, 3), np.uint8)
        return Image(np.kron(coarse, np.ones((32, 32, 1), np.uint8)))
    if modality == "audio":
        seconds = np.arange(160_000) / 16_000
        tone = np.sin(2 * np.pi * (300 + 40 * seconds) * seconds) * np.exp(-2 * (seconds % 0.5))
        return Audio((0.3 * tone + 0.02 * rng.standard_normal(len(tone))).astype(np.float32), 16_000)
    points = rng.standard_normal((2_000, 3)).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return PointCloud(points, np.abs(points))
