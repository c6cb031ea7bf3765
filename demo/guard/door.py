"""Who may speak to us: by which names, out of which pages; how the service is, and what an error looks like."""

from __future__ import annotations

import ipaddress
import logging
import mimetypes
import re
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse

from demo.guard.asgi import App, Message, Receive, Send, only, refuse, tell
from demo.uploads import Uploads
from omnibind_core.errors import QueryError

__all__ = ["Door", "allowed_hosts", "malformed"]

log = logging.getLogger(__name__)

GALLERY = re.compile(r"(?:^|/)gallery/((?:images|shapes|sounds|thumbnails)/[^/\\]+)$")
"""What is served of a gallery: its media, and neither the catalogue nor the vectors."""
_VISIT = re.compile(r"/gradio_api/heartbeat/([^/]+)/?$")


def allowed_hosts(listens: str, more: Collection[str] = (), space: str | None = None) -> tuple[str, ...]:
    """Give the names that the page may be called by; addresses in numbers always may.

    A page on another name whose owner makes it point here (DNS rebinding) could otherwise read from a visitor's own
    machine; it cannot make a browser send numbers instead.

    Parameters
    ----------
    listens : str
        The address or name it listens on.
    more : collection of str
        What was set; ``"*.example.org"`` allows all below, ``"*"`` every name.
    space : str, optional
        The name that a hosting service calls it by.
    """
    own = {"localhost", socket.gethostname().lower(), socket.getfqdn().lower(), listens.strip("[]").lower()}
    return tuple(sorted({*own, *more, *((space.lower(),) if space else ())} - {""}))


class Door:
    """Who may speak to us, how the service is, the gallery's media, and errors in three parts.

    Parameters are those of :func:`demo.guard.layers.layers`.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Collection[str],
        uploads: Uploads,
        galleries: Sequence[Path],
        ready: Callable[[], tuple[bool, str]],
        retry: Callable[[], int],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._uploads = uploads
        self._galleries = galleries
        self._ready = ready
        self._retry = retry

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer what is ours to answer, and pass on the rest."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # nothing here speaks over web sockets
        host = only(scope, b"host")
        if host is None or not self._is_ours(host):
            error = QueryError("a name that this page is not called by", "its own", "set it in OMNIBIND_HOSTS")
            await refuse(send, error, 421)
        elif (path := str(scope["path"])) == "/healthz":
            await tell(send, 200, {"status": "alive"})
        elif path == "/readyz":
            is_ready, how = self._ready()
            await tell(send, 200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "how": how})
        elif scope["method"] == "POST" and self._is_of_another_page(scope):
            await refuse(send, QueryError("a call out of another page", "calls of this page", "open it itself"), 403)
        elif scope["method"] not in {"GET", "HEAD", "POST", "OPTIONS"}:
            await refuse(send, QueryError("another method", "GET and POST", "look at /gradio_api/info"), 405)
        elif found := GALLERY.search(path):
            await self._media(found[1], scope, receive, send)
        else:
            await self._within(self._called_by_its_own_name(scope), receive, send)

    def _is_ours(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host.strip().lower()) if not host.endswith("]") else host.strip().lower()
        name = name.strip("[]").rstrip(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            below = any(one.startswith("*.") and name.endswith(one[1:]) for one in self._hosts)
            return "*" in self._hosts or name in self._hosts or name.endswith(".localhost") or below
        return True

    def _is_of_another_page(self, scope: Message) -> bool:
        """Whether a browser says that a page of somebody else's posts; programs say nothing of the kind."""
        origin = only(scope, b"origin")
        if origin is None:
            return only(scope, b"sec-fetch-site") == "cross-site"
        return not self._is_ours(origin.partition("://")[2])

    def _called_by_its_own_name(self, scope: Message) -> Message:
        """Leave out what a proxy says of the name that was called, unless that is ours: gradio writes it into pages."""
        said = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-forwarded-host"]
        if all(self._is_ours(one.strip()) for value in said for one in value.split(",")):
            return scope
        kept = [one for one in scope["headers"] if one[0].lower() != b"x-forwarded-host"]
        return {**scope, "headers": kept}

    async def _media(self, name: str, scope: Message, receive: Receive, send: Send) -> None:
        folders = [one.resolve() for one in self._galleries]
        found = ((folder / name.replace("\0", "")).resolve() for folder in folders)
        path = next((one for folder, one in zip(folders, found, strict=True) if _lies_in(one, folder)), None)
        if path is None:
            await refuse(send, QueryError("a file that the gallery has not", "its media", "reload the page"), 404)
            return
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {"cache-control": "public, max-age=3600", "x-content-type-options": "nosniff"}
        await FileResponse(path, media_type=kind, headers=headers)(scope, receive, send)

    async def _within(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let gradio answer; what it raises becomes an answer, and no line of the log says what it was sent."""
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
                if message["status"] == 503 and not any(name.lower() == b"retry-after" for name, _ in headers):
                    headers.append((b"retry-after", str(self._retry()).encode()))
                message = {**message, "headers": headers}
            await send(message)

        visit = _VISIT.search(str(scope["path"]))
        if visit:
            self._uploads.here(visit[1])
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if started:
                raise
            if scope["method"] == "POST" and _is_callers(error):
                log.warning("a call of another form (%s)", type(error).__name__)
                await refuse(
                    send,
                    QueryError(
                        "a call of another form, or of something that is not here",
                        "the endpoints and parameters of /gradio_api/info",
                        "correct the call",
                    ),
                    404 if isinstance(error, KeyError) or type(error).__name__ == "FnIndexInferError" else 422,
                )
                return
            log.exception("a request failed")
            await tell(send, 500, {"detail": "Something unexpected went wrong; it has been noted in the log."})
        finally:
            if visit:
                self._uploads.leave(visit[1])


async def malformed(request: Request, error: Exception) -> JSONResponse:
    """Answer a call whose form is wrong by where it is, without sending back (or noting) what it held."""
    del request
    places: Sequence[Any] = getattr(error, "errors", list)()
    where = ", ".join(".".join(map(str, one.get("loc", ()))) for one in places[:3])[:200]
    wrong = QueryError(f"a call with a wrong {where or 'form'}", "the form that /gradio_api/info tells", "correct it")
    return JSONResponse({"detail": str(wrong)}, 422)


def _is_callers(error: Exception) -> bool:
    """Whether an exception says that a call was of another form: gradio lets those through as they are."""
    names = {"FnIndexInferError", "ValidationError", "RequestValidationError", "InvalidPathError"}
    return isinstance(error, (KeyError, TypeError, ValueError, IndexError)) or type(error).__name__ in names


def _lies_in(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and path.is_file()
