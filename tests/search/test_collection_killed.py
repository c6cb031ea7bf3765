"""Runs that are killed at random moments and started again, and two at once, leave the bytes of a calm one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 6


def survive(source: Path, place: Path) -> None:
    """Add calmly, then in children that are killed; prints how many were."""
    import torch

    from omnibind_core import media
    from omnibind_core.binder import OmniBind
    from omnibind_core.search import collection

    collection.BATCH = 4  # pieces enough to be cut between
    torch.set_num_threads(1)
    # A process that is forked after OpenVINO has run with several streams waits for threads that it does not have.
    model = OmniBind.from_pretrained("mini", dtype="float32", engine="torch")

    def run(name: str) -> None:
        collection.add(str(place / name), [source], model)
        media.close()

    run("first")
    start = time.perf_counter()
    run("calm")
    calm, dice, killed, started = time.perf_counter() - start, random.Random(0), 0, 0

    def child(name: str) -> int:
        number = os.fork()
        if number == 0:
            run(name)
            os._exit(0)
        return number

    while True:
        number = child("cut")
        if started < KILLS:
            # Six such moments reach half of the work together, so a machine twice as quick as it just was is cut, too.
            time.sleep(dice.uniform(0, calm * 0.16))
            os.kill(number, signal.SIGKILL)
        started += 1
        _, state = os.waitpid(number, 0)
        killed += os.WIFSIGNALED(state)
        if os.WIFEXITED(state):
            assert os.WEXITSTATUS(state) == 0
            if started >= KILLS:
                break
    for number in [child("both"), child("both")]:
        assert os.waitpid(number, 0)[1] == 0
    print(f"killed {killed}")  # noqa: T201


def files(folder: Path) -> dict[str, bytes]:
    every = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in every}


@pytest.fixture
def source(tmp_path: Path, assets: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for path in sorted((assets / "images").glob("[clt]*.jpg")):
        shutil.copy(path, folder)
        (folder / f"{path.name}.txt").write_text(f"a picture named {path.stem}")
    shutil.copy(assets / "audio/audio_sample.wav", folder)
    shutil.copy(assets / "models3d/Duck.glb", folder)
    (folder / "lines.txt").write_text("".join(f"sentence number {n}\n" for n in range(20)))
    (folder / "bad.png").write_text("not a picture")
    return folder


def test_killed_at_random_moments(source: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", __name__, source, tmp_path], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 2
    calm = files(tmp_path / "calm")
    assert len(calm) > 8
    assert files(tmp_path / "cut") == calm
    assert files(tmp_path / "both") == calm
    assert not (tmp_path / "cut" / "making").exists()


if __name__ == "__main__":
    survive(Path(sys.argv[1]), Path(sys.argv[2]))
