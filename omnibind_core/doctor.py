"""What this machine has, what a preset needs, and whether the two agree; also fetches a preset's weights."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from omnibind_core.config import Asset, load_preset
from omnibind_core.runtime import choose_device
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.weights import Progress, cache_directory, is_cached, is_offline, local_files

__all__ = ["describe", "examine"]

_PACKAGES = (
    "gradio",
    "torch",
    "torchvision",
    "open_clip_torch",
    "laion_clap",
    "faiss-cpu",
    "trimesh",
    "librosa",
    "pillow",
)


def examine(preset: str = "mini", *, fetch: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Look at the machine and at a preset's files.

    Parameters
    ----------
    preset : str
        Whose files.
    fetch : bool
        Whether to fetch what is not cached.
    progress : callable, optional
        Called with (label, share done).

    Returns
    -------
    dict
        "preset", "machine", "packages", "specialists" (each with licence and files), "missing" (labels of files
        that are not on this machine), "ready".

    Raises
    ------
    PresetError, WeightsError
        Unknown preset; a file could not be fetched.
    """
    chosen = load_preset(preset)
    specs = all_specs()
    known = [name for name in chosen.specialists() if name in specs]
    unknown = [name for name in chosen.specialists() if name not in specs]
    missing: list[str] = []
    rows = []
    for name in required(known):
        spec = specs[name]
        if fetch:
            local_files(spec.weights, progress=progress)
        absent = [source.label for source in spec.weights.values() if not is_cached(source)]
        missing += absent
        rows.append(
            {
                "name": name,
                "title": spec.title,
                "licence": spec.licence,
                "source": spec.source,
                "parameters": spec.parameters,
                "bytes": sum(source.size or 0 for source in spec.weights.values()),
                "cached": not absent,
            }
        )
    for source in chosen.files.values():
        if isinstance(source, Asset):
            missing += [] if source.local().is_file() else [source.path]
        elif not is_cached(source):
            missing.append(source.label)
    import torch

    device = choose_device("auto")
    return {
        "preset": chosen.name,
        "title": chosen.title,
        "licence": chosen.licence,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "cache": str(cache_directory()),
            "free_bytes": shutil.disk_usage(_existing(cache_directory())).free,
            "offline": is_offline(),
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "specialists": rows,
        "missing": list(dict.fromkeys(missing)) + [f"specialist {name}" for name in unknown],
        "ready": not missing and not unknown and sys.version_info >= (3, 10),
    }


def describe(found: dict[str, Any]) -> list[str]:
    """Put the answer of :func:`examine` into lines for people."""
    machine = found["machine"]
    lines = [
        f"preset     {found['preset']}: {found['title']} ({found['licence']})",
        f"machine    Python {machine['python']}, {machine['system']}, {machine['device']}, "
        f"{machine['threads']} threads",
        f"cache      {machine['cache']}, {machine['free_bytes'] / 1e9:.0f} GB free, "
        + ("offline" if machine["offline"] else "network allowed"),
        "packages   " + ", ".join(f"{name} {found_version}" for name, found_version in found["packages"].items()),
    ]
    for row in found["specialists"]:
        state = "here" if row["cached"] else "to be fetched"
        size = f"{row['bytes'] / 1e6:.0f} MB, " if row["bytes"] else ""
        lines.append(f"{row['title']:<24} {size}{row['parameters'] / 1e6:.1f} M parameters, {row['licence']}, {state}")
    missing = ", ".join(found["missing"])
    lines.append("ready" if found["ready"] else f"not ready: {missing} (run `make setup`, or `doctor --fetch`)")
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _existing(path: Any) -> Any:
    while not path.exists():
        path = path.parent
    return path
