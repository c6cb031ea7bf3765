"""The only loader of specialists."""

from __future__ import annotations

from functools import cache

import torch

from omnibind_core.specialists import registry
from omnibind_core.specialists.base import Specialist
from omnibind_core.store.weights import local_files

__all__ = ["tower"]


@cache
def tower(name: str) -> Specialist:
    """Load a specialist (and those it shares) on the CPU in float32."""
    shared: dict[str, Specialist] = {}
    for part in registry.required([name]):
        spec, build = registry.find(part)
        shared[part] = build(spec, local_files(spec.weights), shared, torch.device("cpu"), torch.float32)
    return shared[name]
