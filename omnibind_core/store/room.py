"""What is said where something could not be written: how full the disk is, and what on it may go."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from omnibind_core.errors import GalleryError
from omnibind_core.store.pace import size_words
from omnibind_core.store.paths import cache_directory

__all__ = ["unwritten"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def unwritten(folder: Path, error: OSError, room_for: str, again: str) -> GalleryError:
    """Give the error for a folder that could not be written.

    Parameters
    ----------
    folder : Path
        Where it was to lie.
    error : OSError
        What the system said.
    room_for : str
        What was to be written.
    again : str
        What to do once there is room, as an imperative clause.
    """
    reason = error.strerror or str(error)
    if error.errno in _REFUSED:
        return GalleryError(
            f"{folder}, which cannot be written ({reason})", "a folder that may be written to",
            f"change its rights, or choose another folder; then {again}",
        )  # fmt: skip
    free = shutil.disk_usage(_existing(folder)).free
    # NumPy and FAISS tell of a full disk in words of their own.
    if error.errno in _FULL or " written" in reason or "No space left" in reason:
        reason = "its disk is full"
    return GalleryError(
        f"{folder}, which cannot be written ({reason}: {size_words(free, None)} are free)",
        f"a folder that can be written, with room for {room_for}",
        f"make room on that disk{_freeable(folder)}; then {again}",
    )


def _freeable(folder: Path) -> str:
    """Name what of ours may go from a folder's disk."""
    cache = cache_directory()
    if _existing(cache).stat().st_dev != _existing(folder).stat().st_dev:
        return ""
    return f", for instance in {cache}, where all is made or fetched again when it is needed"


def _existing(path: Path) -> Path:
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
