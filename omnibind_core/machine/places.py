"""Places at which inputs are computed: a few threads of their own, however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Places"]

R = TypeVar("R")


class Places:
    """Runs at most so many things at the same time; whoever comes later waits. Threads may share one.

    Parameters
    ----------
    count : int
        At least 1.
    apart : bool
        Whether things run in threads that stay: libraries keep scratch memory for every thread that ever
        computed. Else they run in the thread that asks, and `count` must be 1.
    """

    def __init__(self, count: int, *, apart: bool) -> None:
        self._turn = threading.Lock()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="computing") if apart else None

    def run(self, what: Callable[[], R]) -> R:
        """Give what `what` gives, or raise what it raises, as soon as there is a place for it."""
        if self._threads is None:
            with self._turn:
                return what()
        return self._threads.submit(what).result()
