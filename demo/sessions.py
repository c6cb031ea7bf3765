"""What gradio keeps of each visit, without a description of the whole page, which only its shared links need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio import route_utils, state_holder

__all__ = ["Session", "take_over"]


class Session(state_holder.SessionState):  # type: ignore[misc]
    """A visit's state.

    Gradio describes every part of the page anew for each visit, so that a link can restore it, in the one thread that
    serves all. Such links are shut here; parts that a visit changes are described all the same.
    """

    def __init__(self, blocks: Any) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))


def take_over() -> None:
    """Have gradio make these for all visits from now on."""
    for module in (state_holder, route_utils):
        module.SessionState = Session
