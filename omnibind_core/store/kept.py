"""What was worked out once and is kept: tensors in a file that is named by all that decides them.

Identities are hashes of stated fields, data included; never of ``repr`` or of source text. Where a program decides, a
``VERSION`` stands beside it, to be raised by whoever changes what it gives.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.store.paths import replace_file

__all__ = ["digest", "file_digest", "identity", "kept", "read_about", "write_tensors"]


def digest(*arrays: NDArray[Any] | Tensor) -> str:
    """Hash of arrays' contents, 16 hexadecimal digits: tells whether what was kept belongs to these data."""
    found = hashlib.sha256()
    for array in arrays:
        plain = array.detach().cpu().contiguous().numpy() if isinstance(array, Tensor) else np.ascontiguousarray(array)
        found.update(plain.tobytes())
    return found.hexdigest()[:16]


def file_digest(*paths: Path) -> str:
    """Hash of files' contents, 16 hexadecimal digits."""
    found = hashlib.sha256()
    for path in paths:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


def identity(fields: Mapping[str, Any]) -> str:
    """Hash of stated fields, 16 hexadecimal digits.

    Parameters
    ----------
    fields : mapping of str to JSON values
        Whatever decides; dataclasses count by their fields, arrays belong in as their :func:`digest`.

    Raises
    ------
    TypeError
        A value that JSON cannot tell.
    """
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=asdict).encode()).hexdigest()[:16]


def kept(
    folder: Path, name: str, decides: Mapping[str, Any], make: Callable[[], tuple[Mapping[str, Tensor], Any]]
) -> tuple[dict[str, Tensor], Any]:
    """Read what was kept under this identity, or make it and keep it.

    Parameters
    ----------
    folder : Path
        Where it lies; made if it is not there.
    name : str
        For people; the identity follows it in the file's name.
    decides : mapping of str to JSON values
        Everything that decides, see :func:`identity`.
    make : callable
        Gives tensors by name, and what else is to be known of them as JSON values.

    Returns
    -------
    dict of str to Tensor
    JSON values
        As `make` gave them.
    """
    from safetensors.torch import load_file

    path = folder / f"{name}-{identity(decides)}.safetensors"
    if not path.is_file():
        tensors, about = make()
        write_tensors(path, tensors, {"about": about})
    return load_file(path), read_about(path, "about")


def read_about(path: Path, entry: str) -> Any:
    """Read the JSON under one entry of a safetensors file's metadata."""
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        return json.loads(stored.metadata()[entry])


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any], *, sort: bool = True) -> None:
    """Write safetensors so that whoever reads them finds the old file or the new, even after a kill.

    Parameters
    ----------
    path : Path
        The file; its folder is made if it is not there.
    tensors : mapping of str to Tensor
        On any device.
    about : mapping of str to JSON values
        Entries of the metadata. One at most, for bytes that repeat: safetensors writes several in no fixed order.
    sort : bool
        Whether names in the JSON are sorted; else they stay in the order given.
    """
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {entry: json.dumps(value, sort_keys=sort) for entry, value in about.items()}
    replace_file(path, save(stored, metadata or None))
