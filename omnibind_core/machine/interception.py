"""Stands between a network and its weights: every weight passes through one function when an operation reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Interception", "is_lookup"]

# Attributes of a tensor that are views of it; all others (shape, type, ...) say something about it.
_VIEWS = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})
_ABOUT = frozenset({"size", "dim", "numel", "stride", "is_floating_point", "is_complex", "__len__", "element_size"})
_LOOKUPS = frozenset({torch.nn.functional.embedding, torch.embedding})


def is_lookup(function: object) -> bool:
    """Whether `function` reads a few rows of a table, (indices, table) or (table, indices)."""
    return function in _LOOKUPS


class Interception(TorchFunctionMode):
    """While it is active, whatever an operation would read of some tensors is replaced by something else.

    It works for every network, also where a layer's weight is read without the layer being called (attention reads
    its projections so). An operation made of others (such as multi-head attention) is replaced as a whole.

    Parameters
    ----------
    chosen : iterable of Tensor
        Which tensors. They must live as long as this.
    read : callable
        (function, tensor) -> what the function is given instead.
    device : torch.device, optional
        What a chosen tensor says when it is asked where it is; None lets it answer itself.
    """

    def __init__(
        self,
        chosen: Iterable[Tensor],
        read: Callable[[Any, Tensor], Tensor],
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self._chosen = {id(tensor): tensor for tensor in chosen}
        self._read = read
        self._device = device

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` with the replacements."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        attribute = getattr(getattr(func, "__self__", None), "__name__", "") if name == "__get__" else ""
        if attribute == "device" and self._device is not None and id(args[0]) in self._chosen:
            return self._device
        if name in _ABOUT or (attribute and attribute not in _VIEWS):
            return func(*args, **kwargs)
        return func(*self._replaced(func, args), **self._replaced(func, kwargs))

    def _replaced(self, func: Any, value: Any) -> Any:
        """Look into tuples, lists and dicts too."""
        if isinstance(value, Tensor):
            return self._read(func, value) if id(value) in self._chosen else value
        if type(value) in (tuple, list):
            return type(value)(self._replaced(func, one) for one in value)
        if type(value) is dict:
            return {key: self._replaced(func, one) for key, one in value.items()}
        return value
