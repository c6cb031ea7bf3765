"""The list of a weight file's tensors, read without the tensors: from disk, or from the Hub by a few ranges."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from omnibind_core.errors import WeightsError
from omnibind_core.store.hub import Known, ask, read_range
from omnibind_core.store.sources import HubFile

__all__ = ["Entry", "entries_of_file", "entries_on_hub"]

_AHEAD = 1 << 18  # bytes of one range, at least
_DAMAGED = (zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError, TypeError, EOFError, struct.error)
_LIST = 1 << 26  # bytes of a list of tensors, at most


@dataclass(frozen=True)
class Entry:
    """One tensor of a file.

    Attributes
    ----------
    shape : tuple of int
        Of the tensor.
    dtype : str
        As torch calls it, e.g. "float32".
    """

    shape: tuple[int, ...]
    dtype: str


def entries_of_file(path: Path) -> dict[str, Entry]:
    """List the tensors of a file on disk: {name: shape and type}.

    Raises
    ------
    WeightsError
        It has no such list, or is damaged.
    """
    with path.open("rb") as stream:
        return _entries(stream, path.name)


def entries_on_hub(source: HubFile, known: Known | None = None) -> dict[str, Entry]:
    """List the tensors of a file on the Hub, of which a few hundred kilobytes are read and nothing is stored.

    Parameters
    ----------
    source : HubFile
        A safetensors file, or one that torch 1.6 or newer wrote.
    known : Known, optional
        What the Hub says of it; None asks.

    Raises
    ------
    WeightsError
        The Hub cannot be reached, gives no ranges, or the file has no such list.
    """
    known = known or ask(source)
    if known.size is None:
        raise WeightsError(f"{source.label} without a size", "a file of known size", "fetch it instead")
    return _entries(io.BufferedReader(_Far(source, known, known.size), _AHEAD), source.label)


class _Far(io.RawIOBase):
    """A file on the Hub that is read where it is read."""

    def __init__(self, source: HubFile, known: Known, size: int) -> None:
        self._source, self._known, self._size, self._at = source, known, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        content = read_range(self._source, self._known, self._at, end)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


def _entries(stream: IO[bytes], name: str) -> dict[str, Entry]:
    try:
        start = stream.read(9)
        stream.seek(0)
        if start[:2] == b"PK":
            return _of_torch(stream, name)
        if start[8:] == b"{":
            return _of_safetensors(stream)
    except _DAMAGED as error:
        raise WeightsError(
            f"{name}, whose list of tensors cannot be read ({type(error).__name__}: {str(error)[:200]})",
            "safetensors, or a torch file of tensors only",
            "fetch it again, or tell us",
        ) from error
    raise WeightsError(
        f"{name}, which has no list of its tensors",
        "safetensors, or a file that torch 1.6 or newer wrote",
        "read it whole",
    )


def _of_safetensors(stream: IO[bytes]) -> dict[str, Entry]:
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > _LIST:
        raise ValueError(f"a list of {length} bytes")
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32"}
    found = json.loads(stream.read(length))
    found.pop("__metadata__", None)
    return {
        name: Entry(tuple(one["shape"]), names.get(one["dtype"], str(one["dtype"]).lower()))
        for name, one in found.items()
    }


def _of_torch(stream: IO[bytes], name: str) -> dict[str, Entry]:
    import torch

    # torch's own reader of weights_only=True, which builds tensors and plain values and calls nothing else. No storage
    # is read: tensors lie on the meta device.
    from torch._weights_only_unpickler import Unpickler

    with zipfile.ZipFile(stream) as archive:
        records = [one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl"]
        if not records or records[0].file_size > _LIST:
            raise ValueError("no list of tensors, or one that is too long")
        content = archive.read(records[0])
    reader: Any = Unpickler(io.BytesIO(content), encoding="utf-8")
    storages: Any = torch.storage

    def storage(key: Any) -> Any:
        kind, count = key[1], int(key[4])
        dtype = torch.uint8 if kind is storages.UntypedStorage else kind.dtype
        numbers = storages.UntypedStorage(count * dtype.itemsize, device="meta")
        return storages.TypedStorage(wrap_storage=numbers, dtype=dtype, _internal=True)

    reader.persistent_load = storage
    found = reader.load()
    if not isinstance(found, dict):
        raise ValueError(f"{name} holds {type(found).__name__}, not a state dict")
    tensors = {str(key): value for key, value in found.items() if isinstance(value, torch.Tensor)}
    return {key: Entry(tuple(value.shape), str(value.dtype).removeprefix("torch.")) for key, value in tensors.items()}
