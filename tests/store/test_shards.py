"""Extraction into shards: exact, resumed after a kill, refused where it does not fit; real sentences as the pool."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.store.paths import assets_directory
from omnibind_core.store.shards import ArrayRows, PoolError, extract, open_shards
from omnibind_core.types import FloatArray

KEYS = [f"item {i}" for i in range(25)]


def gallery_rows() -> FloatArray:
    from safetensors.numpy import load_file

    rows: FloatArray = load_file(assets_directory() / "gallery" / "vectors-mini.safetensors")["media"]
    return rows.astype(np.float32)


class Embedder:
    """Gives gallery vectors by number and keeps count; may stop or run out of memory."""

    def __init__(self, *, stop_at: int | None = None, memory: int = 1000) -> None:
        self.table, self.seen, self.stop_at, self.memory = gallery_rows(), [], stop_at, memory

    def __call__(self, items: Sequence[int]) -> FloatArray:
        if self.stop_at is not None and self.stop_at in items:
            raise KeyboardInterrupt
        if len(items) > self.memory:
            raise torch.OutOfMemoryError("made up")
        self.seen += list(items)
        return 3 * self.table[list(items)]


def test_shards_give_the_rows_in_any_slice(tmp_path: Path):
    embed = Embedder()
    shards = extract(tmp_path, range(25), KEYS, embed, specialist="mini", batch=3, shard_rows=7, dtype="float32")
    expected = embed.table[:25] / np.linalg.norm(embed.table[:25], axis=1, keepdims=True)
    assert len(shards) == 25
    assert shards.width == 1152
    assert shards.keys == tuple(KEYS)
    assert sorted(p.name for p in tmp_path.glob("*.npy")) == [f"{i:05d}.npy" for i in range(4)]
    assert isinstance(shards.parts[0], np.memmap)
    for start, stop in ((0, 25), (0, 7), (6, 8), (3, 22), (21, 99), (5, 5)):
        np.testing.assert_allclose(shards.chunk(start, stop), expected[start:stop], atol=1e-6)
    asked = np.array([24, 0, 13, 13, 7])
    np.testing.assert_allclose(shards.take(asked), expected[asked], atol=1e-6)
    memory = ArrayRows(expected)
    np.testing.assert_array_equal(memory.take(asked), expected[asked])
    assert (len(memory), memory.width, memory.chunk(20, 99).shape) == (25, 1152, (5, 1152))


def test_half_precision_halves_the_disk_and_keeps_cosines(tmp_path: Path):
    embed = Embedder()
    keys = [str(i) for i in range(len(embed.table))]
    shards = extract(tmp_path, range(len(keys)), keys, embed, specialist="mini", batch=256, shard_rows=512)
    assert shards.parts[0].dtype == np.float16
    rows, exact = shards.chunk(0, len(keys)), embed.table / np.linalg.norm(embed.table, axis=1, keepdims=True)
    assert np.abs(rows @ rows.T - exact @ exact.T).max() < 1e-3


def test_an_interrupted_extraction_goes_on_where_it_was(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path, range(25), KEYS, Embedder(stop_at=16), specialist="mini", batch=3, shard_rows=7)
    with pytest.raises(PoolError, match="without finished shards"):
        open_shards(tmp_path)
    embed = Embedder()
    resumed = extract(tmp_path, range(25), KEYS, embed, specialist="mini", batch=3, shard_rows=7)
    assert embed.seen == list(range(14, 25))
    whole = extract(tmp_path / "whole", range(25), KEYS, Embedder(), specialist="mini", batch=3, shard_rows=7)
    np.testing.assert_array_equal(resumed.chunk(0, 25), whole.chunk(0, 25))
    again = Embedder()
    extract(tmp_path, range(25), KEYS, again, specialist="mini", batch=3, shard_rows=7)
    assert again.seen == []


def test_sigkill_leaves_a_folder_that_can_be_gone_on_with(tmp_path: Path):
    script = (
        "import os, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from omnibind_core.store.shards import extract\n"
        "def embed(items):\n"
        "    if 9 in items: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return np.eye(12, dtype='f4')[list(items)]\n"
        "keys = [str(i) for i in range(12)]\n"
        "extract(Path(sys.argv[1]), range(12), keys, embed, specialist='eye', batch=2, shard_rows=4)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert len(json.loads((tmp_path / "manifest.json").read_text())["shards"]) == 2
    eye = np.eye(12, dtype=np.float32)
    asked: list[int] = []

    def embed(items: Sequence[int]) -> FloatArray:
        asked.extend(items)
        return eye[list(items)]

    names = [str(i) for i in range(12)]
    shards = extract(tmp_path, range(12), names, embed, specialist="eye", batch=2, shard_rows=4)
    assert asked == [8, 9, 10, 11]
    np.testing.assert_array_equal(shards.chunk(0, 12), eye)


def test_batches_shrink_when_memory_runs_out(tmp_path: Path):
    embed = Embedder(memory=2)
    extract(tmp_path, range(25), KEYS, embed, specialist="mini", batch=16, shard_rows=10)
    assert embed.seen == list(range(25))
    with pytest.raises(torch.OutOfMemoryError):
        extract(tmp_path / "none", range(25), KEYS, Embedder(memory=0), specialist="mini")


def test_what_does_not_fit_is_refused(tmp_path: Path):
    def make(folder: str, embed: object = None, keys: Sequence[str] = KEYS, specialist: str = "mini") -> None:
        extract(tmp_path / folder, range(25), keys, embed or Embedder(), specialist=specialist, shard_rows=10)  # type: ignore[arg-type]

    make("good")
    with pytest.raises(PoolError, match="specialist 'mini'"):
        make("good", specialist="another")
    with pytest.raises(PoolError, match="keys_sha256"):
        make("good", keys=[f"other {i}" for i in range(25)])
    with pytest.raises(PoolError, match="one own key"):
        make("twice", keys=["same"] * 25)
    with pytest.raises(PoolError, match=r"length 0\.0, 1 after 'item 0'"):
        make("zero", lambda items: np.eye(25)[list(items)] * (np.array(items) != 1)[:, None])
    with pytest.raises(PoolError, match="length nan"):
        make("nan", lambda items: np.full((len(items), 3), np.nan))
    with pytest.raises(PoolError, match="shape"):
        make("short", lambda items: np.ones((len(items) - 1, 3)))


def test_a_damaged_shard_is_found(tmp_path: Path):
    extract(tmp_path, range(25), KEYS, Embedder(), specialist="mini", shard_rows=10)
    path = tmp_path / "00001.npy"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    open_shards(tmp_path)
    with pytest.raises(PoolError, match="has changed"):
        open_shards(tmp_path, verify=True)
    path.write_bytes(good[:100])
    with pytest.raises(PoolError, match=r"00001\.npy"):
        open_shards(tmp_path)
    path.unlink()
    with pytest.raises(PoolError, match=r"00001\.npy"):
        open_shards(tmp_path)
