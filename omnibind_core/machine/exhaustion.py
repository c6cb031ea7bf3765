"""What is done when a card's memory does not suffice: free, halve, spread the tower; at last say so with numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.errors import ExhaustedError
from omnibind_core.machine.cost import is_published
from omnibind_core.machine.memory import Budget, place
from omnibind_core.specialists.base import Specialist
from omnibind_core.types import Modality

__all__ = ["can_be_streamed", "free", "in_parts", "shortage", "streamed"]

log = logging.getLogger(__name__)


def free() -> None:
    """Give back what torch keeps for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_parts(tower: Specialist, modality: Modality, items: Sequence[Any]) -> Tensor:
    """Embed items together, or where the memory does not suffice, in two halves, and these again.

    Parameters
    ----------
    tower : Specialist
        Which embeds.
    modality : Modality
        What the items are.
    items : sequence
        At least one.

    Returns
    -------
    Tensor, shape (n, d), float32
        Unit rows.

    Raises
    ------
    torch.OutOfMemoryError
        One item alone takes more than there is.
    """
    try:
        return tower.embed(modality, items)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    free()  # outside of the handler: what failed holds its tensors until then
    half = (len(items) + 1) // 2
    log.warning("%s: out of memory with %d inputs; in halves from here", tower.spec.title, len(items))
    return torch.cat([in_parts(tower, modality, part) for part in (items[:half], items[half:])])


def can_be_streamed(tower: Specialist) -> bool:
    """Whether a tower holds networks of its own that are not spread over card and machine yet."""
    return is_published(tower.spec.name) and any(isinstance(value, nn.Module) for value in vars(tower).values())


def streamed(tower: Specialist, device: torch.device) -> Specialist:
    """Take a tower that is whole on the card off it: from now on its large weights come when they are read.

    Parameters
    ----------
    tower : Specialist
        Whose networks no other tower uses; it is changed.
    device : torch.device
        The card.

    Returns
    -------
    Specialist
        With the same vectors to the last bit, see :mod:`omnibind_core.machine.memory`.
    """
    for value in vars(tower).values():
        if isinstance(value, nn.Module):
            value.to("cpu")
    free()
    return place(tower, "streamed", device, Budget(0))


def shortage(tower: Specialist, modality: Modality, device: torch.device) -> ExhaustedError:
    """Say that one input alone takes more than there is, and how much there is."""
    where = "memory"
    if device.type == "cuda":
        left, whole = torch.cuda.mem_get_info(device)
        where = f"a card of {whole / 1e9:.1f} GB, {left / 1e9:.1f} of them free"
    return ExhaustedError(
        f"one input ({modality}) for {tower.spec.title}, and {where}",
        "what fits the memory that is free",
        "close what else uses the card (`nvidia-smi` lists it), name `--plan streamed`, or take a smaller preset",
    )
