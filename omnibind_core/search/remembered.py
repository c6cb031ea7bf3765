"""What was embedded lately: equal input, read in the same way by the same model, is not computed again.

Inputs are known by the SHA-256 of their content; neither a file nor a sentence is kept, only its vectors, and the
notices of its reading.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnibind_core.search.answers import Embedded
from omnibind_core.types import Modality

__all__ = ["Remembered", "key_of"]

Key = tuple[object, ...]

_BLOCK = 1 << 20
_FIXED = 2_000  # bytes of an entry beside its arrays and words, about


class Remembered:
    """The latest inputs' vectors; what was asked for longest ago is forgotten first. Threads may share one.

    Parameters
    ----------
    count : int
        Inputs that are kept at the most.
    size : int
        Bytes that they may take together, about.
    """

    def __init__(self, count: int = 1_024, size: int = 48_000_000) -> None:
        self._count, self._size = count, size
        self._found: OrderedDict[Key, tuple[Embedded, int]] = OrderedDict()
        self._taken = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    @property
    def taken(self) -> int:
        """Bytes that the entries take, about."""
        return self._taken

    def get(self, key: Key | None) -> Embedded | None:
        """Give what was kept under a key, without its media; None where there is nothing, or no key."""
        with self._lock:
            if key is None or key not in self._found:
                return None
            self._found.move_to_end(key)
            return self._found[key][0]

    def put(self, key: Key | None, one: Embedded) -> None:
        """Keep an input's vectors, which must come without its media; nothing is kept without a key."""
        size = _bytes(one)
        if key is None or size > self._size:
            return
        with self._lock:
            self._taken -= self._found.pop(key, (one, 0))[1]
            self._found[key] = one, size
            self._taken += size
            while len(self._found) > self._count or self._taken > self._size:
                _, (_, gone) = self._found.popitem(last=False)
                self._taken -= gone


def key_of(source: object, modality: Modality, most: int, beside: Mapping[str, Any] | None, *how: object) -> Key | None:
    """Tell an input from all that would be read otherwise.

    Parameters
    ----------
    source : object
        A sentence, or the path of a file.
    modality : Modality
        What it is read as.
    most : int
        Bytes of the largest file that is looked at.
    beside : mapping, optional
        Files that belong to a shape; with any, or where its folder is looked into (None), a shape has no key.
    *how
        What else decides how it is read.

    Returns
    -------
    tuple, optional
        The content's hash, the file's name (its end decides, and messages say it) and how it is read. None for what
        has no content of its own, or none that can be read here; whoever reads it says why.
    """
    if modality == "text":
        return ("text", _hash(source.encode(errors="surrogatepass"))) if isinstance(source, str) else None
    if not isinstance(source, (str, os.PathLike)) or (modality == "point" and (beside is None or beside)):
        return None
    try:
        path = Path(source)
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or not 0 < state.st_size <= most:
            return None
        found = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except (OSError, ValueError):
        return None
    return modality, found.hexdigest(), path.name, *how


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(one: Embedded) -> int:
    arrays = [one.bound.vectors, one.bound.weights, *([] if one.bound.projected is None else [one.bound.projected])]
    return sum(array.nbytes for array in arrays) + 2 * sum(len(text) for text in one.notices) + _FIXED
