"""What a request may hold: no address that gradio would fetch, and nothing that is read in two ways."""

from __future__ import annotations

import json
import re
from typing import Any

from demo.guard.asgi import UPLOAD, App, Message, Receive, Send, only, refuse
from omnibind_core.errors import MediaError, QueryError
from omnibind_core.serve.gate import check_values

__all__ = ["NoFetching"]

_MAX_BODY = 4_000_000  # bytes of a JSON request; files come through /upload, which has its own limit
_SCHEMES = ("http://", "https://", "//")
_POSTED = re.compile(r"/gradio_api/(queue/join|(call|run|api)/[^/]+|call/v2/[^/]+|cancel|reset|upload)/?$")
"""What may be posted to. Of the rest gradio would run tools on what it is sent, or write without a limit."""
_SHUT = re.compile(
    r"/proxy=|/gradio_api/(deep_link|stream/|file/|runs|run-history|vibe|custom_component|dev/|profiling)|^/monitoring",
    re.IGNORECASE,
)
"""What is not served although gradio has it: nothing here needs it."""
_NO_ADDRESS = MediaError("an address instead of a file", "uploaded files: none is fetched", "upload the file instead")


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
            await refuse(send, _NO_ADDRESS)
        elif _SHUT.search(path):
            await refuse(send, QueryError("a service that is not offered", "what the page uses", "use the page"))
        elif scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif not _POSTED.search(path):
            await refuse(send, QueryError("a call of nothing that is here", "/gradio_api/info", "correct it"), 404)
        elif UPLOAD.search(path):
            if _media_type(scope) != "multipart/form-data":
                await refuse(send, QueryError("an upload that is not a form", "multipart/form-data", "send one"), 415)
            else:
                await self._app(scope, receive, send)
        else:
            await self._json(scope, receive, send)

    async def _json(self, scope: Message, receive: Receive, send: Send) -> None:
        kind = _media_type(scope)
        if kind is None or not re.fullmatch(r"application/([\w.-]+\+)?json", kind):
            await refuse(
                send, QueryError("a body that is not called JSON", "one Content-Type, application/json", "set it"), 415
            )
            return
        body = await _read(receive)
        if body is None:
            await refuse(
                send, QueryError(f"a request of more than {_MAX_BODY:,} bytes", "shorter ones", "upload files"), 413
            )
            return
        try:
            check_values(body)
            found = _paths(body)
        except QueryError as error:
            await refuse(send, error, 413)
            return
        except (ValueError, RecursionError):
            await refuse(send, QueryError("a body that is not JSON", "JSON", "correct it"), 400)
            return
        if any(_is_address(one) for one in found):
            await refuse(send, _NO_ADDRESS)
        else:
            await self._app(scope, _replay(body, receive), send)


def _media_type(scope: Message) -> str | None:
    value = only(scope, b"content-type")
    return None if value is None else value.split(";")[0].strip().lower()


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


def _is_address(path: str) -> bool:
    return path.strip().lower().startswith(_SCHEMES)
