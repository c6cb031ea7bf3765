"""Writes docs/api.md: what ``omnibind_core.__all__`` promises, from the docstrings themselves.

``python -m tools.api_page`` prints the page, ``--write`` puts it in its place.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import omnibind_core

__all__ = ["main", "page", "parser"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
HEAD = """\
# The Python interface

What `omnibind_core.__all__` names is promised: it keeps its names, arguments and meaning within a version, and a change
stands in the [changelog](../CHANGELOG.md). Everything else may move. This page is made of the docstrings
(`python -m tools.api_page --write`), and a test compares the two.
"""


def page() -> str:
    """Give the page as Markdown."""
    parts = [HEAD]
    for name in sorted(omnibind_core.__all__):
        parts += [f"## {name}", *_described(name, getattr(omnibind_core, name))]
    return "\n".join(parts).rstrip() + "\n"


def _described(name: str, thing: Any) -> Iterator[str]:
    if inspect.isclass(thing):
        yield _code(f"class {name}{_signature(thing)}", thing)
        for member, found in _members(thing):
            yield f"### {name}.{member}"
            yield _code(f"{member}{_signature(found)}", found)
    elif callable(thing):
        yield _code(f"{name}{_signature(thing)}", thing)
    else:
        yield f"```python\n{name} = {thing!r}\n```\n"


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class defines itself, in the order of its source."""
    for name, found in vars(owner).items():
        if name.startswith("_"):
            continue
        if isinstance(found, (classmethod, staticmethod)):
            yield name, found.__func__
        elif isinstance(found, property) or inspect.isfunction(found):
            yield name, found


def _signature(thing: Any) -> str:
    """Arguments as they are called; a property has none."""
    if isinstance(thing, property):
        return ""
    try:
        said = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    written: list[str] = []
    keyword_only = False
    for one in said.parameters.values():
        if one.name in {"self", "cls"}:
            continue
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            written.append("*")
        stars = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        keyword_only = keyword_only or stars == "*"
        written.append(stars + one.name + _annotation(": ", one.annotation) + _default(one))
    return f"({', '.join(written)})" + ("" if inspect.isclass(thing) else _annotation(" -> ", said.return_annotation))


def _annotation(lead: str, found: Any) -> str:
    if found is inspect.Parameter.empty:
        return ""
    return lead + (found if isinstance(found, str) else getattr(found, "__name__", str(found)))


def _default(one: inspect.Parameter) -> str:
    if one.default is one.empty:
        return ""
    plain = one.default is None or isinstance(one.default, (str, int, float, bool, tuple))
    return f" = {one.default!r}" if plain else " = ..."


def _code(head: str, thing: Any) -> str:
    return f"```python\n{head}\n```\n\n```text\n{inspect.getdoc(thing) or ''}\n```\n"


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.api_page", description="Print docs/api.md from the docstrings."
    )
    found.add_argument("--write", action="store_true", help="write docs/api.md instead")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the page, or write it."""
    options = parser().parse_args(arguments)
    made = page()
    if options.write:
        PAGE.write_text(made, encoding="utf-8")
    else:
        sys.stdout.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
