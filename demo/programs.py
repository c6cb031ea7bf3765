"""The HTTP interface beside the page, on its port: ``/v1`` and ``/metrics`` go there, everything else to the page."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from demo.service import Service
from omnibind_core.errors import QueryError
from omnibind_core.serve.gate import check_host, keys_of_environment

__all__ = ["Beside", "interface"]


class Beside:
    """Parts calls of programs from the page's own.

    Parameters
    ----------
    app : ASGI application
        The page.
    programs : ASGI application
        The HTTP interface, with limits and keys of its own.
    """

    def __init__(self, app: Callable[..., Any], programs: Callable[..., Any]) -> None:
        self._app = app
        self._programs = programs

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        """Pass a call on to the one whose path it names."""
        path = str(scope.get("path", ""))
        theirs = scope["type"] == "http" and (path.startswith("/v1/") or path == "/metrics")
        await (self._programs if theirs else self._app)(scope, receive, send)


def interface(service: Service) -> Callable[..., Any]:
    """Give the HTTP interface over what the page answers with.

    Raises
    ------
    SystemExit
        Other machines could call it without a key, or a key is too short.
    """
    from omnibind_core.serve.http import api  # not before it is asked for: the page's start waits for each import

    try:
        keys = keys_of_environment()
        check_host(service.settings.host, keys)
    except QueryError as error:
        raise SystemExit(f"--api: {error}") from error
    return api(service.wait, lambda: service.status().phase == "ready", keys)
