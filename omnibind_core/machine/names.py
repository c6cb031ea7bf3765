"""Memory plans and number types by name, told without importing torch: a wrong one is answered at once."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from omnibind_core.errors import PresetError

__all__ = ["DTYPES", "PLANS", "Plan", "check_dtype", "check_plan"]

Plan: TypeAlias = Literal["resident", "streamed", "int8"]
PLANS: tuple[Plan, ...] = get_args(Plan)
DTYPES = ("float32", "bfloat16")
"""In what towers compute."""


def check_plan(name: str) -> None:
    """Hold a plan to those there are.

    Raises
    ------
    PresetError
        It is neither one of `PLANS` nor "auto".
    """
    if name not in {"auto", *PLANS}:
        raise PresetError(f"plan '{name}'", f"auto, {', '.join(PLANS)}", "choose one of these")


def check_dtype(name: str) -> None:
    """Hold a number type to those there are.

    Raises
    ------
    PresetError
        It is neither one of `DTYPES` nor "auto".
    """
    if name not in {"auto", *DTYPES}:
        raise PresetError(f"dtype '{name}'", "auto, float32 or bfloat16", "choose one of these")
