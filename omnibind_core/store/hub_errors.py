"""What goes wrong between here and the Hub: how long to try again, and what a person is told."""

from __future__ import annotations

import logging
import os
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from omnibind_core.errors import WeightsError
from omnibind_core.store.sources import HubFile

__all__ = ["HubUnreachableError", "Patience", "explain", "not_a_hub", "wrong_length"]

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

PAUSES = (1.0, 4.0, 10.0)
"""Seconds before each further try; one that brings a byte starts the count anew."""

LONGEST = 60.0
"""Seconds that a server may ask to be left alone, and is, before people are told."""

_FEW = 2  # tries where more would only keep people waiting
_ANYWAY = "or use the preset `mini`, which needs no Hub"


class HubUnreachableError(WeightsError):
    """The Hub itself does not answer: no other file can be had either."""


class Patience:
    """Decides whether a request is made again.

    Parameters
    ----------
    source : HubFile
        Of what.
    seconds : float
        Without a byte after which a server counts as hanging, for the message.
    """

    def __init__(self, source: HubFile, seconds: float) -> None:
        self._source, self._seconds = source, seconds
        self._failed, self._moved = 0, False

    def again(self, error: httpx2.HTTPError, *, moved: bool) -> None:
        """Wait, where another try is worth it.

        Parameters
        ----------
        error : httpx2.HTTPError
            What went wrong.
        moved : bool
            Whether any byte had come since the last time.

        Raises
        ------
        WeightsError
            No other try is worth it; says what to do.
        """
        from httpx2 import ConnectError, ProxyError, TimeoutException, TransportError, UnsupportedProtocol

        self._failed = 1 if moved else self._failed + 1
        self._moved = self._moved or moved
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        pause: float | None = None
        if status == 429 or status == 503:
            wait = _wait_asked(response)
            pause = None if wait is not None and wait > LONGEST else wait
            retried = wait is None or wait <= LONGEST
        else:
            retried = status in {408, 500, 502, 504} or (status is None and isinstance(error, TransportError))
            retried = retried and not isinstance(error, (ProxyError, UnsupportedProtocol))
        # Who never answered is asked twice; who has begun to answer has earned more.
        soon = isinstance(error, TimeoutException) or (isinstance(error, ConnectError) and not self._moved)
        tries = _FEW if soon else len(PAUSES) + 1
        if not retried or self._failed >= tries:
            raise explain(self._source, error, self._failed, self._seconds) from error
        if pause is None:
            pause = 0.0 if isinstance(error, TimeoutException) else PAUSES[self._failed - 1]
        log.warning("%s: %s; trying again in %.0f s", self._source.label, _short(error), pause)
        time.sleep(pause)


def explain(source: HubFile, error: httpx2.HTTPError, tries: int, seconds: float) -> WeightsError:
    """Say what went wrong with a file of the Hub, and what its reader can do."""
    from httpx2 import ConnectError, ProxyError, TimeoutException, TooManyRedirects, UnsupportedProtocol

    response = getattr(error, "response", None)
    if response is not None:
        return _refused(source, response)
    host = _host(error)
    if isinstance(error, ProxyError):
        return HubUnreachableError(
            f"{source.label}: the proxy does not let it through ({_short(error)})",
            f"a proxy that leads to {host}",
            f"correct HTTPS_PROXY or name the host in NO_PROXY, {_ANYWAY}",
        )
    if isinstance(error, TimeoutException):
        return HubUnreachableError(
            f"{source.label}: not one byte from {host} for {seconds:.0f} s, {tries} times",
            "a server that answers",
            f"run the same again later, what has come is kept; {_ANYWAY}",
        )
    if isinstance(error, UnsupportedProtocol):
        return HubUnreachableError(
            f"{source.label} at HF_ENDPOINT={os.environ.get('HF_ENDPOINT', '')!r}",
            "an address that begins with https:// or http://",
            "correct HF_ENDPOINT, or unset it",
        )
    if isinstance(error, ConnectError):
        return HubUnreachableError(
            f"{source.label}: {host} cannot be reached ({_short(error)})",
            "a reachable Hub, or a cached copy",
            f"check the network, HTTPS_PROXY and HF_ENDPOINT, {_ANYWAY}",
        )
    if isinstance(error, TooManyRedirects):
        return not_a_hub(source, host)
    return WeightsError(
        f"{source.label}: the connection to {host} was cut {tries} times ({_short(error)})",
        "a connection that holds",
        "run the same again: what has come is kept, and it goes on there",
    )


def _refused(source: HubFile, response: Any) -> WeightsError:
    from huggingface_hub import get_token

    status, code = response.status_code, response.headers.get("X-Error-Code", "")
    page = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{source.repo}"
    if status in {401, 403}:
        action = f"accept the terms on {page}, make a token with the right to read there, and set HF_TOKEN to it"
        if token := get_token():
            action = f"accept the terms on {page} with the account whose token this is, or set HF_TOKEN to another one"
        return WeightsError(
            f"{source.label}, which its publisher gives only to who asked ({status}"
            f"{', ' + code if code else ''}; {'with' if token else 'without'} a token)",
            "an account that may read it",
            action,
        )
    if status == 404:
        what = f"a revision {source.revision} of {source.repo}" if code == "RevisionNotFound" else source.label
        if code == "RepoNotFound":
            what = f"a repository {source.repo}"
        return WeightsError(
            f"{what}, which the Hub does not have (404; wanted: {source.filename} at revision {source.revision})",
            "a file that is still published",
            f"look at {page}/tree/{source.revision}, and tell us: the preset has to name another one",
        )
    if status in {429, 503}:
        wait = _wait_asked(response)
        when = "in some minutes"
        if wait is not None:
            then = datetime.now().astimezone() + timedelta(seconds=wait)
            when = f"in {max(1, round(wait / 60))} min, at {then:%H:%M}"
        given = "too many requests from here (429)" if status == 429 else "the Hub is out of service (503)"
        more = "; a token in HF_TOKEN raises the limit" if status == 429 and not get_token() else ""
        return WeightsError(
            f"{source.label}: {given}", "a Hub that serves", f"try again {when}; what has come is kept{more}"
        )
    return WeightsError(
        f"{source.label}: {response.url.host} answered with status {status}",
        "the file",
        "run the same again later; what has come is kept",
    )


def not_a_hub(source: HubFile, where: str) -> WeightsError:
    """Say that somebody else answered in the Hub's place."""
    return WeightsError(
        f"{source.label}: what answered is not the Hub but a page ({where[:120]})",
        "the Hub, or a mirror that speaks as it does",
        "open any page in a browser, for a network that wants a login answers in others' names until one has logged "
        "in; or check HTTPS_PROXY and HF_ENDPOINT",
    )


def wrong_length(source: HubFile, found: int, wanted: int) -> WeightsError:
    """Say that a file has another length than it should."""
    return WeightsError(
        f"{source.label} of {found} bytes",
        f"{wanted} bytes",
        "run the same again; if it stays so, a proxy or mirror (HTTPS_PROXY, HF_ENDPOINT) changes files",
    )


def _wait_asked(response: Any) -> float | None:
    """Seconds that a server asks to be left alone: ``Retry-After`` in either form, else the Hub's ``ratelimit``."""
    from huggingface_hub.utils import parse_ratelimit_headers

    said = str(response.headers.get("Retry-After", "")).strip()
    if said.isdigit():
        return float(said)
    try:
        then = parsedate_to_datetime(said)
    except ValueError:
        limit = parse_ratelimit_headers(response.headers)
        return float(limit.reset_in_seconds) if limit else None
    return max(0.0, (then - datetime.now(timezone.utc)).total_seconds())


def _host(error: httpx2.HTTPError) -> str:
    try:
        return str(error.request.url.host)
    except RuntimeError:  # it failed before there was a request
        return "the Hub"


def _short(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    return f"{type(error).__name__}{': ' + str(error)[:150] if str(error) else ''}"
