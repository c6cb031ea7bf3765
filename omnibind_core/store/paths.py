"""Where things lie on this machine: the cache, the committed assets, and files that are replaced atomically."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["OFFLINE_NAMES", "assets_directory", "cache_directory", "is_offline", "replace_file"]

OFFLINE_NAMES = ("OMNIBIND_OFFLINE", "HF_HUB_OFFLINE")
"""Environment variables that switch the network off."""


def assets_directory() -> Path:
    """Where trained weights and the gallery live.

    Returns
    -------
    Path
        ``$OMNIBIND_ASSETS``; else ``assets/`` beside the package, in a checkout; else ``omnibind_assets/`` beside it,
        where an installed wheel lays them.
    """
    if explicit := os.environ.get("OMNIBIND_ASSETS"):
        return Path(explicit).expanduser()
    root = Path(__file__).parents[2]
    installed = root / "omnibind_assets"
    return installed if installed.is_dir() else root / "assets"


def cache_directory() -> Path:
    """Where weights live: ``$OMNIBIND_CACHE``, else ``omnibind`` in the user's cache directory."""
    if explicit := os.environ.get("OMNIBIND_CACHE"):
        return Path(explicit).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "omnibind"


def is_offline() -> bool:
    """Whether ``OMNIBIND_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids the network."""
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes", "on"} for name in OFFLINE_NAMES)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it finds the old content or the new, even after a kill."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # on a full disk it would keep what room there is
        raise
