"""Writes docs/commands.md: every command with its options, and every environment variable that is read.

``python -m tools.help_pages`` prints the page, ``--write`` puts it in its place. Options come from the parsers
themselves, as tables: argparse's own wording differs from one Python to the next.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.settings import Settings
from omnibind_core import cli
from omnibind_core.evaluation import composing_page
from omnibind_core.store.collection import GALLERY
from omnibind_core.store.paths import assets_directory
from omnibind_core.training import __main__ as training
from tools import api_page, gpu_check, load, rooms, scale, space, stories, suites, sums, supply, words
from tools.bench import __main__ as bench
from tools.bench import binding
from tools.gallery import __main__ as gallery
from tools.hard import __main__ as hard
from tools.mini import __main__ as mini
from tools.mini.measure import __main__ as measure
from tools.mini.measure import localising, nearness, separating, sounds, upright
from tools.mini.shapes import __main__ as shapes
from tools.mini.shapes import upright as learn_upright
from tools.rehearsal import __main__ as rehearsal
from tools.screenshots import __main__ as screenshots

__all__ = ["COMMANDS", "VARIABLES", "Variable", "main", "page", "parser", "variables_in"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "commands.md"
HEAD = """\
# Commands, options and environment variables

This page is made of the parsers themselves (`python -m tools.help_pages --write`), and a test compares the two. Every
command takes `-h` or `--help`. A default of "-" means that nothing is assumed. Where the package is installed,
`omnibind` is short for `python -m omnibind_core`. `make` targets stand in [usage.md](usage.md), the Python interface in
[api.md](api.md).
"""
ENVIRONMENT = """\
## Environment variables

Options on the command line go before variables. "Yes" is `1`, `true`, `yes` or `on`.
"""


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.help_pages", description="Print docs/commands.md as the code has it."
    )
    found.add_argument("--write", action="store_true", help="write docs/commands.md instead")
    return found


COMMANDS: Mapping[str, Callable[[], argparse.ArgumentParser]] = {
    "demo.settings": Settings.parser,
    "omnibind_core.cli": cli.parser,
    "omnibind_core.training.__main__": training.parser,
    "omnibind_core.evaluation.composing_page": composing_page.parser,
    "tools.mini.__main__": mini.parser,
    "tools.mini.shapes.__main__": shapes.parser,
    "tools.mini.shapes.upright": learn_upright.parser,
    "tools.mini.measure.__main__": measure.parser,
    "tools.mini.measure.localising": localising.parser,
    "tools.mini.measure.nearness": nearness.parser,
    "tools.mini.measure.separating": separating.parser,
    "tools.mini.measure.sounds": sounds.parser,
    "tools.mini.measure.upright": upright.parser,
    "tools.gallery.__main__": gallery.parser,
    "tools.bench.__main__": bench.parser,
    "tools.bench.binding": binding.parser,
    "tools.rehearsal.__main__": rehearsal.parser,
    "tools.gpu_check": gpu_check.parser,
    "tools.space": space.parser,
    "tools.hard.__main__": hard.parser,
    "tools.suites": suites.parser,
    "tools.load": load.parser,
    "tools.screenshots.__main__": screenshots.parser,
    "tools.words": words.parser,
    "tools.scale": scale.parser,
    "tools.rooms": rooms.parser,
    "tools.sums": sums.parser,
    "tools.stories": stories.parser,
    "tools.supply": supply.parser,
    "tools.api_page": api_page.parser,
    "tools.help_pages": parser,
}
"""Module -> what gives its parser; in the order of the page."""


@dataclass(frozen=True)
class Variable:
    """What an environment variable does.

    Attributes
    ----------
    default : str
        What counts where it is not set, as Markdown.
    meaning : str
        As Markdown, without a full stop.
    """

    default: str
    meaning: str


_DEFAULTS = Settings()
VARIABLES: Mapping[str, Variable] = {
    "OMNIBIND_PRESET": Variable(f"`{_DEFAULTS.preset}`", "preset that `app.py` starts with"),
    "OMNIBIND_DEVICE": Variable(f"`{_DEFAULTS.device}`", "device that `app.py` computes on"),
    "OMNIBIND_ENGINE": Variable(
        f"`{_DEFAULTS.engine}`", "what runs the networks on a processor: `auto`, `torch`, `openvino`"
    ),
    "OMNIBIND_SWITCH": Variable(
        f"`{_DEFAULTS.switch}`", "whether preset and collections can be changed: `on`, `off`, `auto`: on loopback alone"
    ),
    "OMNIBIND_API": Variable(
        f"`{_DEFAULTS.api}`", "whether `app.py` serves programs under `/v1` on its port: `on`, `off`"
    ),
    "OMNIBIND_ROUTING": Variable(f"`{_DEFAULTS.routing}`", "routing that `app.py` starts with"),
    "OMNIBIND_CACHE": Variable("`$XDG_CACHE_HOME/omnibind`", "folder of fetched weights, media and states of training"),
    "OMNIBIND_ASSETS": Variable(
        "`assets/`, or what the wheel brought", "folder of the gallery and of `mini`'s own weights"
    ),
    "OMNIBIND_OFFLINE": Variable("no", "yes: never touch the network; what is not here is an error"),
    "OMNIBIND_COLLECTION": Variable(f"`{GALLERY}`", "collections that `app.py` serves"),
    "OMNIBIND_STORE": Variable(
        "memory", "where `app.py` searches vectors: `milvus:` and the path of a file, or an address"
    ),
    "OMNIBIND_STORE_TOKEN": Variable("-", "what that address asks for: `user:password`, or a key"),
    "OMNIBIND_COLLECTIONS": Variable("`$XDG_DATA_HOME/omnibind/collections`", "folder of collections by name"),
    "XDG_DATA_HOME": Variable("`~/.local/share`", "the user's data directory"),
    "XDG_CACHE_HOME": Variable("`~/.cache`", "the user's cache directory"),
    "HF_HUB_OFFLINE": Variable("no", "the same as `OMNIBIND_OFFLINE`, and the Hub's own"),
    "HF_HUB_CACHE": Variable("`$OMNIBIND_CACHE/hub`", "folder of files from the Hub, shared with other programs"),
    "HF_TOKEN": Variable("of `hf auth login`", "token for files that the Hub gives only to who asked for them"),
    "HF_ENDPOINT": Variable("`https://huggingface.co`", "address of the Hub or of a mirror"),
    "GRADIO_SERVER_NAME": Variable(f"`{_DEFAULTS.host}`", "address that `app.py` listens on"),
    "GRADIO_SERVER_PORT": Variable("first free one from 7860", "port that `app.py` listens on"),
    "GRADIO_TEMP_DIR": Variable(
        "the folder of temporary files", "where `app.py` makes its own folder for uploads, and deletes it again"
    ),
    "OMNIBIND_HOSTS": Variable(
        "-", "names that the page may be called by, beside this machine's own: `omnibind.example.org,*.example.net`"
    ),
    "OMNIBIND_API_KEYS": Variable(
        "-", "keys that `omnibind serve` asks for, separated by commas; needed where other machines can call"
    ),
    "SPACES_ZERO_GPU": Variable(
        "-", "Hugging Face's: whether cards are lent by the call, so that what computes asks for one"
    ),
    "SPACE_HOST": Variable("-", "set by Spaces: the name that the page is called by there"),
    "GRADIO_ANALYTICS_ENABLED": Variable("`False`", "whether gradio reports to its makers; `app.py` switches it off"),
    "RAY_USAGE_STATS_ENABLED": Variable(
        "`0`", "whether a Ray cluster reports to its makers; `--engine ray` switches it off for one that it starts"
    ),
    "MALLOC_ARENA_MAX": Variable(
        "2", "arenas from which glibc hands out memory to the threads of the page and of the command line"
    ),
    "OMP_WAIT_POLICY": Variable(
        "`PASSIVE`", "how threads that compute one input wait for one another; `ACTIVE` keeps their cores from others"
    ),
    "OPENBLAS_NUM_THREADS": Variable("`1`", "threads of NumPy's products; `app.py` sets it where it is not set"),
    "OMP_NUM_THREADS": Variable(
        "measured, for each machine", "threads of the CPU that one input gets where it is computed alone"
    ),
    "RANK": Variable("-", "set by `torchrun` and `accelerate launch`: number of this process in a training"),
    "MASTER_ADDR": Variable("-", "set by launchers: where the first process listens"),
    "ACCELERATE_MIXED_PRECISION": Variable("-", "set by `accelerate launch`, which it tells from `torchrun`"),
}
"""Every environment variable that the project reads, or sets for a library."""

_TABLE = ("| argument | default | meaning |", "|---|---|---|")
_SAID = re.compile(r" *\(default: (%\(default\)s|[^()]*)\)")
_FAMILIES = re.compile(r"(?:OMNIBIND|GRADIO|HF|OMP|CUDA|TRANSFORMERS)(?:_[A-Z0-9]+)+")
_ENVIRONMENT_NAMES = {"environ", "env"}


def page() -> str:
    """Give the page as Markdown, as it is where no environment variable is set."""
    parts = [HEAD]
    with _bare_environment():
        for give in COMMANDS.values():
            parts += _command(give())
    rows = [f"| `{name}` | {one.default} | {one.meaning} |" for name, one in VARIABLES.items()]
    parts += [ENVIRONMENT, "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]), ""]
    return "\n".join(parts)


@contextmanager
def _bare_environment() -> Iterator[None]:
    """Take the documented variables away meanwhile: parsers read their defaults from them."""
    taken = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def _command(found: argparse.ArgumentParser, above: Sequence[str] = (), level: str = "##") -> Iterator[str]:
    """Give the parts of one command; `above` are the rows that stand above it already."""
    prog = f"python {found.prog}" if found.prog.endswith(".py") else found.prog
    said = found.description or ""
    yield f"{level} `{prog}`\n"
    yield textwrap.fill(f"{said[:1].upper()}{said[1:].rstrip('.')}.", 120, break_on_hyphens=False) + "\n"
    if rows := [row for row in _rows(found) if row not in above]:
        yield "\n".join([*_TABLE, *rows, ""])
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            commands = list(action.choices.values())
            plain = [one for one in commands if one._subparsers is None]
            shared = [row for row in _rows(plain[0]) if all(row in _rows(one) for one in plain)]
            if new := [row for row in shared if row not in above]:
                yield "\n".join(["All of these commands take:", "", *_TABLE, *new, ""])
            for one in commands:
                yield from _command(one, shared, level + "#")


def _rows(found: argparse.ArgumentParser) -> list[str]:
    left_out = (argparse._HelpAction, argparse._SubParsersAction)
    shown = (action for action in found._actions if action.help != argparse.SUPPRESS)
    return [_row(action) for action in shown if not isinstance(action, left_out)]


def _row(action: argparse.Action) -> str:
    names = " ".join(f"`{name}`" for name in action.option_strings)
    value = f"`{_value(action)}`" if action.nargs != 0 else ""
    cells = [f"{names} {value}".strip(), _default(action), _meaning(action)]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return f"{name} ..." if action.nargs in ("*", "+") else name


def _default(action: argparse.Action) -> str:
    found = action.default
    if action.required and action.nargs != "*":
        return "required"
    if found is None or found == []:
        said = _SAID.search(action.help or "")
        return said[1] if said else "-"
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, Path):
        return f"`{_short(found)}`"
    return f"`{' '.join(map(str, found)) if isinstance(found, list) else found}`"


def _short(path: Path) -> str:
    """Name a folder as on any machine."""
    for base, name in ((assets_directory(), "assets"), (Path("~").expanduser(), "~")):
        if path.is_relative_to(base):
            return (Path(name) / path.relative_to(base)).as_posix()
    return path.as_posix()


def _meaning(action: argparse.Action) -> str:
    said = _SAID.sub("", action.help or "").strip().replace("%%", "%")
    if action.choices is not None:
        said = f"{said}; one of {', '.join(f'`{choice}`' for choice in action.choices)}"
    return said


def variables_in(source: str) -> set[str]:
    """Find the environment variables that a module names or reads.

    Parameters
    ----------
    source : str
        The module's text.

    Returns
    -------
    set of str
        Whatever is looked up in ``environ`` or ``env``, and every name of a known family in any of its strings.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(_FAMILIES.findall(node.value))
        elif isinstance(node, ast.Subscript) and _is_environment(node.value):
            found.update(_strings([node.slice]))
        elif isinstance(node, ast.Compare) and any(map(_is_environment, node.comparators)):
            found.update(_strings([node.left]))
        elif isinstance(node, ast.Call) and _asks_environment(node.func):
            found.update(_strings(node.args[:1]))
    return found


def _asks_environment(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and (_is_environment(node.value) or node.attr == "getenv")


def _is_environment(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in _ENVIRONMENT_NAMES


def _strings(nodes: Sequence[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the page, or write it."""
    options = parser().parse_args(arguments)
    if options.write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
