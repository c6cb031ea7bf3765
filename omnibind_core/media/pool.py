"""A few warm processes that decode uploads: a file that crashes or hangs its decoder is one failed query.

The processes are plain ``python -m omnibind_core.media._worker`` with pipes. Unlike `multiprocessing`, this
never imports the parent's ``__main__`` again, so it works below a script, a test run, a notebook or ``python -c``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.source import Blob
from omnibind_core.media.wire import Frame, read_frame, unpack, write_frame
from omnibind_core.types import Media, Modality

__all__ = ["WorkerPool", "close", "decode", "pool", "warm"]

_ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """One decoding process and its two pipes; used by one thread at a time."""

    def __init__(self, preload: bool) -> None:
        command = [sys.executable, "-m", "omnibind_core.media._worker", *(["--preload"] if preload else [])]
        # The child must find this package and its dependencies, wherever the parent found them. One BLAS thread:
        # each further one reserves address space, which is limited, and the parent owns the other cores.
        paths = [str(_ROOT), *(path for path in sys.path if path)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONWARNINGS": "ignore",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, env=environment
        )
        self._ready = False

    def wait_ready(self) -> bool:
        """Wait until the process has imported what it needs; False where it cannot start."""
        if not self._ready:
            with self._ended_after(limits.START_SECONDS):
                self._ready = self._read() is not None
        return self._ready

    def ask(
        self, header: dict[str, Any], data: bytes, seconds: float, beside: Callable[[str], bytes | None] | None = None
    ) -> tuple[Frame | None, bool]:
        """Send a request and wait for its answer; meanwhile give the files beside it that it asks for.

        Returns
        -------
        answer : Frame or None
            None where the process died or was ended.
        late : bool
            Whether it was ended for being late.
        """
        with self._ended_after(seconds) as timer:
            if self._process.stdin is not None:
                # A process that dies meanwhile closes its pipe, and so does who ends it; reading will tell.
                with contextlib.suppress(OSError, ValueError):
                    write_frame(self._process.stdin, header, [data])
            answer = self._read()
            while answer is not None and "want" in answer[0]:
                found = None if beside is None else beside(str(answer[0]["want"]))
                with contextlib.suppress(OSError, ValueError):
                    if self._process.stdin is not None:
                        write_frame(self._process.stdin, {"found": found is not None}, [found or b""])
                answer = self._read()
        return answer, answer is None and timer.expired

    def _read(self) -> Frame | None:
        pipe = self._process.stdout
        try:
            return None if pipe is None else read_frame(pipe)
        except ValueError:
            if pipe is None or not pipe.closed:
                raise
            return None  # closed by whoever ended the process

    @contextlib.contextmanager
    def _ended_after(self, seconds: float) -> Iterator[_Deadline]:
        """End the process after so many seconds: that is what interrupts a blocking read on every platform."""
        timer = _Deadline(seconds, self)
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process; whoever reads from it sees the end of the stream."""
        self._process.kill()

    def close(self) -> None:
        """End the process and release its pipes; harmless when repeated."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()


class _Deadline(threading.Timer):
    """A timer that ends a worker and remembers having done so."""

    def __init__(self, seconds: float, worker: Worker) -> None:
        super().__init__(seconds, self._end)
        self.daemon = True
        self.expired = False
        self._worker = worker

    def _end(self) -> None:
        self.expired = True
        self._worker.kill()


class WorkerPool:
    """At most `size` decoding processes, started when first needed, replaced when lost; safe between threads.

    Parameters
    ----------
    size : int
        Files decoded at the same time.
    """

    def __init__(self, size: int = limits.WORKERS) -> None:
        self._size = size
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()  # idle and busy ones
        self._idle: list[Worker] = []
        self._preload = False
        self._closed = False

    def warm(self) -> None:
        """Start every process and have it import what decoding needs, so that the first query does not wait."""
        with self._lock:
            self._preload = True
            started = [self._start() for _ in range(self._size - len(self._workers))]
            self._idle += started
        for worker in started:
            worker.wait_ready()

    def decode(
        self, blob: Blob, modality: Modality | Literal["film"], seconds: float | None = None, **options: Any
    ) -> Media:
        """Decode a file in one of the processes.

        Parameters
        ----------
        blob : Blob
            The file, its format settled.
        modality : {"image", "audio", "point", "film"}
            Which decoder.
        seconds : float, optional
            Wall time it may take, `limits.DEADLINE_SECONDS` by default.
        **options
            Passed to the decoder; JSON values.

        Raises
        ------
        MediaError
            The file is damaged or breaks a limit, took too long, brought its process down, or none was free.
        """
        seconds = limits.DEADLINE_SECONDS if seconds is None else seconds
        if not self._free.acquire(timeout=limits.START_SECONDS):
            raise MediaError(
                f"{blob.name} while {self._size} other files are being decoded", f"{self._size} at a time", "try again"
            )
        try:
            header = {
                "modality": modality, "name": blob.name, "extension": blob.extension, "options": options,
                "beside": blob.companions is not None,
            }  # fmt: skip
            worker = self._take()
            reusable = False
            try:
                if not worker.wait_ready():
                    raise MediaError(
                        f"{blob.name}, but the decoding process does not start",
                        "a complete installation of requirements.txt",
                        "see the log for the reason",
                    )
                answer, late = worker.ask(header, blob.data, seconds, blob.companions)
                reusable = answer is not None and not answer[0].get("tired")
            finally:
                self._give(worker, reusable)
        finally:
            self._free.release()
        if answer is None:
            raise _lost(blob, late, seconds)
        if "error" in answer[0]:
            given, allowed, action = answer[0]["error"]
            raise MediaError(given, allowed, action)
        return unpack(*answer)

    def _start(self) -> Worker:
        """Start a process; the lock is held."""
        if self._closed:
            raise MediaError("a file after the decoders were closed", "files before that", "start the program again")
        worker = Worker(self._preload)
        self._workers.add(worker)
        return worker

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive():
                    return worker
                self._workers.discard(worker)  # ended from outside while it had nothing to do
                worker.close()
            return self._start()

    def _give(self, worker: Worker, reusable: bool) -> None:
        with self._lock:
            if reusable and not self._closed:
                self._idle.append(worker)
                return
            self._workers.discard(worker)
            if self._preload and not self._closed:  # its successor gets ready while nobody waits
                self._idle.insert(0, self._start())
        worker.close()

    def close(self) -> None:
        """End every process; nothing is decoded afterwards."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = self._workers.difference(idle)
            self._workers.clear()
        for worker in idle:
            worker.close()
        for worker in busy:  # the thread that waits for it sees the end, and closes it
            worker.kill()


def _lost(blob: Blob, late: bool, seconds: float) -> MediaError:
    """Word the error for a file that cost its process."""
    if blob.extension in ("svg", "svgz"):  # nothing else stops resvg: its process ends itself
        return MediaError(
            f"{blob.name}, which is not drawn after {limits.SVG_SECONDS:g} s",
            f"drawings that take less than {limits.SVG_SECONDS:g} s",
            "leave out its filters and what lies behind other parts, or save it as PNG",
        )
    if late:
        return MediaError(
            f"{blob.name}, which is not decoded after {seconds:g} s",
            f"files that decode within {seconds:g} s",
            "simplify it or save it smaller",
        )
    return MediaError(
        f"{blob.name}, which brings its decoder down",
        f"a complete, valid .{blob.extension} file that decodes within {limits.WORKER_BYTES / limits.MB:,.0f} MB",
        "open it in another program and save it again",
    )


_POOL: WorkerPool | None = None
_POOL_LOCK = threading.Lock()


def pool() -> WorkerPool:
    """Give the process's own pool, made when first asked for and closed at exit."""
    global _POOL
    with _POOL_LOCK:
        if _POOL is None:
            _POOL = WorkerPool()
        return _POOL


def decode(blob: Blob, modality: Modality | Literal["film"], **options: Any) -> Media:
    """`WorkerPool.decode` of the process's own pool."""
    return pool().decode(blob, modality, **options)


def warm() -> None:
    """Start the decoding processes ahead of the first query; returns when they are ready (about 1 s)."""
    pool().warm()


@atexit.register
def close() -> None:
    """End the decoding processes, whatever they are at; a later query starts new ones."""
    global _POOL
    with _POOL_LOCK:
        closed, _POOL = _POOL, None
    if closed is not None:
        closed.close()


_PARENTS: list[WorkerPool | None] = []


def _forget() -> None:
    """After a fork the processes belong to the parent alone: keep the object, lest it be cleaned up here."""
    global _POOL, _POOL_LOCK
    _PARENTS.append(_POOL)
    _POOL, _POOL_LOCK = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
