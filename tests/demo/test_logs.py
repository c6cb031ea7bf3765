"""What is logged is one bounded object a line, and nothing of what visitors sent."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from demo.logs import EACH_MINUTE, MAX_LINE, Bounded, Line, Told
from omnibind_core.errors import DamagedError, MediaError

SECRET = "what a visitor wrote"


def record(name: str, text: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    held = None
    if error is not None:
        try:
            raise error
        except Exception:
            held = sys.exc_info()
    return logging.LogRecord(name, logging.ERROR, "x.py", 1, text, arguments, held)


@pytest.mark.parametrize(
    "made",
    [
        record("demo.api", "%s failed", "search", error=ValueError(SECRET)),
        record("demo.api", "%s failed", "search", error=MediaError(SECRET, "x", "y")),
        record("demo.api", "%s failed", "search", error=OSError(2, SECRET)),
        record("asyncio", f"Task exception was never retrieved\nfuture: {SECRET}"),
        record("gradio", "given %s", SECRET),
        record("uvicorn.error", f"Traceback (most recent call last):\n{SECRET}"),
        record("py.warnings", "%s", f"/a/b.py:3: UserWarning: given {SECRET}\n  warn(x)"),
    ],
    ids=range(7),
)
def test_no_line_holds_what_was_sent(made: logging.LogRecord) -> None:
    line = Line().format(made)
    assert SECRET not in line and "\n" not in line
    assert {"time", "level", "from", "says"} <= set(json.loads(line))


def test_a_line_says_what_happened_where() -> None:
    line = json.loads(Line().format(record("demo.api", "%s failed", "search", error=ValueError(SECRET))))
    assert (line["level"], line["from"], line["says"], line["error"]) == (
        "error",
        "demo.api",
        "search failed",
        "ValueError",
    )
    assert "test_logs.py:" in line["at"][-1]


def test_what_is_wrong_with_the_installation_keeps_its_words() -> None:
    damaged = DamagedError("assets/mini/looks.safetensors", "the committed one", "restore it")
    assert (
        "looks.safetensors" in json.loads(Line().format(record("demo.service", "loading failed", error=damaged)))["why"]
    )


def test_a_line_is_bounded_and_so_is_their_number() -> None:
    assert len(Line().format(record("demo.api", "x" * 100_000))) <= MAX_LINE
    bound = Bounded()
    passed = [bound.filter(record("demo.api", "the same")) for _ in range(100)]
    assert sum(passed) == EACH_MINUTE
    assert bound.filter(record("demo.api", "another"))
    later = record("demo.api", "the same")
    later.created += 61
    assert bound.filter(later)
    assert json.loads(Line().format(later))["like_it_before"] == 100 - EACH_MINUTE


def test_what_gradio_would_print_is_noted_instead(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        Told().print_exc()
    assert SECRET not in capfd.readouterr().err
    assert SECRET not in Line().format(caplog.records[-1])


def test_a_printed_trace_names_its_kind_and_no_more() -> None:
    def said(text: str) -> str:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, text, None, None)
        return str(json.loads(Line().format(record))["says"])

    trace = 'Traceback (most recent call last):\n  File "x", line 1\nValueError: a visitor wrote this'
    assert said(trace) == "an error (ValueError), in words that may quote what was sent"
    assert said("Traceback\n!") == "an error, in words that may quote what was sent"


def test_a_task_that_is_cancelled_at_the_end_is_no_error() -> None:
    text = 'Traceback (most recent call last):\n  File "x", line 1\nasyncio.exceptions.CancelledError\n'
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, text, None, None)
    assert not Bounded().filter(record)
    assert Bounded().filter(logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, "another", None, None))
