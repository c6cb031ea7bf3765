"""What is written down, and what is not: one JSON object a line, bounded, and nothing that a visitor sent.

Libraries put what they were given into messages of exceptions, and gradio prints those. Here an exception is its type
and where it happened; only errors about the installation keep their words, which name no visitor's data.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType

from omnibind_core.errors import DamagedError, GalleryError, OmniBindError, PresetError, ReportError, WeightsError

__all__ = ["Bounded", "Line", "Told", "set_up"]

MAX_LINE = 4_000  # characters
FRAMES = 12
EACH_MINUTE = 20  # lines of one kind; what comes beyond is counted, and the count is told with the next one

_OURS = ("demo", "omnibind_core", "app", "__main__")
_KIND = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")  # of an exception, at the end of a printed trace
_INSTALLATION = (DamagedError, GalleryError, PresetError, ReportError, WeightsError)


class Line(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "from": record.name,
            "says": _words(record),
        }
        if held_back := getattr(record, "held_back", 0):
            line["like_it_before"] = held_back
        if record.exc_info and record.exc_info[1] is not None:
            line.update(_told(record.exc_info[1], record.exc_info[2]))
        return json.dumps(line, ensure_ascii=True)[:MAX_LINE]


class Bounded(logging.Filter):
    """Lets a few lines of each kind through in a minute, so that nobody fills the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record passes. That a task was cancelled is how a server stops, and no error."""
        if record.name == "uvicorn.error" and _last(record) == "asyncio.exceptions.CancelledError":
            return False
        kind = type(record.exc_info[1]).__name__ if record.exc_info else ""
        key = record.name, str(record.msg)[:200], kind
        with self._lock:
            since, count = self._seen.get(key, (record.created, 0))
            if record.created - since >= 60:
                record.held_back = max(0, count - EACH_MINUTE)
                since, count = record.created, 0
            if len(self._seen) > 1_000:
                self._seen.clear()
            self._seen[key] = since, count + 1
        return count < EACH_MINUTE


class Told:
    """Stands in for the module ``traceback`` where gradio prints exceptions with what their callers sent."""

    def print_exc(self) -> None:
        """Log the exception that is being handled instead."""
        logging.getLogger("demo.calls").error("a call failed", exc_info=True)


def set_up(level: int = logging.WARNING) -> None:
    """Send everything that is logged or warned in this process to standard error, in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    handler.addFilter(Bounded())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _unhandled
    threading.excepthook = lambda args: _unhandled(args.exc_type, args.exc_value, args.exc_traceback)


def take_over() -> None:
    """Give the server's own loggers, which it sets up when it starts, this form as well."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True


def _words(record: logging.LogRecord) -> str:
    """Our own messages as they are; of others, which may quote what they were given, the part that cannot."""
    if record.name.split(".")[0] in _OURS:
        return record.getMessage()[:1_000]
    if record.name == "py.warnings":
        found = re.match(r"[^\n]*?:\d+: \w+", record.getMessage())
        return found[0] if found else "a warning"
    first = str(record.msg).split("\n")[0][:120]
    if not first.startswith("Traceback"):
        return first
    kind = _KIND.match(_last(record))
    return f"an error{f' ({kind[0]})' if kind else ''}, in words that may quote what was sent"


def _last(record: logging.LogRecord) -> str:
    return str(record.msg).rstrip().rpartition("\n")[2]


def _told(error: BaseException, trace: TracebackType | None) -> dict[str, object]:
    frames = traceback.extract_tb(trace)[-FRAMES:]
    told: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, _INSTALLATION):
        told["why"] = str(error)[:1_000]
    elif isinstance(error, OSError) and not isinstance(error, OmniBindError):
        told["errno"] = error.errno
    names = [Path(frame.filename).as_posix().split("/site-packages/")[-1] for frame in frames]
    told["at"] = [f"{name}:{frame.lineno}" for name, frame in zip(names, frames, strict=True)]
    return told


def _unhandled(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        logging.getLogger("app").critical("ended by an error that nothing caught", exc_info=(kind, error, trace))
