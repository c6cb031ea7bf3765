"""Open connections, bounded: who opens many and says nothing on them, or little, does not keep others out.

Uvicorn bounds neither their number nor how long a request may take to arrive.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PATIENCE", "SLOWEST", "Bounded", "is_slow", "most"]

PATIENCE = 20.0
"""Seconds from a connection's beginning, or from the last answer, to the end of the next request's head."""
SLOWEST = 30_000
"""Bytes a second of a request's body that takes longer than :data:`PATIENCE`."""


def most() -> int:
    """Give the number of connections that may be open: half of the files that this process may open, at most 1024."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1024 if soft == resource.RLIM_INFINITY else max(16, min(1024, soft // 2))


def is_slow(seconds: float, arrived: int) -> bool:
    """Whether a request's body of which so many bytes have arrived takes too long."""
    return seconds >= PATIENCE + arrived / SLOWEST


class Bounded(H11Protocol):
    """Uvicorn's HTTP protocol, for ``uvicorn.Config(http=Bounded)``.

    A connection on which a request does not arrive in time is closed. Where :func:`most` are open, the one that has
    waited longest for a request makes room; where all are being answered, the new one is closed.
    """

    _timer: asyncio.TimerHandle | None = None
    _arrived = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and give it time for a request."""
        self.since = self.loop.time()
        if len(self.connections) >= most():
            waiting = _longest_waiting(self.connections)
            if waiting is None:
                self.transport = transport
                transport.abort()
                return
            self.connections.discard(waiting)
            waiting.transport.abort()
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what has arrived whole may take its time to be answered."""
        if self.transport.is_closing():
            return
        waited = self.waits()
        super().data_received(data)
        if waited and not self.waits():
            self.since, self._arrived = self.loop.time(), 0
            self._stop()
        self._arrived += len(data)
        if self.waits() or self.arrives():
            self._watch()
        else:
            self._stop()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.since = self.loop.time()
        super().on_response_complete()

    def waits(self) -> bool:
        """Whether no request is there whose head is whole."""
        return self.conn.their_state is h11.IDLE and (self.cycle is None or self.cycle.response_complete)

    def arrives(self) -> bool:
        """Whether a request's body is still to come."""
        return self.conn.their_state is h11.SEND_BODY

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(PATIENCE, self._look)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        late = self.loop.time() - self.since
        slow = self.arrives() and not self.flow.read_paused and is_slow(late, self._arrived)
        if slow or (self.waits() and late >= PATIENCE):
            self.transport.abort()
        elif self.waits() or self.arrives():
            self._watch()


def _longest_waiting(connections: Iterable[object]) -> Bounded | None:
    waiting = [one for one in connections if isinstance(one, Bounded) and one.waits()]
    return min(waiting, key=lambda one: one.since, default=None)
