"""The best preset that this machine and its network can run."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable

from omnibind_core.config import load_preset
from omnibind_core.plans import choose_plan, free_in_machine, free_on_card, needs
from omnibind_core.preflight import file_rows, free_on_disk
from omnibind_core.runtime import choose_device
from omnibind_core.weights import is_offline

__all__ = ["best_preset", "hub_answers"]

log = logging.getLogger(__name__)

_BEST_FIRST = ("full", "large", "base")
_FALLBACK = "mini"
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


def best_preset(
    device: str = "auto", *, offline: bool | None = None, reachable: Callable[[], bool] = hub_answers
) -> str:
    """Choose a preset: the largest published one that fits a card, the disk and the network here, else mini.

    Without a card it is always mini: the published presets then take many seconds for an answer.

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
    answers: bool | None = None
    reasons: list[str] = []
    for name in _BEST_FIRST if card is not None else ():
        preset = load_preset(name)
        missing = [row for row in file_rows(preset) if not row.cached]
        if missing and answers is None:
            answers = not offline and reachable()
        plan, reason = choose_plan(needs(preset, card=card), card, free_in_machine())
        if missing and not answers:
            reason = f"{missing[0].label} is not here and the Hub cannot be reached"
        elif sum(row.about for row in missing) > free_on_disk():
            reason = f"its files need {sum(row.about for row in missing) / 1e9:.0f} GB of disk"
        elif plan is not None:
            log.warning("preset %s, plan %s: %s%s", name, plan, reason, "".join(f"; not {r}" for r in reasons))
            return name
        reasons.append(f"{name}: {reason}")
    if card is None:
        reasons = [f"the published presets want a CUDA card, and the device here is {chosen}"]
    log.warning("preset %s: %s", _FALLBACK, "; ".join(reasons))
    return _FALLBACK
