"""Reads the weights out of files that training scripts left behind: optimizer, losses and settings lie beside them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError

__all__ = ["load_exactly", "read_training_file"]

_PARALLEL = "module."  # what torch's DistributedDataParallel puts before every name


def read_training_file(path: Path, member: str) -> dict[str, Tensor]:
    """Read one state dict of a training script's file; never unpickles objects other than numpy's numbers.

    Parameters
    ----------
    path : Path
        What ``torch.save`` wrote.
    member : str
        Under which key of the outer dict the state dict lies.

    Returns
    -------
    dict of str to Tensor
        On the CPU, mapped from the file where its format allows, so that optimizer states are never read. Names
        without a leading ``module.``.

    Raises
    ------
    WeightsError
        The file is damaged, or holds something else.
    """
    # Losses were saved as numpy's scalars.
    numbers: list[Any] = [np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType, *_scalar()]
    try:
        with torch.serialization.safe_globals(numbers):
            outer: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (RuntimeError, OSError, ValueError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsError(
            f"{path.name} cannot be read ({type(error).__name__}: {str(error)[:200]})",
            "the published file",
            "delete it and fetch it again",
        ) from error
    found = outer.get(member) if isinstance(outer, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{path.name} without a state dict '{member}'", "the published file", "fetch it again")
    parallel = all(name.startswith(_PARALLEL) for name in found)
    return {name.removeprefix(_PARALLEL) if parallel else name: value for name, value in found.items()}


def _scalar() -> list[tuple[Any, str]]:
    """Numpy's own maker of scalars, under the names that files call it by: numpy 1's and numpy 2's."""
    maker = np.int64(0).__reduce__()[0]
    return [(maker, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]


def load_exactly(model: nn.Module, state: Mapping[str, Tensor], title: str, *, assign: bool = False) -> None:
    """Put a state dict into a model: every tensor of both, in the same shapes.

    Parameters
    ----------
    model : nn.Module
        Where to.
    state : mapping of str to Tensor
        What.
    title : str
        Whose it is, for the message.
    assign : bool
        Make the tensors themselves the model's, which may then have been on the meta device.

    Raises
    ------
    WeightsError
        Names what is missing, unknown or of another shape.
    """
    try:
        model.load_state_dict(dict(state), strict=True, assign=assign)
    except RuntimeError as error:
        raise WeightsError(
            f"weights that do not fit {title} ({str(error)[:400]})", "the published file", "fetch it again"
        ) from error
