"""``python -m tools.mini.measure.localising``: the results page's section on where a query is, alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from omnibind_core.binder import OmniBind
from omnibind_core.errors import OmniBindError
from omnibind_core.evaluation.localising import localising, localising_section
from omnibind_core.evaluation.report import Section, put_section, table
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.paths import assets_directory
from tools.mini.measure.separating import unheard
from tools.mini.pools.sounds import TEST

__all__ = ["main", "parser", "places_section"]

_UNHEARD = 100
"""Composites of sounds that no head heard, for each modality of queries."""


def places_section(model: OmniBind) -> Section:
    """Measure composites of the gallery's media, and of the sounds of the packages that no head heard."""
    gallery = Gallery.load(model)
    strange, other = unheard(gallery)
    apart = localising(strange, other, counts={"audio": _UNHEARD}, sources=TEST)
    return localising_section(localising(model, gallery), apart)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mini.measure.localising", description="Measure how often a query finds its place."
    )
    found.add_argument("--into", type=Path, metavar="PAGE", help="put the section into this results page and its data")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it into the page where asked."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(1)
    try:
        section = places_section(OmniBind.from_pretrained("mini", device="cpu", dtype="float32"))
        if options.into:
            put_section(section, options.into, assets_directory() / "results.json")
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(table(*section.shown()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
