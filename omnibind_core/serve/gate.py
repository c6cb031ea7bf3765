"""What stands before every call: keys, the largest body, places to compute, and counts for Prometheus."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import TypeVar

from omnibind_core.errors import OmniBindError, QueryError

__all__ = [
    "BusyError",
    "Gate",
    "Metrics",
    "RefusedError",
    "check_host",
    "check_values",
    "is_loopback",
    "keys_of_environment",
]

R = TypeVar("R")

AT_ONCE = 2
"""Calls that compute at the same time, as on the page."""
WAITING = 256
"""Calls that may wait for a place, as on the page; the next is told to come back."""
SHORTEST_KEY = 16
"""Characters of a key: shorter ones can be guessed."""


MAX_VALUES = 20_000
"""Lists and objects in a body of JSON: a million of them, in 4 MB, keep a processor busy for ten seconds."""


class RefusedError(QueryError):
    """A call without a valid key, or by a name that is not this server's."""


class BusyError(OmniBindError, RuntimeError):
    """More calls than may wait."""


def keys_of_environment() -> tuple[str, ...]:
    """Read the keys: those of ``OMNIBIND_API_KEYS``, separated by commas.

    Raises
    ------
    QueryError
        A key is too short to be one.
    """
    keys = tuple(key.strip() for key in os.environ.get("OMNIBIND_API_KEYS", "").split(",") if key.strip())
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise QueryError("a short key in OMNIBIND_API_KEYS", f"{SHORTEST_KEY} characters and more", "make a longer one")
    return keys


def check_values(body: bytes) -> None:
    """Raise QueryError where a body of JSON holds so many values that reading it takes longer than any answer."""
    if body.count(b"[") + body.count(b"{") > MAX_VALUES or body.count(b",") > 10 * MAX_VALUES:
        raise QueryError(
            f"JSON of more than {MAX_VALUES:,} lists and objects", "what a call needs", "send less, or files as files"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def check_host(host: str, keys: Collection[str]) -> None:
    """Raise QueryError where others would reach a server that asks for no key."""
    if not keys and not is_loopback(host):
        raise QueryError(
            f"the address {host} without keys", "keys wherever other machines can call", "set OMNIBIND_API_KEYS"
        )


class Metrics:
    """Counts of calls, by path and status, as Prometheus reads them. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, float] = {}
        self.computing = 0
        self.waiting = 0

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count one call of a route, whose answer took `seconds` of wall time."""
        with self._lock:
            self._calls[path, status] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def text(self, ready: bool) -> str:
        """Give all counts in Prometheus' text format, version 0.0.4."""
        with self._lock:
            calls, seconds = dict(self._calls), dict(self._seconds)
        lines = ["# HELP omnibind_calls_total Calls by route and status.", "# TYPE omnibind_calls_total counter"]
        lines += [f'omnibind_calls_total{{path="{p}",status="{s}"}} {n}' for (p, s), n in sorted(calls.items())]
        lines += ["# HELP omnibind_seconds Wall time of calls.", "# TYPE omnibind_seconds summary"]
        for path, total in sorted(seconds.items()):
            count = sum(n for (p, _), n in calls.items() if p == path)
            lines += [
                f'omnibind_seconds_sum{{path="{path}"}} {total:.6f}',
                f'omnibind_seconds_count{{path="{path}"}} {count}',
            ]
        for name, value, said in (
            ("computing", self.computing, "Calls that compute now."),
            ("waiting", self.waiting, "Calls that wait for a place."),
            ("ready", int(ready), "Whether queries are answered."),
        ):
            lines += [f"# HELP omnibind_{name} {said}", f"# TYPE omnibind_{name} gauge", f"omnibind_{name} {value}"]
        return "\n".join([*lines, ""])


class Gate:
    """Who may call, and how many at a time.

    Parameters
    ----------
    keys : collection of str
        One of which a call must bring; none: nobody is asked.
    at_once, waiting : int
        Calls that compute, and calls that wait, at the same time.
    """

    def __init__(self, keys: Collection[str] = (), at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._keys = [key.encode() for key in keys]
        self._places = asyncio.Semaphore(at_once)
        self._most = waiting
        self.metrics = Metrics()

    def check(self, host: str, authorization: str, key: str) -> None:
        """Raise RefusedError where a call may not be answered; the arguments are three of its headers."""
        if not self._keys:
            name = re.sub(r":\d+$", "", host.lower()).strip("[]")
            if name != "localhost" and not _is_address(name):  # another name that was made to point here
                raise RefusedError(
                    "a name that this server is not called by", "localhost or an address", "use one of them"
                )
            return
        given = key or (authorization[7:] if authorization[:7].lower() == "bearer " else "")
        # Every key is compared, so that the time does not tell which one came near.
        fits = [hmac.compare_digest(given.strip().encode(), one) for one in self._keys]
        if not any(fits):
            raise RefusedError(
                "a call without a valid key", "Authorization: Bearer KEY, or X-API-Key: KEY", "send one of the keys"
            )

    async def run(self, work: Callable[[], R]) -> R:
        """Compute in a thread once there is a place; raises BusyError where too many wait already."""
        if self.metrics.waiting >= self._most:
            raise BusyError(
                f"more than {self._most} calls that wait", "calls one after another", "come back in a second"
            )
        self.metrics.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.metrics.waiting -= 1
        self.metrics.computing += 1
        try:
            return await asyncio.to_thread(work)
        finally:
            self.metrics.computing -= 1
            self._places.release()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
