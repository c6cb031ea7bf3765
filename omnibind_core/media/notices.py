"""What was read only in part, or assumed: said beside the answer instead of an error, or instead of nothing.

Readers call :func:`note` wherever they are; :func:`noticing` puts what was noted into the medium.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import ParamSpec, TypeVar

from omnibind_core.types import Media

__all__ = ["MOST", "note", "noticing"]

MOST = 8
"""Notices that one medium carries at the most; of more, the first ones."""

P = ParamSpec("P")
M = TypeVar("M", bound=Media)

_FOUND: ContextVar[list[str] | None] = ContextVar("found", default=None)


def note(text: str) -> None:
    """Say what a reader dropped, assumed or missed.

    Parameters
    ----------
    text : str
        A clause for people without a full stop: "3 of 687 points were not numbers". The same one twice counts once.
    """
    found = _FOUND.get()
    if found is not None and text not in found and len(found) < MOST:
        found.append(text)


@contextmanager
def _collecting() -> Iterator[list[str]]:
    found: list[str] = []
    token = _FOUND.set(found)
    try:
        yield found
    finally:
        _FOUND.reset(token)


def noticing(read: Callable[P, M]) -> Callable[P, M]:
    """Put what is noted while a reader runs into the medium that it gives, behind what that says already."""

    @functools.wraps(read)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> M:
        with _collecting() as found:
            medium = read(*args, **kwargs)
        fresh = tuple(text for text in found if text not in medium.notices)
        return replace(medium, notices=(*medium.notices, *fresh)[:MOST]) if fresh else medium

    return wrapped
