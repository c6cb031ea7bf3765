"""The only loader of specialists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import torch

from omnibind_core.specialists.base import Builder, Specialist, SpecialistSpec
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.weights import Progress, local_files

__all__ = ["Place", "load", "tower"]

Place: TypeAlias = Callable[[Builder, SpecialistSpec, Mapping[str, Path], Mapping[str, Specialist]], Specialist]
"""(build, record, local files by role, what it shares by name) -> the specialist, built where its weights shall lie."""

_CPU = torch.device("cpu")


def load(
    names: Sequence[str],
    device: torch.device = _CPU,
    dtype: torch.dtype = torch.float32,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
    place: Place | None = None,
    have: Mapping[str, Specialist] | None = None,
) -> dict[str, Specialist]:
    """Load specialists and all that they share, each once.

    Parameters
    ----------
    names : sequence of str
        Which.
    device : torch.device
        Where they compute.
    dtype : torch.dtype
        In what they compute.
    offline : bool, optional
        As for :func:`omnibind_core.store.weights.local_files`.
    progress : callable, optional
        Called with (what is loaded or fetched, share done in 0..1).
    place : callable, optional
        Builds one in its own way, which settles `device` and `dtype` too; None builds it there, in that.
    have : mapping of str to Specialist, optional
        Loaded before: what it names is taken from it.

    Returns
    -------
    dict of str to Specialist
        By name: `names` and what they share, each after what it shares itself.

    Raises
    ------
    PresetError, WeightsError
        No specialist has that name; its weights cannot be had, or do not fit it.
    """
    report = progress or (lambda _label, _share: None)
    order = required(list(names))
    loaded: dict[str, Specialist] = {}
    for i, name in enumerate(order):
        if have and name in have:
            loaded[name] = have[name]
            continue
        spec, build = find(name)
        report(spec.title, i / len(order))
        files = local_files(spec.weights, offline=offline, progress=report)
        shared = {other: loaded[other] for other in spec.shares}
        loaded[name] = place(build, spec, files, shared) if place else build(spec, files, shared, device, dtype)
    return loaded


def tower(name: str, dtype: torch.dtype = torch.float32) -> Specialist:
    """Load a specialist (and those it shares) on the CPU, once in a process for each type that it computes in."""
    return _tower(name, dtype)


@cache
def _tower(name: str, dtype: torch.dtype) -> Specialist:
    return load([name], dtype=dtype, have={other: _tower(other, dtype) for other in find(name)[0].shares})[name]
