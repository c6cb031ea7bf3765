"""Connections that say nothing, or half of something, keep nobody out."""

import asyncio
import socket
import threading
import time
import urllib.request
from contextlib import ExitStack

import pytest
import uvicorn

from omnibind_core.serve import connections
from omnibind_core.serve.connections import Bounded


async def _app(scope, receive, send):
    while scope["path"] == "/slow" and not GO.is_set():
        await asyncio.sleep(0.02)
    while scope["method"] == "POST" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


GO = threading.Event()


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(connections, "most", lambda: 8)
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    GO.clear()
    server = uvicorn.Server(uvicorn.Config(_app, port=0, http=Bounded, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    GO.set()
    server.should_exit = True
    thread.join()


def _opened(port, stack, sent=b""):
    line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
    line.sendall(sent)
    return line


def _closed(line):
    try:
        return line.recv(100) == b""
    except ConnectionResetError:
        return True


def _asked(port, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: "])
def test_half_a_request_is_not_waited_for(port, sent):
    with ExitStack() as stack:
        line = _opened(port, stack, sent)
        begun = time.monotonic()
        assert _closed(line)
        assert time.monotonic() - begun < 4


def test_who_waits_longest_makes_room(port):
    with ExitStack() as stack:
        lines = [_opened(port, stack) for _ in range(40)]
        for line in lines[:20]:
            assert _closed(line)
        assert _asked(port) == b"ok"


def test_a_request_that_is_being_answered_is_left_alone(port):
    with ExitStack() as stack:
        asked = b"GET /slow HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
        busy = [_opened(port, stack, asked) for _ in range(8)]
        time.sleep(1.0)  # twice as long as a head may take
        assert _closed(_opened(port, stack))  # all are busy: the new one goes
        GO.set()
        for line in busy:
            assert line.makefile("rb").read().endswith(b"ok")
        assert _asked(port) == b"ok"


def test_a_body_that_drips_is_not_waited_for(port):
    with ExitStack() as stack:
        line = _opened(port, stack, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n")
        begun = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - begun < 5:
                line.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - begun < 4


def test_a_body_that_takes_long_at_a_fair_rate_arrives(port):
    with ExitStack() as stack:
        line = _opened(port, stack, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(20):
            line.sendall(b"x" * 10_000)
            time.sleep(0.1)
        assert line.recv(1000).startswith(b"HTTP/1.1 200")


def test_connections_that_are_kept_alive_serve_again(port):
    with ExitStack() as stack:
        line = _opened(port, stack)
        for _ in range(3):
            line.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            said = b""
            while not said.endswith(b"ok"):
                said += line.recv(1000)
            time.sleep(0.3)


def test_the_limit_leaves_half_of_the_files(monkeypatch):
    import resource

    for soft, wanted in ((256, 128), (4096, 1024), (resource.RLIM_INFINITY, 1024), (20, 16)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert connections.most() == wanted
