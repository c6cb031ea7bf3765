"""The hashes of the committed files that vectors hang on: ``assets/sums.json``.

``python -m tools.sums`` says which files are not what the list says, ``--write`` writes the list anew; after a training
or a gallery that was made on purpose, and never to silence a refusal that nobody can explain.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from omnibind_core.store.integrity import SUMS, listed, read_sums, sha256_of
from omnibind_core.store.paths import assets_directory, replace_file

__all__ = ["main", "parser", "wrong"]


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.sums", description="Say which committed files are not what assets/sums.json says."
    )
    found.add_argument("--write", action="store_true", help="write assets/sums.json anew instead")
    return found


def sums_of(assets: Path) -> dict[str, str]:
    """Hash the files that the list is for, by path relative to the folder."""
    return {path.relative_to(assets).as_posix(): sha256_of(path) for path in listed(assets)}


def wrong(assets: Path) -> list[str]:
    """Names of files that are missing, unknown or changed."""
    now, then = sums_of(assets), read_sums(assets)
    return sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where a file is not what the list says."""
    chosen, assets = parser().parse_args(arguments), assets_directory()
    if chosen.write:
        replace_file(assets / SUMS, (json.dumps(sums_of(assets), indent=2) + "\n").encode())
        return 0
    for name in wrong(assets):
        sys.stdout.write(f"{name} is not what {SUMS} says\n")
    return bool(wrong(assets))


if __name__ == "__main__":
    sys.exit(main())
