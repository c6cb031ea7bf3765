"""Which memory plan a preset gets on this machine: what each plan needs, from the meta device, against what is free."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from omnibind_core.errors import PresetError
from omnibind_core.machine.cost import heads_bytes, is_published, meta_network
from omnibind_core.machine.engine import Engine
from omnibind_core.machine.memory import GROUP, Budget, Role, place, role
from omnibind_core.machine.names import PLANS, Plan, check_plan
from omnibind_core.machine.runtime import choose_dtype
from omnibind_core.presets.preset import Preset
from omnibind_core.specialists.base import Builder, Specialist, SpecialistSpec
from omnibind_core.specialists.registry import find, required, runs_of
from omnibind_core.types import MODALITIES, Modality

__all__ = [
    "Decision",
    "Needs",
    "Placement",
    "choose_plan",
    "decide",
    "free_in_machine",
    "free_on_card",
    "light_needs",
    "needs",
    "shares_on_card",
]

log = logging.getLogger(__name__)

# Kept free on the card for CUDA itself, for what the towers compute (a batch of EVA-CLIP-18B's takes 0.3 GB), and for
# the largest weight on its way (0.26 GB).
RESERVE = 1_500_000_000
# Of the machine's memory while loading: files are mapped and read tensor by tensor, the smallest networks at once.
LOADING = 1_500_000_000
_WORKING = 1_000_000_000  # bytes for computing, of presets without a plan


@dataclass(frozen=True)
class Needs:
    """What a plan asks of a machine.

    Attributes
    ----------
    plan : {"resident", "streamed", "int8"}
        See :mod:`omnibind_core.machine.memory`.
    card : int
        Bytes that must be free on the card (without a card: in the machine, for computing).
    machine : int
        Bytes of the machine's memory, while loading or ever after, whichever is more.
    """

    plan: Plan
    card: int
    machine: int


@cache
def _numbers(name: str) -> dict[Role | Literal["pinned"], int]:
    """Count a specialist's weights by what becomes of them; "pinned" is what those that move take in pinned memory."""
    found: dict[Role | Literal["pinned"], int] = {"stays": 0, "travels": 0, "shrinks": 0, "pinned": 0}
    if is_published(name) and runs_of(name):
        for owner in meta_network(name).modules():
            for parameter in owner.parameters(recurse=False):
                becomes = role(owner, parameter)
                found[becomes] += parameter.numel()
                if becomes != "stays":  # torch pins blocks of a power of two
                    found["pinned"] += 1 << (parameter.numel() - 1).bit_length()
    else:
        found["stays"] = find(name)[0].parameters
    return found


def needs(
    preset: Preset,
    modalities: Iterable[Modality] = MODALITIES,
    dtype: torch.dtype = torch.bfloat16,
    card: int | None = None,
) -> list[Needs]:
    """Estimate what each plan needs, from the weights' shapes alone.

    Parameters
    ----------
    preset : Preset
        Of which.
    modalities : iterable of Modality
        Only what these need is loaded.
    dtype : torch.dtype
        In which the towers compute.
    card : int, optional
        Bytes free on the card, which "streamed" fills with what fits; None lets it use no more than it must.

    Returns
    -------
    list of Needs
        For each plan: first the quickest.
    """
    numbers = [_numbers(name) for name in _names(preset, modalities)]
    width = dtype.itemsize
    base = heads_bytes(preset) + RESERVE
    stays = sum(one["stays"] for one in numbers) * width
    travels = [(one["travels"] + one["shrinks"]) * width for one in numbers]
    shrunk = [one["travels"] * width + one["shrinks"] + one["shrinks"] // GROUP * width for one in numbers]
    # A tower is loaded whole before it is spread, and for int8 it is there twice while it is measured.
    kept = peak = 0
    for count, one, on_card in zip(numbers, travels, _spread(travels, (card or 0) - base - stays), strict=True):
        peak = max(peak, kept + one)
        kept += count["pinned"] * width * (one - on_card) // max(one, 1)
    peak = max(peak, kept)
    measured = max(whole + small for whole, small in zip(travels, shrunk, strict=True))
    return [
        Needs("resident", base + stays + sum(travels), LOADING + heads_bytes(preset)),
        Needs("int8", base + stays + sum(shrunk), LOADING + measured),
        Needs("streamed", base + stays, LOADING + peak),
    ]


def light_needs(preset: Preset) -> int:
    """Bytes of the machine's memory that a preset without a memory plan asks for, at most, while loading."""
    # Float32, as much again for a file while it is read, and what computing takes.
    return 8 * sum(find(name)[0].parameters for name in _names(preset, MODALITIES)) + _WORKING


def shares_on_card(preset: Preset, card: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, float]:
    """Give the share of each specialist's weights that "streamed" keeps on a card of `card` free bytes: 0..1."""
    names = _names(preset, MODALITIES)
    numbers = [_numbers(name) for name in names]
    travels = [(one["travels"] + one["shrinks"]) * dtype.itemsize for one in numbers]
    stays = [one["stays"] * dtype.itemsize for one in numbers]
    spread = _spread(travels, card - heads_bytes(preset) - RESERVE - sum(stays))
    rows = zip(names, spread, stays, travels, strict=True)
    return {name: (there + always) / (always + whole) for name, there, always, whole in rows}


def _spread(travels: Iterable[int], spare: int) -> Iterator[int]:
    """Fill `spare` bytes of the card with towers, in the order in which they are loaded."""
    spare = max(0, spare)
    for one in travels:
        yield min(spare, one)
        spare -= min(spare, one)


def _names(preset: Preset, modalities: Iterable[Modality]) -> list[str]:
    return required(list(dict.fromkeys(tower for m in modalities for tower in preset.towers_of(m))))


def free_on_card(device: torch.device) -> int | None:
    """Bytes that are free on `device`; None where it is not a card."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def free_in_machine() -> int:
    """Bytes of memory that this process may still take, within its control group's limit where there is one."""
    try:
        rows = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(row.split()[1]) * 1024 for row in rows if row.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 62
    try:
        group = Path("/sys/fs/cgroup")
        allowed, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return min(free, int(allowed) - int(used)) if allowed.isdigit() else free
    except OSError:
        return free


def choose_plan(found: Iterable[Needs], card: int | None, machine: int) -> tuple[Plan | None, str]:
    """Take the quickest plan that fits.

    Parameters
    ----------
    found : iterable of Needs
        What the plans need, the quickest first.
    card : int or None
        Bytes free on the card; None without one: then all is in the machine's memory, and nothing can be streamed.
    machine : int
        Bytes free in the machine.

    Returns
    -------
    plan : {"resident", "streamed", "int8"} or None
        None where none fits.
    reason : str
        What decided, in words.
    """
    misses: list[str] = []
    for one in found:
        if card is None and one.plan == "streamed":
            continue
        wanted = [(one.machine if card is not None else max(one.card, one.machine), machine, "of memory")]
        if card is not None:
            wanted.insert(0, (one.card, card, "on the card"))
        short = [f"{need / 1e9:.1f} GB {where} ({free / 1e9:.1f} free)" for need, free, where in wanted if need > free]
        if not short:
            before = f"; {'; '.join(misses)}" if misses else ""
            return one.plan, ", ".join(
                f"{need / 1e9:.1f} of {free / 1e9:.1f} GB {w}" for need, free, w in wanted
            ) + before
        misses.append(f"{one.plan} needs {' and '.join(short)}")
    return None, "; ".join(misses)


@dataclass(frozen=True)
class Decision:
    """How a preset is, or would be, loaded on a machine.

    Attributes
    ----------
    plan : {"resident", "streamed", "int8"} or None
        None where none fits.
    dtype : torch.dtype
        In which its towers compute.
    reason : str
        What decided, in words.
    needs : tuple of Needs
        Of all plans, in `dtype`; empty for presets that need no plan.
    """

    plan: Plan | None
    dtype: torch.dtype
    reason: str
    needs: tuple[Needs, ...]


def decide(
    preset: Preset,
    modalities: Iterable[Modality] = MODALITIES,
    *,
    device: torch.device,
    card: int | None,
    machine: int,
    dtype: str = "auto",
    plan: str = "auto",
) -> Decision:
    """Settle plan and number type. What is said about a machine and what is then loaded both come from here.

    Without a card, "auto" takes the type that was measured as the faster one, unless only bfloat16 leaves room for the
    weights as they are. On a card it takes bfloat16 for large presets, and float32 for those that need no plan.

    Parameters
    ----------
    preset : Preset
        Of which.
    modalities : iterable of Modality
        Which of it is loaded.
    device : torch.device
        Where the towers compute.
    card, machine : int
        Bytes free on the card (None without one), and in the machine.
    dtype : str
        As for :func:`omnibind_core.machine.runtime.choose_dtype`.
    plan : str
        "auto", or the plan to insist on.

    Raises
    ------
    PresetError
        An unknown plan or type.
    """
    check_plan(plan)
    wanted = list(modalities)
    fast = choose_dtype(dtype, device)
    if not any(is_published(name) for name in _names(preset, wanted)):
        if dtype == "auto" and card is not None:
            fast = torch.float32  # measured on a card: no slower with towers this small, and the gallery's vectors
        return Decision("resident", fast, "small enough for most machines", ())
    types = [fast, torch.bfloat16] if dtype == "auto" and card is None and fast != torch.bfloat16 else [fast]
    found: list[Decision] = []
    for one in types:
        asked = tuple(needs(preset, wanted, one, card))
        chosen, reason = choose_plan(asked, card, machine)
        if plan != "auto":
            chosen, reason = next(name for name in PLANS if name == plan), "as asked for"
        before = f"; {_short(fast)} is faster here, but {found[0].reason}" if found else ""
        found.append(Decision(chosen, one, f"{reason}, in {_short(one)}{before}", asked))
        if chosen == "resident" or plan != "auto":
            return found[-1]
    return next((one for one in found if one.plan), found[0])


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Placement:
    """Builds towers where a plan wants them.

    Parameters
    ----------
    plan : {"auto", "resident", "streamed", "int8"}
        "auto" takes the quickest that fits what is free.
    preset : Preset
        Of which.
    modalities : iterable of Modality
        Which of it is loaded.
    device : torch.device
        Where the towers compute.
    dtype : torch.dtype or str
        In what; a name is settled by :func:`decide`.
    engine : Engine, optional
        Gives towers a faster network on a processor; None leaves all to torch.

    Attributes
    ----------
    plan : {"resident", "streamed", "int8"}
        What was settled.
    dtype : torch.dtype
        Likewise.

    Raises
    ------
    PresetError
        An unknown plan, or none fits and "auto" was to find one.
    """

    def __init__(
        self,
        plan: str,
        preset: Preset,
        modalities: Iterable[Modality],
        device: torch.device,
        dtype: torch.dtype | str,
        engine: Engine | None = None,
    ) -> None:
        self._device = device
        card = free_on_card(device)
        name = dtype if isinstance(dtype, str) else _short(dtype)
        decision = decide(
            preset, modalities, device=device, card=card, machine=free_in_machine(), dtype=name, plan=plan
        )
        if decision.plan is None:
            raise PresetError(
                f"preset '{preset.name}' on this machine: {decision.reason}",
                "a plan whose needs are free",
                "close other programs, load fewer modalities, take a smaller preset, or name a plan to try it",
            )
        self.plan: Plan = decision.plan
        self.dtype = decision.dtype
        self._engine = engine
        self._budget = Budget(float("inf"))
        if decision.needs:
            log.info("memory plan %s: %s", decision.plan, decision.reason)
            if card is not None:
                self._budget = Budget(card - RESERVE - heads_bytes(preset))

    def build(
        self, build: Builder, spec: SpecialistSpec, paths: Mapping[str, Path], shared: Mapping[str, Specialist]
    ) -> Specialist:
        """Build one specialist and put its weights where the plan wants them."""
        if self.plan == "resident" or not is_published(spec.name):
            loaded = build(spec, paths, shared, self._device, self.dtype)
            return self._engine.take(loaded, self.dtype) if self._engine else loaded
        loaded = build(spec, paths, shared, torch.device("cpu"), self.dtype)
        return place(loaded, self.plan, self._device, self._budget)
