"""Requests that would make the server fetch an address are refused; all others arrive unchanged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from demo.guard import quota
from demo.guard.door import Door, allowed_hosts
from demo.guard.files import uploaded_path
from demo.guard.no_fetching import NoFetching
from demo.guard.quota import Quota
from demo.uploads import Uploads
from omnibind_core.errors import MediaError

FILE = {"meta": {"_type": "gradio.FileData"}}


def ask(
    path: str, body: bytes = b"", method: str = "POST", kind: str = "application/json", **changes: Any
) -> tuple[int, bytes]:
    """Send one request through the guard; behind it, an application that answers with the body it got."""
    sent: list[dict[str, Any]] = []
    layer = changes.pop("layer", NoFetching)

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
        if not pieces:
            await asyncio.sleep(60)  # nothing more comes, and nobody hangs up
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "path": path, "method": method, "headers": [(b"content-type", kind.encode())],
        "client": ("192.0.2.7", 5), **changes,
    }  # fmt: skip
    asyncio.run(layer(echo)(scope, receive, send))
    return sent[0]["status"], b"".join(one["body"] for one in sent[1:])


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
    assert ask("/gradio_api/file=/gallery/x.webp", method="GET")[0] == 200
    large = b'{"data": "' + b"x" * 1_000_000 + b'"}'
    assert ask("/gradio_api/queue/join", large) == (200, large)


FETCH = json.dumps({"data": [{"path": "http://10.0.0.1/x.png", **FILE}]}).encode()


@pytest.mark.parametrize(
    "kinds",
    [
        ["application/json; x=multipart/form-data"],
        ["application/json;multipart/form-data"],
        ["application/json, multipart/form-data"],
        ["multipart/form-data; boundary=x"],
        ["text/plain"],
        ["application/x-www-form-urlencoded"],
        ["multipart/form-data; boundary=x", "application/json"],
        ["application/json", "multipart/form-data; boundary=x"],
        ["application/json", "application/json"],
        ["application/vnd.api+json; multipart/form-data"],
        ["APPLICATION/JSON ; charset=utf-16"],
        [""],
        [],
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/call/embed", "/gradio_api/call/v2/embed/"])
def test_no_name_of_a_body_walks_around_the_guard(path: str, kinds: list[str]) -> None:
    headers = [(b"Content-Type", kind.encode()) for kind in kinds]
    for body in (FETCH, FETCH.decode().encode("utf-16"), FETCH.replace(b"path", rb"p\u0061th")):
        status, answer = ask(path, body, headers=headers)
        assert status in {403, 415}
        assert b"What to do" in answer


def test_a_key_that_is_said_twice_does_not_hide_an_address() -> None:
    body = b'{"data": [{"path": "https://e.org/x", "path": "/x.png", "meta": {"_type": "gradio.FileData"}}]}'
    assert ask("/gradio_api/queue/join", body)[0] == 403


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[" * 10_000, b'{"data": [{"path": "x"}]} x', b"\xff\xfe\x00"],
    ids=["words", "deep", "more", "bytes"],
)
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert ask("/gradio_api/queue/join", body)[0] == 400


def test_a_million_values_in_four_megabytes_are_refused() -> None:
    for many in (b"[]," * 1_200_000, b"{}," * 30_000, b"1," * 1_000_000):
        status, answer = ask("/gradio_api/call/search", b'{"data": [' + many + b"[]]}")
        assert status == 413
        assert b"lists and objects" in answer


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/component_server", "/gradio_api/process_recording", "/gradio_api/stream/x", "/gradio_api/vibe",
        "/gradio_api/upload/..", "/login", "/gradio_api/queue/join/x", "/",
    ],
)  # fmt: skip
def test_what_nothing_here_needs_cannot_be_posted_to(path: str) -> None:
    assert ask(path, b"{}")[0] in {403, 404}
    assert ask(path, b"", kind="multipart/form-data; boundary=y")[0] in {403, 404}


@pytest.mark.parametrize(
    "path", ["/gradio_api/deep_link", "/gradio_api/file/http://e.org/x", "/gradio_api/runs", "/gradio_api/PROXY=x"]
)
def test_what_nothing_here_needs_is_not_served(path: str) -> None:
    assert ask(path, method="GET")[0] == 403


def test_a_request_that_is_too_long_is_refused() -> None:
    assert ask("/gradio_api/queue/join", b"x" * 5_000_000)[0] == 413
    assert ask("/gradio_api/upload", b"x" * 5_000_000, kind="multipart/form-data; boundary=y")[0] == 200
    assert ask("/gradio_api/upload", b"{}")[0] == 415


def door(tmp_path: Path, hosts: tuple[str, ...] = ("localhost",), is_ready: bool = True) -> Any:
    """The outermost layer, around a gallery of one picture and one secret."""
    (tmp_path / "images").mkdir(exist_ok=True)
    (tmp_path / "images" / "a b.jpg").write_bytes(b"picture")
    (tmp_path / "catalogue.json").write_bytes(b"secret")
    state = (is_ready, "ready" if is_ready else "loading")
    return lambda app: Door(
        app, hosts=hosts, uploads=Uploads(tmp_path), galleries=[tmp_path], ready=lambda: state, retry=lambda: 7
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:7860", 200), ("127.0.0.1:7860", 200), ("[::1]:7860", 200), ("10.1.2.3", 200),
        ("me.hf.space", 200), ("a.example.org", 200), ("x.localhost:1", 200), ("localhost.", 200),
        ("evil.example", 421), ("example.org", 421), ("localhost.evil.example", 421), ("evilexample.org", 421),
        ("127.0.0.1.evil.example", 421), ("", 421), ("localhost@evil.example", 421),
    ],
)  # fmt: skip
def test_only_our_own_names_are_answered(tmp_path: Path, host: str, status: int) -> None:
    hosts = allowed_hosts("127.0.0.1", ("*.example.org",), "Me.hf.space")
    headers = [(b"host", host.encode())]
    assert ask("/config", method="GET", layer=door(tmp_path, hosts), headers=headers)[0] == status
    twice = [(b"host", b"localhost"), *headers]
    assert ask("/config", method="GET", layer=door(tmp_path, hosts), headers=twice)[0] == 421
    assert ask("/config", method="GET", layer=door(tmp_path, ("*",)), headers=headers)[0] == 200


HOST = [(b"host", b"localhost")]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ([(b"origin", b"http://localhost:7860")], 200), ([(b"origin", b"https://me.hf.space")], 200), ([], 200),
        ([(b"origin", b"http://evil.example")], 403), ([(b"origin", b"null")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403), ([(b"sec-fetch-site", b"same-origin")], 200),
    ],
)  # fmt: skip
def test_another_page_cannot_post_to_ours(tmp_path: Path, said: list[tuple[bytes, bytes]], status: int) -> None:
    layer = door(tmp_path, allowed_hosts("127.0.0.1", (), "me.hf.space"))
    assert ask("/gradio_api/upload", b"x", layer=layer, headers=[*HOST, *said])[0] == status


@pytest.mark.parametrize(
    ("name", "kept"), [("me.hf.space", True), ("evil.example", False), ("localhost, x.org", False)]
)
def test_a_forwarded_name_counts_where_it_is_ours(tmp_path: Path, name: str, kept: bool) -> None:
    seen: list[bool] = []

    def layer(app: Any) -> Any:
        async def look(scope: Any, receive: Any, send: Any) -> None:
            seen.append(any(key == b"x-forwarded-host" for key, _ in scope["headers"]))
            await app(scope, receive, send)

        return door(tmp_path, allowed_hosts("127.0.0.1", (), "me.hf.space"))(look)

    headers = [*HOST, (b"x-forwarded-host", name.encode())]
    assert ask("/config", method="GET", layer=layer, headers=headers)[0] == 200
    assert seen == [kept]


def test_of_a_gallery_only_media_are_served(tmp_path: Path) -> None:
    served = ask("/gallery/images/a b.jpg", method="GET", layer=door(tmp_path), headers=HOST)
    assert served == (200, b"picture")
    for name in ("images/none.jpg", "images/..", "images/\0x"):
        assert ask(f"/gallery/{name}", method="GET", layer=door(tmp_path), headers=HOST)[0] == 404
    (tmp_path / "images" / "link.jpg").symlink_to("/etc/passwd")
    assert ask("/gallery/images/link.jpg", method="GET", layer=door(tmp_path), headers=HOST)[0] == 404
    for name in ("catalogue.json", "../catalogue.json", "images/../catalogue.json", "vectors-mini.safetensors"):
        _, body = ask(f"/gallery/{name}", method="GET", layer=door(tmp_path), headers=HOST)
        assert body == b"", "passed on to gradio, which has no such page"


def test_it_says_how_it_is(tmp_path: Path) -> None:
    assert ask("/healthz", method="GET", layer=door(tmp_path), headers=HOST)[0] == 200
    assert ask("/readyz", method="GET", layer=door(tmp_path), headers=HOST)[0] == 200
    status, body = ask("/readyz", method="GET", layer=door(tmp_path, is_ready=False), headers=HOST)
    assert (status, json.loads(body)["how"]) == (503, "loading")
    assert ask("/config", method="DELETE", layer=door(tmp_path), headers=HOST)[0] == 405


def form(size: int) -> bytes:
    """An upload's body of so many bytes."""
    head = b'--y\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
    return head + b"x" * size + b"\r\n--y--\r\n"


def test_uploads_beyond_a_visitors_room_are_refused_before_and_while_they_arrive(tmp_path: Path) -> None:
    kept = Uploads(tmp_path, each=100_000, total=300_000)

    def quota(app: Any) -> Quota:
        return Quota(app, uploads=kept)

    def send(size: int, client: str, stated: bool = True) -> int:
        headers = [(b"content-type", b"multipart/form-data; boundary=y")]
        headers += [(b"content-length", str(size).encode())] if stated else []
        return ask("/gradio_api/upload", form(size), layer=quota, headers=headers, client=(client, 1))[0]

    assert send(50_000, "a") == 200
    assert send(400_000, "a") == 413
    assert send(400_000, "a", stated=False) == 413
    mine = tmp_path / "mine"
    mine.write_bytes(b"x" * 100_000)
    kept.add("a", [str(mine)])
    assert send(10, "a") == 413
    assert send(10, "b") == 200, "the room of one is not that of another"
    (tmp_path / "theirs").write_bytes(b"x" * 250_000)
    assert send(10, "b") == 413, "and all together have theirs"


def test_an_upload_that_brings_nothing_keeps_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "PATIENCE", 0.2)
    kept = Uploads(tmp_path, each=100_000, total=300_000)
    headers = [(b"content-type", b"multipart/form-data; boundary=y"), (b"content-length", b"90000")]

    def stalled(app: Any) -> Any:
        first = [{"type": "http.request", "body": b"x", "more_body": True}]

        async def trickle() -> dict[str, Any]:
            while not first:
                await asyncio.sleep(60)
            return first.pop()

        async def waits(scope: Any, receive: Any, answer: Any) -> None:
            assert (await receive())["type"] == "http.request"
            assert (await receive())["type"] == "http.disconnect"
            raise ConnectionError("gone")

        return lambda scope, receive, send: Quota(waits, uploads=kept)(scope, trickle, send)

    status, answer = ask("/gradio_api/upload", b"x", layer=stalled, headers=headers, client=("a", 1))
    assert status == 408
    assert b"does not arrive" in answer
    assert kept.room("a") == 100_000

    def listens(app: Any) -> Quota:
        async def still_there(scope: Any, receive: Any, answer: Any) -> None:
            await app(scope, receive, answer)
            with pytest.raises(asyncio.TimeoutError):  # nobody hangs up, however long the answer takes
                await asyncio.wait_for(receive(), 0.5)

        return Quota(still_there, uploads=kept)

    assert ask("/gradio_api/upload", b"x", layer=listens, headers=headers, client=("a", 1))[0] == 200


@pytest.mark.parametrize("stated", [True, False])
def test_uploads_side_by_side_share_one_room(tmp_path: Path, stated: bool) -> None:
    kept = Uploads(tmp_path, each=100_000, total=300_000)
    second: list[int] = []

    def send(layer: Any) -> int:
        headers = [(b"content-type", b"multipart/form-data; boundary=y")]
        headers += [(b"content-length", b"90000")] if stated else []
        return ask("/gradio_api/upload", form(90_000), layer=layer, headers=headers, client=("a", 1))[0]

    def meanwhile(app: Any) -> Quota:
        async def slow(scope: Any, receive: Any, answer: Any) -> None:
            second.append(await asyncio.to_thread(send, lambda app: Quota(app, uploads=kept)))
            await app(scope, receive, answer)

        return Quota(slow, uploads=kept)

    assert send(meanwhile) == 200
    assert second == [413]
    assert send(lambda app: Quota(app, uploads=kept)) == 200, "the room is free again"


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
