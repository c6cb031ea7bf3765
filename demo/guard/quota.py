"""What uploads may take: room, each visitor and all together, and time while they arrive."""

from __future__ import annotations

import asyncio
import json
import time

from demo.guard.asgi import UPLOAD, App, Message, Receive, Send, address_of, only, refuse
from demo.uploads import Uploads
from omnibind_core.errors import MediaError
from omnibind_core.serve.connections import PATIENCE, SLOWEST, is_slow

__all__ = ["Quota"]

_FORM_BYTES = 64_000  # of an upload's body besides the file: boundaries and names
_NO_ROOM = MediaError(
    "more files than there is room for", "what fits into the room there is", "close other pages, or come back"
)
_TOO_SLOW = MediaError(
    "a file that does not arrive", f"{SLOWEST // 1000} kB a second and more", "try again, or take a smaller one"
)


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
        if scope["type"] != "http" or scope["method"] != "POST" or not UPLOAD.search(str(scope["path"])):
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        room = self._uploads.room(address) + _FORM_BYTES
        stated = only(scope, b"content-length") or ""
        length = int(stated[:18]) if stated.isascii() and stated.isdigit() else 0
        if room <= _FORM_BYTES or length > room:
            await refuse(send, _NO_ROOM, 413)
            return
        # Kept for it before it arrives, so that uploads side by side do not each get the whole room.
        kept = length or room - _FORM_BYTES
        self._uploads.arriving(address, kept)
        upload = _Upload(receive, send, room)
        try:
            await self._app(scope, upload.receive, upload.send)
        except Exception:
            if upload.fault is None:
                raise
        finally:
            self._uploads.arriving(address, -kept)
            self._uploads.add(address, upload.paths())
        if upload.fault is not None:
            await refuse(send, upload.fault, 413 if upload.fault is _NO_ROOM else 408)


class _Upload:
    """One upload as it arrives, and what gradio answers to it.

    Parameters
    ----------
    receive, send : callable
        Of the connection.
    room : int
        Bytes that it may have.

    Attributes
    ----------
    fault : MediaError or None
        Why it was ended; whatever reads it is told that the connection is gone.
    """

    def __init__(self, receive: Receive, send: Send, room: int) -> None:
        self.fault: MediaError | None = None
        self._receive, self._send, self._room = receive, send, room
        self._began, self._arrived, self._whole = time.monotonic(), 0, False
        self._status, self._answer = 0, b""

    async def receive(self) -> Message:
        """Give what arrives next."""
        if self._whole:  # what is waited for now is the end of the connection
            return await self._receive()
        # A connection that was quick before may be silent for longer (`serve/connections.py`); what an upload keeps is
        # wanted by others.
        try:
            message = await asyncio.wait_for(self._receive(), PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            return self._end(_TOO_SLOW)
        if is_slow(time.monotonic() - self._began, self._arrived):
            return self._end(_TOO_SLOW)
        self._arrived += len(message.get("body", b""))
        if self._arrived > self._room:
            return self._end(_NO_ROOM)
        self._whole = not message.get("more_body")
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on, and note it; of an upload that was ended nothing is said."""
        if self.fault is not None:
            return
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif self._status == 200:
            self._answer += message.get("body", b"")
        await self._send(message)

    def paths(self) -> list[str]:
        """Give the paths that gradio answered with; none of an upload that was ended or refused."""
        if self._status != 200 or self.fault is not None:
            return []
        try:
            paths = json.loads(self._answer)
        except ValueError:
            return []
        return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []

    def _end(self, fault: MediaError) -> Message:
        self.fault = fault
        return {"type": "http.disconnect"}
