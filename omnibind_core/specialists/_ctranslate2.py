"""Reads the variables of a CTranslate2 model file (``model.bin``): names, shapes, plain numbers, nothing else.

The layout is what CTranslate2's converters write (``python/ctranslate2/specs/model_spec.py``): version, name and
revision of the specification, then each variable as name, shape, type, size and bytes, then aliases. All numbers are
little-endian; a string is its length with the closing zero (uint16), its bytes, and that zero.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from omnibind_core.errors import WeightsError

__all__ = ["read_variables"]

_VERSION = 6
_TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)
_MOST_VARIABLES, _MOST_DIMENSIONS = 100_000, 8  # far above any model: a damaged file asks for no memory


def read_variables(path: Path, specification: str, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    """Read some variables of a model.

    Parameters
    ----------
    path : Path
        A ``model.bin`` of binary version 6.
    specification : str
        What kind of model it must be, e.g. ``"WhisperSpec"``.
    wanted : callable
        Variable name -> whether to read it; the others are skipped.

    Returns
    -------
    dict of str to Tensor
        In the file's own types, each a copy.

    Raises
    ------
    WeightsError
        The file is of another version or kind, ends early, or says something that cannot be.
    """
    with path.open("rb") as stream:
        left = path.stat().st_size

        def take(size: int) -> bytes:
            nonlocal left
            if size > left:
                raise _damaged(path, f"it ends {size - left} bytes early")
            left -= size
            return stream.read(size)

        def number(form: str) -> int:
            (value,) = struct.unpack(f"<{form}", take(struct.calcsize(form)))
            return int(value)

        def string() -> str:
            raw = take(number("H"))
            if not raw.endswith(b"\0"):
                raise _damaged(path, "a name does not end where it should")
            return raw[:-1].decode("utf-8", "replace")

        version, name = number("I"), string()
        number("I")  # revision of the specification: names and shapes below tell more
        if (version, name) != (_VERSION, specification):
            raise _damaged(path, f"it is a {name} of binary version {version}", f"{specification} of {_VERSION}")
        count = number("I")
        if count > _MOST_VARIABLES:
            raise _damaged(path, f"it announces {count} variables")
        variables: dict[str, Tensor] = {}
        for _ in range(count):
            name, dimensions = string(), number("B")
            if dimensions > _MOST_DIMENSIONS:
                raise _damaged(path, f"{name} has {dimensions} dimensions")
            shape = [number("I") for _ in range(dimensions)]
            kind, size = number("B"), number("I")
            if kind >= len(_TYPES) or size != math.prod(shape) * _TYPES[kind].itemsize:
                raise _damaged(path, f"{name} of shape {shape} and type {kind} has {size} bytes")
            if size > left:
                raise _damaged(path, f"it ends inside {name}")
            if wanted(name):
                # A bytearray, because torch wants memory that may be written to.
                variables[name] = torch.frombuffer(bytearray(take(size)), dtype=_TYPES[kind]).view(shape)
            else:
                left -= size
                stream.seek(size, 1)
        for _ in range(number("I")):
            string(), string()
        if left:
            raise _damaged(path, f"{left} bytes follow its end")
    return variables


def _damaged(path: Path, what: str, allowed: str = "a whole CTranslate2 model file") -> WeightsError:
    return WeightsError(f"{path.name} cannot be read: {what}", allowed, "delete it and fetch it again")
