"""Where visitors' files lie: a folder of this process alone, with quotas, emptied when a visit ends and when it stops.

Knows nothing of gradio, which reads the folder's place from ``GRADIO_TEMP_DIR`` when it is imported.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from demo.settings import CACHE_SECONDS, UNUSED_SECONDS, UPLOADS_ALL, UPLOADS_EACH, VISIT_SECONDS

__all__ = ["Uploads"]

log = logging.getLogger(__name__)

PREFIX = "omnibind-uploads-"
_OWNER = ".owner"
_YOUNG = 10.0  # seconds in which a folder without a lock may still be getting one


@dataclass
class _File:
    """What is known of one upload: its size, who brought it, the visits that use it, and when it came."""

    size: int
    address: str
    came: float
    visits: set[str] = field(default_factory=set)
    pending: int = 1  # uploads of this content that no query has taken yet


class Uploads:
    """The files of all visitors. Threads may share one.

    Parameters
    ----------
    folder : Path
        Where they lie.
    each, total : int
        Bytes that one address, and all together, may have here at a time.
    """

    def __init__(self, folder: Path, each: int = UPLOADS_EACH, total: int = UPLOADS_ALL) -> None:
        self.folder = folder
        self._each, self._total = each, total
        self._files: dict[str, _File] = {}
        self._coming: dict[str, int] = {}  # bytes that are arriving now, by address
        self._left: dict[str, float] = {}  # visits that were left, and when
        self._lock = threading.Lock()
        self._owner: IO[bytes] | None = None
        self._stopped = threading.Event()

    @classmethod
    def open(cls) -> Uploads:
        """Make a folder for this process, let gradio know, and clear what processes that are gone have left.

        To be called before gradio is imported. It lies in ``GRADIO_TEMP_DIR``, else where temporary files do.
        """
        base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
        base.mkdir(parents=True, exist_ok=True)
        _clear_orphans(base)
        made = cls(Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)))  # readable by nobody else
        made._owner = _locked(made.folder / _OWNER)
        os.environ["GRADIO_TEMP_DIR"] = str(made.folder)
        threading.Thread(target=made._keep_sweeping, name="uploads", daemon=True).start()
        return made

    def close(self) -> None:
        """Delete the folder; harmless when repeated. Does nothing to a folder that :meth:`open` did not make."""
        self._stopped.set()
        if self._owner is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._owner.close()
            self._owner = None

    def room(self, address: str) -> int:
        """Bytes that a visitor may still bring now; 0 or less where there is no room."""
        with self._lock:
            mine = sum(one.size for one in self._files.values() if one.address == address)
            mine += self._coming.get(address, 0)
            everything = _size(self.folder) + sum(self._coming.values())
            return min(self._each - mine, self._total - everything)

    def arriving(self, address: str, size: int) -> None:
        """Count bytes that are arriving (or, with a negative size, that have arrived or were refused)."""
        with self._lock:
            self._coming[address] = self._coming.get(address, 0) + size
            if self._coming[address] <= 0:
                del self._coming[address]

    def add(self, address: str, paths: Iterable[str]) -> None:
        """Note what a visitor brought."""
        with self._lock:
            for path in paths:
                with contextlib.suppress(OSError):
                    size = Path(path).stat().st_size
                    known = self._files.setdefault(path, _File(size, address, time.monotonic(), pending=0))
                    known.pending, known.came = known.pending + 1, time.monotonic()

    def use(self, visit: str, paths: Iterable[str]) -> None:
        """Note that a visit's query takes files."""
        with self._lock:
            self._left.pop(visit, None)
            for path in paths:
                if path in self._files:
                    self._files[path].visits.add(visit)
                    self._files[path].pending = 0

    def here(self, visit: str) -> None:
        """Note that a visit goes on: its page is connected."""
        with self._lock:
            self._left.pop(visit, None)

    def leave(self, visit: str) -> None:
        """Note that a visit's page is gone; unless it comes back soon, the files that it alone used are deleted."""
        with self._lock:
            self._left[visit] = time.monotonic()

    def sweep(self, now: float | None = None) -> None:
        """Delete what nobody needs: files of visits that ended, those never taken, and all that is too old.

        Parameters
        ----------
        now : float, optional
            Of the monotonic clock; for tests.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            ended = {visit for visit, when in self._left.items() if now - when >= VISIT_SECONDS}
            for visit in ended:
                del self._left[visit]
            for path, one in list(self._files.items()):
                was = bool(one.visits)
                one.visits -= ended
                unused = not one.visits and now - one.came >= UNUSED_SECONDS
                if (was and not one.visits and not one.pending) or unused or now - one.came >= CACHE_SECONDS[1]:
                    del self._files[path]
                    _delete(Path(path), self.folder)
        self._sweep_disk()

    def _sweep_disk(self) -> None:
        """Delete what came by other ways (copies that gradio makes, uploads that broke off) once it is old."""
        now = time.time()
        for path in _walk(self.folder):
            with contextlib.suppress(OSError):
                age = now - path.lstat().st_ctime
                broken_off = path.parent == self.folder
                if age >= (UNUSED_SECONDS if broken_off else CACHE_SECONDS[1]) and str(path) not in self._files:
                    _delete(path, self.folder)

    def _keep_sweeping(self) -> None:
        while not self._stopped.wait(10.0):
            self._try_to_sweep()

    def _try_to_sweep(self) -> None:
        try:
            self.sweep()
        except Exception:  # the next one may go better, and this thread must not end
            log.exception("sweeping the uploads failed")


def _delete(path: Path, root: Path) -> None:
    """Delete a file, and its folder where nothing else lies in it."""
    with contextlib.suppress(OSError):
        path.unlink()
    if path.parent != root and path.is_relative_to(root):
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _walk(folder: Path) -> list[Path]:
    """List the files of a folder, at any depth, but for the mark of its owner."""
    found: list[Path] = []
    for root, _, names in os.walk(folder):
        found += [Path(root) / name for name in names if name != _OWNER]
    return found


def _size(folder: Path) -> int:
    total = 0
    for path in _walk(folder):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total


def _locked(path: Path) -> IO[bytes]:
    """Open a file and hold a lock on it for as long as this process lives."""
    stream = path.open("ab")
    _lock(stream)
    return stream


def _lock(stream: IO[Any]) -> bool:
    """Lock a file without waiting; False where another process holds it, or the platform has no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows: folders that were left behind are told by their age instead
        return False
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _clear_orphans(base: Path) -> None:
    """Delete folders whose process is gone: its lock went with it, even by a kill."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            state = folder.lstat()
            strange = folder.is_symlink() or not folder.is_dir() or state.st_uid != getattr(os, "getuid", int)()
            owner = folder / _OWNER
            began = owner.lstat().st_ctime if owner.is_file() else state.st_ctime
            if strange or time.time() - began < _YOUNG:  # it may be about to be locked
                continue
            if not owner.is_file() or _is_free(owner, state.st_ctime):
                shutil.rmtree(folder, ignore_errors=True)


def _is_free(owner: Path, since: float) -> bool:
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return time.time() - since > 24 * 3600
    with owner.open("ab") as stream:
        return _lock(stream)
