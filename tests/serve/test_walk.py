"""docs/walk.md, run as it is written: in a copy of nothing but what it names."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_walk(tmp_path: Path) -> None:
    folder, collection, page, serve, calls, agent, cluster, away = BLOCKS
    for name in ("assets", "app.py", "demo", "omnibind_core"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {
        **os.environ, "OMNIBIND_COLLECTIONS": str(tmp_path / "kept"), "GRADIO_TEMP_DIR": str(tmp_path / "uploads"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip

    def run(line: str) -> str:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    said = [run(line) for line in [*folder, *collection]][-3:]
    assert "5 items, " in said[0]
    assert "dog 2" in said[2]
    port = _free_port()
    with _started([*_python(page[0]), "--port", str(port)], tmp_path, environment, f"http://127.0.0.1:{port}/readyz"):
        pass
    with _started(
        _python(serve[0].replace("8000", str(port))), tmp_path, environment, f"http://127.0.0.1:{port}/readyz"
    ):
        found, _, collections = (json.loads(run(line.replace(":8000", f":{port}"))) for line in calls)
        picture = found["hits"]["image"][0]
        assert picture["caption"] == "dog 1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{picture['file']}") as answer:
            assert answer.read()[:2] == b"\xff\xd8"
    assert collections["searched"] == {"image": 3, "audio": 2, "point": 0, "text": 0}
    assert [one["name"] for one in collections["collections"]] == ["my-things"]
    written = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.S)[1])["mcpServers"]["omnibind"]  # type: ignore[index]
    assert [written["command"], *written["args"]] == shlex.split(agent[1])
    answer = asyncio.run(asyncio.wait_for(_ask(_python(agent[1]), tmp_path, environment), 180))
    assert json.loads(answer.content[0].text)["hits"]["image"][0]["caption"] == "dog 1"
    if find_spec("ray"):
        assert "5 items, 0 embedded now" in run(cluster[1])
    if find_spec("pymilvus") and find_spec("milvus_lite"):
        with _started(
            [*_python(cluster[2]), "--port", str(port)], tmp_path, environment, f"http://127.0.0.1:{port}/readyz"
        ):
            found = json.loads(run(calls[0].replace(":8000", f":{port}")))
            assert found["hits"]["image"][0]["caption"] == "dog 1"
        assert (tmp_path / "my-things.db").exists()
    run(away[0])
    assert not list((tmp_path / "kept").glob("my-things"))


def test_its_extras_are_there() -> None:
    named = re.findall(r'pip install "omnibind-explorer\[([\w,]+)\]"', PAGE)
    assert len(named) == 2
    kept = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"{name} = [" in kept for one in named for name in one.split(","))


async def _ask(command: list[str], folder: Path, environment: dict[str, str]) -> Any:
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=str(folder), env=environment)
    async with Client(server) as client:
        return await client.call_tool("search", {"file": str(folder / "my-things" / "dog-2.ogg"), "k": 1})


def _python(line: str) -> list[str]:
    return [sys.executable, *shlex.split(line)[1:]]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _started(command: list[str], folder: Path, environment: dict[str, str], address: str) -> Iterator[None]:
    """Have a process run, from when an address answers."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 150
        while not _answers(address):
            assert time.monotonic() < end
            assert process.poll() is None, "it did not become ready"
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False
