"""``make eval``: what mini finds, what binding and routing give, which way of mixing is best; one page, one command.

Pictures, shapes and sounds are those that no choice was made on. Media are fetched with apt at the first run, so this
needs Debian.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch

from omnibind_core.binder import OmniBind
from omnibind_core.errors import OmniBindError, ReportError
from omnibind_core.evaluation.comparing import comparing_section, sorting
from omnibind_core.evaluation.composing import evaluate_compositions
from omnibind_core.evaluation.composing_page import sections
from omnibind_core.evaluation.journeys import journeys, journeys_section
from omnibind_core.evaluation.labelling import labelling, labelling_section
from omnibind_core.evaluation.published import published_section
from omnibind_core.evaluation.report import Report, write_report
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.paths import assets_directory
from tools.mini.measure.languages import languages_section
from tools.mini.measure.localising import places_section
from tools.mini.measure.nearness import nearness_section
from tools.mini.measure.page import binding_sections
from tools.mini.measure.separating import separating_section, unheard
from tools.mini.measure.upright import upright_section_of

__all__ = ["RESULTS", "main", "measured", "parser"]

RESULTS = "results.json"
"""Name of the page's data in :func:`omnibind_core.store.paths.assets_directory`."""


def measured() -> Report:
    """Measure everything.

    Raises
    ------
    MediaError
        This machine has no apt, or apt could not fetch the media.
    """
    model = OmniBind.from_pretrained("mini", device="cpu", dtype="float32")
    mixing = sections(evaluate_compositions(model))
    gallery = Gallery.load(model)
    silence = nearness_section(model, gallery)
    held = unheard(gallery)
    places = places_section(model, gallery, held)
    apart, together = separating_section(model, gallery, held), comparing_section(sorting(gallery))
    found = [
        *binding_sections(),
        languages_section(model),
        *mixing,
        silence,
        places,
        apart,
        together,
        journeys_section(journeys(gallery)),
        labelling_section(labelling(model, gallery)),
        upright_section_of(model),
        published_section(),
    ]
    return Report("mini", datetime.now(timezone.utc).date().isoformat(), "make eval", found)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mini.measure",
        description="Measure what mini finds, what binding and routing give, and which way of mixing is best.",
    )
    found.add_argument("--out", type=Path, help="also write the page to this Markdown file")
    found.add_argument("--data", type=Path, help="write the page's data there; with --out into assets by default")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the page and write it where asked."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    torch.set_num_threads(1)  # sums in one order, and no slower for towers of this size
    try:
        for path in (options.out, options.data):
            if path is not None and not path.parent.is_dir():  # said before minutes are spent
                raise ReportError(
                    f"{path}, whose folder is not there", "a folder that exists", "make it, or name another"
                )
        report = measured()
        write_report(report, options.out, options.data or (assets_directory() / RESULTS if options.out else None))
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(report.to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
