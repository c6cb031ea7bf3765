"""Which engine runs a frozen network on this machine: torch, or OpenVINO where it measured faster.

A tower says what its network is and what it usually gets (:class:`omnibind_core.specialists.base.PortableTower`). At
its first start on a machine the network is converted, held to torch's answers and timed beside torch; the choice, the
converted network and one of torch's answers are kept in the cache directory under ``engine``. Later starts hold the
network to that answer, so that torch's own need not be built: libraries with it would take seconds and 150 MB.
Whatever goes wrong here is a line in the log, and torch goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import torch
from torch import Tensor

from omnibind_core.errors import OmniBindError, PresetError
from omnibind_core.machine.names import check_engine
from omnibind_core.machine.runtime import processor
from omnibind_core.specialists.base import PortableTower, Specialist
from omnibind_core.store.kept import identity, write_tensors
from omnibind_core.store.paths import cache_directory, replace_file
from omnibind_core.store.weights import read_tensors

__all__ = ["TOLERANCE", "Engine", "difference"]

log = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""How far an answer may be from torch's, as :func:`difference` gives it. Only in float32 are answers comparable: in
bfloat16 torch's own are about 0.1 from its float32, and another engine's rounding is another error of that size."""

_GAIN = 1.05  # times as fast as torch, or it is not worth the memory
_VERSION = 3  # of what is converted, and how

Network: TypeAlias = Callable[..., Any]
Example: TypeAlias = tuple[Tensor, ...]


class Engine:
    """Gives towers the network that is the fastest on this machine.

    Parameters
    ----------
    name : {"auto", "torch", "openvino"}
        "auto" measures each tower once and takes the faster; "openvino" takes it wherever it gives torch's answers.
    device : torch.device
        Where towers compute; on a card torch stays.
    told : callable, optional
        Called with what takes long, before it does.

    Raises
    ------
    PresetError
        Another name, or "openvino" where it is not installed or `device` is a card.
    """

    def __init__(self, name: str, device: torch.device, told: Callable[[str], None] | None = None) -> None:
        check_engine(name)
        self.name = name
        self._told = told or (lambda _label: None)
        self._version = _version() if name != "torch" and device.type == "cpu" else ""
        if name == "openvino" and device.type != "cpu":
            raise PresetError(f"engine 'openvino' on {device.type}", "auto or torch there, or device cpu", "use auto")
        if name == "openvino" and not self._version:
            raise PresetError(
                "engine 'openvino', which is not installed", "auto or torch", "run `pip install -r requirements.txt`"
            )

    def take(self, tower: Specialist, dtype: torch.dtype) -> Specialist:
        """Give a tower that computes in float32 the faster network, where it has one that can be moved.

        The tower itself comes back, as it was where `dtype` is another one.

        Raises
        ------
        WeightsError
            Torch runs the network, and the weights do not fit it.
        """
        if not isinstance(tower, PortableTower):
            return tower
        if self._version and dtype == torch.float32:
            try:
                self._replace(tower)
            except Exception as error:  # whatever a foreign library raises: the tower works without it
                log.warning("%s stays with torch: %s: %s", tower.spec.title, type(error).__name__, error)
        _ = tower.network  # built now where torch runs it, rather than when something is asked
        return tower

    def _replace(self, tower: PortableTower) -> None:
        what = {
            "tower": tower.spec.name,
            "weights": {role: source.identity for role, source in tower.spec.weights.items()},
            "openvino": self._version,
            "torch": torch.__version__,
            "version": _VERSION,
        }
        where = {"machine": processor(), "threads": torch.get_num_threads()}
        folder = cache_directory() / "engine"
        choice = folder / f"{tower.spec.name}-{identity({**what, **where})}.json"
        times = _kept(choice)
        if self.name == "auto" and times and not _is_faster(times):
            return  # measured before: torch is as fast
        examples = list(tower.examples())
        runner = self._runner(tower, examples, folder / f"{tower.spec.name}-{identity(what)}.xml")
        if times is None and self.name == "auto":
            times = _measured(tower.network, runner, examples)
            log.info("%s: torch %.0f ms, OpenVINO %.0f ms", tower.spec.title, *(1e3 * one for one in times.values()))
            _keep(choice, {**what, **where, "seconds": times})
            if not _is_faster(times):
                return
        tower.network = runner

    def _runner(self, tower: PortableTower, examples: Sequence[Example], path: Path) -> Network:
        """Read what was converted before, held to the answer beside it, or convert, held to all of torch's."""
        from omnibind_core.machine.openvino import Compiled, convert

        beside = path.with_suffix(".safetensors")
        if path.is_file() and (answer := _answer(beside)):
            runner = Compiled(path)
            if difference(answer, runner(*examples[0])) <= TOLERANCE:
                return runner
            log.info("%s: what was converted gives other answers, and is made anew", tower.spec.title)
        self._told(f"{tower.spec.title}, for this machine, once")
        with torch.inference_mode():
            answers = [_listed(tower.network(*example)) for example in examples]
        beside.unlink(missing_ok=True)  # until there is one, what lies beside it is not read
        runner = Compiled(convert(tower.network, examples[0], path))
        worst = max(difference(mine, runner(*one)) for mine, one in zip(answers, examples, strict=True))
        if not worst <= TOLERANCE:
            raise ValueError(f"OpenVINO's answers are {worst:.1e} from torch's")
        with contextlib.suppress(OSError):  # then the next start converts too
            write_tensors(beside, {str(i): one for i, one in enumerate(answers[0])}, {})
        return runner


def difference(answer: Tensor | Sequence[Tensor], other: Tensor | Sequence[Tensor]) -> float:
    """Tell how far apart two networks' answers to one input are.

    Returns
    -------
    float
        Length of the difference over the length of the first; of several outputs the worst.
    """
    pairs = zip(_listed(answer), _listed(other), strict=True)
    return max(float((a.float() - b.float()).norm() / a.float().norm().clamp_min(1e-12)) for a, b in pairs)


def _listed(found: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else list(found)


def _answer(path: Path) -> list[Tensor]:
    """Read a kept answer; an empty list where none is here, or it is not ours."""
    try:
        found = read_tensors(path)
        return [found[str(i)] for i in range(len(found))]
    except (OmniBindError, OSError, KeyError):
        return []


@torch.inference_mode()
def _measured(ours: Network, other: Network, examples: Sequence[Example], runs: int = 5) -> dict[str, float]:
    """Time both in turn: seconds for all examples together."""
    taken: dict[str, list[float]] = {"torch": [], "openvino": []}
    for _ in range(runs + 1):
        for name, network in (("torch", ours), ("openvino", other)):
            start = time.perf_counter()
            for example in examples:
                network(*example)
            taken[name].append(time.perf_counter() - start)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def _version() -> str:
    """Give OpenVINO's version; empty where it is not installed, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("openvino")
    except PackageNotFoundError:
        log.debug("OpenVINO is not installed on %s: torch runs all", platform.machine())
        return ""


def _kept(path: Path) -> dict[str, float] | None:
    try:
        kept = json.loads(path.read_bytes())["seconds"]
        return {name: float(kept[name]) for name in ("torch", "openvino")}
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not ours: it is written anew
        return None


def _keep(path: Path, found: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(found).encode())
    except OSError as error:  # then the next process measures too
        log.debug("%s cannot be written (%s)", path, error)


def _is_faster(times: dict[str, float]) -> bool:
    return times["torch"] > _GAIN * times["openvino"]
