from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import _worker
from omnibind_core.media import pool as pools
from omnibind_core.media.pool import WorkerPool
from omnibind_core.media.source import Blob
from omnibind_core.media.wire import pack, read_frame, unpack
from omnibind_core.types import Audio, Image, PointCloud, Surface

from .makers import mesh_file, picture, sound

ROOT = Path(pools.__file__).parents[2]
PNG = Blob(picture("png"), "a.png", "png")


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(size=1)
    yield pool
    pool.close()


def pid(pool: WorkerPool) -> int:
    (worker,) = pool._workers
    return worker._process.pid


def test_a_worker_is_reused(pool: WorkerPool) -> None:
    pool.decode(PNG, "image")
    first = pid(pool)
    with pytest.raises(MediaError):
        pool.decode(Blob(PNG.data[:60], "half.png", "png"), "image")
    pool.decode(PNG, "image")
    assert pid(pool) == first


def test_a_late_worker_is_ended_and_replaced(pool: WorkerPool) -> None:
    pool.decode(PNG, "image")
    first = pid(pool)
    slow = Blob(b"OFF\n3 1000000 0\n0 0 0\n1 0 0\n0 1 0\n" + b"3 0 1 2\n" * 1_000_000, "slow.off", "off")
    start = time.monotonic()
    with pytest.raises(MediaError, match=r"slow\.off, which is not decoded after 0\.3 s"):
        pool.decode(slow, "point", seconds=0.3, up="y")
    assert time.monotonic() - start < 5
    assert isinstance(pool.decode(PNG, "image"), Image)
    assert pid(pool) != first


def test_a_worker_that_dies_is_one_failed_query(pool: WorkerPool) -> None:
    pool.decode(PNG, "image")
    victim = pid(pool)
    os.kill(victim, signal.SIGSTOP)  # so that it dies in the middle of the query
    threading.Timer(0.2, os.kill, (victim, signal.SIGKILL)).start()
    with pytest.raises(MediaError, match="brings its decoder down"):
        pool.decode(PNG, "image")
    assert isinstance(pool.decode(PNG, "image"), Image)


def test_a_worker_that_died_idle_costs_nothing(pool: WorkerPool) -> None:
    pool.decode(PNG, "image")
    os.kill(pid(pool), signal.SIGKILL)
    time.sleep(0.2)
    assert isinstance(pool.decode(PNG, "image"), Image)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux bounds the address space")
def test_memory_is_bounded() -> None:
    code = "from omnibind_core.media._worker import _limit_memory; _limit_memory(); bytearray(4_000_000_000)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().endswith("MemoryError")


@pytest.mark.parametrize(
    ("raised", "words"), [(MemoryError(), "more memory"), (KeyError("x"), "contradict"), (ValueError("odd"), "(odd)")]
)
def test_whatever_a_decoder_raises_is_an_answer(raised: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(blob: Blob) -> Image:
        raise raised

    monkeypatch.setattr(_worker, "_DECODERS", {"image": decode})
    pipe = io.BytesIO()
    _worker._answer(pipe, {"name": "a", "extension": "png", "modality": "image", "options": {}}, bytearray(b"x"))
    pipe.seek(0)
    frame = read_frame(pipe)
    assert frame is not None
    assert words in frame[0]["error"][0]


def test_threads_share_a_pool() -> None:
    pool = WorkerPool(size=2)
    blobs = [PNG, Blob(sound("wav"), "a.wav", "wav")]
    errors: list[Exception] = []

    def work(index: int) -> None:
        try:
            media = pool.decode(blobs[index % 2], "audio" if index % 2 else "image")
            if not isinstance(media, Audio if index % 2 else Image):
                errors.append(TypeError(type(media).__name__))
        except MediaError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(pool._workers) == 2
    pool.close()
    with pytest.raises(MediaError, match="closed"):
        pool.decode(PNG, "image")


def test_warm_starts_all_and_makes_meshes_fast() -> None:
    pool = WorkerPool(size=2)
    pool.warm()
    assert len(pool._workers) == 2
    pool.warm()
    assert len(pool._workers) == 2
    start = time.monotonic()
    pool.decode(Blob(mesh_file("glb"), "a.glb", "glb"), "point", up="y")
    pool.decode(Blob(mesh_file("ply"), "a.ply", "ply"), "point", up="y")
    assert time.monotonic() - start < 3  # 0.03 s on an idle machine
    pool.close()


@pytest.mark.parametrize("start", ["import sys; ", "import omnibind_core.media as m; m.warm(); "])
def test_one_liners_end_quietly(start: str, tmp_path: Path) -> None:
    """No guard around main, another working folder, warnings as errors: it answers and leaves nothing behind."""
    (tmp_path / "a.ply").write_bytes(mesh_file("ply"))
    (tmp_path / "numpy.py").write_text("raise RuntimeError('the worker must not import from the working folder')")
    code = f"{start}from omnibind_core.media import load; print(load('a.ply').xyz.shape)"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", f"import sys; sys.path.pop(0); {code}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "(10000, 3)\n"
    assert "Warning" not in done.stderr
    assert done.returncode == 0


def test_the_parent_stays_light() -> None:
    code = (
        "import sys, omnibind_core.media;"
        "heavy = {'trimesh', 'torch', 'gradio', 'librosa', 'av', 'soundfile', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


def test_media_cross_the_pipe_unchanged() -> None:
    grid = np.arange(12, dtype=np.float32).reshape(4, 3)
    faces = np.array([[0, 1, 2]], np.int32)
    textured = Surface(grid, faces, grid, grid[:, :2], np.zeros((2, 2, 3), np.uint8))
    cloud = PointCloud(grid, grid / 12, (textured, Surface(grid, faces, grid)), has_colour=False)
    header, arrays = pack(cloud)
    back = unpack(header, bytearray(b"".join(array.tobytes() for array in arrays)))
    assert isinstance(back, PointCloud)
    assert not back.has_colour
    np.testing.assert_array_equal(back.rgb, cloud.rgb)
    assert back.surfaces[0].texture is not None
    np.testing.assert_array_equal(back.surfaces[0].uv, textured.uv)
    assert back.surfaces[1].uv is None


def test_a_large_parent_does_not_tire_its_workers() -> None:
    """A child's peak by ``getrusage`` starts at its parent's; a model of some GB must not cost a process a file."""
    code = (
        "import sys; import numpy as np; from omnibind_core.media.source import Blob;"
        "from omnibind_core.media.pool import WorkerPool; "
        "ballast = np.ones(1_400_000_000, np.uint8); pool = WorkerPool(size=1);"
        "blob = Blob(sys.stdin.buffer.read(), 'a.png', 'png'); pool.decode(blob, 'image');"
        "first = {w._process.pid for w in pool._workers}; pool.decode(blob, 'image');"
        "print(len(first), first == {w._process.pid for w in pool._workers}); pool.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], input=PNG.data, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.split() == [b"1", b"True"]


def test_a_process_that_is_ended_before_it_is_ready_is_no_error():
    worker = pools.Worker(preload=False)
    worker.close()
    assert not worker.wait_ready()
    assert worker.ask({"modality": "image"}, b"", 1.0) == (None, False)
