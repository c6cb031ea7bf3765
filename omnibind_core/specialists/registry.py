"""Finds specialists by name: every module in this package that defines ``SPECS`` and ``build`` is one family."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from omnibind_core import specialists as package
from omnibind_core.errors import PresetError
from omnibind_core.specialists.base import Builder, SpecialistSpec

__all__ = ["all_specs", "find", "required"]

_NOT_FAMILIES = {"base", "load", "registry"}


@cache
def _table() -> dict[str, tuple[SpecialistSpec, Builder]]:
    table: dict[str, tuple[SpecialistSpec, Builder]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name in _NOT_FAMILIES or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for spec in getattr(module, "SPECS", ()):
            if spec.name in table:
                raise PresetError(
                    f"two specialists named '{spec.name}'", "one module for each name", f"rename one in {info.name}.py"
                )
            table[spec.name] = (spec, module.build)
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
