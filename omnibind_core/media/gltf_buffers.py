"""The bytes of a glTF file: buffers, views and accessors, every bound checked before it is used."""

from __future__ import annotations

import base64
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits, meshopt
from omnibind_core.media.notices import note
from omnibind_core.media.source import Blob, shown, undecodable

__all__ = ["Buffers", "Json", "data_uri", "item", "items", "whole"]

Json: TypeAlias = dict[str, Any]

_DTYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_MOST_ROWS = 4 * limits.MAX_VERTICES
_PACKED = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_PADDING = 3  # bytes at a buffer's end that some programs count and do not write
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def items(tree: Json, key: str) -> list[Json]:
    """Get a list of objects; empty where it is missing."""
    found = tree.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{key} is not a list of objects")
    return found


def item(tree: Json, key: str, index: Any) -> Json:
    """Get one object of a list, by an index that the file gives."""
    found = tree.get(key, [])
    if not isinstance(index, int) or not isinstance(found, list) or not 0 <= index < len(found):
        raise ValueError(f"there is no {key}[{index}]")
    if not isinstance(found[index], dict):
        raise ValueError(f"{key}[{index}] is not an object")
    return dict(found[index])


def whole(tree: Json, key: str, default: int | None = None) -> int:
    """Get a count, offset or index: a whole number from 0 up."""
    value = tree.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{key} is {value!r:.40}, not a whole number")
    return value


def data_uri(uri: str) -> bytes:
    """Content of a data: address."""
    head, _, body = uri.partition(",")
    return base64.b64decode(body) if head.endswith(";base64") else unquote_to_bytes(body)


def _packed(entry: Json) -> Json:
    """Get what a buffer or a view says of meshopt; empty where it says nothing."""
    extensions = entry.get("extensions", {})
    return next((dict(extensions[name]) for name in _PACKED if name in extensions), {})


class Buffers:
    """Reads accessors and views of one file.

    Parameters
    ----------
    tree : dict
        The file's JSON.
    binary : bytes or None
        The BIN chunk of a GLB: the first buffer, where that has no address.
    blob : Blob
        The file, for messages.
    """

    def __init__(self, tree: Json, binary: bytes | None, blob: Blob) -> None:
        self._tree = tree
        self._blob = blob
        self._rows = 0
        self._read: dict[tuple[int, int | None], NDArray[Any]] = {}
        self._ends: dict[int, int] = {}  # of buffers whose end is missing
        self._unpacked: dict[int, bytes] = {}
        self._unpacked_bytes = 0
        self._buffers = [
            b"" if _packed(buffer).get("fallback") is True else self._load(number, buffer, binary)
            for number, buffer in enumerate(items(tree, "buffers"))
        ]

    def _load(self, number: int, buffer: Json, binary: bytes | None) -> bytes:
        uri = buffer.get("uri")
        if uri is None:
            data = binary or b""
        elif isinstance(uri, str) and uri.startswith("data:"):
            data = data_uri(uri)
        else:
            found = self._blob.beside(uri) if isinstance(uri, str) else None
            if found is None and len(items(self._tree, "buffers")) == 1:
                found = self._blob.beside("*.bin")
                if found is not None and len(found) == whole(buffer, "byteLength"):
                    note(f"{shown(str(uri))} is not here: the one .bin beside it fits and is used")
                else:
                    found = None
            if found is None:
                raise MediaError(
                    f"{self._blob.name}, which keeps its data in another file, {shown(str(uri))!r}, that is not here",
                    "glTF with everything embedded, or its files beside it",
                    "give them together or as one .zip, or export it as GLB",
                )
            data = found
        length = whole(buffer, "byteLength")
        there = len(data)
        if there < length <= max(there + _PADDING, 2 * there):
            data += bytes(length - there)
            if there + _PADDING < length:
                note(f"{there:,} of {length:,} bytes of its data are there: the rest of the file is missing")
                self._ends[number] = there
        if len(data) < length:
            raise undecodable(self._blob.name, self._blob.extension, f"{len(data):,} of a buffer's {length:,} bytes")
        return data

    def view(self, index: Any) -> bytes:
        """Bytes of a buffer view, unpacked where meshopt packed them."""
        view = item(self._tree, "bufferViews", index)
        packed = _packed(view)
        if not packed:
            return self._slice(view, index)
        if index not in self._unpacked:
            count, stride = whole(packed, "count"), whole(packed, "byteStride")
            self._unpacked_bytes += count * stride
            if self._unpacked_bytes > meshopt.MOST_BYTES:
                raise MediaError(
                    f"{self._blob.name} with more than {meshopt.MOST_BYTES / limits.MB:.0f} MB behind meshopt",
                    f"at most {meshopt.MOST_BYTES / limits.MB:.0f} MB",
                    "simplify it",
                )
            mode, kind = packed.get("mode"), packed.get("filter", "NONE")
            self._unpacked[index] = meshopt.decoded(self._slice(packed, index), count, stride, str(mode), str(kind))
        return self._unpacked[index]

    def _slice(self, view: Json, index: Any) -> bytes:
        """Bytes as they are stored."""
        start, length = whole(view, "byteOffset", 0), whole(view, "byteLength")
        buffer = whole(view, "buffer")
        if buffer >= len(self._buffers) or start + length > len(self._buffers[buffer]):
            raise ValueError(f"bufferViews[{index}] reaches beyond its buffer")
        return self._buffers[buffer][start : start + length]

    def accessor(self, index: Any, width: int | None) -> NDArray[Any]:
        """Values of an accessor.

        Parameters
        ----------
        index : int
            Which one.
        width : int or None
            Columns it must have; None takes any.

        Returns
        -------
        ndarray, shape (count, columns)
            Integers that are marked as normalised come as float32 in 0..1 or -1..1, others as stored.
        """
        if isinstance(index, int) and (index, width) in self._read:
            return self._read[index, width]
        values = self._accessor(index, width)
        self._rows += len(values)
        if self._rows > _MOST_ROWS:
            raise MediaError(
                f"{self._blob.name} with more than {_MOST_ROWS:,} rows of data",
                f"at most {_MOST_ROWS:,}",
                "simplify it",
            )
        self._read[index, width] = values
        return values

    def count(self, index: Any) -> int:
        """Rows that an accessor says it has."""
        return whole(item(self._tree, "accessors", index), "count")

    def matrices(self, index: Any) -> NDArray[np.float64]:
        """Matrices of an accessor of the type MAT4: (n, 4, 4); what the file stores as columns is turned to rows."""
        accessor = item(self._tree, "accessors", index)
        count = whole(accessor, "count")
        if accessor.get("type") != "MAT4" or accessor.get("componentType") != 5126 or count > limits.MAX_NODES:
            raise ValueError(f"accessors[{index}] is not of matrices")
        stride = whole(item(self._tree, "bufferViews", accessor["bufferView"]), "byteStride", 0)
        rows = self._array(accessor["bufferView"], whole(accessor, "byteOffset", 0), np.dtype("<f4"), count, 16, stride)
        return rows.astype(np.float64).reshape(count, 4, 4).transpose(0, 2, 1)

    def _accessor(self, index: Any, width: int | None) -> NDArray[Any]:
        accessor = item(self._tree, "accessors", index)
        count, columns = whole(accessor, "count"), _WIDTHS[accessor["type"]]
        if count > 3 * limits.MAX_FACES + 3 or width not in (None, columns):
            raise ValueError(f"accessors[{index}] has {count:,} rows of {columns}")
        dtype = np.dtype(_DTYPES[accessor["componentType"]])
        if "bufferView" in accessor:
            stride = whole(item(self._tree, "bufferViews", accessor["bufferView"]), "byteStride", 0)
            values = self._array(
                accessor["bufferView"], whole(accessor, "byteOffset", 0), dtype, count, columns, stride
            )
        else:
            values = np.zeros((count, columns), dtype)
        if "sparse" in accessor:
            values = self._sparse(values, accessor["sparse"])
        if accessor.get("normalized") and dtype.kind in "iu":
            return np.maximum(values.astype(np.float32) / np.iinfo(dtype).max, -1.0)
        return values

    def _array(
        self, view: Any, offset: int, dtype: np.dtype[Any], count: int, columns: int, stride: int = 0
    ) -> NDArray[Any]:
        """Rows of a view, packed or `stride` bytes apart; numpy refuses what does not fit."""
        row = dtype.itemsize * columns
        data = self.view(view)
        if not count:
            return np.zeros((0, columns), dtype)
        rows: NDArray[Any] = np.ndarray((count, columns), dtype, data, offset, (stride or row, dtype.itemsize))
        entry = item(self._tree, "bufferViews", view)
        end = self._ends.get(whole(entry, "buffer"))
        if end is None or _packed(entry):
            return rows
        there = max((end - whole(entry, "byteOffset", 0) - offset - row) // (stride or row) + 1, 0)
        if there >= count:
            return rows
        rows = rows.copy()
        if columns == 1:  # indices: of zeros, triangles have no area and are dropped later
            rows[there - there % 3 :] = 0
        elif dtype.kind == "f":
            rows[there:] = np.nan
        else:
            raise ValueError(f"bufferViews[{view}] is missing in parts")
        return rows

    def _sparse(self, values: NDArray[Any], sparse: Json) -> NDArray[Any]:
        """Values with some rows replaced."""
        count = whole(sparse, "count")
        where, what = sparse["indices"], sparse["values"]
        index_type = np.dtype(_DTYPES[where["componentType"]])
        rows = self._array(where["bufferView"], whole(where, "byteOffset", 0), index_type, count, 1)
        fresh = self._array(what["bufferView"], whole(what, "byteOffset", 0), values.dtype, count, values.shape[1])
        values = values.copy()
        values[rows.ravel()] = fresh
        return values
