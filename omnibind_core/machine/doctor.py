"""What this machine has, what a preset needs, and whether the two agree; also fetches a preset's weights."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from omnibind_core.machine.auto import best_preset
from omnibind_core.machine.cost import is_published
from omnibind_core.machine.plans import choose_plan, free_in_machine, free_on_card, light_needs, needs
from omnibind_core.machine.preflight import announce, file_rows, free_on_disk, is_commercial, licences
from omnibind_core.machine.runtime import choose_device
from omnibind_core.presets.preset import Asset, MadeHere, Preset, load_preset
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.store.paths import cache_directory, is_offline
from omnibind_core.store.weights import HubFile, Progress, is_cached, local_files

if TYPE_CHECKING:
    import torch

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
        Whose files; "auto" takes the best that this machine and network can run.
    fetch : bool
        Whether to fetch what is not cached.
    progress : callable, optional
        Called with (label, share done).

    Returns
    -------
    dict
        "preset", "machine", "packages", "specialists" (each with licence and files), "missing" (labels of files
        that are not on this machine), "files" (each with size, where known), "disk", "memory" (what each plan needs,
        which one this machine would take, and why), "hub" (whether files come from it), "made_here" (files that are
        made at the first start), "licences", "commercial", "ready". Nothing is fetched to tell it.

    Raises
    ------
    PresetError, WeightsError
        Unknown preset; a file could not be fetched.
    """
    chosen = load_preset(best_preset() if preset == "auto" else preset)
    specs = all_specs()
    known = [name for name in chosen.specialists() if name in specs]
    unknown = [name for name in chosen.specialists() if name not in specs]
    missing: list[str] = []
    rows = []
    if fetch:
        announce(chosen, known)
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
    for role, source in chosen.files.items():
        if isinstance(source, MadeHere):
            continue
        if isinstance(source, Asset):
            missing += [] if source.local().is_file() else [source.path]
            continue
        if fetch:
            local_files({role: source}, progress=progress)
        if not is_cached(source):
            missing.append(source.label)
    import torch

    device = choose_device("auto")
    files = file_rows(chosen, known)
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
        "files": [vars(row) for row in files],
        "disk": {
            "to_fetch": sum(row.about for row in files if not row.cached),
            "unstated": sum(row.bytes is None for row in files if not row.cached),
            "free": free_on_disk(),
        },
        "memory": _memory(chosen, device),
        "hub": any(isinstance(s, HubFile) for name in required(known) for s in specs[name].weights.values()),
        "made_here": [role for role, source in chosen.files.items() if isinstance(source, MadeHere)],
        "licences": licences(chosen, known),
        "commercial": all(is_commercial(licence) for licence in [chosen.licence, *licences(chosen, known)]),
        "missing": list(dict.fromkeys(missing)) + [f"specialist {name}" for name in unknown],
        "ready": not missing and not unknown and sys.version_info >= (3, 10),
    }


def _memory(preset: Preset, device: torch.device) -> dict[str, Any]:
    """Tell what each plan needs and which one fits; small presets need no plan."""
    if not any(is_published(name) for name in preset.specialists()):
        return {
            "plans": [],
            "free_in_machine": free_in_machine(),
            "needs": light_needs(preset),
            "plan": "resident",
            "reason": "small enough for most machines",
        }
    card, machine = free_on_card(device), free_in_machine()
    plans = needs(preset, card=card)
    plan, reason = choose_plan(plans, card, machine)
    return {
        "plans": [vars(one) for one in plans if card is not None or one.plan != "streamed"],
        "free_on_card": card,
        "free_in_machine": machine,
        "plan": plan,
        "reason": reason,
    }


def describe(found: dict[str, Any]) -> list[str]:
    """Put the answer of :func:`examine` into lines for people."""
    machine, disk = found["machine"], found["disk"]
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
    if found["hub"]:
        lines += _files(found["files"], disk)
        lines += _plans(found["memory"], disk) if found["memory"]["plans"] else _light(found["memory"], disk)
    if found["made_here"]:
        lines.append("start      its spaces are bound on this machine at the first start, by text, in a minute or two")
    if not found["commercial"]:
        titles = [t for name, owners in found["licences"].items() if not is_commercial(name) for t in owners]
        lines.append(f"licence    not for commercial use: {', '.join(titles) or found['licence']}")
    many = found["memory"]["plans"] and len(found["missing"]) > 1
    missing = f"{len(found['missing'])} files are not here" if many else ", ".join(found["missing"])
    command = (
        "make setup" if found["preset"] == "mini" else f"python -m omnibind_core doctor --preset {found['preset']}"
    )
    lines.append("ready" if found["ready"] else f"not ready: {missing} (run `{command} --fetch`)")
    return lines


def _files(rows: list[dict[str, Any]], disk: dict[str, int]) -> list[str]:
    lines = []
    for row in rows:
        size = (
            f"{row['bytes'] / 1e9:7.3f} GB"
            if row["bytes"]
            else "size not stated, about " + (f"{row['about'] / 1e9:.3f} GB")
        )
        lines.append(f"file       {row['label']}: {size}, {'here' if row['cached'] else 'to be fetched'}")
    verdict = "enough" if disk["free"] > disk["to_fetch"] else "NOT ENOUGH"
    lines.append(
        f"disk       {disk['to_fetch'] / 1e9:.1f} GB to fetch ({disk['unstated']} sizes estimated), "
        f"{disk['free'] / 1e9:.1f} GB free: {verdict}"
    )
    return lines


def _plans(memory: dict[str, Any], disk: dict[str, int]) -> list[str]:
    card = memory["free_on_card"]
    where = "card" if card is not None else "no card; for the weights"
    lines = [
        f"plan       {one['plan']:<9} {where} {one['card'] / 1e9:.1f} GB, machine {one['machine'] / 1e9:.1f} GB"
        for one in memory["plans"]
    ]
    free = f"{card / 1e9:.1f} GB on the card, " if card is not None else ""
    lines.append(f"memory     free: {free}{memory['free_in_machine'] / 1e9:.1f} GB in the machine")
    if disk["free"] <= disk["to_fetch"]:
        return [*lines, "verdict    this machine cannot run it: too little room on the disk (see OMNIBIND_CACHE)"]
    if memory["plan"] is None:
        return [*lines, f"verdict    this machine cannot run it: {memory['reason']}"]
    return [*lines, f"verdict    this machine can run it, plan {memory['plan']}: {memory['reason']}"]


def _light(memory: dict[str, Any], disk: dict[str, int]) -> list[str]:
    wanted, free = memory["needs"], memory["free_in_machine"]
    lines = [f"memory     {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB free; no card needed"]
    if disk["free"] <= disk["to_fetch"]:
        return [*lines, "verdict    this machine cannot run it: too little room on the disk (see OMNIBIND_CACHE)"]
    return [*lines, f"verdict    this machine {'can' if wanted <= free else 'cannot'} run it"]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _existing(path: Any) -> Any:
    while not path.exists():
        path = path.parent
    return path
