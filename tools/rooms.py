"""The rooms of the house and the arrows between them, read from the imports themselves.

``python -m tools.rooms`` draws them, ``--write`` puts the drawing into docs/architecture.md. Imports inside functions
count as those at the top of a file do.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

__all__ = ["MAY", "circles", "drawing", "imports", "main", "modules", "parser", "room_of", "upward"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- rooms -->", "<!-- end of rooms -->")

_CORE = ("types", "store", "media", "specialists", "presets", "machine", "binding", "binder", "search")
MAY: dict[str, tuple[str, ...]] = {
    "types": (),
    "store": ("types",),
    "media": ("types", "store"),
    "specialists": ("types", "store", "media"),
    "presets": ("types", "store", "media", "specialists"),
    "machine": ("types", "store", "media", "specialists", "presets"),
    "binding": ("types", "store", "media", "specialists", "presets", "machine"),
    "binder": _CORE[:7],
    "search": _CORE[:8],
    "evaluation": _CORE,
    "training": (*_CORE, "evaluation"),
    "omnibind_core": _CORE,
    "serve": (*_CORE, "omnibind_core"),
    "interop": _CORE,
    "cli": (*_CORE, "omnibind_core", "serve"),
    "demo": (*_CORE, "omnibind_core", "serve", "evaluation"),
    "app": ("demo", "machine"),
    "tools.rooms": (),
    "tools.sums": ("types", "store"),
    "tools.screenshots": (),
    "tools.words": ("store", "tools.screenshots"),
    "tools.scale": (*_CORE,),
    "tools.stories": (*_CORE, "omnibind_core"),
    "tools.supply": ("types", "store", "media", "specialists"),
    "tools.mini": (*_CORE, "evaluation", "training"),
    "tools.gallery": (*_CORE, "tools.mini"),
    "tools.bench": (*_CORE, "evaluation", "training", "tools.mini", "tools.screenshots"),
    "tools.rehearsal": (*_CORE, "cli", "demo", "tools.bench"),
    "tools.gpu_check": (*_CORE, "demo", "tools.bench", "tools.rehearsal"),
    "tools.space": ("types", "store", "presets"),
    "tools.hard": ("types", "media", "store", "omnibind_core"),
    "tools.suites": ("types", "media", "store", "omnibind_core", "tools.hard"),
    "tools.load": ("types", "store"),
    "tools.api_page": (*_CORE, "omnibind_core"),
    "tools.help_pages": (
        *(*_CORE, "evaluation", "training", "cli", "demo"),
        *(
            "tools.rooms",
            "tools.sums",
            "tools.stories",
            "tools.supply",
            "tools.mini",
            "tools.gallery",
            "tools.bench",
            "tools.rehearsal",
            "tools.gpu_check",
            "tools.space",
            "tools.hard",
            "tools.suites",
            "tools.load",
            "tools.screenshots",
            "tools.words",
            "tools.scale",
            "tools.api_page",
        ),
    ),
}
"""Room -> the rooms that it may import beside itself, the lowest first."""

_FLAT = {
    "types": "types",
    "errors": "types",
    "binder": "binder",
    "cli": "cli",
    "cli_collection": "cli",
    "cli_separate": "cli",
    "cli_mcp": "cli",
    "__main__": "cli",
}
_ONLY = {
    ("demo", "evaluation"): {"omnibind_core.evaluation.report"},
    ("demo", "serve"): {"omnibind_core.serve.connections", "omnibind_core.serve.gate", "omnibind_core.serve.http"},
}
"""Of a room that another one may import in part: which modules."""


def modules(root: Path) -> dict[str, Path]:
    """Find the project's modules.

    Parameters
    ----------
    root : Path
        The folder that holds ``omnibind_core``; ``demo``, ``tools`` and ``app.py`` are read too where they are there.

    Returns
    -------
    dict of str to Path
        By dotted name; a package's ``__init__`` has the package's.
    """
    files = [p for name in ("omnibind_core", "demo", "tools") for p in sorted((root / name).rglob("*.py"))]
    found = {}
    for path in [*files, *root.glob("app.py")]:
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(found: Mapping[str, Path], *, outside: bool = False) -> dict[str, set[str]]:
    """Read what each module imports.

    Parameters
    ----------
    found : mapping of str to Path
        From :func:`modules`.
    outside : bool
        Give the names of other projects' modules instead of this one's.

    Returns
    -------
    dict of str to set of str
        Modules by the name of the one that imports them.
    """
    arrows: dict[str, set[str]] = {}
    for module, path in found.items():
        named = set(_named(ast.parse(path.read_text(encoding="utf-8")), module, path.name == "__init__.py"))
        if outside:
            arrows[module] = {name for name in named if not any(_parent(name, known) for known in found)}
            continue
        arrows[module] = {hit for name in named if (hit := _longest(name, found)) and hit != module}
    return arrows


def _named(tree: ast.AST, module: str, package: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = node.level - (1 if package else 0)
                base = ".".join([*parts[: len(parts) - up], *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _parent(name: str, known: str) -> bool:
    return name == known or name.startswith(f"{known}.")


def _longest(name: str, found: Mapping[str, Path]) -> str:
    parts = name.split(".")
    hits = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((hit for hit in hits if hit in found), "")


def room_of(module: str) -> str:
    """Give the room of a module: a key of :data:`MAY`; a module of a new room has a name that is none."""
    top, *rest = module.split(".")
    if top == "tools":
        return ".".join([top, *rest[:1]]) if rest else "tools.rooms"
    if top != "omnibind_core" or not rest:
        return top
    return _FLAT.get(rest[0], rest[0])


def upward(found: Mapping[str, Iterable[str]]) -> list[str]:
    """List the imports that a room may not make, in words."""
    wrong = []
    for module, others in sorted(found.items()):
        room = room_of(module)
        for other in sorted(others):
            there = room_of(other)
            allowed = there == room or there in MAY.get(room, ())
            if not allowed or other not in _ONLY.get((room, there), {other}):
                wrong.append(f"{module} -> {other} ({room} may not import {there})")
    return wrong


def circles(found: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """List modules that import one another in a circle, each circle in alphabetical order; one is enough to fail."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return [sorted(set(error.args[1]))]
    return []


def drawing(found: Mapping[str, Iterable[str]]) -> str:
    """Draw the rooms as text: the highest first, with their size and what they really import."""
    rooms: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for module, others in found.items():
        room = room_of(module)
        counts[room] = counts.get(room, 0) + 1
        rooms.setdefault(room, set()).update(room_of(other) for other in others)
    wide = max(map(len, rooms))
    order = {room: number for number, room in enumerate(MAY)}
    lines = []
    for room in sorted(rooms, key=order.__getitem__, reverse=True):
        below = sorted(rooms[room] - {room}, key=order.__getitem__, reverse=True)
        lines.append(f"{room:<{wide}}  {counts[room]:>3} files  -> {', '.join(below) or 'nothing'}")
    return "\n".join(["```text", *lines, "```"])


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.rooms", description="Draw the rooms and say which imports break their rules."
    )
    found.add_argument("--write", action="store_true", help="put the drawing into docs/architecture.md")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the drawing, or write it into the page."""
    options = parser().parse_args(arguments)
    found = imports(modules(ROOT))
    drawn = drawing(found)
    wrong = [*upward(found), *(" -> ".join(circle) for circle in circles(found))]
    sys.stdout.write("\n".join([drawn, *wrong, ""]))
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        PAGE.write_text(f"{before}{MARKS[0]}\n{drawn}\n{MARKS[1]}{after}", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
