"""``make train-mini``: everything that was worked out or trained for the preset `mini`, stage by stage.

1. eyes: heads for sentences and pictures, in closed form.
2. ears: the upper layers of aiSFX, heads for sounds.
3. shapes: the point encoder, heads for shapes; upright: what tells which way is up.
4. routers: with all heads frozen.
5. languages: the head that leads other languages than English to MiniLM, and what tells them from English.
6. sense: what tells things from nonsense.
7. gallery: the vectors of the committed gallery.

A stage that was killed goes on where its last checkpoint was; one that is finished only reads what it kept, in
:func:`omnibind_core.store.paths.cache_directory`. Media are fetched with apt, so this needs Debian;
word lists come by npm, instruments by fluidsynth, speech by espeak-ng.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch

from omnibind_core.errors import MediaError, OmniBindError
from omnibind_core.store.paths import assets_directory

__all__ = ["PROGRAMS", "STAGES", "check_programs", "main", "parser"]

log = logging.getLogger(__name__)


def _gallery(out: Path) -> None:
    from omnibind_core.binder import OmniBind
    from omnibind_core.search.gallery import build

    def told(done: int, all_of_them: int) -> None:
        if done % 100 == 0 or done == all_of_them:
            log.info("gallery: %d of %d items", done, all_of_them)

    build(OmniBind.from_pretrained("mini", device="cpu", dtype="float32"), progress=told)


def _made_by(module: str) -> Callable[[Path], None]:
    """Import a stage when it runs: some of them are heavy."""

    def make(out: Path) -> None:
        importlib.import_module(f"tools.mini.{module}").make(out)

    return make


STAGES: Mapping[str, Callable[[Path], None]] = {
    "eyes": _made_by("pictures"),
    "ears": _made_by("sounds.train"),
    "shapes": _made_by("shapes.__main__"),
    "upright": _made_by("shapes.upright"),
    "routers": _made_by("routers"),
    "languages": _made_by("languages.train"),
    "sense": _made_by("sense"),
    "gallery": _gallery,
}
"""In order, what writes into mini's folder; each only reads what those before it wrote."""
PROGRAMS: Mapping[str, Sequence[str]] = {
    "eyes": ("apt-get", "dpkg-deb"),
    "ears": ("apt-get", "dpkg-deb", "fluidsynth", "espeak-ng"),
    "shapes": ("apt-get", "dpkg-deb"),
    "upright": ("apt-get", "dpkg-deb"),
    "languages": ("npm",),
    "sense": ("apt-get", "dpkg-deb"),
}
"""What a stage calls: looked for before the first one begins, rather than after an hour."""


def check_programs(stages: Iterable[str]) -> None:
    """Look for the programs that stages call.

    Raises
    ------
    MediaError
        Some are not here; names them all.
    """
    wanted = dict.fromkeys(program for stage in stages for program in PROGRAMS.get(stage, ()))
    if missing := [program for program in wanted if not shutil.which(program)]:
        raise MediaError(
            f"training without {', '.join(missing)}",
            f"a machine with {', '.join(wanted)}: Debian 12, for this command only",
            "install them; npm, fluidsynth and espeak-ng are Debian's packages of that name",
        )


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(prog="python -m tools.mini", description="Train the preset mini.")
    found.add_argument("stages", nargs="*", metavar="STAGE", help=f"some of {', '.join(STAGES)} (default: all)")
    found.add_argument("--out", type=Path, default=assets_directory() / "mini", help="folder to write to")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stages and say how long each took.

    Returns
    -------
    int
        0, or 2 where a person has to correct something: said on standard error.
    """
    command = parser()
    options = command.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    torch.set_num_threads(1)  # sums in one order: the same weights on every run
    unknown = [name for name in options.stages if name not in STAGES]
    if unknown:
        command.error(f"stage {', '.join(unknown)}: choose some of {', '.join(STAGES)}")
    try:
        check_programs(options.stages or STAGES)
        for name in options.stages or STAGES:
            start = time.monotonic()
            STAGES[name](options.out)
            log.info("%s: done in %.1f minutes", name, (time.monotonic() - start) / 60)
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
