"""How far a transfer is, in words: bytes, rate and time left."""

from __future__ import annotations

import time
from collections import deque

__all__ = ["Pace", "size_words"]

_WINDOW = 15.0  # seconds over which the rate is taken


class Pace:
    """Counts the bytes of one transfer, or of several together.

    Parameters
    ----------
    total : int or None
        Bytes in all, where known.
    done : int
        Bytes that were here before.
    """

    def __init__(self, total: int | None, done: int = 0) -> None:
        self.total = total
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), done)])

    def words(self, done: int) -> str:
        """Say how far it is now that `done` bytes are here, e.g. "1.2 of 10.1 GB, 35 MB/s, 4 min left"."""
        now = time.monotonic()
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[0][0] < now - _WINDOW:
            self._seen.popleft()
        (begun, before), passed = self._seen[0], now - self._seen[0][0]
        rate = (done - before) / passed if passed > 0 else 0.0
        said = f"{size_words(done, self.total)}"
        if now - begun < 0.5 or rate <= 0:
            return said
        said += f", {rate / 1e6:.1f} MB/s" if rate < 1e7 else f", {rate / 1e6:.0f} MB/s"
        return said if self.total is None else f"{said}, {_time_words((self.total - done) / rate)} left"


def size_words(done: int, total: int | None) -> str:
    """Say "1.2 of 10.1 GB", in the unit that suits the whole."""
    whole = done if total is None else total
    unit, name, places = next(
        (row for row in ((1e9, "GB", 1), (1e6, "MB", 0), (1e3, "kB", 0)) if whole >= row[0]), (1.0, "bytes", 0)
    )
    said = f"{done / unit:.{places}f}"
    return f"{said} {name}" if total is None else f"{said} of {total / unit:.{places}f} {name}"


def _time_words(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
