"""``make bench-scale``: search in many vectors, exact and by codes, each in a process of its own.

The vectors are hard ones: half of them lie around many centres that overlap, half are the gallery's own with noise; the
noise of both is spread as the gallery's vectors are, which is what makes neighbours close to one another.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from omnibind_core.errors import QueryError
from omnibind_core.search.compose import OPERATORS
from omnibind_core.search.disk_index import DiskIndex
from omnibind_core.search.index import FlatIndex
from omnibind_core.search.milvus_index import MilvusIndex
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import FloatArray

__all__ = ["HOW", "made", "main", "parser"]

K = 10
_CHUNK = 20_000
_MIXED = 200  # candidates of each term, where an operator is no single query; as the gallery asks
_THREADS = 2


def made(count: int, seed: int, centres: int) -> Iterator[FloatArray]:
    """Make unit rows (m, 1152) float32, a chunk at a time, `count` together."""
    from safetensors.numpy import load_file

    path = next(iter(sorted((assets_directory() / "gallery").glob("vectors-*.safetensors"))))
    real = load_file(path)["media"].astype(np.float32)
    spread = (real - real.mean(0)) / np.sqrt(len(real))
    fixed = np.random.default_rng(0)
    around = fixed.standard_normal((centres, len(real))).astype(np.float32) @ spread + real.mean(0)
    around = np.concatenate([around / np.linalg.norm(around, axis=1, keepdims=True), real])
    dice = np.random.default_rng(seed)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        which = np.where(
            dice.random(size) < 0.5, dice.integers(0, centres, size), dice.integers(centres, len(around), size)
        )
        rows = around[which] + 0.7 * (dice.standard_normal((size, len(real))).astype(np.float32) @ spread)
        rows += dice.standard_normal(rows.shape).astype(np.float32) * (0.3 / np.sqrt(rows.shape[1]))
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _rows(place: Path) -> Any:
    return np.load(place / "vectors.npy", mmap_mode="r", allow_pickle=False)


def _plain(place: Path) -> Callable[[FloatArray], Any]:
    rows = np.array(_rows(place))

    def search(query: FloatArray) -> Any:
        scores = rows @ query[0]
        best = np.argpartition(-scores, K)[:K]
        return best[np.argsort(-scores[best])]

    return search


def _hnsw(place: Path) -> Callable[[FloatArray], Any]:
    rows = _rows(place)
    index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(rows), _CHUNK):
        index.add(np.array(rows[start : start + _CHUNK]))
    return lambda query: index.search(query, K)[1][0]


def _flat(place: Path) -> Callable[[FloatArray], Any]:
    index = FlatIndex(np.array(_rows(place)))
    return lambda query: index.search(query, K)[1][0]


def _disk(place: Path) -> Callable[[FloatArray], Any]:
    index = DiskIndex.build(_rows(place), place / "index")
    return lambda query: index.search(query, K)[1][0]


def _milvus(place: Path) -> Callable[[FloatArray], Any]:
    index = MilvusIndex.build(_rows(place), str(place / "store.db"), "rows")
    return lambda query: index.search(query, K)[1][0]


def _lance(place: Path) -> Callable[[FloatArray], Any]:
    """Codes on disk too, asked for as DiskIndex asks: a twelfth of the lists, 30 candidates for each answer."""
    import pyarrow

    rows = _rows(place)
    width = rows.shape[1]
    schema = pyarrow.schema([("id", pyarrow.int64()), ("vector", pyarrow.list_(pyarrow.float32(), width))])

    def batches() -> Iterator[Any]:
        for start in range(0, len(rows), _CHUNK):
            part = np.array(rows[start : start + _CHUNK])
            numbers = pyarrow.array(np.arange(start, start + len(part)))
            vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(part.ravel()), width)
            yield pyarrow.RecordBatch.from_arrays([numbers, vectors], schema=schema)

    table = importlib.import_module("lancedb").connect(place / "lance").create_table("rows", batches(), schema=schema)
    lists = int(np.sqrt(len(rows)))
    table.create_index(metric="dot", index_type="IVF_PQ", num_partitions=lists, num_sub_vectors=width // 8)

    def search(query: FloatArray) -> Any:
        asked = table.search(query[0]).distance_type("dot").nprobes(max(8, lists // 12)).refine_factor(30)
        return asked.limit(K).select(["id"]).to_arrow()["id"].to_pylist()

    return search


HOW = {
    "numpy": _plain,
    "FAISS HNSW": _hnsw,
    "FlatIndex": _flat,
    "DiskIndex": _disk,
    "Milvus Lite": _milvus,
    "LanceDB": _lance,
}
_NEEDS = {"Milvus Lite": ("pymilvus", "milvus_lite"), "LanceDB": ("lancedb", "pyarrow")}  # left out where absent


def _here(how: str) -> bool:
    return all(importlib.util.find_spec(package) for package in _NEEDS.get(how, ()))


def _memory() -> float:
    """Give the memory of this process that no file backs, MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("RssAnon:")[1].split()[0]) / 1_000


def _one(how: str, place: Path) -> dict[str, Any]:
    """Build, ask, and tell, in this process."""
    faiss.omp_set_num_threads(_THREADS)
    queries = np.load(place / "queries.npy", allow_pickle=False)
    before, start = _memory(), time.perf_counter()
    search = HOW[how](place)
    built = time.perf_counter() - start
    found, seconds = [], []
    for query in (*queries[:20], *queries):  # the first ones warm up
        start = time.perf_counter()
        rows = search(query[None])
        seconds.append(time.perf_counter() - start)
        found.append([int(row) for row in rows])
    return {"built": built, "seconds": seconds[20:], "found": found[20:], "memory": _memory() - before}


def _exact(place: Path, asked: Sequence[Callable[[FloatArray], FloatArray]], k: int = K) -> list[list[int]]:
    """Give for each way to score the rows that score best of all, exactly; the vectors are read once."""
    rows = _rows(place)
    best: list[list[tuple[float, int]]] = [[] for _ in asked]
    for start in range(0, len(rows), _CHUNK):
        part = np.array(rows[start : start + _CHUNK])
        for number, score in enumerate(asked):
            scores = score(part)
            top = np.argpartition(-scores, min(k, len(scores) - 1))[:k]
            best[number] = sorted(best[number] + [(-float(scores[i]), start + int(i)) for i in top])[:k]
    return [[row for _, row in one] for one in best]


def _operators(place: Path, number: int) -> Iterator[tuple[str, str, float]]:
    """Say for each operator, and a wanted and an unwanted second term, what share of the exact answers comes back."""
    index = DiskIndex(place / "index")
    queries = np.load(place / "queries.npy", allow_pickle=False)
    for name, operator in OPERATORS.items():
        for words, second in (("two wanted", 0.8), ("one unwanted", -0.7)):
            weights, hits = np.array([1.0, second], np.float32), 0
            try:
                operator.queries(queries[:2], weights)
            except QueryError:  # slerp takes nothing away
                continue
            mixes = queries[: 2 * number].reshape(number, 2, -1)
            truth = _exact(place, [functools.partial(operator.scores, vectors, weights) for vectors in mixes])
            for vectors, best in zip(mixes, truth, strict=True):
                asked = operator.queries(vectors, weights)
                many = 2 * K if len(asked) == 1 else _MIXED
                near = np.unique(index.search(asked.astype(np.float32), many, mixed=len(asked) == 1)[1])
                scores = operator.scores(vectors, weights, index.take(near))
                hits += len(set(near[np.argsort(-scores, kind="stable")[:K]].tolist()) & set(best))
            yield name, words, hits / (K * number)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.scale", description="Measure search in many vectors: exact, by a graph, by codes on disk."
    )
    found.add_argument(
        "--count", type=int, nargs="+", default=[100_000], help="vectors of 1,152 numbers, several one after another"
        " (default: 100000)",
    )  # fmt: skip
    found.add_argument("--queries", type=int, default=200, help="for times and recall (default: 200)")
    found.add_argument("--mixes", type=int, default=60, help="for each operator (default: 60)")
    found.add_argument(
        "--how", nargs="+", choices=list(HOW), default=list(HOW), help="which (default: all that are installed)"
    )
    found.add_argument("--folder", type=Path, help="where vectors and index lie meanwhile (default: a temporary one)")
    found.add_argument("--one", choices=list(HOW), help=argparse.SUPPRESS)
    return found


def _measure(count: int, options: argparse.Namespace) -> None:
    """Make vectors, measure, print two tables."""
    with tempfile.TemporaryDirectory(dir=options.folder) as raw:
        place = Path(raw)
        centres = max(10, count // 100)
        width = next(made(1, 0, 10)).shape[1]
        rows = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            place / "vectors.npy", "w+", np.float32, (count, width)
        )
        for number, chunk in enumerate(made(count, 1, centres)):
            rows[number * _CHUNK : number * _CHUNK + len(chunk)] = chunk
        rows.flush()
        del rows
        np.save(place / "queries.npy", np.concatenate(list(made(max(options.queries, 2 * options.mixes), 2, centres))))
        queries = np.load(place / "queries.npy", allow_pickle=False)
        scored = FlatIndex(np.array(_rows(place)))
        truth = scored.search(queries, K)[1]
        del scored
        full = count * width * 4 / 1e6
        sys.stdout.write(
            f"{count:,} vectors of {width} numbers ({full:,.0f} MB in float32), {len(queries)} queries,"
            f" {_THREADS} threads\n\n"
            "| what | ready after s | memory MB | of the vectors | recall@10 | p50 ms | p99 ms |\n"
            "|---|---|---|---|---|---|---|\n"
        )
        for how in filter(_here, options.how):
            command = [sys.executable, "-m", "tools.scale", "--one", how, "--folder", str(place)]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            told = json.loads(ran.stdout)
            hits = [len(set(a) & set(b.tolist())) / K for a, b in zip(told["found"], truth, strict=True)]
            p50, p99 = (1e3 * float(np.percentile(told["seconds"], p)) for p in (50, 99))
            sys.stdout.write(
                f"| {how} | {told['built']:.1f} | {told['memory']:,.0f} | {told['memory'] / full:.0%} "
                f"| {np.mean(hits):.3f} | {p50:.1f} | {p99:.1f} |\n"
            )
            sys.stdout.flush()
        if "DiskIndex" in options.how and options.mixes:
            sys.stdout.write(
                f"\n| operator, {options.mixes} mixes each | terms | recall@10 of DiskIndex |\n|---|---|---|\n"
            )
            for name, words, recall in _operators(place, options.mixes):
                sys.stdout.write(f"| {name} | {words} | {recall:.3f} |\n")
                sys.stdout.flush()
        sys.stdout.write("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure for each number of vectors."""
    options = parser().parse_args(arguments)
    if options.one:
        sys.stdout.write(json.dumps(_one(options.one, options.folder)))
        return 0
    for count in options.count:
        _measure(count, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
