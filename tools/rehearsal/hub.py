"""A Hub for one machine: answers on loopback as the Hub does, and fails as it is told to.

A file is asked for at ``/owner/name/resolve/revision/path``. Large ones are sent on (302) to a second server, which
knows nothing of tokens and serves byte ranges; small ones are served at once. Headers are those that huggingface_hub
reads: ``X-Repo-Commit``, ``X-Linked-Etag``, ``X-Linked-Size``, ``ETag``, ``Location``.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from urllib.parse import quote, unquote, urlsplit

__all__ = ["FAULTS", "Fault", "FaultKind", "Hub", "Sent"]

FaultKind: TypeAlias = Literal[
    "cut", "reset", "hang", "flip", "wrong-length", "no-ranges", "401", "403", "404", "429", "503", "redirect", "portal"
]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
"""What can be made to go wrong."""

LARGE = 1 << 16
"""Bytes from which a file is kept elsewhere, as the Hub does it with what it keeps by LFS or Xet."""

_BLOCK = 1 << 14
_SETTLED = 10.0  # seconds that an answer may still take where somebody wants to know what was sent
_LONGEST = 120.0  # seconds that a hanging answer is held at most
_PAGE = b"<html><body>Welcome to the airport. Please log in.</body></html>"


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    kind : str
        One of :data:`FAULTS`.
    path : str
        Part of the path of the files that it happens to.
    times : int
        How many answers it spoils; then all is well again.
    after : int
        Bytes of an answer that still come, for "cut", "reset" and "hang"; which byte "flip" turns round.
    ask : bool
        Whether it happens when the Hub is asked about the file, not when the file is fetched.
    headers : mapping of str to str
        Sent along with a status.
    """

    kind: FaultKind
    path: str = ""
    times: int = 1 << 30
    after: int = 0
    ask: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """One answer with bytes of a file.

    Attributes
    ----------
    path : str
        ``owner/name/path``.
    start, count : int
        From which byte on, and how many were sent (some of them perhaps never read).
    token : bool
        Whether whoever asked sent a token along.
    """

    path: str
    start: int
    count: int
    token: bool


class Hub:
    """Two servers on loopback, for as long as the ``with`` statement runs.

    Parameters
    ----------
    files : mapping of str to Path
        ``owner/name/path`` -> the file.
    commit : str or None
        To which every revision leads; None takes what is asked for.
    rate : float, optional
        Bytes in a second, at most.
    """

    def __init__(self, files: Mapping[str, Path], commit: str | None = None, rate: float | None = None) -> None:
        self.files, self.commit, self.rate = dict(files), commit, rate
        self.faults: list[Fault] = []
        self._sent: list[Sent] = []
        self.asked: list[str] = []
        self._busy = 0
        self._names: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()
        self._servers = [_Server(self, far) for far in (False, True)]

    @property
    def address(self) -> str:
        """What ``HF_ENDPOINT`` has to be."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def sent(self) -> list[Sent]:
        """What was sent, once no answer is on its way any more."""
        end = time.monotonic() + _SETTLED
        while self._busy and time.monotonic() < end:
            time.sleep(0.02)
        return self._sent

    @property
    def far(self) -> str:
        """Where large files lie."""
        return f"http://localhost:{self._servers[1].server_port}"

    def __enter__(self) -> Hub:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @contextlib.contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Let things go wrong for a while."""
        self.faults = list(faults)
        try:
            yield
        finally:
            self.faults = []

    def fault(self, path: str, *, ask: bool) -> Fault | None:
        """Give what is to happen to an answer, and count it."""
        with self._lock:
            for one in self.faults:
                if one.path in path and one.ask == ask and one.times > 0:
                    one.times -= 1
                    return one
        return None

    def begin(self) -> None:
        """Count an answer that is being sent."""
        with self._lock:
            self._busy += 1

    def note(self, sent: Sent) -> None:
        """Keep what was sent."""
        with self._lock:
            self._busy -= 1
            self._sent.append(sent)

    def etag(self, path: Path) -> str:
        """Name a content as the Hub does: large ones by sha256, small ones as git does."""
        found = path.stat()
        key = (str(path), found.st_size, found.st_mtime_ns)
        with self._lock:
            if key not in self._names:
                large = found.st_size >= LARGE
                digest = (
                    hashlib.sha256() if large else hashlib.sha1(b"blob %d\0" % found.st_size, usedforsecurity=False)
                )
                with path.open("rb") as stream:
                    while block := stream.read(1 << 20):
                        digest.update(block)
                self._names[key] = digest.hexdigest()
            return self._names[key]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub, far: bool) -> None:
        self.hub, self.far = hub, far
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where a client went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path).lstrip("/")
        if self.server.far:
            self._give(path, hub.files[path])
            return
        if path in {"", "portal"}:
            self._page()
            return
        name, _, rest = path.partition("/resolve/")
        revision, _, inside = rest.partition("/")
        name = f"{name}/{inside}"
        hub.asked.append(f"{self.command} {name}")
        if (fault := hub.fault(name, ask=True)) and self._spoil(fault):
            return
        if name not in hub.files:
            self._status(404, {"X-Error-Code": "EntryNotFound"})
            return
        file = hub.files[name]
        commit, etag, size = hub.commit or revision, hub.etag(file), file.stat().st_size
        known = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if size < LARGE:
            self._give(name, file, {**known, "ETag": f'"{etag}"'})
            return
        linked = {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(size), "ETag": f'"{commit}"'}
        self._status(302, {**known, **linked, "Location": f"{hub.far}/{quote(name)}"})

    def _give(self, name: str, file: Path, more: Mapping[str, str] | None = None) -> None:
        """Send a file, or the range of it that was asked for."""
        hub, size, start, end = self.server.hub, file.stat().st_size, 0, file.stat().st_size
        fault = hub.fault(name, ask=False) if self.command == "GET" else None
        if fault and self._spoil(fault):
            return
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and not (fault and fault.kind == "no-ranges"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, size) if last else size
            if start >= size:
                self._status(416, {"Content-Range": f"bytes */{size}"})
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        length = end - start - (7 if fault and fault.kind == "wrong-length" else 0)
        for key, value in {**(more or {}), "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/octet-stream")
        self.end_headers()
        if self.command == "GET":
            self._send(name, file, start, start + length, fault)

    def _send(self, name: str, file: Path, start: int, end: int, fault: Fault | None) -> None:
        hub, at = self.server.hub, start
        hub.begin()
        stop = min(end, start + fault.after) if fault and fault.kind in {"cut", "reset", "hang"} else end
        try:
            with file.open("rb") as stream:
                stream.seek(start)
                while at < stop:
                    block = bytearray(stream.read(min(_BLOCK, stop - at)))
                    if fault and fault.kind == "flip" and at <= fault.after < at + len(block):
                        block[fault.after - at] ^= 0xFF
                    self.wfile.write(block)
                    at += len(block)
                    if hub.rate:
                        time.sleep(len(block) / hub.rate)
            if fault and fault.kind in {"cut", "reset", "hang"}:
                self._end(fault)
        finally:
            hub.note(Sent(name, start, at - start, "Authorization" in self.headers))

    def _spoil(self, fault: Fault) -> bool:
        """Answer wrongly; False where that happens later, while bytes are sent."""
        if fault.kind.isdigit():
            self._status(int(fault.kind), fault.headers)
        elif fault.kind == "redirect":
            self._status(302, {"Location": self.path})
        elif fault.kind == "portal" and self.command == "HEAD":
            self._status(302, {"Location": "http://login.invalid/"})
        elif fault.kind == "portal":
            self._page()
        elif fault.ask and fault.kind in {"cut", "reset", "hang"}:
            self._end(fault)
        else:
            return False
        return True

    def _end(self, fault: Fault) -> None:
        """Leave the client alone in the middle of an answer."""
        self.close_connection = True
        if fault.kind == "hang":
            self.connection.settimeout(_LONGEST)
            with contextlib.suppress(OSError):
                self.connection.recv(1)  # until the client has had enough
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _status(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(_PAGE)
