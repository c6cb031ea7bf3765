"""Places at which inputs are computed: a few threads of their own, however many threads ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["Cores", "Places"]

R = TypeVar("R")


class Cores:
    """Shares cores out: who computes alone has all of torch's threads, and where several do, each has fewer.

    Alone, an input is there sooner with several threads; many are done sooner with one thread each. Torch keeps the
    number of threads for each thread that computes, and what runs already goes on with as many as it has.

    Parameters
    ----------
    threads, cores : int
        As many as one may have, and as all have together; at least 1.
    """

    def __init__(self, threads: int, cores: int) -> None:
        self._threads, self._cores = threads, cores
        self._turn = threading.Lock()
        self._running = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Give this thread its share until the end."""
        with self._turn:
            self._running += 1
            share = max(1, min(self._threads, self._cores // self._running))
        try:
            if torch.get_num_threads() != share:
                torch.set_num_threads(share)
            yield
        finally:
            with self._turn:
                self._running -= 1


class Places:
    """Runs at most so many things at the same time; whoever comes later waits. Threads may share one.

    Parameters
    ----------
    count : int
        At least 1.
    cores : Cores, optional
        What is shared with others that compute. Things then run in threads that stay: libraries keep scratch memory
        for every thread that ever computed. With None they run in the thread that asks, and `count` must be 1.
    """

    def __init__(self, count: int, cores: Cores | None = None) -> None:
        self._turn = threading.Lock()
        self._cores = cores
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="computing") if cores else None

    def run(self, what: Callable[[], R]) -> R:
        """Give what `what` gives, or raise what it raises, as soon as there is a place for it."""
        if self._threads is None or self._cores is None:
            with self._turn:
                return what()
        return self._threads.submit(_with, self._cores, what).result()


def _with(cores: Cores, what: Callable[[], R]) -> R:
    with cores.shared():
        return what()
