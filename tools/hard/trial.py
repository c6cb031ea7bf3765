"""Tries inputs one after the other on the decoders, as a query would, and says what each came to."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from omnibind_core.errors import MediaError
from omnibind_core.media import load
from omnibind_core.types import Media
from tools.hard.crafted import Case

__all__ = ["MOST_BYTES", "MOST_SECONDS", "Outcome", "Tally", "tried"]

MOST_SECONDS = 10.0
MOST_BYTES = 1_000_000_000
_EVERY = 0.01  # seconds between looks at the decoders' memory


@dataclass(frozen=True)
class Outcome:
    """What an input came to.

    Attributes
    ----------
    said : str
        "answered", "refused", "lost" where the decoder's process ended, or "crashed" with the wrong exception.
    why : str
        The message.
    seconds : float
        Wall time.
    bytes : int
        Largest resident memory of a decoder while it was tried; 0 where the platform does not tell.
    notices : tuple of str
        What an answer said that it left out or assumed.
    """

    case: Case
    said: str
    why: str
    seconds: float
    bytes: int
    notices: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether it breaks what is promised."""
        return self.said in ("crashed", "lost") or self.seconds > MOST_SECONDS or self.bytes > MOST_BYTES


@dataclass
class Tally:
    """Outcomes by modality, and the page that tells them."""

    outcomes: list[Outcome] = field(default_factory=list)

    def page(self) -> str:
        """Give one page: counts, the slowest, the largest, and whatever went wrong."""
        lines = [f"{'':8}{'tried':>8}{'refused':>9}{'answered':>10}{'crashed':>9}{'slowest':>10}{'largest':>10}"]
        for modality in (*dict.fromkeys(one.case.modality for one in self.outcomes), "all"):
            some = [one for one in self.outcomes if modality in ("all", one.case.modality)]
            said = [one.said for one in some]
            lines.append(
                f"{modality:8}{len(some):8,}{said.count('refused'):9,}{said.count('answered'):10,}"
                f"{said.count('crashed') + said.count('lost'):9,}{max(one.seconds for one in some):8.2f} s"
                f"{max(one.bytes for one in some) / 1e6:7,.0f} MB"
            )
        for title, key in (("slowest", "seconds"), ("largest", "bytes")):
            lines.append(f"\n{title}:")
            most = sorted(self.outcomes, key=lambda one: -float(getattr(one, key)))[:5]
            lines += [f"  {o.seconds:6.2f} s {o.bytes / 1e6:6,.0f} MB  {o.case.modality}: {o.case.name}" for o in most]
        wrong = [one for one in self.outcomes if one.wrong]
        lines.append(f"\nwrong: {len(wrong)}")
        lines += [
            f"  {one.said}, {one.seconds:.1f} s: {one.case.modality}: {one.case.name}: {one.why}" for one in wrong[:40]
        ]
        return "\n".join(lines)


def tried(case: Case, embed: Callable[[list[Media]], Any] | None = None) -> Outcome:
    """Try one input.

    Parameters
    ----------
    case : Case
        What is tried.
    embed : callable, optional
        Takes the decoded medium, where there is one, in a list.
    """
    options: dict[str, Any] = {"extension": case.extension} if case.extension else {}
    if case.beside is not None:
        options["beside"] = case.beside
    said, why = "answered", ""
    with _Watch() as watch:
        start = time.monotonic()
        try:
            media = load(case.data, case.modality, **options)
        except MediaError as error:
            media = None
            whole = error.given and error.allowed and error.action
            said, why = ("refused" if whole else "crashed"), str(error)[:300]
            if "brings its decoder down" in error.given:
                said = "lost"
        except Exception as error:  # whatever comes is what is looked for
            media = None
            said, why = "crashed", f"{type(error).__name__}: {error}"[:300]
        seconds = time.monotonic() - start
    if media is not None and embed is not None:
        try:
            embed([media])
        except Exception as error:
            said, why = "crashed", f"embedding: {type(error).__name__}: {error}"[:300]
    return Outcome(case, said, why, seconds, watch.largest, () if media is None else media.notices)


class _Watch:
    """Largest resident memory of this process's children (Linux; elsewhere 0)."""

    def __init__(self) -> None:
        self.largest = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Watch:
        for child in _children():
            with contextlib.suppress(OSError):
                Path(f"/proc/{child}/clear_refs").write_text("5", "ascii")  # its peak counts from here
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._once()

    def _look(self) -> None:
        while not self._ended.wait(_EVERY):
            self._once()

    def _once(self) -> None:
        for child in _children():
            with contextlib.suppress(OSError, ValueError, IndexError):
                status = Path(f"/proc/{child}/status").read_text("ascii", "replace")
                self.largest = max(self.largest, 1_024 * int(status.partition("VmHWM:")[2].split()[0]))


def _children() -> Iterator[str]:
    """Give this process's decoders; it may have other children, whose memory is not theirs."""
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text("ascii").split():
                if b"omnibind_core.media._worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield child
