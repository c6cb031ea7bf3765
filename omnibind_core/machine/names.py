"""Names of the memory plans, told without importing torch: a command that names another is answered at once."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from omnibind_core.errors import PresetError

__all__ = ["PLANS", "Plan", "check_plan"]

Plan: TypeAlias = Literal["resident", "streamed", "int8"]
PLANS: tuple[Plan, ...] = get_args(Plan)


def check_plan(name: str) -> None:
    """Hold a plan to those there are.

    Raises
    ------
    PresetError
        It is neither one of `PLANS` nor "auto".
    """
    if name not in {"auto", *PLANS}:
        raise PresetError(f"plan '{name}'", f"auto, {', '.join(PLANS)}", "choose one of these")
