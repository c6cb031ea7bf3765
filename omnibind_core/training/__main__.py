"""``python -m omnibind_core.training plan.toml``: from pools to a preset folder; started again, it goes on.

Several processes: ``accelerate launch --num_processes 2 -m omnibind_core.training plan.toml``, or ``torchrun``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from omnibind_core.errors import OmniBindError
from omnibind_core.machine.runtime import choose_device
from omnibind_core.training.pipeline import carry_out
from omnibind_core.training.plan import read_plan
from omnibind_core.training.processes import join, leave
from omnibind_core.training.run import Run

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m omnibind_core.training", description="Train projectors and routers."
    )
    found.add_argument("plan", type=Path, help="TOML; docs/training.md describes its form")
    found.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    found.add_argument("--threads", type=int, default=1, help="of the CPU; results repeat to the bit only with one")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what a plan says.

    Returns
    -------
    int
        0, or 2 where a person has to correct something: said on standard error.
    """
    reader = parser()
    options = reader.parse_args(arguments)
    if options.threads < 1:
        reader.error(f"--threads {options.threads}: give 1 or more")
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        device, plan = join(str(choose_device(options.device))), read_plan(options.plan)
        run = Run(plan.out, device)
        logging.basicConfig(level=logging.INFO if run.first else logging.WARNING, format="%(message)s")
        path = carry_out(plan, run)
        logging.getLogger(__name__).info("written: %s", path)
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    finally:
        leave()
        torch.set_num_threads(before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
