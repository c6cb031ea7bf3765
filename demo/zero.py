"""ZeroGPU, Hugging Face's cards that are lent by the call: what computes is handed to its library, here alone.

There, the library `spaces` is installed and ``SPACES_ZERO_GPU`` is set. Models are moved to the card before the page
is served, while no card is there yet (the library notes where they belong), and whatever computes runs in a process
that is given one for a while. Elsewhere nothing of this happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import ParamSpec, TypeVar

__all__ = ["SECONDS", "is_lent", "on_card"]

P = ParamSpec("P")
R = TypeVar("R")

SECONDS = 30
"""For which a card is asked at a time; what is not used is not counted against the visitor."""


def is_lent() -> bool:
    """Whether cards are lent by the call here."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in {"1", "true", "t"}


def on_card(function: Callable[P, R]) -> Callable[P, R]:
    """Give a function that has a card whenever it runs, where cards are lent; elsewhere the function itself.

    Parameters
    ----------
    function : callable
        Made before the page is served. What it is given and gives travels between processes.

    Returns
    -------
    callable
        Called in the same way.
    """
    if not is_lent():
        return function
    lent: Callable[P, R] = import_module("spaces").GPU(function, duration=SECONDS)
    return lent
