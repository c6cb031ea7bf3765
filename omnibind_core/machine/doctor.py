"""What this machine has, what a preset needs, and whether the two agree; also fetches a preset's weights."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from omnibind_core.machine.auto import best_preset
from omnibind_core.machine.fetching import fetch as fetch_all
from omnibind_core.machine.hub_check import check_hub, describe_check
from omnibind_core.machine.plans import decide, free_in_machine, free_on_card, light_needs
from omnibind_core.machine.preflight import fallbacks, file_rows, free_on_disk, is_commercial, licences, room
from omnibind_core.machine.runtime import choose_device
from omnibind_core.media.losses import losses
from omnibind_core.presets.preset import Asset, MadeHere, Preset, load_preset
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.store.paths import cache_directory, is_offline
from omnibind_core.store.weights import HubFile, Progress, is_cached

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


def examine(
    preset: str = "mini",
    *,
    fetch: bool = False,
    check: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    plan: str = "auto",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Look at the machine and at a preset's files.

    Parameters
    ----------
    preset : str
        Whose files; "auto" takes the best that this machine and network can run.
    fetch : bool
        Whether to fetch what is not cached.
    check : bool
        Whether to ask the Hub what it has, by :func:`omnibind_core.machine.hub_check.check_hub`.
    device, dtype, plan : str
        As for :meth:`omnibind_core.binder.OmniBind.from_pretrained`, for which the same function decides.
    progress : callable, optional
        Called with (label, share done).

    Returns
    -------
    dict
        "preset", "machine", "packages", "specialists" (each with licence and files), "missing" (labels of files
        that are not on this machine), "files" (each with size, where known), "disk", "memory" (what each plan needs,
        which one this machine would take, and why), "hub" (whether files come from it), "made_here" (files that are
        made at the first start), "hub_check" (None, or what the Hub says), "licences", "commercial", "ready".
        Nothing is fetched to tell it.

    Raises
    ------
    PresetError, WeightsError
        Unknown preset; a file could not be fetched.
    """
    chosen = load_preset(best_preset(device) if preset == "auto" else preset)
    specs = all_specs()
    known = [name for name in chosen.specialists() if name in specs]
    unknown = [name for name in chosen.specialists() if name not in specs]
    missing: list[str] = []
    rows = []
    if fetch:
        fetch_all(chosen, known, progress=progress)
    for name in required(known):
        spec = specs[name]
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
        if isinstance(source, MadeHere):
            continue
        if isinstance(source, Asset):
            missing += [] if source.local().is_file() else [source.path]
            continue
        if not is_cached(source):
            missing.append(source.label)
    import torch

    where = choose_device(device)
    files = file_rows(chosen, known)
    needed = room(files, free_on_disk())
    missing += [
        fallback.source.label for fallback, used in fallbacks(chosen) if used and not is_cached(fallback.source)
    ]
    return {
        "preset": chosen.name,
        "title": chosen.title,
        "licence": chosen.licence,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "cache": str(cache_directory()),
            "free_bytes": shutil.disk_usage(_existing(cache_directory())).free,
            "offline": is_offline(),
            "without": list(losses()),
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "specialists": rows,
        "files": [vars(row) for row in files],
        "disk": {
            "to_fetch": needed.wanted,
            "unstated": sum(row.bytes is None for row in files if not row.cached),
            "free": needed.free,
            "enough": needed.enough,
        },
        "memory": _memory(chosen, where, dtype, plan),
        "hub_check": check_hub(chosen, progress) if check else None,
        "hub": any(isinstance(s, HubFile) for name in required(known) for s in specs[name].weights.values()),
        "made_here": [role for role, source in chosen.files.items() if isinstance(source, MadeHere)],
        "licences": licences(chosen, known),
        "commercial": all(is_commercial(licence) for licence in [chosen.licence, *licences(chosen, known)]),
        "missing": list(dict.fromkeys(missing)) + [f"specialist {name}" for name in unknown],
        "ready": not missing and not unknown and sys.version_info >= (3, 10),
    }


def _memory(preset: Preset, device: torch.device, dtype: str, plan: str) -> dict[str, Any]:
    """Tell what each plan needs and which one loading would take; small presets need no plan."""
    card, machine = free_on_card(device), free_in_machine()
    decision = decide(preset, device=device, card=card, machine=machine, dtype=dtype, plan=plan)
    found: dict[str, Any] = {
        "plans": [vars(one) for one in decision.needs if card is not None or one.plan != "streamed"],
        "free_in_machine": machine,
        "plan": decision.plan,
        "dtype": str(decision.dtype).removeprefix("torch."),
        "reason": decision.reason,
    }
    return found | ({"free_on_card": card} if decision.needs else {"needs": light_needs(preset)})


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
    lines += [f"without    {words}" for words in machine["without"]]
    for row in found["specialists"]:
        state = "here" if row["cached"] else "to be fetched"
        size = f"{row['bytes'] / 1e6:.0f} MB, " if row["bytes"] else ""
        lines.append(f"{row['title']:<24} {size}{row['parameters'] / 1e6:.1f} M parameters, {row['licence']}, {state}")
    if found["hub"]:
        lines += _files(found["files"], disk)
        lines += _plans(found["memory"], disk) if found["memory"]["plans"] else _light(found["memory"], disk)
    if found["hub_check"] is not None:
        lines += describe_check(found["hub_check"])
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


def _files(rows: list[dict[str, Any]], disk: dict[str, Any]) -> list[str]:
    lines = []
    for row in rows:
        size = (
            f"{row['bytes'] / 1e9:7.3f} GB"
            if row["bytes"]
            else "size not stated, about " + (f"{row['about'] / 1e9:.3f} GB")
        )
        state = "here" if row["cached"] else "to be fetched"
        if row["waiting"]:
            state = f"{row['waiting'] / 1e9:.3f} GB of it are here, the rest is to be fetched"
        lines.append(f"file       {row['label']}: {size}, {state}{', ' + row['note'] if row['note'] else ''}")
    verdict = "enough" if disk["enough"] else "NOT ENOUGH"
    lines.append(
        f"disk       {disk['to_fetch'] / 1e9:.1f} GB to fetch ({disk['unstated']} sizes estimated), "
        f"{disk['free'] / 1e9:.1f} GB free: {verdict}"
    )
    return lines


def _plans(memory: dict[str, Any], disk: dict[str, Any]) -> list[str]:
    card = memory["free_on_card"]
    where = "card" if card is not None else "no card; for the weights"
    lines = [
        f"plan       {one['plan']:<9} {where} {one['card'] / 1e9:.1f} GB, machine {one['machine'] / 1e9:.1f} GB"
        for one in memory["plans"]
    ]
    free = f"{card / 1e9:.1f} GB on the card, " if card is not None else ""
    lines.append(f"memory     free: {free}{memory['free_in_machine'] / 1e9:.1f} GB in the machine")
    if not disk["enough"]:
        return [*lines, "verdict    this machine cannot run it: too little room on the disk (see OMNIBIND_CACHE)"]
    if memory["plan"] is None:
        return [*lines, f"verdict    this machine cannot run it: {memory['reason']}"]
    return [*lines, f"verdict    this machine can run it, plan {memory['plan']}: {memory['reason']}"]


def _light(memory: dict[str, Any], disk: dict[str, Any]) -> list[str]:
    wanted, free = memory["needs"], memory["free_in_machine"]
    lines = [f"memory     {wanted / 1e9:.1f} GB, {free / 1e9:.1f} GB free; no card needed"]
    if not disk["enough"]:
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
