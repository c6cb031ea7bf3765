"""Binds the spaces of a preset on this machine, once: what `lite` and `open` do at their first start.

The space whose heads are linear is the target; its vectors are only centred, each kind of input by its own mean, and so
are those of towers that were trained into the same space. Every other space is carried into it by heads that learn from
text alone (:mod:`.bridge`). Some of the gallery's media
are looked at too, for their means and nothing else. Vectors are kept in shards while it works, so that a process that
is killed goes on where it was; the finished file appears under its name at once, or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnibind_core import media
from omnibind_core.binding.bridge import Centre, Recipe, bridge
from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import PresetError
from omnibind_core.machine.cost import is_counted, work
from omnibind_core.presets.preset import Asset, MadeHere, Preset
from omnibind_core.specialists.base import Specialist
from omnibind_core.specialists.load import Place, load
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.kept import write_tensors
from omnibind_core.store.paths import assets_directory, cache_directory
from omnibind_core.store.shards import extract
from omnibind_core.store.weights import Progress
from omnibind_core.types import Modality, Text

__all__ = ["SOUNDS", "bind_spaces", "is_made", "made", "shared_sentences", "some_media", "target_of", "with_made_files"]

log = logging.getLogger(__name__)

_DATA = Path(__file__).parent / "data"
SOUNDS = _DATA / "sounds.csv"
"""Table of labelled sounds, of which only the labels are read here."""
LABEL = "binding the spaces, once on this machine"
_MEDIA: Mapping[Modality, int] = {"image": 32, "audio": 32, "point": 12}  # as many as a mean needs, and time allows
_UNCOUNTED = 10**10  # operations of an input, of towers that do not say
_TRAINING = 0.22  # share of the time
_BATCH, _SHARD = 32, 128  # items at a time; items that a kill can cost


def made(
    preset: Preset,
    device: torch.device,
    dtype: torch.dtype,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
    have: Mapping[str, Specialist] | None = None,
    place: Place | None = None,
) -> Path:
    """Give the file of heads that belongs to `preset` on this machine, and make it where there is none.

    Parameters
    ----------
    preset : Preset
        With a file that is made here.
    device : torch.device
        Where its towers compute.
    dtype : torch.dtype
        In what: heads are made from the very vectors that they will be given.
    offline : bool, optional
        As for :func:`omnibind_core.store.weights.local_files`.
    progress : callable, optional
        Called with (what is done, share done in 0..1).
    have : mapping of str to Specialist, optional
        Towers that are loaded, there and in that type; the preset's others are loaded where the file must be made.
    place : callable, optional
        Builds those, as for :func:`omnibind_core.specialists.load.load`.

    Returns
    -------
    Path
        In the cache directory; named by a hash of all that decides it.

    Raises
    ------
    PresetError, WeightsError, MediaError
        The preset has no target; a tower's weights cannot be had; an item of the gallery cannot be decoded.
    """
    target_of(preset)
    gallery = assets_directory() / "gallery"
    sentences, items = shared_sentences(gallery), some_media(gallery)
    path = _path(preset, device, dtype, sentences, items)
    if path.is_file():
        return path
    log.info("preset %s: %s (a few minutes)", preset.name, LABEL)
    report = progress or (lambda _label, _share: None)
    began = time.perf_counter()
    with _free_threads():
        towers = load(preset.specialists(), device, dtype, offline=offline, progress=report, place=place, have=have)
        tensors = bind_spaces(preset, towers, sentences, items, gallery, path.with_suffix(""), report)
    write_tensors(path, tensors, {})
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    log.info("preset %s: bound in %.0f s", preset.name, time.perf_counter() - began)
    return path


def _path(
    preset: Preset, device: torch.device, dtype: torch.dtype, sentences: Sequence[str], items: Sequence[Item]
) -> Path:
    decides = [
        fingerprint(preset),
        f"device={device.type} dtype={str(dtype).removeprefix('torch.')}",  # of two equal cards, either will do
        Recipe().identity,
        *sentences,
        *(f"{item.id} {item.sha256}" for item in items),
    ]
    digest = hashlib.sha256("\0".join(decides).encode()).hexdigest()[:16]
    return cache_directory() / "bound" / f"{preset.name}-{digest}.safetensors"


def is_made(preset: Preset, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether nothing is left for this machine to make: the file of heads is there, or the preset wants none."""
    if not any(isinstance(source, MadeHere) for source in preset.files.values()):
        return True
    gallery = assets_directory() / "gallery"
    return _path(preset, device, dtype, shared_sentences(gallery), some_media(gallery)).is_file()


def with_made_files(
    preset: Preset,
    device: torch.device,
    dtype: torch.dtype,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
    have: Mapping[str, Specialist] | None = None,
    place: Place | None = None,
) -> Preset:
    """Give a preset whose files are all there: those that this machine makes are made, and named as they lie.

    Its fingerprint counts their content, so that vectors made with other heads are not taken for its own. Parameters
    and errors are those of :func:`made`; a preset without such files is given back as it is.
    """
    if not any(isinstance(source, MadeHere) for source in preset.files.values()):
        return preset
    path = made(preset, device, dtype, offline=offline, progress=progress, have=have, place=place)
    there = Asset(path.name, path.parent)
    return replace(preset, files={n: there if isinstance(f, MadeHere) else f for n, f in preset.files.items()})


def target_of(preset: Preset) -> str:
    """Name the space that all others are carried to: the one of linear heads that reads sentences.

    Other spaces of linear heads were trained into it, such as a shape tower into an image-text space: they read
    sentences by the same tower, or not at all.

    Raises
    ------
    PresetError
        There is not exactly one, or a space to be carried has no sentences.
    """
    linear = [name for name, space in preset.spaces.items() if {h.kind for h in space.heads.values()} == {"linear"}]
    reading = [name for name in linear if "text" in preset.spaces[name].towers]
    towers = {preset.tower("text", name) for name in reading}
    if len(towers) != 1 or any("text" not in s.towers for name, s in preset.spaces.items() if name not in linear):
        raise PresetError(
            f"preset '{preset.name}' with {len(towers)} spaces of linear heads that read sentences",
            "one such text tower, the other spaces with heads of the kind mlp, and a text tower in each",
            "correct the preset",
        )
    return reading[0]


def shared_sentences(gallery: Path | None = None) -> list[str]:
    """Give the gallery's sentences and its shapes' captions, labels of sounds, and our own list, each once.

    Captions of its pictures and sounds say little that these do not: left out, they change no figure of
    ``python -m tools.mini.measure.bridge`` outside its interval.

    Parameters
    ----------
    gallery : Path, optional
        A folder with ``catalogue.json``; None takes the committed one.

    Returns
    -------
    list of str
        About 850: with twice as many the first start takes twice as long.
    """
    items = read_catalogue(gallery or assets_directory() / "gallery")
    captions = [item.caption for item in items if item.modality in {"text", "point"}]
    with SOUNDS.open(encoding="utf-8", newline="") as stream:
        labels = sorted({row["label"] for row in csv.DictReader(stream)})
    lines = (_DATA / "sentences.txt").read_text(encoding="utf-8").splitlines()
    own = [line for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys([*captions, *(f"the sound of a {label}" for label in labels), *own]))


def some_media(gallery: Path) -> list[Item]:
    """Choose items of different concepts, the first of each, spread over the catalogue."""
    chosen: list[Item] = []
    catalogue = read_catalogue(gallery)
    for modality, count in _MEDIA.items():
        first = {item.concept: item for item in reversed(catalogue) if item.modality == modality}
        found = sorted(first.values(), key=lambda item: item.id)
        chosen += found[:: max(1, len(found) // count)][:count]
    return chosen


def bind_spaces(
    preset: Preset,
    towers: Mapping[str, Specialist],
    sentences: Sequence[str],
    items: Sequence[Item],
    gallery: Path,
    folder: Path,
    progress: Progress,
    recipe: Recipe | None = None,
) -> dict[str, Tensor]:
    """Make the heads of all spaces.

    Parameters
    ----------
    preset : Preset
        Names spaces, towers and heads.
    towers : mapping of str to Specialist
        Loaded.
    sentences : sequence of str
        What both spaces read.
    items : sequence of Item
        Media whose means are taken; files relative to `gallery`.
    gallery : Path
        The gallery's folder.
    folder : Path
        Keeps the vectors while it works.
    progress : callable
        Called with (label, share done).
    recipe : Recipe, optional
        How the heads are trained.

    Returns
    -------
    dict of str to Tensor
        By the names that the preset's heads have, float32.
    """
    files = {item.id: gallery / str(item.file) for item in items}
    keys: dict[Modality, list[str]] = {"text": list(sentences)}
    for item in items:
        keys.setdefault(item.modality, []).append(item.id)
    kinds = [(name, modality) for name, space in preset.spaces.items() for modality in space.towers]
    runs = list(dict.fromkeys((preset.tower(modality, name), modality) for name, modality in kinds))
    costs = {(tower, modality): _cost(tower, modality) for tower, modality in runs}
    count = _Counter(sum(cost * len(keys[modality]) for (_, modality), cost in costs.items()), progress)
    seen: dict[tuple[str, Modality], Tensor] = {}
    for tower, modality in runs:
        cost = costs[tower, modality]
        embed = _embedder(towers[tower], modality, files, partial(count.add, cost))
        found = extract(
            folder / f"{tower}-{modality}", keys[modality], keys[modality], embed,
            specialist=tower, batch=_BATCH if modality == "text" else 4, shard_rows=_SHARD, dtype="float32",
        )  # fmt: skip
        seen[tower, modality] = torch.from_numpy(found.chunk(0, len(found)))
        count.reach(cost * len(keys[modality]))
    centres = {run: Centre.of(rows) for run, rows in seen.items()}
    target = target_of(preset)
    said = {tower: centres[tower, modality](rows) for (tower, modality), rows in seen.items() if modality == "text"}
    aim = said[preset.tower("text", target)]
    tensors: dict[str, Tensor] = {}
    carried = [name for name, space in preset.spaces.items() if {h.kind for h in space.heads.values()} != {"linear"}]

    def part_of(before: int) -> Callable[[float], None]:
        return lambda share: progress(LABEL, 1 - _TRAINING * (1 - (before + share) / len(carried)))

    for name, modality in kinds:
        if name not in carried:
            prefix, centre = preset.spaces[name].heads[modality].prefix, centres[preset.tower(modality, name), modality]
            tensors |= {f"{prefix}W": torch.eye(aim.shape[1]), f"{prefix}b": -centre.mean}
    for through, name in enumerate(carried):
        space = preset.spaces[name]
        how = recipe or Recipe(heads=space.heads["text"].count)
        bound = bridge(said[space.towers["text"]], aim, how, progress=part_of(through))
        for modality, tower in space.towers.items():
            tensors |= bound.tensors(space.heads[modality].prefix, centres[tower, modality])
    progress(LABEL, 1.0)
    return tensors


def _cost(tower: str, modality: Modality) -> int:
    """Count what one input takes, so that progress is even whatever the towers are."""
    return work(tower, modality).operations if is_counted(tower) else _UNCOUNTED


class _Counter:
    """Tells how far the embedding is; what an earlier run finished counts when its kind is through."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total, self._progress = max(total, 1), progress
        self._through = self._here = 0

    def add(self, cost: int, times: int = 1) -> None:
        self._here += cost * times
        self._progress(LABEL, (1 - _TRAINING) * (self._through + self._here) / self._total)

    def reach(self, cost: int) -> None:
        self._through, self._here = self._through + cost, 0
        self.add(0)


def _embedder(
    tower: Specialist, modality: Modality, files: Mapping[str, Path], count: Callable[[int], None]
) -> Callable[[Sequence[str]], Any]:
    def embed(keys: Sequence[str]) -> Any:
        items = [Text(key) if modality == "text" else media.load(files[key], modality) for key in keys]
        vectors = tower.embed(modality, items).float().cpu().numpy()
        count(len(keys))
        return vectors

    return embed


@contextmanager
def _free_threads() -> Iterator[None]:
    """Use the cores that nobody else uses: batches of sentences gain from them, where a single question may not.

    Threads that wait for one that got no core wait busily: on two cores that others used too, two threads took seven
    times the processor time of one for a sound.
    """
    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(_free_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _free_cores() -> int:
    """Cores that others left free in the last minute, of which this process was one; at least 1."""
    cores = os.cpu_count() or 1
    others = max(0.0, os.getloadavg()[0] - 1) if hasattr(os, "getloadavg") else 0.0
    return max(1, cores - round(others))
