"""What strangers may not do: make the server fetch addresses, read files they did not upload, fill it, or speak for it.

Three layers around gradio, each an ASGI application: :class:`Door` (who may speak to us, how it goes, and what an
error looks like), :class:`NoFetching` (what a request may hold) and :class:`Quota` (what uploads may take).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import mimetypes
import re
import socket
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse

from demo.settings import STALLED_SECONDS
from demo.uploads import Uploads
from omnibind_core.errors import MediaError, OmniBindError, QueryError
from omnibind_core.serve.connections import SLOWEST
from omnibind_core.serve.gate import check_values

__all__ = ["Door", "NoFetching", "Quota", "address_of", "allowed_hosts", "layers", "malformed", "uploaded_path"]

log = logging.getLogger(__name__)

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_MAX_BODY = 4_000_000  # bytes of a JSON request; files come through /upload, which has its own limit
_FORM_BYTES = 64_000  # of an upload's body besides the file: boundaries and names
_SCHEMES = ("http://", "https://", "//")
_UPLOAD = re.compile(r"/gradio_api/upload/?$")
_POSTED = re.compile(r"/gradio_api/(queue/join|(call|run|api)/[^/]+|call/v2/[^/]+|cancel|reset|upload)/?$")
"""What may be posted to. Of the rest gradio would run tools on what it is sent, or write without a limit."""
_SHUT = re.compile(
    r"/proxy=|/gradio_api/(deep_link|stream/|file/|runs|run-history|vibe|custom_component|dev/|profiling)|^/monitoring",
    re.IGNORECASE,
)
"""What is not served although gradio has it: nothing here needs it."""
GALLERY = re.compile(r"(?:^|/)gallery/((?:images|shapes|sounds|thumbnails)/[^/\\]+)$")
"""What is served of a gallery: its media, and neither the catalogue nor the vectors."""
_VISIT = re.compile(r"/gradio_api/heartbeat/([^/]+)/?$")


def address_of(scope: Message) -> str:
    """Say where a request comes from: the visitor's address, as far as the server in front of us tells it.

    Uvicorn puts it there: from ``X-Forwarded-For``, where the connection comes from one of ``FORWARDED_ALLOW_IPS``.
    """
    client = scope.get("client")
    return str(client[0]) if client else ""


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


def layers(
    *,
    hosts: Collection[str],
    uploads: Uploads,
    galleries: Sequence[Path],
    ready: Callable[[], tuple[bool, str]],
    retry: Callable[[], int],
) -> list[Middleware]:
    """Give all that stands around gradio, the outermost first, for ``app_kwargs`` of ``launch``.

    Parameters
    ----------
    hosts : collection of str
        From :func:`allowed_hosts`.
    uploads : Uploads
        Where visitors' files lie.
    galleries : sequence of Path
        Whose media are served.
    ready : callable
        Says whether queries are answered, and how far loading is.
    retry : callable
        Says after how many seconds whoever found no place may try again.
    """
    return [
        Middleware(Door, hosts=hosts, uploads=uploads, galleries=galleries, ready=ready, retry=retry),
        Middleware(NoFetching),
        Middleware(Quota, uploads=uploads),
    ]


class Door:
    """Who may speak to us, how the service is, the gallery's media, and errors in three parts.

    Parameters are those of :func:`layers`.
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
        host = _only(scope, b"host")
        if host is None or not self._is_ours(host):
            error = QueryError("a name that this page is not called by", "its own", "set it in OMNIBIND_HOSTS")
            await _refuse(send, error, 421)
        elif (path := str(scope["path"])) == "/healthz":
            await _tell(send, 200, {"status": "alive"})
        elif path == "/readyz":
            is_ready, how = self._ready()
            await _tell(send, 200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "how": how})
        elif scope["method"] == "POST" and self._is_of_another_page(scope):
            await _refuse(send, QueryError("a call out of another page", "calls of this page", "open it itself"), 403)
        elif scope["method"] not in {"GET", "HEAD", "POST", "OPTIONS"}:
            await _refuse(send, QueryError("another method", "GET and POST", "look at /gradio_api/info"), 405)
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
        origin = _only(scope, b"origin")
        if origin is None:
            return _only(scope, b"sec-fetch-site") == "cross-site"
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
            await _refuse(send, QueryError("a file that the gallery has not", "its media", "reload the page"), 404)
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
                await _refuse(
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
            await _tell(send, 500, {"detail": "Something unexpected went wrong; it has been noted in the log."})
        finally:
            if visit:
                self._uploads.leave(visit[1])


class NoFetching:
    """Refuses requests that would make gradio download an address that a visitor chose.

    Gradio guards such downloads against private networks, but it does make them: for a file whose path is an
    address, for ``file=http...`` and for ``proxy=...``. Nothing here needs that. So that nothing is read in two ways,
    here in one and by gradio in another, only two kinds of bodies pass: forms at the one place that takes files, and
    JSON elsewhere, each named by exactly one ``Content-Type``.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 4xx to what is refused, and pass on the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        if any(f"/file={scheme}" in path.lower() for scheme in _SCHEMES) or "://" in path:
            await _refuse(send, _NO_ADDRESS)
        elif _SHUT.search(path):
            await _refuse(send, QueryError("a service that is not offered", "what the page uses", "use the page"))
        elif scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif not _POSTED.search(path):
            await _refuse(send, QueryError("a call of nothing that is here", "/gradio_api/info", "correct it"), 404)
        elif _UPLOAD.search(path):
            if _media_type(scope) != "multipart/form-data":
                await _refuse(send, QueryError("an upload that is not a form", "multipart/form-data", "send one"), 415)
            else:
                await self._app(scope, receive, send)
        else:
            await self._json(scope, receive, send)

    async def _json(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = _media_type(scope)
        if kind is None or not re.fullmatch(r"application/([\w.-]+\+)?json", kind):
            await _refuse(
                send, QueryError("a body that is not called JSON", "one Content-Type, application/json", "set it"), 415
            )
            return
        body = await _read(receive)
        if body is None:
            await _refuse(
                send, QueryError(f"a request of more than {_MAX_BODY:,} bytes", "shorter ones", "upload files"), 413
            )
            return
        try:
            check_values(body)
            found = _paths(body)
        except QueryError as error:
            await _refuse(send, error, 413)
            return
        except (ValueError, RecursionError):
            await _refuse(send, QueryError("a body that is not JSON", "JSON", "correct it"), 400)
            return
        if any(_is_address(one) for one in found):
            await _refuse(send, _NO_ADDRESS)
        else:
            await self._app(scope, _replay(body, receive), send)


class Quota:
    """Bounds what visitors upload, each and together, and notes whose files are whose.

    Parameters
    ----------
    app : ASGI application
    uploads : Uploads
    """

    def __init__(self, app: App, *, uploads: Uploads) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse an upload for which there is no room, before or while it arrives."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _UPLOAD.search(str(scope["path"])):
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        room = self._uploads.room(address) + _FORM_BYTES
        stated = _only(scope, b"content-length") or ""
        length = int(stated[:18]) if stated.isascii() and stated.isdigit() else 0
        if room <= _FORM_BYTES or length > room:
            await _refuse(send, _NO_ROOM, 413)
            return
        # Kept for it before it arrives, so that uploads side by side do not each get the whole room.
        kept = length or room - _FORM_BYTES
        self._uploads.arriving(address, kept)
        arrived, over, slow, whole, began = 0, False, False, False, time.monotonic()
        answer: list[bytes] = []
        status = 0

        async def receiving() -> Message:
            nonlocal arrived, over, slow, whole
            if whole:  # what is waited for now is the end of the connection
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), STALLED_SECONDS)
            except (TimeoutError, asyncio.TimeoutError):
                slow = True
            slow = slow or time.monotonic() - began > STALLED_SECONDS + arrived / SLOWEST
            if slow:  # what it keeps free is wanted by others
                return {"type": "http.disconnect"}
            size = len(message.get("body", b""))
            if arrived + size > room:
                over = True
                return {"type": "http.disconnect"}  # whatever reads it gives up
            arrived += size
            whole = not message.get("more_body")
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            if over or slow:
                return
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status == 200:
                answer.append(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        except Exception:
            if not (over or slow):
                raise
        finally:
            self._uploads.arriving(address, -kept)
            if status == 200 and not (over or slow):
                self._uploads.add(address, _answered(b"".join(answer)))
        if over or slow:
            await _refuse(send, _NO_ROOM if over else _TOO_SLOW, 413 if over else 408)


_NO_ADDRESS = MediaError("an address instead of a file", "uploaded files: none is fetched", "upload the file instead")
_NO_ROOM = MediaError(
    "more files than there is room for", "what fits into the room there is", "close other pages, or come back"
)
_TOO_SLOW = MediaError(
    "a file that does not arrive", f"{SLOWEST // 1000} kB a second and more", "try again, or take a smaller one"
)


async def malformed(request: Request, error: Exception) -> JSONResponse:
    """Answer a call whose form is wrong by where it is, without sending back (or noting) what it held."""
    del request
    places: Sequence[Any] = getattr(error, "errors", list)()
    where = ", ".join(".".join(map(str, one.get("loc", ()))) for one in places[:3])[:200]
    wrong = QueryError(f"a call with a wrong {where or 'form'}", "the form that /gradio_api/info tells", "correct it")
    return JSONResponse({"detail": str(wrong)}, 422)


def uploaded_path(file: object) -> str:
    """Give the path of a file that came through this server's upload.

    Parameters
    ----------
    file : object
        What an API call sent where a file belongs: ``{"path": ...}``.

    Raises
    ------
    MediaError
        It is anything else, above all a path outside the upload folder.
    """
    path = file.get("path") if isinstance(file, dict) else getattr(file, "path", None)
    if isinstance(path, str) and path and len(path) < 4_096 and "\0" not in path:
        try:
            real = Path(path).resolve()
            if real.is_relative_to(Path(get_upload_folder()).resolve()) and real.is_file():
                return str(real)
        except (OSError, RuntimeError):  # a name that is too long, or links in a circle
            pass
    raise MediaError(
        "something that is not an uploaded file",
        "a file that was uploaded to this server",
        "send it with handle_file()",
    )


def _only(scope: Message, name: bytes) -> str | None:
    """Give the one header of a name; None where there is none, or more than one."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _media_type(scope: Message) -> str | None:
    value = _only(scope, b"content-type")
    return None if value is None else value.split(";")[0].strip().lower()


def _is_callers(error: Exception) -> bool:
    """Whether an exception says that a call was of another form: gradio lets those through as they are."""
    names = {"FnIndexInferError", "ValidationError", "RequestValidationError", "InvalidPathError"}
    return isinstance(error, (KeyError, TypeError, ValueError, IndexError)) or type(error).__name__ in names


async def _read(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _paths(body: bytes) -> list[str]:
    """Every value of a key "path", however deep, those of keys that are said twice included; raises ValueError."""
    found: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(value for name, value in given if name == "path" and isinstance(value, str))
        return dict(given)

    if body:
        json.loads(body, object_pairs_hook=pairs)
    return found


def _answered(body: bytes) -> list[str]:
    """Paths that gradio answered to an upload."""
    try:
        paths = json.loads(body)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def _is_address(path: str) -> bool:
    return path.strip().lower().startswith(_SCHEMES)


async def _refuse(send: Send, error: OmniBindError, status: int = 403) -> None:
    await _tell(send, status, {"detail": str(error)})


async def _tell(send: Send, status: int, answer: dict[str, str]) -> None:
    body = json.dumps(answer).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _lies_in(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and path.is_file()
