"""Device, threads and number type: chosen by measurement at start, not by guess."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import cache
from statistics import median

import torch

from omnibind_core.errors import PresetError

__all__ = ["choose_device", "choose_dtype", "tune_threads"]

log = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> torch.device:
    """Give the device to compute on.

    Parameters
    ----------
    name : str
        "auto" takes CUDA where there is one, else the CPU; otherwise torch's own name.

    Raises
    ------
    PresetError
        The device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PresetError(f"device '{name}'", "auto, cpu, cuda or cuda:N", "choose one of these") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PresetError(
            f"device '{name}' with {torch.cuda.device_count()} CUDA devices here", "a device that exists", "use auto"
        )
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Give the number type in which towers compute.

    Parameters
    ----------
    name : str
        "float32", "bfloat16", or "auto": the faster of the two here, by measurement.
    device : torch.device
        Where.

    Raises
    ------
    PresetError
        Any other name.
    """
    if name in {"float32", "bfloat16"}:
        chosen: torch.dtype = getattr(torch, name)
        return chosen
    if name != "auto":
        raise PresetError(f"dtype '{name}'", "auto, float32 or bfloat16", "choose one of these")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return _fastest_cpu()[1]


def tune_threads() -> int:
    """Set torch's number of CPU threads to the measured best, unless ``OMP_NUM_THREADS`` says otherwise.

    Returns
    -------
    int
        The number now in force.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_fastest_cpu()[0])
    return torch.get_num_threads()


@cache
def _fastest_cpu() -> tuple[int, torch.dtype]:
    """Time a block like those of the image and sound towers for each choice: (threads, dtype) of the fastest."""
    before = torch.get_num_threads()
    results: dict[tuple[int, torch.dtype], float] = {}
    for threads in sorted({1, before}):
        torch.set_num_threads(threads)
        for dtype in (torch.float32, torch.bfloat16):
            results[threads, dtype] = _seconds(_block(dtype))
    torch.set_num_threads(before)
    best = min(results, key=results.__getitem__)
    for (threads, dtype), seconds in results.items():
        log.debug("%d threads, %s: %.1f ms", threads, dtype, 1000 * seconds)
    return best


def _block(dtype: torch.dtype) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 48, 65, 65, generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(48, 192, 1),
        torch.nn.Conv2d(192, 192, 3, padding=1, groups=192),
        torch.nn.Conv2d(192, 48, 1),
        torch.nn.Conv2d(48, 96, 3, padding=1),
    )
    layers = layers.to(dtype).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def run() -> object:
        with torch.inference_mode():
            return layers(x)

    return run


def _seconds(run: Callable[[], object], repeats: int = 7) -> float:
    for _ in range(2):
        run()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return median(taken)
