"""Pools of unpaired items -> specialists' vectors, extracted once into memory-mapped shards.

A folder of shards holds what one specialist makes of one pool::

    manifest.json    what it is, which shards are finished, their sha256; replaced atomically
    keys.json        identifier of each item, in order
    00000.npy ...    (rows, d) float16 or float32, unit rows, `shard_rows` items each but for the last

A shard is written beside its name and moved there, then the manifest is replaced: a process that is killed at any
moment loses the shard it was working on and no more. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.errors import OmniBindError
from omnibind_core.store.kept import digest, identity
from omnibind_core.store.paths import cache_directory, replace_file
from omnibind_core.types import FloatArray

__all__ = ["ArrayRows", "PoolError", "Rows", "Shards", "extract", "kept_rows", "open_shards"]

log = logging.getLogger(__name__)

Item = TypeVar("Item")
StoredType: TypeAlias = Literal["float16", "float32"]

_MANIFEST, _KEYS = "manifest.json", "keys.json"
_VERSION = 1


class PoolError(OmniBindError, ValueError):
    """A pool whose items, vectors and folder do not belong together."""


class Rows(Protocol):
    """Unit rows that may be larger than memory."""

    @property
    def width(self) -> int:
        """Width d of a row."""
        ...

    @property
    def identity(self) -> str:
        """Hash of their content: the same rows have the same."""
        ...

    def __len__(self) -> int: ...

    def chunk(self, start: int, stop: int) -> FloatArray:
        """Rows `start` to `stop` (cut at the end) as a (stop - start, d) float32 copy."""
        ...

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """Rows by number, (m,) -> (m, d) float32, in the order asked for."""
        ...


class ArrayRows:
    """Rows that are in memory already: (n, d) float16 or float32, unit rows."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    @property
    def width(self) -> int:
        """Width d of a row."""
        return int(self._array.shape[1])

    @property
    def identity(self) -> str:
        """See :attr:`Rows.identity`."""
        return digest(self._array)

    def __len__(self) -> int:
        return len(self._array)

    def chunk(self, start: int, stop: int) -> FloatArray:
        """See :meth:`Rows.chunk`."""
        return self._array[start:stop].astype(np.float32)

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """See :meth:`Rows.take`."""
        return self._array[rows].astype(np.float32)


@dataclass(frozen=True, eq=False)
class Shards:
    """Finished vectors of one pool by one specialist; read from disk as they are asked for.

    Attributes
    ----------
    keys : tuple of str
        Identifiers of the n items.
    width : int
        Width d.
    dtype : str
        "float16" or "float32": as stored. What is read is float32 always.
    shard_rows : int
        Rows of every shard but the last.
    parts : tuple of ndarray
        Memory-mapped shards.
    identity : str
        Hash of keys and content.
    """

    keys: tuple[str, ...]
    width: int
    dtype: StoredType
    shard_rows: int
    parts: tuple[NDArray[Any], ...]
    identity: str

    def __len__(self) -> int:
        return len(self.keys)

    def chunk(self, start: int, stop: int) -> FloatArray:
        """See :meth:`Rows.chunk`."""
        stop = min(stop, len(self))
        out = np.empty((max(stop - start, 0), self.width), np.float32)
        for number in range(start // self.shard_rows, -(-stop // self.shard_rows)):
            first = number * self.shard_rows
            low, high = max(start, first), min(stop, first + self.shard_rows)
            out[low - start : high - start] = self.parts[number][low - first : high - first]
        return out

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """See :meth:`Rows.take`."""
        out = np.empty((len(rows), self.width), np.float32)
        shard = rows // self.shard_rows
        for number in np.unique(shard):
            asked = shard == number
            out[asked] = self.parts[number][rows[asked] - number * self.shard_rows]
        return out


def extract(
    folder: Path,
    items: Sequence[Item],
    keys: Sequence[str],
    embed: Callable[[Sequence[Item]], NDArray[Any]],
    *,
    specialist: str,
    batch: int = 32,
    shard_rows: int = 8192,
    dtype: StoredType = "float16",
    scaled: bool = True,
    told: Callable[[int], None] | None = None,
) -> Shards:
    """Embed a pool once; what an earlier call finished is not embedded again.

    Parameters
    ----------
    folder : Path
        Where the shards go; made if it is not there.
    items : sequence
        What `embed` takes: files, sentences, decoded media. Indexed lazily, one batch at a time.
    keys : sequence of str
        A stable, unique identifier for each item; a changed list is another pool.
    embed : callable
        A batch of items -> (batch, d) vectors of finite numbers, none of them zero. Any tower of any preset, e.g.
        ``lambda paths: tower.embed("image", [load(p) for p in paths]).cpu().numpy()``.
    specialist : str
        Who embeds, with its version: goes into the manifest, and another name is refused.
    batch : int
        Items per call. If the device runs out of memory it is halved, down to 1.
    shard_rows : int
        Items per file: what a kill can cost.
    dtype : {"float16", "float32"}
        How rows are stored; float16 moves the cosine of two unit rows by less than 1e-3.
    scaled : bool
        Whether rows are brought to unit length; False keeps them as they are, points or features or what else.
    told : callable, optional
        Called once with the number of rows that an earlier call finished; the progress is then shown by the caller.

    Returns
    -------
    Shards

    Raises
    ------
    PoolError
        Keys that do not fit the items, a folder that holds something else, vectors that are not usable.
    """
    from tqdm import tqdm

    if len(items) != len(keys) or len(set(keys)) != len(keys) or not len(keys):
        raise PoolError(f"{len(items)} items with {len(set(keys))} keys", "one own key for each item", "correct them")
    wanted = {
        "version": _VERSION, "specialist": specialist, "dtype": dtype, "shard_rows": shard_rows,
        "rows": len(keys), "keys_sha256": hashlib.sha256("\0".join(keys).encode()).hexdigest(),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    manifest = _read_manifest(folder) or {**wanted, "width": 0, "shards": []}
    for name, value in wanted.items():
        if manifest.get(name) != value:
            raise PoolError(
                f"{folder} with {name} {manifest.get(name)!r}", f"{value!r}, as asked for now", "choose another folder"
            )
    replace_file(folder / _KEYS, json.dumps(list(keys)).encode())
    count = -(-len(keys) // shard_rows)
    finished = min(len(manifest["shards"]) * shard_rows, len(keys))
    if told:
        told(finished)
    with tqdm(total=len(keys), initial=finished, disable=True if told else None) as bar:
        bar.set_description(f"{folder.name}: {specialist}")
        for number in range(len(manifest["shards"]), count):
            rows: list[NDArray[Any]] = []
            position, stop = number * shard_rows, min((number + 1) * shard_rows, len(keys))
            while position < stop:
                try:
                    vectors = embed(items[position : min(position + batch, stop)])
                except torch.OutOfMemoryError:
                    if batch == 1:
                        raise
                    batch = max(batch // 2, 1)
                    log.warning("%s: out of memory; batches of %d from here", specialist, batch)
                    continue
                asked = min(batch, stop - position)
                rows.append(_checked(vectors, asked, manifest["width"], keys[position], scaled))
                manifest["width"] = rows[-1].shape[1]
                position += len(rows[-1])
                bar.update(len(rows[-1]))
            manifest["shards"].append(_write_shard(folder / f"{number:05d}.npy", np.concatenate(rows).astype(dtype)))
            replace_file(folder / _MANIFEST, json.dumps(manifest, indent=1).encode())
    return open_shards(folder)


def kept_rows(
    name: str,
    decides: Mapping[str, Any],
    keys: Sequence[str],
    embed: Callable[[Sequence[int]], NDArray[Any]],
    *,
    piece: int = 32,
    dtype: StoredType = "float32",
) -> Shards:
    """Work rows out once and keep them in the cache directory under their identity; what is killed goes on.

    Parameters
    ----------
    name : str
        For people; the identity follows it in the folder's name.
    decides : mapping of str to JSON values
        Everything that decides them beside the keys, see :func:`omnibind_core.store.kept.identity`.
    keys : sequence of str
        See :func:`extract`.
    embed : callable
        Numbers of some items -> (m, d) rows, kept as they are.
    piece : int
        Items at a time, and what a kill can cost.
    dtype : {"float16", "float32"}
        How rows are stored.
    """
    who = identity({**decides, "keys": list(keys), "piece": piece, "dtype": dtype})
    folder = cache_directory() / "rows" / f"{name}-{who}"
    items = range(len(keys))
    return extract(
        folder, items, keys, embed, specialist=name, batch=piece, shard_rows=piece, dtype=dtype, scaled=False
    )


def open_shards(folder: Path, *, verify: bool = False) -> Shards:
    """Open what :func:`extract` finished.

    Parameters
    ----------
    folder : Path
        Where it lies.
    verify : bool
        Also compare the sha256 of every shard, which reads them whole.

    Raises
    ------
    PoolError
        Nothing there, not finished, or not what the manifest says.
    """
    manifest = _read_manifest(folder)
    if manifest is None or len(manifest["shards"]) != -(-manifest["rows"] // manifest["shard_rows"]):
        raise PoolError(f"{folder} without finished shards", "a finished extraction", "run the extraction (again)")
    keys: list[str] = json.loads((folder / _KEYS).read_text(encoding="utf-8"))
    parts: list[NDArray[Any]] = []
    for number, sha256 in enumerate(manifest["shards"]):
        path = folder / f"{number:05d}.npy"
        rows = min(manifest["shard_rows"], manifest["rows"] - number * manifest["shard_rows"])
        try:
            part: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise PoolError(
                f"{path}: {error}", "the shard that was written", "delete the folder, extract anew"
            ) from error
        changed = verify and hashlib.sha256(path.read_bytes()).hexdigest() != sha256
        if changed or part.shape != (rows, manifest["width"]) or part.dtype != manifest["dtype"]:
            raise PoolError(f"{path} has changed", "the shard that was written", "delete the folder, extract anew")
        parts.append(part)
    content = identity({name: manifest[name] for name in ("keys_sha256", "shards")})
    return Shards(tuple(keys), manifest["width"], manifest["dtype"], manifest["shard_rows"], tuple(parts), content)


def _write_shard(path: Path, rows: NDArray[Any]) -> str:
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            np.save(stream, rows, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)  # on a full disk it would keep what room there is
        raise
    return sha256


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / _MANIFEST
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PoolError(f"{path}: {error}", "the manifest of an extraction", "choose another folder") from error
    return found


def _checked(vectors: NDArray[Any], count: int, width: int, key: str, scaled: bool) -> FloatArray:
    """Hold a batch to its shape; give unit rows, or rows as they are."""
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or len(rows) != count or (width and rows.shape[1] != width):
        raise PoolError(f"vectors of shape {rows.shape} at '{key}'", f"({count}, {width or 'd'})", "correct `embed`")
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (scaled and (norms == 0).any()):
        bad = int(np.argmax(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0)))
        raise PoolError(f"a vector of length {norms[bad, 0]}, {bad} after '{key}'", "finite, not zero", "leave it out")
    return rows / norms if scaled else rows
