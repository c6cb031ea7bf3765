"""What an input costs in each preset, counted on the meta device: exact, in seconds, without weights or memory.

Ours runs each tower that the input needs once, and sentences only as far as they go. The published inference
(zehanwang01/OmniBind, ``omni_model``) runs every member's own tower: each Uni3D member runs EVA02-E's again, SigLIP
runs its other tower on a dummy, and most pad sentences to their full length. What both do alike outside of matrix
products (decoding, spectrograms, grouping of points, norms) is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.errors import PresetError
from omnibind_core.machine.interception import Interception, is_lookup
from omnibind_core.presets.preset import HeadSpec, Preset, ranked
from omnibind_core.specialists.base import Runs
from omnibind_core.specialists.registry import all_specs, find, runs_of
from omnibind_core.types import MODALITIES, Modality

__all__ = [
    "PIECES",
    "Work",
    "heads_bytes",
    "is_counted",
    "is_published",
    "meta_network",
    "ours",
    "parameters",
    "published",
    "table",
    "work",
]

PIECES = 12  # of a sentence such as "a small dog barks at the postman twice", marks of start and end included
_HIDDEN = 2048  # of the published heads
_PARTNERS: Mapping[Modality, Modality] = {"image": "text", "text": "image"}


@dataclass(frozen=True)
class Work:
    """What one input costs.

    Attributes
    ----------
    operations : int
        Floating-point operations of matrix products and convolutions; a multiplication and an addition are two.
    weights : int
        Numbers of the weights that are read; two bytes each in bfloat16. Tables of
        words are not counted, for a few rows of them are looked up.
    """

    operations: int = 0
    weights: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.weights + other.weights)


@cache
def _runs(twin: str) -> Runs:
    """Make a network once: that takes longer than counting what it does."""
    runs = runs_of(twin)
    if runs is None:
        raise PresetError(
            f"specialist '{twin}', whose module does not say what it runs",
            "one that can be counted",
            "write a function `runs` beside its `build`",
        )
    made = runs(twin)
    made.network.eval().requires_grad_(False)
    return made


@cache
def _counted(twin: str, modality: Modality, pieces: int) -> Work:
    from torch.utils.flop_counter import FlopCounterMode

    made = _runs(twin)
    weights: dict[int, int] = {}

    def read(function: Any, tensor: Tensor) -> Tensor:
        if not is_lookup(function):
            weights[id(tensor)] = tensor.numel()
        return tensor

    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter, Interception(made.network.parameters(), read):
        made.by_modality[modality](pieces)
    return Work(counter.get_total_flops(), sum(weights.values()))


def work(name: str, modality: Modality, pieces: int = PIECES) -> Work:
    """Count one run of one specialist's tower.

    Parameters
    ----------
    name : str
        A specialist of which :func:`is_counted` is true.
    modality : Modality
        One picture, one sound of 10 s, one shape of 10,000 points, or one sentence.
    pieces : int
        Length of the sentence, for towers that do not pad it to their full length.

    Raises
    ------
    PresetError
        Its module does not say what it runs.
    """
    spec = find(name)[0]
    if modality in spec.borrows:
        theirs, times = spec.borrows[modality]
        once = work(spec.shares[0], theirs, pieces)
        return Work(times * once.operations, once.weights)
    return _counted(_twin(name), modality, pieces)


def parameters(name: str) -> int:
    """Count the parameters of the network of a specialist that has one."""
    return sum(parameter.numel() for parameter in meta_network(name).parameters())


def meta_network(name: str) -> nn.Module:
    """Make a specialist's network in its full size, without weights or memory; raises as :func:`work` does."""
    return _runs(_twin(name)).network


@cache
def _published() -> frozenset[str]:
    return frozenset(tower for preset in ranked() if preset.card for tower in preset.specialists())


def is_published(name: str) -> bool:
    """Whether `name` is a specialist of the presets for a card, which are large enough to need a memory plan."""
    return name in _published()


def is_counted(name: str) -> bool:
    """Whether a specialist says what it runs, in its own module or by what it shares."""
    spec = find(name)[0]
    return runs_of(name) is not None or (
        set(spec.borrows) == set(spec.widths) and all(is_counted(other) for other in spec.shares)
    )


def _twin(name: str) -> str:
    """First specialist with the same network: three trainings of one cost the same."""
    spec, build = find(name)
    specs = all_specs().values()
    alike = (one.name for one in specs if one.parameters == spec.parameters and find(one.name)[1] is build)
    return next(alike)


def _head_numbers(preset: Preset, space: str, head: HeadSpec) -> int:
    """Count the weights of one space's projectors of the published form; lite's are half as wide, so at most these."""
    return head.count * _HIDDEN * (preset.spaces[space].width + preset.width) if head.kind == "mlp" else 0


def heads_bytes(preset: Preset) -> int:
    """Bytes of all projectors of a preset in memory, each once."""
    distinct = {(name, head) for name, space in preset.spaces.items() for head in space.heads.values()}
    itemsize: int = getattr(torch, preset.dtype).itemsize
    return itemsize * sum(_head_numbers(preset, name, head) for name, head in distinct)


def heads(preset: Preset, modality: Modality) -> Work:
    """Count the projectors of one input, the same on both sides; the routers are next to nothing."""
    spaces = preset.spaces_of(modality)
    numbers = sum(_head_numbers(preset, name, preset.spaces[name].heads[modality]) for name in spaces)
    return Work(2 * numbers, numbers)


def ours(preset: Preset, modality: Modality) -> Work:
    """Count one input in our inference: each tower once, and only the one that the input needs."""
    return sum((work(name, modality) for name in preset.towers_of(modality)), heads(preset, modality))


def published(preset: Preset, modality: Modality) -> Work:
    """Count one input in the published inference: every space's own tower, SigLIP's other tower, padding.

    Its spaces of a modality are all that have a tower for it: full runs the Uni3D members' picture towers too, although
    its router has no use for them.
    """
    total = heads(preset, modality)
    for space in preset.spaces.values():
        if modality not in space.towers:
            continue
        spec = find(space.towers[modality])[0]
        total += work(spec.name, modality, spec.published_pieces or PIECES)
        if spec.published_pair:
            total += work(spec.name, _PARTNERS[modality])
    return total


def table(preset: Preset) -> dict[Modality, tuple[Work, Work]]:
    """Count all modalities: {modality: (published, ours)}."""
    return {modality: (published(preset, modality), ours(preset, modality)) for modality in MODALITIES}
