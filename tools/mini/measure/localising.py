"""``python -m tools.mini.measure.localising``: the results page's section on where a query is, alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.localising import localising, localising_section
from omnibind_core.evaluation.report import Section
from omnibind_core.search.gallery import Gallery
from tools.mini.measure.alone import command, run
from tools.mini.measure.separating import unheard
from tools.mini.pools.sounds import TEST

__all__ = ["main", "parser", "places_section"]

_UNHEARD = 100
"""Composites of sounds that no head heard, for each modality of queries."""


def places_section(model: OmniBind, gallery: Gallery, held: tuple[OmniBind, Gallery]) -> Section:
    """Measure composites of the gallery's media, and of the sounds of the packages that no head heard.

    `held` is what :func:`tools.mini.measure.separating.unheard` gives.
    """
    apart = localising(*held, counts={"audio": _UNHEARD}, sources=TEST)
    return localising_section(localising(model, gallery), apart)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    return command("localising", "Measure how often a query finds its place.")


def _measure(model: OmniBind) -> Section:
    gallery = Gallery.load(model)
    return places_section(model, gallery, unheard(gallery))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it into the page where asked."""
    return run(_measure, parser().parse_args(arguments).into)


if __name__ == "__main__":
    sys.exit(main())
