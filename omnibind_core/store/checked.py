"""Whether a file is what its hash says: read once, then remembered by size, time and inode."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omnibind_core.errors import WeightsError
from omnibind_core.store.paths import cache_directory, replace_file
from omnibind_core.store.sources import Progress

__all__ = ["Digest", "check", "drop", "forget", "hold", "is_held", "mismatch", "remember"]

log = logging.getLogger(__name__)

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Digest:
    """What the content of a file hashes to.

    Attributes
    ----------
    kind : {"sha256", "git", "parts"}
        "git" is git's name of a blob: the sha1 of its size and content, by which the Hub knows small files. "parts" is
        the sha256 of the hashes of a file's parts, which whoever wrote them reads and compares: :func:`check` does not.
    value : str
        Lower-case hex.
    """

    kind: Literal["sha256", "git", "parts"]
    value: str

    def begin(self, size: int) -> Any:
        """Give a hash object to be fed the content, which has `size` bytes."""
        return hashlib.sha256() if self.kind == "sha256" else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def check(path: Path, digest: Digest, label: str, report: Progress = lambda _label, _share: None) -> None:
    """Hold a file to its hash, unless it was held to it before and has changed neither size, time nor inode since.

    Parameters
    ----------
    path : Path
        The file, or a link to it.
    digest : Digest
        What it must hash to.
    label : str
        What people call it.
    report : callable
        Called with (label, share read in 0..1).

    Raises
    ------
    WeightsError
        It hashes to something else; the file, and the link to it, are then deleted.
    """
    if not is_held(path, digest):
        hold(path, digest, label, report)
        remember(path, digest)


def is_held(path: Path, digest: Digest) -> bool:
    """Whether a file was held to its hash before, and has changed neither size, time nor inode since."""
    return bool(_record(path).get("checked") == _state(path, digest))


def hold(path: Path, digest: Digest, label: str, report: Progress = lambda _label, _share: None) -> None:
    """Hold a file to its hash as :func:`check` does, remembering nothing."""
    size = path.stat().st_size
    hashed, done = digest.begin(size), 0
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            hashed.update(block)
            done += len(block)
            if done % (256 * _CHUNK) == 0:
                report(f"{label}: checking", 0.999 * done / size)
    if hashed.hexdigest() != digest.value:
        drop(path)
        raise mismatch(label, digest, hashed.hexdigest())


def mismatch(label: str, digest: Digest, found: str) -> WeightsError:
    """Give the error for a file that was deleted because it is not what it should be."""
    return WeightsError(
        f"{label} has {digest.kind} {found}; the file was deleted",
        f"{digest.kind} {digest.value}",
        "fetch it again; if it stays wrong, the publisher's file has changed: do not use it",
    )


def forget(path: Path) -> None:
    """Remember nothing of a file any more."""
    with suppress(OSError):
        _record_path(path).unlink(missing_ok=True)


def drop(path: Path) -> None:
    """Delete a file, the link that led to it, and what was remembered of it."""
    # The Hub's cache holds a link to a blob; a blob that stays would be linked again instead of fetched.
    blob = path.resolve()
    record = _record_path(path)
    path.unlink(missing_ok=True)
    for other in (blob, record):
        other.unlink(missing_ok=True)


def remember(path: Path, digest: Digest) -> None:
    """Note that a file hashes to `digest`."""
    record = _record_path(path)
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        replace_file(record, json.dumps({"file": str(path.resolve()), "checked": _state(path, digest)}).encode())
    except OSError as error:  # then it is read again the next time
        log.debug("%s cannot be written (%s)", record, error)


def _state(path: Path, digest: Digest) -> dict[str, Any]:
    found = path.stat()
    return {
        digest.kind: digest.value,
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "inode": found.st_ino,
    }


def _record_path(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
    return cache_directory() / "checked" / f"{name}.json"


def _record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_record_path(path).read_bytes())
    except (OSError, ValueError):  # none yet, or not ours
        return {}
    return found if isinstance(found, dict) else {}
