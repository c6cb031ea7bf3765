"""The decoding process: reads requests from standard input, answers on standard output, until its parent goes.

Everything a stranger uploads is decoded here, so that a file which crashes, hangs or swells its decoder
costs one answer and not the server. Started by `omnibind_core.media.pool` only.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

import PIL.Image

from omnibind_core.errors import MediaError
from omnibind_core.media import audio, image, limits, points, video
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.media.wire import pack, read_frame, write_frame
from omnibind_core.types import Media

__all__ = ["main"]

_DECODERS: Mapping[str, Callable[..., Media]] = {
    "image": image.decode,
    "audio": audio.decode,
    "point": points.decode,
    "film": video.decode,
}

_GARBAGE = 20_000  # objects left over from requests, beyond which a collection is worth its 30 ms


def main() -> None:
    """Serve until standard input closes."""
    _limit_memory()
    _give_way()
    _end_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent closes us
    warnings.simplefilter("ignore")  # nobody reads them here, and a warning is no reason to refuse a file
    PIL.Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, comes first and says more
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "wb")
    if "--preload" in sys.argv:
        points.preload()
        audio.preload()
    write_frame(answers, {"ready": True}, [])
    gc.freeze()  # what is imported stays
    gc.disable()  # collecting while JSON or a mesh is built costs more than it frees; done between requests instead
    # From here on, what a C library prints must neither mix with the answers nor fill the server's log.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    while (request := read_frame(sys.stdin.buffer)) is not None:
        _answer(answers, *request)
        request = None
        if gc.get_count()[0] > _GARBAGE:
            gc.collect()


def _asker(answers: IO[bytes]) -> Callable[[str], bytes | None]:
    """Ask the parent for files beside the one that is being decoded, each once."""

    @cache
    def beside(name: str) -> bytes | None:
        write_frame(answers, {"want": name[:2_000]}, [])
        reply = read_frame(sys.stdin.buffer)
        return bytes(reply[1]) if reply is not None and reply[0].get("found") else None

    return beside


def _answer(answers: IO[bytes], header: dict[str, Any], body: bytearray) -> None:
    """Decode one file and send the medium, or the three parts of a MediaError."""
    beside = _asker(answers) if header.get("beside") else None
    blob = Blob(bytes(body), str(header["name"]), str(header["extension"]), beside)
    _alarm(limits.DEADLINE_SECONDS + 5)
    reply: dict[str, Any]
    try:
        reply, arrays = pack(_DECODERS[header["modality"]](blob, **header["options"]))
    except MediaError as error:
        reply, arrays = {"error": [error.given, error.allowed, error.action]}, []
    except MemoryError:
        reply, arrays = {"error": list(too_big(blob.name))}, []
    except Exception as error:  # decoders raise anything at all on damaged files: UnboundLocalError, IndexError, ...
        # An IndexError and its like name our reader's variables; only what speaks of the file is worth showing.
        telling = isinstance(error, (OSError, ValueError, SyntaxError, RuntimeError))
        refusal = undecodable(blob.name, blob.extension, error if telling else "")
        reply, arrays = {"error": [refusal.given, refusal.allowed, refusal.action]}, []
    _alarm(0)
    reply["tired"] = _peak_bytes() > limits.WORKER_TIRED_BYTES
    write_frame(answers, reply, arrays)


def too_big(name: str) -> tuple[str, str, str]:
    """Give the parts of the error for a file whose content outgrows the process."""
    return (
        f"{name}, which needs more memory than decoding may take",
        f"files that decode within {limits.WORKER_BYTES / limits.MB:,.0f} MB",
        "simplify it or save it smaller",
    )


def _limit_memory() -> None:
    """Bound the address space, where the platform can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limits.WORKER_BYTES, limits.WORKER_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # Windows has no such limit, macOS refuses it
        return


def _give_way() -> None:
    """Let whoever answers go first: a file that takes its decoder 20 s must not keep a sentence waiting."""
    if hasattr(os, "nice"):
        os.nice(5)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, even by a kill, and even in the middle of a file."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    if os.name == "posix":  # elsewhere nobody inherits orphans; the end of standard input is noticed between files
        threading.Thread(target=watch, name="parent", daemon=True).start()


def _alarm(seconds: float) -> None:
    """End this process after so many seconds, even if the parent that should do it is gone; 0 calls it off."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _peak_bytes() -> int:
    """Most memory this process ever held, 0 where the platform cannot tell.

    Not ``getrusage``: on Linux its peak starts at that of the process which started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
