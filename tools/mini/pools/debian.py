"""Debian packages as pools of real media: fetched with apt, unpacked beside the weights, never installed."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

from omnibind_core.errors import MediaError
from omnibind_core.store.paths import cache_directory

__all__ = ["package_folder"]

log = logging.getLogger(__name__)


def package_folder(name: str) -> Path:
    """Folder of an unpacked Debian package; the first call fetches it.

    Parameters
    ----------
    name : str
        Binary package, e.g. ``"tuxpaint-stamps-default"``.

    Returns
    -------
    Path
        Root of its files (``usr/share/...`` below it).

    Raises
    ------
    MediaError
        This is not Debian, or apt could not fetch the package.
    """
    folder = cache_directory() / "debian" / name
    if folder.is_dir():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MediaError(
            f"package {name} is needed, and this machine has no apt",
            "Debian or Ubuntu, for training and evaluation only",
            "run this command on Debian 12 (the application itself needs none of it)",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching Debian package %s", name)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        # apt drops its privileges to a user who may not write here: that warning is harmless.
        done = subprocess.run(
            ["apt-get", "download", "-q", name], cwd=scratch, capture_output=True, text=True, check=False
        )
        debs = list(Path(scratch).glob("*.deb"))
        if done.returncode or not debs:
            raise MediaError(
                f"apt could not download {name}: {done.stderr.strip()[-300:]}",
                "a Debian mirror that apt can reach",
                "run `apt-get update` and try again",
            )
        target = Path(scratch) / "root"
        subprocess.run(["dpkg-deb", "-x", str(debs[0]), str(target)], check=True)
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same files
                raise
    return folder
