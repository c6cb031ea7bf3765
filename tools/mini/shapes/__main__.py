"""``python -m tools.mini.shapes``: mini's point encoder and all its heads for shapes, five-fold first.

``--folds`` alone trains and measures the five parts' models and writes their figures; ``--final`` alone trains on all
meshes and writes what the application uses. All that is worked out of the shapes is kept in the cache directory, and
so is each training's state: whatever is killed goes on where it was, to the same weights. Seeds are fixed, and sums
are made on one thread, in one order.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from omnibind_core.evaluation.retrieval import table
from omnibind_core.store.paths import assets_directory, cache_directory
from tools.mini.measure.shapes import FIGURES, measured, write_rows
from tools.mini.shapes.final import write_final
from tools.mini.shapes.kept import write_kept

__all__ = ["main", "make", "parser"]

log = logging.getLogger(__name__)


def make(out: Path, work: Path | None = None, *, folds: bool = True, final: bool = True) -> None:
    """Train, measure and write.

    Parameters
    ----------
    out : Path
        Folder to write to; what is measured goes into its ``eval``.
    work : Path, optional
        Of the states of trainings; None for a folder of the cache directory.
    folds, final : bool
        Whether the five-fold figures are made, and the weights that are used.
    """
    work = work or cache_directory() / "training" / "points"
    if folds:
        rows = measured(work)
        write_rows(out / FIGURES, rows)
        write_kept(work, out / "eval")
        log.info("%s", table(rows))
    if final:
        write_final(work, out)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mini.shapes",
        description="Train mini's point encoder and all its heads for shapes, five-fold first.",
    )
    found.add_argument("--out", type=Path, default=assets_directory() / "mini", help="folder to write to")
    found.add_argument("--work", type=Path, help="states of trainings (default: in the cache directory)")
    found.add_argument("--folds", action="store_true", help="only the five-fold figures")
    found.add_argument("--final", action="store_true", help="only the weights that are used")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Make what is asked for."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    either = options.folds or options.final
    make(options.out, options.work, folds=options.folds or not either, final=options.final or not either)


if __name__ == "__main__":
    main()
