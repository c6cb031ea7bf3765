"""What strangers may not do: make the server fetch addresses, or read files that they did not upload."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from omnibind_core.errors import MediaError

__all__ = ["NoFetching", "uploaded_path"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_MAX_BODY = 4_000_000  # bytes of a JSON request; files come through /upload, which has its own limit
_SCHEMES = ("http://", "https://", "//")


class NoFetching:
    """Refuses requests that would make gradio download an address that a visitor chose.

    Gradio guards such downloads against private networks, but it does make them: for a file whose path is an
    address, for ``file=http...`` and for ``proxy=...``. Nothing here needs that.

    Parameters
    ----------
    app : ASGI application
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    @classmethod
    def middleware(cls) -> list[Middleware]:
        """For ``app_kwargs`` of ``launch``."""
        return [Middleware(cls)]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 403 to what is refused, and pass on the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        if "/proxy=" in path or any(f"/file={scheme}" in path.lower() for scheme in _SCHEMES):
            await _refuse(send, "Addresses are not fetched here; upload the file instead.")
            return
        if scope["method"] != "POST" or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            await _refuse(send, "The request is too long; upload files instead of sending them inside it.", 413)
        elif any(_is_address(one) for one in _paths(body)):
            await _refuse(send, "Addresses are not fetched here; upload the file instead.")
        else:
            await self._app(scope, _replay(body, receive), send)


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
    if isinstance(path, str) and path and "\0" not in path:
        real = Path(path).resolve()
        if real.is_relative_to(Path(get_upload_folder()).resolve()) and real.is_file():
            return str(real)
    raise MediaError(
        "something that is not an uploaded file",
        "a file that was uploaded to this server",
        "send it with handle_file()",
    )


def _is_json(scope: Message) -> bool:
    headers = dict(scope["headers"])
    return b"multipart/form-data" not in headers.get(b"content-type", b"").lower()


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


def _paths(body: bytes) -> Iterator[str]:
    """Every value of a key "path", however deep."""
    try:
        queue = [json.loads(body or b"null")]
    except (ValueError, RecursionError):
        return
    while queue:
        node = queue.pop()
        if isinstance(node, dict):
            path = node.get("path")
            if isinstance(path, str):
                yield path
            queue.extend(node.values())
        elif isinstance(node, list):
            queue.extend(node)


def _is_address(path: str) -> bool:
    return path.strip().lower().startswith(_SCHEMES)


async def _refuse(send: Send, reason: str, status: int = 403) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
