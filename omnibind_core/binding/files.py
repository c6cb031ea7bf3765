"""The weight files of a preset's projectors and routers: fetched, read, and held to their names strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from typing import Any

import torch

from omnibind_core.errors import WeightsError
from omnibind_core.presets.preset import Asset, MadeHere, Preset
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.weights import CommittedFile, Progress, Tensors, local_files, read_tensors
from omnibind_core.types import Modality

__all__ = ["check_names", "expected_names", "files_of", "fingerprint", "load_files"]

# Of a preset what is for people to read, only a choice, or about machines: none of it decides a vector.
_WORDS = {
    *("title", "note", "licence", "languages", "first_start", "proven"),
    *("trained", "rank", "published", "card"),
}

_COUNTER = "num_batches_tracked"  # of a BatchNorm in training: published, and without effect on any output
_LINEAR = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var", _COUNTER)
_HEAD_TENSORS = {
    "mlp": [f"0.{n}" for n in _LINEAR]
    + [f"1.{n}" for n in _NORM]
    + [f"3.{n}" for n in _LINEAR]
    + [f"4.{n}" for n in _NORM],
    "linear": ["W", "b"],
    "anchors": ["A", "a", "B", "m"],
    "identity": [],
}
_ROUTER_TENSORS = [*_HEAD_TENSORS["mlp"], *(f"6.{name}" for name in _LINEAR)]


def expected_names(preset: Preset, file: str) -> set[str]:
    """Tensor names that `preset` wants in one of its files: no more, no fewer."""
    return set(_names(preset, file))


def _names(preset: Preset, file: str) -> Iterator[str]:
    for space in preset.spaces.values():
        for head in space.heads.values():
            if head.file == file:
                yield from (prefix + name for prefix in head.prefixes() for name in _HEAD_TENSORS[head.kind])
    for router in dict.fromkeys((*preset.routers.values(), *preset.alternatives.values())):
        if router.file == file:
            yield from (router.prefix + name for name in _ROUTER_TENSORS)


def check_names(preset: Preset, file: str, tensors: Tensors) -> None:
    """Hold a state dict to the preset's names.

    Raises
    ------
    WeightsError
        Names the tensors that are missing or unknown.
    """
    expected = expected_names(preset, file)
    missing, unknown = sorted(expected - set(tensors)), sorted(set(tensors) - expected)
    missing = [name for name in missing if not name.endswith(_COUNTER)]
    if missing or unknown:
        raise WeightsError(
            f"file '{file}' of preset '{preset.name}' with {len(missing)} missing tensors {missing[:3]} "
            f"and {len(unknown)} unknown {unknown[:3]}",
            f"exactly the {len(expected)} tensors that the preset names",
            "use the file published for this preset",
        )


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


def files_of(preset: Preset, modalities: Collection[Modality]) -> list[str]:
    """Names of the files that hold the heads and routers of some modalities, in the preset's order."""
    used = {preset.routers[m].file for m in modalities}
    used |= {preset.spaces[space].heads[m].file for m in modalities for space in preset.spaces_of(m)}
    return [name for name in preset.files if name in used]


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
    for name in preset.files if modalities is None else files_of(preset, modalities):
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
        check_names(preset, name, loaded[name])
    return loaded
