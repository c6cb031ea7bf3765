"""Without what only Linux has: decoding goes on, and what is lost is said."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnibind_core.errors import MediaError
from omnibind_core.machine import doctor
from omnibind_core.media import _worker, limits, svg
from omnibind_core.media import losses as platform_losses
from omnibind_core.media import pool as pools
from omnibind_core.media.losses import losses
from omnibind_core.media.pool import WorkerPool
from omnibind_core.media.source import Blob
from omnibind_core.types import Audio, Image, PointCloud

from .makers import mesh_file, picture, sound

WINDOWS = """
    import os, signal, sys
    for name in ("resource", "fcntl", "pwd", "grp"):
        sys.modules[name] = None
    for name in ("setitimer", "getitimer", "alarm", "SIGALRM", "ITIMER_REAL"):
        delattr(signal, name)
    for name in ("fork", "register_at_fork", "nice", "sched_getaffinity", "getuid"):
        delattr(os, name)
"""
MACOS = """
    import resource
    def refuse(*_):
        raise ValueError("current limit exceeds maximum limit")
    resource.setrlimit = refuse
"""


@pytest.fixture(params=[WINDOWS, MACOS], ids=["windows", "macos"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    """Decoders whose Python lacks what that platform lacks."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(request.param) + f"open({str(tmp_path / 'seen')!r}, 'w')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = WorkerPool(size=1)
    yield pool
    pool.close()
    assert (tmp_path / "seen").exists()


def test_files_are_decoded_all_the_same(elsewhere: WorkerPool) -> None:
    assert isinstance(elsewhere.decode(Blob(picture("png"), "a.png", "png"), "image"), Image)
    assert isinstance(elsewhere.decode(Blob(picture("svg"), "a.svg", "svg"), "image"), Image)
    assert isinstance(elsewhere.decode(Blob(sound("wav"), "a.wav", "wav"), "audio"), Audio)
    assert isinstance(elsewhere.decode(Blob(mesh_file("obj"), "a.obj", "obj"), "point", up="y"), PointCloud)
    with pytest.raises(MediaError, match="damaged"):
        elsewhere.decode(Blob(picture("png")[:60], "a.png", "png"), "image")


def test_the_deadline_holds_all_the_same(elsewhere: WorkerPool) -> None:
    slow = Blob(b"OFF\n3 1000000 0\n0 0 0\n1 0 0\n0 1 0\n" + b"3 0 1 2\n" * 1_000_000, "slow.off", "off")
    elsewhere.decode(Blob(picture("png"), "a.png", "png"), "image")
    with pytest.raises(MediaError, match=r"not decoded after 0\.2 s"):
        elsewhere.decode(slow, "point", seconds=0.2, up="y")
    assert isinstance(elsewhere.decode(Blob(picture("png"), "a.png", "png"), "image"), Image)


def test_no_limit_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    _worker._limit_memory()


def test_a_limit_on_memory_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    asked = []

    def refuse(which: int, _: tuple[int, int]) -> None:
        asked.append(which)
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    _worker._limit_memory()
    assert asked == [resource.RLIMIT_AS]


def test_no_timer_no_niceness_no_proc_no_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "setitimer")
    _worker._alarm(1.0)
    with svg._ending_after(limits.SVG_SECONDS):
        assert svg.rasterise(picture("svg")).startswith(b"\x89PNG")
    monkeypatch.delattr(os, "nice")
    _worker._give_way()
    monkeypatch.setattr(_worker, "Path", lambda _: Path("/nowhere/status"))
    assert _worker._peak_bytes() == 0
    monkeypatch.setattr(_worker.threading, "Thread", None)
    monkeypatch.setattr(_worker.os, "name", "nt")
    _worker._end_with(1)


def test_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork")
    spec = importlib.util.find_spec(pools.__name__)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(
        platform_losses.importlib.util, "find_spec", lambda name: None if name in names else known(name)
    )


def test_what_is_lost_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert losses() == () or sys.platform != "linux"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert len(losses()) == 1
    assert "all memory" in losses()[0]
    monkeypatch.setattr(sys, "platform", "win32")
    without(monkeypatch, "resource", "fcntl")
    monkeypatch.delattr(signal, "setitimer")
    assert [words.split()[:3] for words in losses()] == [
        ["a", "file", "may"],
        ["a", "drawing", "may"],
        ["uploads", "that", "a"],
    ]
    monkeypatch.setattr(doctor, "losses", losses)
    found = doctor.examine("mini")
    assert found["machine"]["without"] == list(losses())
    assert sum(line.startswith("without ") for line in doctor.describe(found)) == 3


def test_uploads_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from demo import uploads

    monkeypatch.setitem(sys.modules, "fcntl", None)
    path = tmp_path / "owner"
    with path.open("ab") as stream:
        assert uploads._lock(stream) is False
    now = path.stat().st_ctime
    assert not uploads._is_free(path, now)
    assert uploads._is_free(path, now - 25 * 3600)
