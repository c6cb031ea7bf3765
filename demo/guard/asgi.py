"""What the layers around gradio share: ASGI's types, what a request's head says, and answers of our own."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from omnibind_core.errors import OmniBindError

__all__ = ["UPLOAD", "App", "Message", "Receive", "Send", "address_of", "only", "refuse", "tell"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

UPLOAD = re.compile(r"/gradio_api/upload/?$")
"""Where files are sent to."""


def address_of(scope: Message) -> str:
    """Say where a request comes from: the visitor's address, as far as the server in front of us tells it.

    Uvicorn puts it there: from ``X-Forwarded-For``, where the connection comes from one of ``FORWARDED_ALLOW_IPS``.
    """
    client = scope.get("client")
    return str(client[0]) if client else ""


def only(scope: Message, name: bytes) -> str | None:
    """Give the one header of a name; None where there is none, or more than one."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


async def refuse(send: Send, error: OmniBindError, status: int = 403) -> None:
    """Answer with an error, in its three parts."""
    await tell(send, status, {"detail": str(error)})


async def tell(send: Send, status: int, answer: dict[str, str]) -> None:
    """Answer with JSON that nobody keeps."""
    body = json.dumps(answer).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
