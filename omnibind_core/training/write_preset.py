"""Writes what was trained as a preset: a JSON that :func:`omnibind_core.presets.preset.load_preset` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omnibind_core.store.paths import replace_file
from omnibind_core.types import MODALITIES, Modality

__all__ = ["PROJECTORS", "ROUTERS", "SpacePlan", "write_preset"]

PROJECTORS, ROUTERS = "projectors.safetensors", "routers.safetensors"
_TEXT_SCALE = 10.0  # published: text alone is sharp


@dataclass(frozen=True)
class SpacePlan:
    """A space that is bound.

    Attributes
    ----------
    title : str
        For people.
    towers : mapping of Modality to str
        Specialist for each modality.
    """

    title: str
    towers: Mapping[Modality, str]


def write_preset(
    path: Path,
    *,
    title: str,
    licence: str,
    note: str,
    width: int,
    spaces: Mapping[str, SpacePlan],
    heads: int,
    router_inputs: Mapping[Modality, Sequence[str]],
) -> None:
    """Write a preset whose weights lie beside it.

    Parameters
    ----------
    path : Path
        ``<name>.json``; the weights are named as files beside it, so that the folder can be moved.
    title, licence, note : str
        For people.
    width : int
        Width D of the target.
    spaces : mapping of str to SpacePlan
        By name. Every space is a member for each modality it has a tower for.
    heads : int
        Heads of each space.
    router_inputs : mapping of Modality to sequence of str
        Spaces that a trained router reads; a modality that is not named gets flat weights.
    """
    present = [m for m in MODALITIES if any(m in plan.towers for plan in spaces.values())]
    files = {"projectors": {"beside": PROJECTORS}}
    if router_inputs:
        files["routers"] = {"beside": ROUTERS}
    modalities: dict[str, Any] = {}
    for modality in present:
        router: dict[str, Any] = {"kind": "flat"}
        if modality in router_inputs:
            router = {
                "kind": "mlp", "file": "routers", "prefix": f"{modality}.", "inputs": list(router_inputs[modality]),
                "scale": _TEXT_SCALE if modality == "text" else 1.0,
            }  # fmt: skip
        members = [name for name, plan in spaces.items() if modality in plan.towers]
        modalities[modality] = {"members": members, "router": router}
    body = {
        "name": path.stem, "title": title, "licence": licence, "note": note, "width": width, "dtype": "float32",
        "files": files,
        "spaces": {
            name: {
                "title": plan.title, "towers": {str(modality): tower for modality, tower in plan.towers.items()},
                "heads": {"kind": "mlp", "file": "projectors", "prefix": f"{name}.{{}}.", "count": heads},
            }
            for name, plan in spaces.items()
        },
        "modalities": modalities,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode())
