"""One section of the results page by a command of its own: printed, and put into the page where asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from omnibind_core.binder import OmniBind
from omnibind_core.errors import OmniBindError
from omnibind_core.evaluation.report import Section, put_section, table
from omnibind_core.store.paths import assets_directory

__all__ = ["command", "run"]


def command(name: str, description: str) -> argparse.ArgumentParser:
    """Give the options of ``python -m tools.mini.measure.NAME``."""
    found = argparse.ArgumentParser(prog=f"python -m tools.mini.measure.{name}", description=description)
    found.add_argument("--into", type=Path, metavar="PAGE", help="put the section into this results page and its data")
    return found


def run(measure: Callable[[OmniBind], Section], into: Path | None) -> int:
    """Measure with mini on one thread, so that sums have one order; gives the command's exit status."""
    torch.set_num_threads(1)
    try:
        section = measure(OmniBind.from_pretrained("mini", device="cpu", dtype="float32"))
        if into:
            put_section(section, into, assets_directory() / "results.json")
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(table(*section.shown()) + "\n")
    return 0
