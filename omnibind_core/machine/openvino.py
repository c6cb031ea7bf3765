"""OpenVINO as an engine for frozen networks: conversion from torch's modules, files, and calls with tensors."""

from __future__ import annotations

import contextlib
import copy
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.machine.runtime import inputs_at_once, usable_cores

__all__ = ["Compiled", "convert"]


@cache
def _library() -> Any:
    """Import OpenVINO without the package that would tell its makers of every import."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its own silent stand-in serves then
    import openvino

    return openvino


@cache
def _core() -> Any:
    return _library().Core()


def convert(network: Callable[..., Any], example: tuple[Tensor, ...], path: Path) -> Any:
    """Convert a network with any sizes, and write it.

    Parameters
    ----------
    network : nn.Module
        Tensors -> a tensor or a list of them; it is not changed.
    example : tuple of Tensor
        What it is traced with.
    path : Path
        Of the ``.xml``; the weights lie beside it as ``.bin``. A folder that cannot be written is no error.

    Returns
    -------
    openvino.Model
        In float32.

    Raises
    ------
    Exception
        Whatever OpenVINO raises where it lacks an operation.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"a {type(network).__name__} cannot be converted")
    # Not `convert_model`, which is these lines but reads this program's command line and sets the root logger.
    _library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    plain = copy.deepcopy(network).float()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, of sizes that it takes for constants: examples check them
        decoder = TorchScriptPythonDecoder(plain, example_input=example)
        reader = FrontEndManager().load_by_framework("pytorch")
        model = reader.convert(reader.load(decoder))
    with contextlib.suppress(OSError, RuntimeError):  # then the next start converts too
        _write(model, path)
    return model


def _write(model: Any, path: Path) -> None:
    """Write both files so that whoever reads them finds a pair that belongs together, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        _library().save_model(model, part, compress_to_fp16=False)
        path.unlink(missing_ok=True)  # a new .bin below an old .xml would be a mixture
        part.with_suffix(".bin").replace(path.with_suffix(".bin"))
        part.replace(path)


class Compiled:
    """A network in OpenVINO's form that takes and gives tensors, as the module did that it was made of.

    Parameters
    ----------
    model : openvino.Model or Path
        From :func:`convert`, or its file. It computes in float32.
    """

    def __init__(self, model: Any) -> None:
        threads, at_once = torch.get_num_threads(), inputs_at_once(torch.device("cpu"))
        streams = max(1, min(at_once, usable_cores() // threads))
        options = {
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would take bfloat16 by themselves
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": str(streams),  # with fewer than come at once, they wait for one another
            "INFERENCE_NUM_THREADS": str(streams * threads),  # of all streams together
            "ENABLE_CPU_PINNING": "NO",  # other processes, and torch's threads, want these cores too
        }
        compiled = _core().compile_model(model, "CPU", options)
        self._free: SimpleQueue[Any] = SimpleQueue()  # requests that nobody uses: one for each input at a time
        for _ in range(at_once):
            self._free.put(compiled.create_infer_request())

    def __call__(self, *inputs: Tensor) -> Any:
        """Run the network: tensors on the CPU -> a float32 tensor, or a list of them."""
        arrays = [_array(x) for x in inputs]
        request = self._free.get()
        try:
            found = request.infer(arrays, share_inputs=True)
            made = [torch.from_numpy(np.array(one)) for one in found.values()]
        finally:
            self._free.put(request)
        return made[0] if len(made) == 1 else made


def _array(x: Tensor) -> Any:
    return np.ascontiguousarray((x.float() if x.is_floating_point() else x).numpy())
