"""What stands in the inputs, so that it agrees with the mix: the last term that came through each, or nothing."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.html.icons import ORDER
from demo.state import Ingredient, Visit
from omnibind_core.types import Modality

__all__ = ["UPS", "boxes", "chosen_up"]

UPS = [("Auto", "auto"), ("Y↑", "y"), ("Z↑", "z"), ("X↑", "x")]
"""What may point up in a shape's file; what is taken at first stands in front."""


def boxes(before: Visit, after: Visit, given: Modality | None = None) -> list[Any]:
    """Say what each input shows next, in the order of the page.

    Parameters
    ----------
    before, after : Visit
    given : Modality, optional
        The input that something was just put into by hand: it shows that already.

    Returns
    -------
    list
        A path, the sentence, None for an empty input, or ``gr.skip()`` where it shows the right thing.
    """
    return [
        _box(modality, before.standing(modality), after.standing(modality), given == modality) for modality in ORDER
    ]


def chosen_up(before: Visit, after: Visit) -> Any:
    """Say which way up is chosen next: that of the shape that stands in its input; without one it is guessed again.

    A direction that only the notice offers is added for as long as it holds.
    """
    old, new = before.standing("point"), after.standing("point")
    if (old and (old.key, old.up)) == (new and (new.key, new.up)):
        return gr.skip()
    up = UPS[0][1] if new is None else new.up
    ways = UPS if up in dict(UPS).values() else [*UPS, (f"{up[-1].upper()}↓", up)]
    return gr.Radio(ways, value=up)


def _box(modality: Modality, old: Ingredient | None, new: Ingredient | None, given: bool) -> Any:
    if _same(old, new):
        # What was given and refused goes; a sentence stays, to be corrected.
        return gr.skip() if not given or modality == "text" else _value(modality, new)
    if given and new is not None and new.seen in {"", new.source}:
        return gr.skip()
    return _value(modality, new)


def _same(old: Ingredient | None, new: Ingredient | None) -> bool:
    return (old and (old.key, old.seen)) == (new and (new.key, new.seen))


def _value(modality: Modality, one: Ingredient | None) -> str | None:
    if modality == "text":
        return "" if one is None else one.source or one.label
    return None if one is None else one.seen or None
