"""Milvus: what is sent stays, what was broken off goes on, and a server that is away is told and found again."""

from __future__ import annotations

import builtins
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnibind_core.errors import ExtraError, GalleryError, QueryError
from omnibind_core.search import milvus_index
from omnibind_core.search.milvus_index import MilvusIndex
from omnibind_core.types import FloatArray


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    rows = np.random.default_rng(0).standard_normal((500, 16)).astype(np.float32)
    made: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made


@pytest.fixture
def lite() -> None:
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")


@pytest.fixture
def file(lite: None, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "store.db")
    ended(str(tmp_path / "store.db"))


def ended(path: str) -> None:
    """End what serves a file in this process."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(path)
    milvus_index._clients.pop(path, None)


def exact(vectors: FloatArray, query: FloatArray, k: int, allowed: Any = None) -> list[int]:
    scores = vectors @ query
    if allowed is not None:
        scores[~allowed] = -2
    return [int(one) for one in np.argsort(-scores, kind="stable")[:k]]


def test_what_was_sent_is_there_again(file: str, vectors: FloatArray) -> None:
    index = MilvusIndex.build(vectors, file, "rows")
    index.delete(np.array([5, 6]))
    index.add(vectors[:3])
    ended(file)
    again = MilvusIndex(file, "rows")
    assert len(again) == len(index) == 501
    scores, rows = again.search(vectors[[5]], 4)
    assert 5 not in rows
    assert np.allclose(scores, again.take(rows[0]) @ vectors[5])
    assert {1, 501} == set(again.search(vectors[[1]], 2)[1][0].tolist())
    with pytest.raises(GalleryError, match="already"):
        MilvusIndex.build(vectors, file, "rows")


def test_vectors_are_sent_once_under_a_name_that_they_decide(
    file: str, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = MilvusIndex.kept(vectors, file)
    monkeypatch.setattr(milvus_index, "_send", lambda *given: pytest.fail("sent again"))
    assert np.array_equal(MilvusIndex.kept(vectors, file).search(vectors[:2], 5)[1], first.search(vectors[:2], 5)[1])
    monkeypatch.undo()
    assert MilvusIndex.kept(vectors[:100], file)._name != first._name
    first.delete(np.array([1]))
    with pytest.raises(GalleryError, match="499 rows"):
        MilvusIndex.kept(vectors, file)


def test_a_sending_that_was_broken_off_is_no_index_and_goes_on(
    file: str, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_index, "_BATCH", 100)
    real, sent = milvus_index._sender, []

    def sender(name: str, rows: list[dict[str, Any]]) -> Any:
        sent.append(rows[0]["id"])
        if len(sent) == 4:
            raise KeyboardInterrupt
        return real(name, rows)

    monkeypatch.setattr(milvus_index, "_sender", sender)
    with pytest.raises(KeyboardInterrupt):
        MilvusIndex.build(vectors, file, "rows")
    with pytest.raises(GalleryError, match="build it again"):
        MilvusIndex(file, "rows")
    ended(file)
    index = MilvusIndex.build(vectors, file, "rows")
    assert sent == [0, 100, 200, 300, 300, 400]
    assert len(index) == 500
    for row in (0, 250, 499):
        assert index.search(vectors[[row]], 5)[1][0].tolist() == exact(vectors, vectors[row], 5)


SENDING = """
import sys
import numpy as np
from omnibind_core.search import milvus_index
milvus_index._BATCH = 50
real = milvus_index._sender
def sender(name, rows):
    print(rows[0]["id"], flush=True)
    return real(name, rows)
milvus_index._sender = sender
milvus_index.MilvusIndex.build(np.load(sys.argv[1]), sys.argv[2], "rows")
"""


def test_a_sending_that_was_killed_goes_on(
    file: str, vectors: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "rows.npy", vectors)
    command = [sys.executable, "-c", SENDING, str(tmp_path / "rows.npy"), file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.strip() == "200":
                killed.kill()
    with pytest.raises(GalleryError, match="build it again"):
        MilvusIndex(file, "rows")
    monkeypatch.setattr(milvus_index, "_BATCH", 50)
    index = MilvusIndex.build(vectors, file, "rows")
    assert len(index) == 500
    assert np.allclose(index.take(np.arange(500)), vectors)


@pytest.mark.parametrize("piece", [7, 200, 10_000])
@pytest.mark.parametrize("asked", [0, 1_000])
@pytest.mark.parametrize("left", [0.01, 0.4, 0.98])
def test_every_way_to_filter_finds_the_same(
    kept_file: str, vectors: FloatArray, piece: int, asked: int, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_index, "_PIECE", piece)
    monkeypatch.setattr(milvus_index, "_ASKED", asked)
    index = MilvusIndex.kept(vectors, kept_file)
    keep = np.random.default_rng(1).random(500) < left
    scores, rows = index.search(vectors[:3], 6, keep)
    for query, found, score in zip(vectors[:3], rows, scores, strict=True):
        assert found.tolist() == exact(vectors, query, min(6, int(keep.sum())), keep)
        assert np.allclose(score, vectors[found] @ query, atol=1e-6)


@pytest.fixture(scope="module")
def kept_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    path = str(tmp_path_factory.mktemp("milvus") / "store.db")
    yield path
    ended(path)


def test_the_graph_of_large_servers_finds_nearly_all(
    file: str, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_index, "_EXACT", milvus_index._GRAPH)  # Lite knows it too
    index = MilvusIndex.build(vectors, file, "rows")
    assert index._search_params == {"ef": 512}
    hits = [
        len(set(found.tolist()) & set(exact(vectors, query, 10)))
        for query, found in zip(vectors[:50], index.search(vectors[:50], 10)[1], strict=True)
    ]
    assert np.mean(hits) / 10 >= 0.97


def test_what_is_not_allowed_is_said_so(file: str, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GalleryError, match=r"ends in \.db"):
        MilvusIndex(file + "x", "rows")
    with pytest.raises(GalleryError, match="OMNIBIND_STORE_TOKEN"):
        MilvusIndex("http://me:secret@localhost:19530", "rows")
    with pytest.raises(GalleryError, match="build it again"):
        MilvusIndex(file, "rows")
    index = MilvusIndex.build(vectors, file, "rows")
    with pytest.raises(GalleryError, match="not in the store"):
        index.take(np.array([3, 500]))
    with pytest.raises(GalleryError, match="as this index has"):
        index.add(vectors[:, :8])
    with pytest.raises(GalleryError, match="rows from 0 to 499"):
        index.delete(np.array([500]))
    with pytest.raises(GalleryError, match="letters, digits and underscores"):
        MilvusIndex.build(vectors, file, "no name")
    monkeypatch.setattr(milvus_index, "_MOST", 10)
    with pytest.raises(QueryError, match="ask for fewer"):
        index.search(vectors[:1], 11)


def test_one_process_at_a_time_opens_a_file(file: str, vectors: FloatArray) -> None:
    MilvusIndex.build(vectors, file, "rows")
    code = f"from omnibind_core.search.milvus_index import MilvusIndex; MilvusIndex({file!r}, 'rows')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "no other process has opened" in ran.stderr.splitlines()[-1]


def serving(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start Milvus Lite as a server of its own, and wait until it listens."""
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder), "--port", str(port)]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            assert started.poll() is None
            time.sleep(0.1)
            continue
        return started
    started.kill()
    raise AssertionError("no server")


def test_a_server_that_goes_away_is_told_and_found_again(
    lite: None, vectors: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_index, "_SECONDS", 3.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with pytest.raises(GalleryError, match="did not answer"):
        MilvusIndex.kept(vectors, address)
    server = serving(tmp_path / "data", port)
    try:
        index = MilvusIndex.kept(vectors, address)
        right = index.search(vectors[:2], 5)
        client = milvus_index._clients[address]
        real = client.search

        def away(*given: Any, **named: Any) -> Any:
            server.kill()  # while the search is on its way
            server.wait()
            return real(*given, **named)

        monkeypatch.setattr(client, "search", away)
        with pytest.raises(GalleryError, match=r"did not answer.*What to do: see to it"):
            index.search(vectors[:2], 5)
        with pytest.raises(GalleryError, match="did not answer"):
            index.search(vectors[:2], 5)
        server = serving(tmp_path / "data", port)
        for one, other in itertools.zip_longest(index.search(vectors[:2], 5), right):
            assert np.array_equal(one, other)
    finally:
        server.kill()
        server.wait()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *given: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "pymilvus":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraError, match=r"omnibind-explorer\[milvus\]"):
        MilvusIndex("http://127.0.0.1:1", "rows")
