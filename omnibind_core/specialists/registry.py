"""Finds specialists by name: every module in this package that defines ``SPECS`` and ``build`` is one family.

A module may define ``runs`` too, which says what one input of each modality runs, so that it can be counted.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from types import ModuleType

from omnibind_core import specialists as package
from omnibind_core.errors import PresetError
from omnibind_core.specialists.base import Builder, Runs, SpecialistSpec

__all__ = ["all_specs", "find", "required", "runs_of"]

_NOT_FAMILIES = {"base", "load", "registry"}


@cache
def _table() -> dict[str, tuple[SpecialistSpec, ModuleType]]:
    table: dict[str, tuple[SpecialistSpec, ModuleType]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name in _NOT_FAMILIES or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for spec in getattr(module, "SPECS", ()):
            if spec.name in table:
                raise PresetError(
                    f"two specialists named '{spec.name}'", "one module for each name", f"rename one in {info.name}.py"
                )
            table[spec.name] = (spec, module)
    return table


def all_specs() -> dict[str, SpecialistSpec]:
    """Every specialist's record by name, in alphabetical order."""
    return {name: spec for name, (spec, _) in sorted(_table().items())}


def find(name: str) -> tuple[SpecialistSpec, Builder]:
    """Record and build function of one specialist.

    Raises
    ------
    PresetError
        Where no specialist has that name.
    """
    spec, module = _entry(name)
    build: Builder = module.build
    return spec, build


def runs_of(name: str) -> Callable[[str], Runs] | None:
    """Give the function that says what a specialist runs, called with its name; None where its module has none.

    Raises
    ------
    PresetError
        Where no specialist has that name.
    """
    found: Callable[[str], Runs] | None = getattr(_entry(name)[1], "runs", None)
    return found


def _entry(name: str) -> tuple[SpecialistSpec, ModuleType]:
    try:
        return _table()[name]
    except KeyError:
        raise PresetError(
            f"specialist '{name}'", f"one of {', '.join(sorted(_table()))}", "correct the preset, or add a module"
        ) from None


def required(names: list[str]) -> list[str]:
    """`names` and all that they share, each once, in an order in which they can be built."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for other in find(name)[0].shares:
                visit(other)
            order.append(name)

    for name in names:
        visit(name)
    return order
