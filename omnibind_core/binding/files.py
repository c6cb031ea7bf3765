"""The weight files of a preset's projectors and routers: fetched, read, and held to their names strictly."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection
from typing import Any

import torch

from omnibind_core.errors import WeightsError
from omnibind_core.presets.preset import Asset, MadeHere, Preset
from omnibind_core.presets.tensors import COUNTER, compare, expected_names
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.weights import CommittedFile, Progress, Tensors, local_files, read_tensors, take
from omnibind_core.types import Modality

__all__ = ["check_names", "expected_names", "fingerprint", "load_files"]

log = logging.getLogger(__name__)

# Of a preset what is for people to read, only a choice, or about machines: none of it decides a vector. Whether a
# fallback is used follows from the file, which is named by its commit.
_WORDS = {
    *("title", "note", "licence", "languages", "first_start", "proven"),
    *("trained", "rank", "published", "card", "fallback"),
}


def check_names(preset: Preset, file: str, tensors: Tensors) -> None:
    """Hold a state dict to the preset's names.

    Raises
    ------
    WeightsError
        Names the tensors that are missing or unknown.
    """
    lack = compare(preset, file, tensors)
    if lack.missing or lack.unknown:
        raise lack.error(preset, file)


def fingerprint(preset: Preset) -> str:
    """Hash of all that decides its vectors: the JSON but for words for people, the committed weights, the towers.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    # Trained routers that are only a choice decide none of a gallery's vectors.
    raw = _without_words(json.loads(preset.text))
    used = {head.file for space in preset.spaces.values() for head in space.heads.values()}
    used |= {body["router"].get("file") for body in raw["modalities"].values()}
    raw["files"] = {name: source for name, source in raw["files"].items() if name in used}
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode())
    for _, source in sorted((name, source) for name, source in preset.files.items() if name in used):
        digest.update(source.local().read_bytes() if isinstance(source, Asset) else source.identity.encode())
    for name in required(preset.specialists()):
        for role, weights in sorted(all_specs()[name].weights.items()):
            digest.update(f"({role!r}, {weights.identity})".encode())
            if isinstance(weights, CommittedFile):
                digest.update(weights.local().read_bytes())
    return digest.hexdigest()[:16]


def _without_words(raw: Any) -> Any:
    """Leave out what is only for people to read."""
    if isinstance(raw, dict):
        return {key: _without_words(value) for key, value in raw.items() if key not in _WORDS}
    return raw


def load_files(
    preset: Preset,
    modalities: Collection[Modality] | None = None,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, torch.Tensor]]:
    """Read the weight files of a preset's projectors and routers.

    Parameters
    ----------
    preset : Preset
        Whose.
    modalities : collection of Modality, optional
        Only the files that these need; None reads all.
    offline : bool, optional
        As for :func:`omnibind_core.store.weights.local_files`.
    progress : callable, optional
        Called with (what is fetched, share done in 0..1).

    Returns
    -------
    dict of str to dict of str to Tensor
        State dicts by the preset's file names.

    Raises
    ------
    DamagedError
        A committed file is not what was committed.
    WeightsError
        A file is missing, damaged, not made yet, or holds other names.
    """
    loaded = {}
    for name in preset.files if modalities is None else preset.files_of(modalities):
        source = preset.files[name]
        if isinstance(source, Asset):
            path = source.local()
        elif isinstance(source, MadeHere):
            raise WeightsError(
                f"file '{name}' of preset '{preset.name}', which this machine makes",
                "a preset whose files are there",
                "load it by `OmniBind.from_pretrained`, which makes it",
            )
        else:
            path = local_files({name: source}, offline=offline, progress=progress)[name]
        if not path.is_file():
            raise WeightsError(
                f"no file {path}", "the weights that the preset names", "restore it from version control, or its folder"
            )
        check_committed([path])
        loaded[name] = read_tensors(path)
        if fallback := compare(preset, name, loaded[name]).fallback:
            log.warning(
                "%s of preset %s lacks %s*; they are taken from %s: %s",
                *(path.name, preset.name, fallback.prefix, fallback.source.label, fallback.reason),
            )
            other = read_tensors(local_files({name: fallback.source}, offline=offline, progress=progress)[name])
            lent = sorted(one for one in expected_names(preset, name) if one.startswith(fallback.prefix))
            loaded[name] |= {one: take(other, one) for one in lent if one in other or not one.endswith(COUNTER)}
        check_names(preset, name, loaded[name])
    return loaded
