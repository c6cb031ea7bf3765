"""Device, threads and number type: chosen by measurement, not by guess. A machine is measured once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from omnibind_core.errors import PresetError
from omnibind_core.machine.names import check_dtype
from omnibind_core.store.paths import cache_directory, replace_file

__all__ = ["choose_device", "choose_dtype", "inputs_at_once", "processor", "tune_threads", "usable_cores"]

log = logging.getLogger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_BLOCK = 2  # version of what is timed, and how
_ROUNDS = 5  # in each of them every choice has its turn: what else the machine does then falls on all alike
_CLEARLY = 0.85  # of the time of more threads is what fewer ones must take, to be chosen


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
        "float32", "bfloat16", or "auto": the faster of the two here, as measured once on this machine.
    device : torch.device
        Where.

    Raises
    ------
    PresetError
        Any other name.
    """
    check_dtype(name)
    if name in _DTYPES:
        return _DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return _fastest_cpu()[1]


def tune_threads() -> int:
    """Set torch's number of CPU threads to the measured best, unless ``OMP_NUM_THREADS`` says otherwise.

    The measurement takes a second or two, once on a machine; it is kept in the cache directory under ``machine``.

    Returns
    -------
    int
        The number now in force.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_fastest_cpu()[0])
    return torch.get_num_threads()


def inputs_at_once(device: torch.device, plan: str = "resident") -> int:
    """Say how many inputs can be computed at the same time, each with a share of the cores.

    Parameters
    ----------
    device : torch.device
        Where towers compute.
    plan : str
        Where their weights lie; only "resident" ones are used by several threads.

    Returns
    -------
    int
        On a processor, the cores that this process may use, 1 to 4; elsewhere 1.
    """
    return min(4, usable_cores()) if device.type == "cpu" and plan == "resident" else 1


def usable_cores() -> int:
    """Give the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _fastest_cpu() -> tuple[int, torch.dtype]:
    """Give the (threads, dtype) that measured fastest on this machine, by an earlier process if there was one."""
    about = _machine()
    path = cache_directory() / "machine" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"
    found = _kept(path)
    if found is None:
        found = _measured()
        kept = {"machine": about, "threads": found[0], "dtype": str(found[1]).removeprefix("torch.")}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, json.dumps(kept).encode())
        except OSError as error:  # then the next process measures too
            log.debug("%s cannot be written (%s)", path, error)
    return found


def processor() -> str:
    """Say which processor this is and how many of its cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or not x86
        model = platform.machine()
    return f"processor={model} cores={usable_cores()}"


def _machine() -> str:
    """Say what decides the measurement: what is measured, the processor, what of it may be used, and torch."""
    return f"block={_BLOCK} {processor()} threads={torch.get_num_threads()} torch={torch.__version__}"


def _kept(path: Path) -> tuple[int, torch.dtype] | None:
    try:
        kept = json.loads(path.read_bytes())
        threads, dtype = kept["threads"], _DTYPES[kept["dtype"]]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not ours: it is written anew
        return None
    return (threads, dtype) if type(threads) is int and 1 <= threads <= torch.get_num_threads() else None


def _measured() -> tuple[int, torch.dtype]:
    """Time a block like those of the image and sound towers for each choice.

    The best time of several counts, and fewer threads must be clearly quicker: on a machine that is busy with other
    things for a moment, threads that wait for one another look slow, and the choice is kept for good.
    """
    before = torch.get_num_threads()
    best: dict[tuple[int, torch.dtype], float] = {}
    blocks = {dtype: _block(dtype) for dtype in _DTYPES.values()}
    for _ in range(_ROUNDS):
        for threads in sorted({1, before}):
            torch.set_num_threads(threads)
            for dtype, block in blocks.items():
                best[threads, dtype] = min(_seconds(block), best.get((threads, dtype), math.inf))
    torch.set_num_threads(before)
    for (threads, dtype), seconds in best.items():
        log.debug("%d threads, %s: %.1f ms", threads, dtype, 1000 * seconds)
    return min(best, key=lambda choice: best[choice] / (_CLEARLY if choice[0] < before else 1.0))


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


def _seconds(run: Callable[[], object], repeats: int = 4) -> float:
    """Give the best time of a few runs, after one that does not count."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])
