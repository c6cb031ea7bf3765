"""The best preset that this machine and its network can run."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from omnibind_core.machine.plans import decide, free_in_machine, free_on_card, light_needs
from omnibind_core.machine.preflight import file_rows, free_on_disk, is_commercial, licences, room
from omnibind_core.machine.runtime import choose_device
from omnibind_core.presets.preset import Preset, load_preset, preset_names, ranked
from omnibind_core.store.paths import is_offline

if TYPE_CHECKING:
    import torch

__all__ = ["Choice", "best_preset", "choices", "hub_answers"]

log = logging.getLogger(__name__)

_TIMEOUT = 5.0  # seconds


def hub_answers() -> bool:
    """Whether the Hub (or ``$HF_ENDPOINT``) can be reached from here."""
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not address.startswith(("https://", "http://")):
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_TIMEOUT):
            return True
    except urllib.error.HTTPError:  # an answer all the same
        return True
    except OSError:
        return False


@dataclass(frozen=True)
class Choice:
    """A preset, and what this machine says of it.

    Attributes
    ----------
    preset : Preset
    fits : bool
        Whether its files, and what it computes with, have room here.
    reason : str
        What decided, in words for people.
    to_fetch : int
        Bytes that would be fetched first.
    commercial : bool
        Whether all its licences allow commercial use.
    """

    preset: Preset
    fits: bool
    reason: str
    to_fetch: int
    commercial: bool


def choices(device: str = "auto") -> list[Choice]:
    """Look at every preset that comes along, the lightest first; nothing is fetched, and nobody is asked.

    Parameters
    ----------
    device : str
        As for :func:`best_preset`.
    """
    chosen = choose_device(device)
    card = free_on_card(chosen)
    found = []
    for preset in map(load_preset, preset_names()):
        rows = file_rows(preset)
        if preset.card and card is None:
            fits, reason = False, f"wants a CUDA card, and the device here is {chosen}"
        else:
            fits, reason = _fits(preset, chosen, card, lambda: not is_offline())
        every = [preset.licence, *licences(preset)]
        left = sum(row.left for row in rows)
        found.append(Choice(preset, fits, reason, left, all(is_commercial(one) for one in every)))
    return sorted(found, key=lambda one: (one.preset.card, one.to_fetch, one.preset.name))


def best_preset(
    device: str = "auto", *, offline: bool | None = None, reachable: Callable[[], bool] = hub_answers
) -> str:
    """Choose a preset: the highest in rank that fits the card, the memory, the disk and the network here.

    Without a card the presets that want one take many seconds for an answer, and are not looked at. Licences do not
    count: who needs commercial use names a preset that allows it.

    Parameters
    ----------
    device : str
        As for :meth:`omnibind_core.binder.OmniBind.from_pretrained`.
    offline : bool, optional
        True counts only what is on this machine; None reads ``OMNIBIND_OFFLINE``.
    reachable : callable
        Asked at most once, and only where files are missing.

    Returns
    -------
    str
        Its name; the log says why.
    """
    chosen = choose_device(device)
    card = free_on_card(chosen)
    offline = is_offline() if offline is None else offline
    answers = cache(lambda: not offline and reachable())
    *presets, last = ranked()
    unfit = [] if card is not None else [preset.name for preset in presets if preset.card]
    reasons = [f"{', '.join(unfit)}: want a CUDA card, and the device here is {chosen}"] if unfit else []
    for preset in presets:
        if preset.name in unfit:
            continue
        fits, reason = _fits(preset, chosen, card, answers)
        if fits:
            log.warning("preset %s, %s%s", preset.name, reason, "".join(f"; not {why}" for why in reasons))
            return preset.name
        reasons.append(f"{preset.name}: {reason}")
    log.warning("preset %s: %s", last.name, "".join(f"not {why}; " for why in reasons).removesuffix("; "))
    return last.name


def _fits(preset: Preset, device: torch.device, card: int | None, answers: Callable[[], bool]) -> tuple[bool, str]:
    """Tell whether a preset can be run here, and what decided."""
    rows = file_rows(preset)
    needed = room(rows, free_on_disk())
    if needed.files and not answers():
        missing = next(row.label for row in rows if not row.cached)
        return False, f"{missing} is not here and the Hub cannot be reached"
    if not needed.enough:
        return False, f"its files need {needed.wanted / 1e9:.1f} GB of disk ({needed.free / 1e9:.1f} free)"
    if preset.card:
        found = decide(preset, device=device, card=card, machine=free_in_machine())
        return found.plan is not None, f"plan {found.plan}: {found.reason}" if found.plan else found.reason
    memory, free = light_needs(preset), free_in_machine()
    fetching = f", {needed.wanted / 1e9:.1f} GB to fetch" if needed.files else ""
    return memory <= free, f"{memory / 1e9:.1f} GB of memory ({free / 1e9:.1f} free){fetching}"
