"""Requests that would make the server fetch an address are refused; all others arrive unchanged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from demo.guard import NoFetching, uploaded_path
from omnibind_core.errors import MediaError

FILE = {"meta": {"_type": "gradio.FileData"}}


def ask(path: str, body: bytes = b"", method: str = "POST", kind: str = "application/json") -> tuple[int, bytes]:
    """Send one request through the guard; behind it, an application that answers with the body it got."""
    sent: list[dict[str, Any]] = []

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        got = b""
        while True:
            message = await receive()
            got += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": got})

    pieces = [body[i : i + 70_000] for i in range(0, len(body), 70_000)] or [b""]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "headers": [(b"content-type", kind.encode())]}
    asyncio.run(NoFetching(echo)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1/x.png", "https://example.org/x.glb", " HTTPS://e.org", "//e.org/x"]
)
def test_a_file_that_is_an_address_is_refused(address: str) -> None:
    body = json.dumps({"data": [{"terms": [{"file": {"path": address, **FILE}}]}]}).encode()
    status, answer = ask("/gradio_api/queue/join", body)
    assert status == 403
    assert b"upload the file instead" in answer


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=http://e.org/x", "/gradio_api/FILE=HTTPS://e.org", "/gradio_api/proxy=x"]
)
def test_paths_that_fetch_are_refused(path: str) -> None:
    assert ask(path, method="GET")[0] == 403


def test_other_requests_pass_unchanged() -> None:
    body = json.dumps({"data": ["see https://example.org", {"path": "/tmp/x.png", "url": "http://here/x"}]}).encode()
    assert ask("/gradio_api/queue/join", body) == (200, body)
    assert ask("/gradio_api/queue/join", b"not json") == (200, b"not json")
    assert ask("/gradio_api/file=/gallery/x.webp", method="GET")[0] == 200
    large = b'{"data": "' + b"x" * 1_000_000 + b'"}'
    assert ask("/gradio_api/queue/join", large) == (200, large)


def test_a_request_that_is_too_long_is_refused() -> None:
    assert ask("/gradio_api/queue/join", b"x" * 5_000_000)[0] == 413
    assert ask("/gradio_api/upload", b"x" * 5_000_000, kind="multipart/form-data; boundary=y")[0] == 200


def test_only_uploads_are_read(uploads: Path, tmp_path: Path) -> None:
    inside, outside = uploads / "mine.png", tmp_path / "theirs.png"
    inside.write_bytes(b"x")
    outside.write_bytes(b"x")
    assert uploaded_path({"path": str(inside)}) == str(inside.resolve())
    link = uploads / "link.png"
    link.symlink_to(outside)
    wrong = [str(outside), str(uploads / ".." / outside.name), str(link), "/etc/passwd", str(uploads), "", "x\0y", None]
    for path in [*({"path": one} for one in wrong), None, "text", str(inside), 3]:
        with pytest.raises(MediaError, match="not an uploaded file"):
            uploaded_path(path)
