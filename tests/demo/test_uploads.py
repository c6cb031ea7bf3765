"""Visitors' files lie in a folder of one process, and go when their visit, or the process, ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo import uploads as module
from demo.settings import CACHE_SECONDS, UNUSED_SECONDS, VISIT_SECONDS
from demo.uploads import PREFIX, Uploads


def bring(kept: Uploads, name: str, address: str = "a", size: int = 10) -> Path:
    """Put a file where gradio puts an upload: in a folder that is called by its content."""
    path = kept.folder / f"hash-{name}" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    kept.add(address, [str(path)])
    return path


def test_a_visits_files_go_when_it_ends(tmp_path: Path) -> None:
    kept = Uploads(tmp_path)
    mine, shared, unused = (bring(kept, name) for name in ("mine", "shared", "unused"))
    kept.use("one", [str(mine), str(shared)])
    kept.use("two", [str(shared)])
    kept.sweep()
    kept.leave("one")
    kept.sweep()
    assert mine.exists(), "a page that was reloaded or lost its line comes back"
    kept.sweep(time.monotonic() + VISIT_SECONDS)
    assert not mine.exists() and not mine.parent.exists()
    assert shared.exists() and unused.exists()
    kept.sweep(time.monotonic() + UNUSED_SECONDS)
    assert not unused.exists() and shared.exists()
    kept.leave("two")
    kept.here("two")
    kept.sweep(time.monotonic() + VISIT_SECONDS)
    assert shared.exists(), "it is there again"
    kept.sweep(time.monotonic() + CACHE_SECONDS[1])
    assert not shared.exists()


def test_a_file_that_has_just_come_is_not_deleted_with_another_visits_same_file(tmp_path: Path) -> None:
    kept = Uploads(tmp_path)
    path = bring(kept, "same")
    kept.use("one", [str(path)])
    bring(kept, "same", "b")
    kept.leave("one")
    kept.sweep(time.monotonic() + VISIT_SECONDS)
    assert path.exists()


def test_what_came_by_other_ways_goes_by_its_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Uploads(tmp_path)
    broken_off, copied = tmp_path / "tmpabc", tmp_path / "hash" / "copy.png"
    copied.parent.mkdir()
    for path in (broken_off, copied):
        path.write_bytes(b"x")
    kept.sweep()
    assert broken_off.exists() and copied.exists()
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + UNUSED_SECONDS + 1)
    kept.sweep()
    assert not broken_off.exists() and copied.exists()
    monkeypatch.setattr(module.time, "time", lambda: now + CACHE_SECONDS[1] + 1)
    kept.sweep()
    assert not copied.exists()


def test_room_is_counted_for_each_and_for_all(tmp_path: Path) -> None:
    kept = Uploads(tmp_path, each=100, total=150)
    assert kept.room("a") == 100
    bring(kept, "one", "a", 60)
    assert (kept.room("a"), kept.room("b")) == (40, 90)
    kept.arriving("b", 30)
    assert (kept.room("a"), kept.room("b")) == (40, 60)
    kept.arriving("b", -30)
    bring(kept, "two", "b", 80)
    assert kept.room("a") == 10


def test_a_folder_is_ours_alone_and_goes_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "base"))
    kept = Uploads.open()
    assert os.environ["GRADIO_TEMP_DIR"] == str(kept.folder)
    assert kept.folder.parent == tmp_path / "base"
    if os.name == "posix":
        assert kept.folder.stat().st_mode & 0o077 == 0
    bring(kept, "x")
    kept.close()
    kept.close()
    assert not kept.folder.exists()
    foreign = Uploads(tmp_path)
    foreign.close()
    assert tmp_path.exists()


@pytest.mark.skipif(os.name != "posix", reason="locks tell whose process is gone")
def test_what_was_left_a_moment_ago_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_YOUNG", 0.3)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / module._OWNER).touch()
    time.sleep(0.4)
    (left / "file").write_bytes(b"a visitor's")  # just before it was killed
    Uploads.open().close()
    assert not left.exists()


@pytest.mark.skipif(os.name != "posix", reason="locks tell whose process is gone")
def test_the_next_start_clears_what_a_killed_process_left_and_nothing_of_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_YOUNG", 0.0)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    code = (
        "import sys, time; from demo.uploads import Uploads; kept = Uploads.open(); "
        "(kept.folder / 'file').write_bytes(b'x'); print(kept.folder, flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip())
    somebodys = tmp_path / "other"
    somebodys.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(somebodys)
    try:
        living = Uploads.open()
        assert (theirs / "file").exists()
        living.close()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    kept = Uploads.open()
    assert not theirs.exists() and somebodys.exists()
    kept.close()
