"""Memory plans, number types and engines by name, told without importing torch: a wrong one is answered at once."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from omnibind_core.errors import PresetError

__all__ = ["DTYPES", "ENGINES", "PLANS", "Plan", "check_dtype", "check_engine", "check_plan"]

Plan: TypeAlias = Literal["resident", "streamed", "int8"]
PLANS: tuple[Plan, ...] = get_args(Plan)
DTYPES = ("float32", "bfloat16")
"""In what towers compute."""
ENGINES = ("torch", "openvino")
"""What runs frozen networks on a processor."""


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


def check_engine(name: str) -> None:
    """Hold an engine to those there are.

    Raises
    ------
    PresetError
        It is neither one of `ENGINES` nor "auto".
    """
    if name not in {"auto", *ENGINES}:
        raise PresetError(f"engine '{name}'", f"auto, {', '.join(ENGINES)}", "choose one of these")
