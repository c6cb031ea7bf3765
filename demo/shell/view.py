"""What a callback answers, and how what goes wrong in one becomes a notice.

Every callback takes the service, the visit and what the visitor did, and gives a :class:`View`. Errors never leave
one: they become a notice, and everything else on the page stays as it was.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from demo.html import panels
from demo.service import Service
from demo.state import Visit
from omnibind_core.errors import OmniBindError
from omnibind_core.types import Hit

__all__ = ["View", "attempt", "guarded"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_UNEXPECTED = "Something unexpected went wrong; it has been noted in the log. Your earlier answers are still here."


@dataclass(frozen=True, eq=False)
class View:
    """What the page shows next; None leaves a part as it is.

    Attributes
    ----------
    visit : Visit
        The visitor's query from now on.
    mix, walk, answers, inside : str or None
        HTML.
    notice : str
        HTML; empty takes an earlier notice away.
    detail : Hit or None
        What the detail panel opens with.
    why : str
        HTML that the detail panel shows of why it answers.
    closed : bool
        Whether the detail panel closes.
    """

    visit: Visit
    mix: str | None = None
    walk: str | None = None
    answers: str | None = None
    inside: str | None = None
    notice: str = ""
    detail: Hit | None = None
    why: str = ""
    closed: bool = False


def attempt(what: str, call: Callable[[], R]) -> tuple[R | None, str]:
    """Call something that may fail.

    Parameters
    ----------
    what : str
        What it does, for the log.

    Returns
    -------
    result : object or None
        What it gave; None where it failed.
    notice : str
        HTML that says why it failed; empty where it did not.
    """
    try:
        return call(), ""
    except OmniBindError as error:
        return None, panels.notice(error)
    except Exception:
        log.exception("%s failed", what)
        return None, panels.notice(_UNEXPECTED)


def guarded(
    callback: Callable[Concatenate[Service, Visit, P], View],
) -> Callable[Concatenate[Service, Visit, P], View]:
    """Turn whatever a callback raises into a notice."""

    @functools.wraps(callback)
    def safe(service: Service, visit: Visit, /, *args: P.args, **kwargs: P.kwargs) -> View:
        view, notice = attempt(callback.__name__, lambda: callback(service, visit, *args, **kwargs))
        return view or View(visit, notice=notice)

    return safe
