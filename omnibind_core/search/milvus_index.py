"""Search by inner product in a Milvus store: a file of Milvus Lite on this machine, or a server or cluster."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import GalleryError, QueryError, needing
from omnibind_core.store.addresses import milvus_address
from omnibind_core.store.kept import digest
from omnibind_core.types import FloatArray

__all__ = ["MilvusIndex"]

R = TypeVar("R")

_FORM = 1
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_BATCH = 2_000  # rows that are sent together: 9 MB of 1,152 numbers, of the 64 that a message may have
_PIECE = 10_000  # identifiers that a filter names at the most
_MOST = 16_384  # answers that Milvus gives to one query at the most
_ASKED = 1_000  # answers that are asked for beyond those wanted, before a filter is sent
_FEW = 20_000  # rows that even a server searches one by one
_SECONDS = 30.0  # that a search may take, reconnecting included
_BUILDING = 600.0  # that a batch, an index or a loading may take
_EXACT: tuple[str, dict[str, int], dict[str, int]] = ("FLAT", {}, {})
_GRAPH: tuple[str, dict[str, int], dict[str, int]] = ("HNSW", {"M": 32, "efConstruction": 200}, {"ef": 512})

_clients: dict[str, Any] = {}  # by address
_connecting = threading.Lock()


class MilvusIndex:
    """Nearest rows by inner product, from a collection that :meth:`build` made; the members are those of `FlatIndex`.

    A collection has a field `id`, the row's number; `vector`, float32; and `gone`, whether it was deleted. Its metric
    is IP. Milvus Lite, and servers up to 20,000 vectors, search it with the index FLAT, exactly; for more, servers take
    HNSW with M 32, efConstruction 200 and ef 512 (or as many as are asked for, if that is more). Lite 3.2 has HNSW and
    IVF_FLAT too, and AUTOINDEX, which is its HNSW, but goes through all rows in Python before each search: at
    30,000 vectors none of them was quicker (docs/scale.md). Scores are computed again, from the vectors that come with
    the answers.

    A filter that leaves up to 10,000 rows out is sent; of a larger one, more answers are asked for than are wanted, and
    where these do not suffice the rows that may come back are searched by 10,000. Milvus gives 16,384 answers to a
    query at the most: more are refused. One process at a time opens a file of Milvus Lite; several want a server
    (``milvus-lite server``).

    Whoever asks for a token gives ``OMNIBIND_STORE_TOKEN`` in the environment (``user:password``, or a key).

    Parameters
    ----------
    address : str
        See :func:`omnibind_core.store.addresses.milvus_address`.
    name : str
        The collection's: letters, digits and underscores; a digit is not the first.

    Raises
    ------
    ExtraError
        The extra ``[milvus]`` is not installed.
    GalleryError
        An address that is none, a store that does not answer, or in which there is no such whole collection.
    """

    def __init__(self, address: str, name: str) -> None:
        self._address, self._name = milvus_address(address), name
        self._loaded_by: Any = None
        self._ask(self._read)

    def _read(self, client: Any) -> None:
        if not client.has_collection(self._name, timeout=_SECONDS):
            raise GalleryError(
                f"the collection {self._name}, which is not in {self._address}, or not wholly",
                "one that a build has finished",
                "build it again: what is there already is not sent again",
            )
        (vector,) = (one for one in client.describe_collection(self._name)["fields"] if one["name"] == "vector")
        self._width = int(vector["params"]["dim"])
        kind = client.describe_index(self._name, "vector")["index_type"]
        self._search_params = {name: given for name, _, given in (_EXACT, _GRAPH)}.get(kind, {})
        count = _count(client, self._name)
        self._gone = np.zeros(count, bool)
        if _count(client, self._name, "gone == true"):
            for start in range(0, count, _PIECE):
                asked = f"gone == true and id >= {start} and id < {start + _PIECE}"
                found = client.query(self._name, filter=asked, output_fields=["id"], limit=_PIECE, timeout=_SECONDS)
                self._gone[[int(one["id"]) for one in found]] = True

    @classmethod
    def build(cls, vectors: FloatArray, address: str, name: str) -> MilvusIndex:
        """Send vectors to a store; a sending that was broken off goes on where it was.

        Until all are there, the collection is called ``making_..``; then it is given its name.

        Parameters
        ----------
        vectors : ndarray, shape (n, D), float32
            Unit rows, at least one.
        address, name : str
            As those of the class; the name must be new.

        Raises
        ------
        ExtraError
            The extra ``[milvus]`` is not installed.
        GalleryError
            A store that does not answer, or that has a collection of that name.
        """
        if not _NAME.fullmatch(name):
            raise GalleryError(f"the collection '{name[:80]}'", "letters, digits and underscores", "name it otherwise")
        asking = cls._unread(address)
        if asking._ask(lambda client: client.has_collection(name, timeout=_SECONDS)):
            raise GalleryError(f"the collection {name}, which is in {address} already", "a new one", "name another one")
        making = f"making_{digest(vectors)}_{name}"
        asking._ask(lambda client: _send(client, making, vectors))
        asking._ask(lambda client: client.rename_collection(making, name, timeout=_BUILDING))
        return cls(address, name)

    @classmethod
    def kept(cls, vectors: FloatArray, address: str) -> MilvusIndex:
        """Open the collection of these very vectors, named by their hash; where it is not there, :meth:`build` it."""
        name = f"omnibind_{digest(vectors)}_{_FORM}"
        if not cls._unread(address)._ask(lambda client: client.has_collection(name, timeout=_SECONDS)):
            return cls.build(vectors, address, name)
        found = cls(address, name)
        if len(found) != len(vectors) or found._gone.any():
            raise GalleryError(
                f"the collection {name} of {len(found)} rows", f"{len(vectors)}, as were sent", "drop that collection"
            )
        return found

    @classmethod
    def _unread(cls, address: str) -> MilvusIndex:
        """Give what can ask a store, of no collection yet."""
        made = cls.__new__(cls)
        made._address, made._name, made._loaded_by = milvus_address(address), "", None
        return made

    def __len__(self) -> int:
        return int(len(self._gone) - self._gone.sum())

    def search(
        self, queries: FloatArray, k: int, keep: NDArray[np.bool_] | None = None, *, mixed: bool = False
    ) -> tuple[FloatArray, NDArray[np.int64]]:
        """Find the k nearest rows for each query, as :meth:`omnibind_core.search.index.FlatIndex.search` does.

        With HNSW there are as many columns as the query has answers that has the fewest; `mixed` changes nothing.

        Raises
        ------
        GalleryError
            The store does not answer; the next search connects anew.
        QueryError
            More answers than Milvus gives.
        """
        live = ~self._gone
        allowed = live if keep is None else keep & live
        left, out = int(allowed.sum()), live & ~allowed
        k = min(k, left)
        if k > _MOST:
            raise QueryError(f"k = {k}", f"up to {_MOST} answers of Milvus", "ask for fewer")
        queries = np.ascontiguousarray(queries, np.float32)
        if k == 0:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        if out.sum() <= _PIECE:
            return _merged([self._found(queries, k, _naming("not in", out))], k)
        more = 2 * k * len(live) // left
        if k <= more <= _ASKED:
            many = [_only(one, allowed) for one in self._found(queries, more)]
            if all(len(rows) >= k for _, rows in many):
                return _merged([many], k)
        places = np.flatnonzero(allowed)
        pieces = []
        for start in range(0, left, _PIECE):
            piece = np.zeros(len(live), bool)
            piece[places[start : start + _PIECE]] = True
            pieces.append(self._found(queries, min(k, int(piece.sum())), _naming("in", piece)))
        return _merged(pieces, k)

    def _found(self, queries: FloatArray, k: int, named: str = "") -> list[tuple[FloatArray, NDArray[np.int64]]]:
        """Ask the store, and score what it finds: for each query scores and rows, (at most k,) each."""
        conditions = [one for one in (named, "gone == false" if self._gone.any() else "") if one]
        params = {name: max(value, k) for name, value in self._search_params.items()}
        answers = self._ask(
            lambda client: client.search(
                self._name,
                data=list(queries),
                anns_field="vector",
                limit=k,
                filter=" and ".join(conditions),
                output_fields=["vector"],
                search_params={"metric_type": "IP", "params": params},
                timeout=_SECONDS,
            )
        )
        found = []
        for query, hits in zip(queries, answers, strict=True):
            vectors = np.array([hit["entity"]["vector"] for hit in hits], np.float32).reshape(-1, self._width)
            found.append((vectors @ query, np.array([hit["id"] for hit in hits], np.int64)))
        return found

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """Give rows (m,) as float32 (m, D); raises GalleryError where the store does not answer, or lacks one."""
        wanted, places = np.unique(np.asarray(rows, np.int64), return_inverse=True)
        vectors = np.empty((len(wanted), self._width), np.float32)
        for start in range(0, len(wanted), _BATCH):
            found = self._ask(self._getter(wanted[start : start + _BATCH]))
            if len(found) < len(wanted[start : start + _BATCH]):
                raise GalleryError("rows that are not in the store", "those that were sent", "look at what search gave")
            at = np.searchsorted(wanted, [one["id"] for one in found])
            vectors[at] = np.array([one["vector"] for one in found], np.float32)
        taken: FloatArray = vectors[places.ravel()]
        return taken

    def _getter(self, rows: NDArray[np.int64]) -> Callable[[Any], Any]:
        return lambda client: client.get(
            self._name, ids=rows.tolist(), output_fields=["id", "vector"], timeout=_BUILDING
        )

    def add(self, vectors: FloatArray) -> None:
        """Append unit rows (m, D), and keep them.

        Raises
        ------
        GalleryError
            Vectors of another width, or a store that does not answer: the same rows can then be added again.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._width:
            raise GalleryError(
                f"vectors of shape {vectors.shape}", f"(m, {self._width}), as this index has", "embed with its preset"
            )
        self._ask(lambda client: _upsert(client, self._name, vectors, len(self._gone)))
        self._gone = np.concatenate([self._gone, np.zeros(len(vectors), bool)])

    def delete(self, rows: NDArray[np.int64]) -> None:
        """Let rows never come back, and keep that; their numbers stay theirs.

        Raises
        ------
        GalleryError
            A row that is not there, or a store that does not answer.
        """
        rows = np.unique(np.asarray(rows, np.int64))
        if rows.size and (rows.min() < 0 or rows.max() >= len(self._gone)):
            raise GalleryError(
                f"row {int(rows.max())}", f"rows from 0 to {len(self._gone) - 1}", "look at what search gave"
            )
        for start in range(0, len(rows), _BATCH):
            piece = rows[start : start + _BATCH]
            marked = [
                {"id": int(row), "vector": vector, "gone": True}
                for row, vector in zip(piece, self.take(piece), strict=True)
            ]
            self._ask(_sender(self._name, marked))
            self._gone[piece] = True

    def _ask(self, ask: Callable[[Any], R]) -> R:
        """Ask the store's client, connecting first where it must; what it cannot answer is told in three parts."""
        with needing("pymilvus", "milvus"):
            from pymilvus.exceptions import MilvusException
        from grpc import RpcError

        client = None
        try:
            client = _client(self._address)
            if self._loaded_by is not client:  # a server that was started again has loaded nothing
                if self._name and client.has_collection(self._name, timeout=_SECONDS):
                    client.load_collection(self._name, timeout=_BUILDING)
                self._loaded_by = client
            return ask(client)
        except (MilvusException, RpcError) as error:
            with _connecting:
                if _clients.get(self._address) is client:
                    _clients.pop(self._address, None)
            said = getattr(error, "message", "") or str(error)
            raise GalleryError(
                f"the store {self._address}, which did not answer ({said[:300]})",
                "a Milvus server that runs, or a file that no other process has opened",
                "see to it, then ask again: the next query connects anew",
            ) from error


def _client(address: str) -> Any:
    """Give this process' client of a store."""
    from pymilvus import MilvusClient

    with _connecting:
        if address not in _clients:
            path = str(Path(address).expanduser()) if address.endswith(".db") else address
            if path.endswith(".db"):
                with needing("milvus_lite", "milvus"):
                    import milvus_lite  # noqa: F401 - the client says it less clearly
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                logging.getLogger("grpc._server").addFilter(_telling)
            _clients[address] = MilvusClient(
                path,
                token=os.environ.get("OMNIBIND_STORE_TOKEN", ""),
                timeout=_SECONDS,
                dedicated=True,  # the shared ones stay broken after a server went away
                grpc_options={"grpc.use_local_subchannel_pool": 1},  # and no waiting time of another one counts
            )
        return _clients[address]


def _telling(record: logging.LogRecord) -> bool:
    """Leave out what Milvus Lite logs, with its traceback, of a call that it lacks and its client does without."""
    return "Method not implemented" not in record.getMessage()


def _send(client: Any, name: str, vectors: FloatArray) -> None:
    """Make a collection of all vectors; of one that is half there the rest is sent."""
    from pymilvus import DataType

    there = client.has_collection(name, timeout=_SECONDS)
    if not there:
        exact = len(vectors) <= _FEW or "lite" in client.get_server_version(timeout=_SECONDS)
        kind, params, _ = _EXACT if exact else _GRAPH
        schema = client.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        schema.add_field("gone", DataType.BOOL)
        index = client.prepare_index_params()
        index.add_index("vector", index_type=kind, metric_type="IP", params=params)
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong", timeout=_BUILDING)
    client.load_collection(name, timeout=_BUILDING)
    start = _count(client, name) // _BATCH * _BATCH if there else 0
    _upsert(client, name, vectors[start:], start)
    client.flush(name, timeout=_BUILDING)


def _upsert(client: Any, name: str, vectors: FloatArray, first: int) -> None:
    for start in range(0, len(vectors), _BATCH):
        batch = np.ascontiguousarray(vectors[start : start + _BATCH], np.float32)
        _sender(name, [{"id": first + start + n, "vector": one, "gone": False} for n, one in enumerate(batch)])(client)


def _sender(name: str, rows: list[dict[str, Any]]) -> Callable[[Any], Any]:
    return lambda client: client.upsert(name, rows, timeout=_BUILDING)


def _count(client: Any, name: str, condition: str = "") -> int:
    found = client.query(name, filter=condition, output_fields=["count(*)"], timeout=_BUILDING)
    return int(found[0]["count(*)"])


def _naming(how: str, rows: NDArray[np.bool_]) -> str:
    """Say a filter: `how` is "in" or "not in"; empty where it names no row."""
    named = np.flatnonzero(rows).tolist()
    return f"id {how} {named}" if named else ""


def _only(
    found: tuple[FloatArray, NDArray[np.int64]], allowed: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.int64]]:
    scores, rows = found
    return scores[allowed[rows]], rows[allowed[rows]]


def _merged(pieces: list[list[tuple[FloatArray, NDArray[np.int64]]]], k: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """Put together what pieces found for each query: the best first, equal scores in the order of rows."""
    best = []
    for many in zip(*pieces, strict=True):
        scores, rows = (np.concatenate(one) for one in zip(*many, strict=True))
        order = np.lexsort((rows, -scores))[:k]
        best.append((scores[order], rows[order]))
    least = min(len(rows) for _, rows in best)  # of a graph, one query may find fewer than another
    return np.stack([s[:least] for s, _ in best]).astype(np.float32), np.stack([r[:least] for _, r in best])
