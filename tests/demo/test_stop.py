"""The application as a process of its own: it ends in good order when told to, and a wrong setting is one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and /proc")


def children(pid: int) -> list[int]:
    """Processes below another one, at any depth."""
    below: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            below += [int(path.parent.name), *children(int(path.parent.name))]
    return below


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Running:
    """``python app.py`` that answers queries."""

    def __init__(self, folder: Path) -> None:
        self.uploads, self.log = folder / "uploads", folder / "log"
        port = free_port()
        self.address = f"http://127.0.0.1:{port}/"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", "--device", "cpu", "--port", str(port)],
                cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "GRADIO_TEMP_DIR": str(self.uploads)},
            )  # fmt: skip
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx.get(f"{self.address}readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"it does not start: {self.log.read_text()}")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait(10)


SLOW = (
    b"ply\nformat ascii 1.0\nelement vertex 4000000\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
)


@pytest.mark.slow
def test_a_signal_ends_everything_within_5_seconds(running: Running) -> None:
    content = SLOW + b"".join(b"%d 0.5 1\n" % (i % 1000) for i in range(4_000_000))
    sent = httpx.post(f"{running.address}gradio_api/upload", files={"files": ("slow.ply", content)}, timeout=60)
    file = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
    assert list(running.uploads.glob("*/*/slow.ply"))
    answers: list[str] = []

    def ask() -> None:
        body = {"data": ["", file, "auto", "y"]}
        event = httpx.post(f"{running.address}gradio_api/call/embed", json=body).json()["event_id"]
        try:
            with httpx.stream("GET", f"{running.address}gradio_api/call/embed/{event}", timeout=30) as stream:
                answers.extend(stream.iter_text())
        except httpx.HTTPError as error:
            answers.append(f"lost: {error!r}")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    below = children(running.process.pid)
    assert below, "there are decoders"
    start = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    assert time.monotonic() - start < 5.0
    for thread in threads:
        thread.join(5)
    time.sleep(0.2)
    assert not any(map(alive, below)), "no decoder outlives the page"
    assert not list(running.uploads.glob("*")), "and no upload does"
    told = "".join(answers)
    assert told.count("vector") + told.count("while the service stops") == 4, told
    assert "Traceback" not in running.log.read_text()


@pytest.mark.slow
def test_no_decoder_outlives_a_page_that_was_killed(running: Running) -> None:
    below = children(running.process.pid)
    assert below
    running.process.kill()
    end = time.monotonic() + 5
    while any(map(alive, below)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, below))


WRONG = [
    (["--port", "99999"], {}, "--port '99999'"),
    (["--port", "0"], {}, "1 to 65535"),
    (["--port", "-1"], {}, "65535"),
    (["--port", "x" * 5_000], {}, "65535"),
    ([], {"GRADIO_SERVER_PORT": "abc"}, "GRADIO_SERVER_PORT"),
    (["--host", "8.8.8.8"], {}, "not an address of this machine"),
    (["--host", "no.such.name.invalid"], {}, "no address of that name"),
    (["--host", "x" * 5_000], {}, "no address of that name"),
    (["--device", "tpu"], {}, "--device 'tpu'"),
    ([], {"OMNIBIND_DEVICE": "gpu"}, "--device 'gpu'"),
    (["--routing", "x"], {}, "--routing 'x'"),
    (["--hosts", "http://a.example"], {}, "without a scheme"),
    ([], {"OMNIBIND_HOSTS": "a b"}, "--hosts 'a b'"),
    (["--preset", ""], {}, "--preset ''"),
    (["--port", "99999", "--device", "tpu"], {}, "--device 'tpu'"),
]


@pytest.mark.parametrize(("arguments", "environment", "says"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_setting_is_one_sentence(arguments: list[str], environment: dict[str, str], says: str) -> None:
    made = subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert made.returncode == 2
    assert says in made.stderr and "Traceback" not in made.stderr
    assert len(made.stderr) < 1_500


@pytest.mark.slow
def test_a_home_and_a_cache_that_cannot_be_written_are_no_obstacle(tmp_path: Path) -> None:
    """A file stands where the folder would be made, which stops even the superuser."""
    wall = tmp_path / "wall"
    wall.write_text("")
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path; from omnibind_core.store import integrity\n"
        "from omnibind_core.store.paths import assets_directory\n"
        "integrity.check_committed(integrity.listed(assets_directory())); print('checked')\n"
    )
    environment = {**os.environ, "HOME": str(wall), "OMNIBIND_CACHE": str(wall / "cache")}
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.stdout.strip() == "checked", made.stderr
    environment["GRADIO_TEMP_DIR"] = str(wall / "uploads")
    made = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.returncode == 1
    assert "No folder for uploads" in made.stderr and "Traceback" not in made.stderr


def test_the_log_is_made_of_objects(tmp_path: Path) -> None:
    """What the application logs when it cannot load goes to standard error, a JSON object a line."""
    code = "from demo.logs import set_up; set_up(); import logging; logging.getLogger('demo.x').error('hm'); 1 / 0"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    lines = [json.loads(line) for line in made.stderr.splitlines()]
    assert [line["says"] for line in lines] == ["hm", "ended by an error that nothing caught"]
