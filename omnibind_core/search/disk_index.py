"""Search by inner product in more vectors than memory should hold: codes in memory, vectors on disk.

FAISS keeps 4-bit codes of every vector (product quantisation behind an inverted file, fast scan); the best candidates
are scored again from the vectors themselves, which lie in half precision in a file that is mapped, not read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import GalleryError
from omnibind_core.search.index import selector
from omnibind_core.store.checked import Digest, is_held, remember
from omnibind_core.store.integrity import sha256_of
from omnibind_core.store.kept import digest
from omnibind_core.store.kept_indexes import Whose, alone, index_place, owned, used
from omnibind_core.store.paths import replace_file
from omnibind_core.store.room import unwritten
from omnibind_core.types import FloatArray

__all__ = ["DiskIndex"]

log = logging.getLogger(__name__)

_MANIFEST = "index.json"
_ROWS = "rows.f16"
_FORM = 1
_SUB = 4  # numbers that share a code of 4 bits
_LEAST = 2_000  # vectors that codes are trained on, at the least
_TRAINED = 100_000  # at the most
_CANDIDATES = 30  # for each answer that is asked for, scored exactly
_SHARE = 0.08  # of the lists, looked through; eight at the least
_MIXED = 4  # times as many for a mix, whose answers lie around no one place
_FEW = 20_000  # rows that a filter leaves, scored exactly without codes
_CHUNK = 20_000
_HELP = "make it again with DiskIndex.build"


class DiskIndex:
    """Nearest rows by inner product, from a folder that :meth:`build` made; the members are those of `FlatIndex`.

    Scores are exact, of half-precision vectors; which rows are found is not: a query looks through a twelfth of the
    lists, a mix through a third. ``python -m tools.scale`` measures how many of the exact answers come back.

    Parameters
    ----------
    folder : Path
        As :meth:`build` left it.

    Raises
    ------
    GalleryError
        The folder holds no whole index, or a byte of it has changed. Codes are read and hashed each time; vectors the
        first time, and where size, time or inode of their file are others than then.
    """

    _index: Any

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._read()
        if not is_held(self._folder / _ROWS, self._hash()):
            self.verify()

    def _read(self) -> None:
        raw = _manifest(self._folder)
        self._number = int(raw["number"])
        self._width = int(raw["width"])
        self._files: dict[str, Any] = raw["files"]
        self._parts: list[dict[str, Any]] = raw["rows"]
        self._gone = np.load(self._folder / raw["files"]["gone"]["name"], allow_pickle=False)
        self._index = faiss.read_index(str(self._folder / raw["files"]["codes"]["name"]))
        self._index.nprobe = max(8, int(np.ceil(self._index.nlist * _SHARE)))
        self._map()

    def _map(self) -> None:
        self._rows = np.memmap(self._folder / _ROWS, np.float16, "r", shape=(len(self._gone), self._width))

    @classmethod
    def build(cls, vectors: FloatArray | Iterable[FloatArray], folder: Path) -> DiskIndex:
        """Make an index in a folder, which must be new or empty.

        Parameters
        ----------
        vectors : ndarray (n, D), or an iterable of such, float32
            Unit rows; at least 2,000 together, D a multiple of 4. An iterable is read once, and never held as a whole.
        folder : Path
            Where it will lie: 2 D bytes a vector for the vectors, D / 8 for the codes.

        Raises
        ------
        GalleryError
            The folder has something in it or cannot be written, or the vectors are too few or not of one width.
        """
        folder = Path(folder)
        if folder.is_dir() and any(folder.iterdir()):
            raise GalleryError(f"the folder {folder.name}, which is not empty", "a new folder", "name another one")
        cls._build(vectors, folder)
        return cls(folder)

    @classmethod
    def _build(cls, vectors: FloatArray | Iterable[FloatArray], folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            chunks = _chunks(vectors) if isinstance(vectors, np.ndarray) else iter(vectors)
            width, count, parts = _write_rows(folder / _ROWS, chunks)
            if count < _LEAST:
                raise GalleryError(
                    f"{count} vectors", f"at least {_LEAST}", "use FlatIndex, which is exact and needs no training"
                )
            rows = np.memmap(folder / _ROWS, np.float16, "r", shape=(count, width))
            made = cls.__new__(cls)
            made._folder, made._number, made._width, made._parts, made._files = folder, -1, width, parts, {}
            made._publish(np.zeros(count, bool), _coded(rows))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)  # half an index is none, and takes room
            if isinstance(error, OSError):
                raise unwritten(folder, error, "the index", "build it again") from error
            raise

    @classmethod
    def kept(cls, vectors: FloatArray, whose: Whose | None = None) -> DiskIndex:
        """Open the index of these very vectors in the cache; the first time, or where it is damaged, build it there.

        Parameters
        ----------
        vectors : ndarray (n, D), float32
            As :meth:`build` takes them.
        whose : Whose, optional
            What they are of: indexes of older vectors of the same, which no running process uses, are then deleted.

        Raises
        ------
        GalleryError
            The cache cannot be written, or the vectors are none that :meth:`build` takes.
        """
        folder = index_place(f"{digest(vectors)}-{_FORM}")
        try:
            with alone(folder):  # of several processes one builds, the others wait
                made = cls._opened_or_built(vectors, folder)
                used(folder, made)
                if whose:
                    owned(folder, whose)
                return made
        except OSError as error:
            raise unwritten(folder.parent, error, "the index", "start again") from error

    @classmethod
    def _opened_or_built(cls, vectors: FloatArray, folder: Path) -> DiskIndex:
        if folder.is_dir():
            try:
                return cls(folder)
            except GalleryError as error:
                log.warning("%s: built again", error)
                shutil.rmtree(folder)
        making = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(making, ignore_errors=True)  # of a process that was killed
        cls._build(vectors, making)
        making.rename(folder)
        return cls(folder)

    def __len__(self) -> int:
        return int(len(self._gone) - self._gone.sum())

    def search(
        self, queries: FloatArray, k: int, keep: NDArray[np.bool_] | None = None, *, mixed: bool = False
    ) -> tuple[FloatArray, NDArray[np.int64]]:
        """Find the k nearest rows for each query, as :meth:`omnibind_core.search.index.FlatIndex.search` does.

        For mixes four times as many lists are looked through.
        """
        allowed = ~self._gone if keep is None else keep & ~self._gone
        left = int(allowed.sum())
        k = min(k, left)
        queries = np.ascontiguousarray(queries, np.float32)
        if left <= _FEW:
            picked = np.flatnonzero(allowed)
            found = [_best(self._rows, query, picked, k) for query in queries]
        else:
            lists = min(self._index.nlist, self._index.nprobe * (_MIXED if mixed else 1))
            options = faiss.SearchParametersIVF(nprobe=lists, sel=selector(allowed) if left < len(allowed) else None)  # type: ignore[call-arg]
            _, candidates = self._index.search(queries, k * _CANDIDATES, params=options)
            found = []
            for query, near in zip(queries, candidates, strict=True):
                near = np.sort(near[near >= 0])
                # What the codes do not find enough of is found exactly.
                found.append(_best(self._rows, query, near if len(near) >= k else np.flatnonzero(allowed), k))
        return np.stack([s for s, _ in found]), np.stack([r for _, r in found])

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """Give rows (m,) as float32 (m, D), of half precision."""
        return np.asarray(self._rows[np.asarray(rows, np.int64)], np.float32)

    def add(self, vectors: FloatArray) -> None:
        """Append unit rows (m, D), and keep them; the codes' training stays that of the first ones.

        Raises
        ------
        GalleryError
            Vectors of another width, or a folder that cannot be written: what was there before stays.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._width:
            raise GalleryError(
                f"vectors of shape {vectors.shape}", f"(m, {self._width}), as this index has", "embed with its preset"
            )
        halves = np.ascontiguousarray(vectors, np.float16)
        path, before = self._folder / _ROWS, 2 * self._rows.size
        held = is_held(path, self._hash())
        try:
            with path.open("r+b") as stream:
                stream.truncate(before)  # what an addition that was killed left behind
                stream.seek(0, 2)
                stream.write(halves.tobytes())
            self._index.add(halves.astype(np.float32))
            self._parts.append(_part(halves))
            self._publish(np.concatenate([self._gone, np.zeros(len(vectors), bool)]), self._index)
        except OSError as error:
            with suppress(OSError):
                os.truncate(path, before)
            raise unwritten(self._folder, error, f"{len(vectors):,} more rows", "add them again") from error
        self._map()
        if held:  # else the next opening reads them all
            remember(path, self._hash())

    def delete(self, rows: NDArray[np.int64]) -> None:
        """Let rows never come back, and keep that; their numbers stay theirs.

        Raises
        ------
        GalleryError
            A row that is not there, or a folder that cannot be written: then the rows stay.
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self._gone)):
            raise GalleryError(
                f"row {int(rows.max())}", f"rows from 0 to {len(self._gone) - 1}", "look at what search gave"
            )
        gone = self._gone.copy()
        gone[rows] = True
        try:
            self._publish(gone)
        except OSError as error:
            raise unwritten(self._folder, error, "which rows are gone", "delete them again") from error

    def verify(self) -> None:
        """Read all vectors and hold them to the hashes that were kept of them, whatever is remembered of their file.

        Raises
        ------
        GalleryError
            A byte of them has changed.
        """
        with (self._folder / _ROWS).open("rb") as stream:
            for number, part in enumerate(self._parts):
                if hashlib.sha256(stream.read(part["bytes"])).hexdigest() != part["sha256"]:
                    raise GalleryError(
                        f"{self._folder.name}/{_ROWS}, of which part {number} has changed",
                        "the bytes that were written",
                        _HELP,
                    )
        remember(self._folder / _ROWS, self._hash())

    def _hash(self) -> Digest:
        """Give what the vectors hash to."""
        return Digest("parts", hashlib.sha256("\n".join(one["sha256"] for one in self._parts).encode()).hexdigest())

    def _publish(self, gone: NDArray[np.bool_], index: Any = None) -> None:
        """Write what is new under new names, then the manifest that names it, then take the old away."""
        number, files = self._number + 1, dict(self._files)
        try:
            if index is not None:
                _write_codes(index, self._folder / f"codes-{number}.faiss")
                files["codes"] = _named(self._folder / f"codes-{number}.faiss")
            np.save(self._folder / f"gone-{number}.npy", gone, allow_pickle=False)
            files["gone"] = _named(self._folder / f"gone-{number}.npy")
            raw = {"form": _FORM, "number": number, "width": self._width, "count": len(gone), "files": files}
            replace_file(self._folder / _MANIFEST, json.dumps({**raw, "rows": self._parts}, indent=1).encode())
        except OSError:  # what was there before stays
            self._sweep()
            if self._files:
                self._read()
            raise
        self._number, self._files, self._gone = number, files, gone
        self._sweep()

    def _sweep(self) -> None:
        """Take files away that the manifest does not name."""
        named = {one["name"] for one in self._files.values()}
        for path in (*self._folder.glob("codes-*.faiss"), *self._folder.glob("gone-*.npy")):
            if path.name not in named:
                with suppress(OSError):  # the next time, then
                    path.unlink(missing_ok=True)


def _write_codes(index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:  # a full disk, as FAISS says it
        raise OSError(str(error)) from error


def _coded(rows: Any) -> Any:
    """Train codes on a part of the rows, and code all of them."""
    count, width = rows.shape
    lists = int(np.clip(2 ** round(np.log2(np.sqrt(count))), 16, 4096))
    index: Any = faiss.index_factory(width, f"IVF{lists},PQ{width // _SUB}x4fs", faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid = 128
    picked = np.sort(np.random.default_rng(0).choice(count, min(count, _TRAINED), replace=False))
    index.train(np.asarray(rows[picked], np.float32))
    for start in range(0, count, _CHUNK):
        index.add(np.asarray(rows[start : start + _CHUNK], np.float32))
    return index


def _chunks(vectors: FloatArray) -> Iterable[FloatArray]:
    return (vectors[start : start + _CHUNK] for start in range(0, len(vectors), _CHUNK))


def _write_rows(path: Path, chunks: Iterable[FloatArray]) -> tuple[int, int, list[dict[str, Any]]]:
    """Write half-precision rows one behind another; gives their width, their number, and a hash for each chunk."""
    width = count = 0
    parts = []
    with path.open("wb") as stream:
        for chunk in chunks:
            width = width or chunk.shape[-1]
            if chunk.ndim != 2 or chunk.shape[1] != width or width % _SUB:
                raise GalleryError(
                    f"vectors of shape {chunk.shape}", f"(n, D), D a multiple of {_SUB}", "give rows of one preset"
                )
            halves = np.ascontiguousarray(chunk, np.float16)
            stream.write(halves.tobytes())
            parts.append(_part(halves))
            count += len(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return width, count, parts


def _part(halves: NDArray[np.float16]) -> dict[str, Any]:
    return {"bytes": halves.nbytes, "sha256": hashlib.sha256(halves.tobytes()).hexdigest()}


def _named(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _best(rows: Any, query: FloatArray, picked: NDArray[np.int64], k: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Score rows exactly, a bounded number at a time, and keep the k best; equal scores in the order of rows."""
    scores = np.concatenate(
        [
            np.asarray(rows[picked[start : start + _CHUNK]], np.float32) @ query
            for start in range(0, max(len(picked), 1), _CHUNK)
        ]
    )
    order = np.argsort(-scores, kind="stable")[:k]
    return scores[order], picked[order].astype(np.int64)


def _manifest(folder: Path) -> dict[str, Any]:
    """Read what the folder says of itself, and see that its files are whole."""
    try:
        raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        files = {one["name"]: (int(one["bytes"]), one["sha256"]) for one in raw["files"].values()}
        whole = raw["form"] == _FORM and set(raw["files"]) == {"codes", "gone"} and int(raw["width"]) > 0
        whole = whole and sum(one["bytes"] for one in raw["rows"]) == 2 * raw["width"] * raw["count"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GalleryError(
            f"the index {folder.name}, which has no readable {_MANIFEST}", "a folder that a build has finished", _HELP
        ) from error
    if not whole:
        raise GalleryError(f"the index {folder.name}, whose {_MANIFEST} is of another form", f"form {_FORM}", _HELP)
    for name, (size, sha256) in files.items():
        path = folder / Path(name).name
        if not path.is_file() or path.stat().st_size != size or sha256_of(path) != sha256:
            raise GalleryError(f"{folder.name}/{path.name}, which is missing or changed", "what was written", _HELP)
    rows = folder / _ROWS
    size = rows.stat().st_size if rows.is_file() else 0
    if size < 2 * raw["width"] * raw["count"]:
        raise GalleryError(f"{folder.name}/{_ROWS} of {size} bytes", f"{2 * raw['width'] * raw['count']} bytes", _HELP)
    return dict(raw)
