"""Put the application on Hugging Face Spaces: ``make space SPACE=user/name`` (``python -m tools.space user/name``).

Uploads what a Space needs and nothing else; large and binary files go the way that the Hub asks for (LFS or Xet). The
token comes from ``HF_TOKEN`` or from ``hf auth login``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["NEEDED", "files", "main", "parser", "upload"]

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("app.py", "requirements.txt", "README.md", "LICENSE", "demo/", "omnibind_core/", "assets/", "docs/images/")
"""Files and folders that a Space takes."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def files(root: Path = ROOT) -> list[str]:
    """List what is uploaded: of the needed ones, those that git knows, so that nothing private or made here goes along.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        `root` is no checkout, or git is not there.
    """
    listed = subprocess.run(["git", "ls-files", "-z", "--", *NEEDED], cwd=root, capture_output=True, check=True).stdout
    return [name for name in listed.decode().split("\0") if name and (root / name).is_file()]


def upload(space: str, *, private: bool = False, card: str | None = None, root: Path = ROOT) -> str:
    """Make a Space if there is none, and bring it up to date in one commit.

    Parameters
    ----------
    space : str
        ``owner/name``.
    private : bool
        Whether only its owner sees it; of a Space that is there already nothing is changed.
    card : str, optional
        The hardware to ask for, in the Hub's words: "cpu-basic", "zero-a10g", "t4-small".
    root : Path
        The checkout.

    Returns
    -------
    str
        Where it is.

    Raises
    ------
    huggingface_hub.errors.HfHubHTTPError
        What the Hub refuses.
    """
    from huggingface_hub import HfApi, SpaceHardware

    api = HfApi()
    made = api.create_repo(
        space, repo_type="space", space_sdk="gradio", private=private, exist_ok=True,
        space_hardware=SpaceHardware(card) if card else None,
    )  # fmt: skip
    api.upload_folder(
        repo_id=space, repo_type="space", folder_path=root, allow_patterns=files(root),
        commit_message="Update the application",
    )  # fmt: skip
    return str(made)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(prog="python -m tools.space", description="Put the application on a Space.")
    found.add_argument("space", help="owner/name")
    found.add_argument("--private", action="store_true", help="only its owner sees it")
    found.add_argument("--card", help="hardware in the Hub's words: cpu-basic, zero-a10g, t4-small")
    found.add_argument("--dry-run", action="store_true", help="list what would be uploaded")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Upload, or say what would be."""
    asked = parser()
    arguments = asked.parse_args(argv)
    from huggingface_hub import SpaceHardware

    if arguments.card and arguments.card not in set(SpaceHardware):
        asked.error(f"--card {arguments.card[:50]!r}: one of {', '.join(SpaceHardware)}")
    if not _NAME.fullmatch(arguments.space):
        asked.error(f"{arguments.space[:100]!r}: owner/name, of letters, digits, '-', '_' and '.'")
    found = files()
    size = sum((ROOT / name).stat().st_size for name in found)
    sys.stdout.write(f"{len(found)} files, {size / 1e6:.0f} MB\n")
    if arguments.dry_run:
        sys.stdout.write("\n".join(found) + "\n")
        return 0
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        sys.stdout.write(upload(arguments.space, private=arguments.private, card=arguments.card) + "\n")
    except (HfHubHTTPError, LocalTokenNotFoundError) as error:
        sys.stderr.write(
            f"The Hub refused: {str(error).splitlines()[0]}\n"
            "Put a token that may write into HF_TOKEN, or log in with `hf auth login`, then run the same again.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
