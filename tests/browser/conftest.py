"""The real application as a process of its own, and a browser without a window."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def missing(reason: str) -> None:
    """Skip on a developer's machine, fail where the browser belongs to the environment."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing(f"no Chromium: none of {', '.join(NAMES)} is on the path; install one to run the browser tests")
    return str(found)


@pytest.fixture(scope="session")
def app(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float]]:
    """Start ``python app.py``; gives its address, and the seconds until the page could be opened."""
    with served(tmp_path_factory.mktemp("app")) as found:
        yield found


@contextmanager
def served(place: Path) -> Iterator[tuple[str, float]]:
    """Start ``python app.py`` with uploads, collections and a log in a folder of its own; gives what `app` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = place / "log"
    here = {"GRADIO_TEMP_DIR": str(place / "uploads"), "OMNIBIND_COLLECTIONS": str(place / "collections")}
    environment = {**os.environ, **here}
    start = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=out, stderr=out, env=environment
        )
    try:
        while True:
            said = log.read_text()
            if "http://" in said:
                break
            assert process.poll() is None and time.monotonic() - start < 90, f"the application did not start: {said}"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/", time.monotonic() - start
        assert process.poll() is None, f"the application ended: {log.read_text()}"
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait(20)
