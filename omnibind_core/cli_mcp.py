"""The command that answers agents."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omnibind_core.errors import QueryError, needing

__all__ = ["install"]


def install(
    commands: Any,
    common: argparse.ArgumentParser,
    searched: Callable[[argparse.ArgumentParser], None],
    explorer: Callable[[argparse.Namespace], Any],
) -> None:
    """Add the command; `searched` adds what is searched, `explorer` loads it with the preset that is named."""
    text = "answer agents on this machine, by the Model Context Protocol over stdio"
    one: argparse.ArgumentParser = commands.add_parser("mcp", parents=[common], help=text, description=text)
    one.add_argument(
        "--allow", action="append", default=[], type=Path, metavar="FOLDER",
        help="files inside may be read; may be repeated (default: none)",
    )  # fmt: skip
    searched(one)
    one.set_defaults(run=lambda given: _mcp(given, explorer), show=lambda result: list(result))


def _mcp(given: argparse.Namespace, load: Callable[[argparse.Namespace], Any]) -> dict[str, Any]:
    with needing("mcp", "mcp"):
        from omnibind_core.serve.agents import agents
    for folder in given.allow:
        if not folder.expanduser().is_dir():
            raise QueryError(f"the folder {folder}, which is not there", "a folder", "correct --allow")
    done, found = threading.Event(), []

    def loading() -> None:
        try:
            found.append(load(given))
        except Exception as error:
            found.append(error)
        done.set()

    def explorer() -> Any:
        done.wait()
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    # Agents ask for the tools at once, and give up on a server that first loads its models.
    threading.Thread(target=loading, name="loading", daemon=True).start()
    agents(explorer, given.allow).run("stdio")
    return {}
