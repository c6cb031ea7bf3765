"""What a preset will fetch, said before anything is fetched: files, sizes, room on the disk, licences."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from omnibind_core.errors import WeightsError
from omnibind_core.machine.cost import heads_bytes
from omnibind_core.presets.preset import Fallback, Preset
from omnibind_core.presets.tensors import compare
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.entries import entries_of_file
from omnibind_core.store.hub import find as find_cached
from omnibind_core.store.paths import cache_directory
from omnibind_core.store.weights import HubFile, WeightSource, bytes_waiting, is_cached

__all__ = [
    "FileRow",
    "Room",
    "announce",
    "fallbacks",
    "file_rows",
    "free_on_disk",
    "is_commercial",
    "licences",
    "room",
]

log = logging.getLogger(__name__)

_TOKENIZER = 4_000_000  # bytes; the published ones have 0.5 to 2.5 million
SLACK = 1_000_000_000
"""Bytes that stay free on the disk."""


@dataclass(frozen=True)
class FileRow:
    """One file that a preset needs.

    Attributes
    ----------
    owner : str
        What people read: the specialist's title, or "projectors and routers".
    label : str
        Repository and path.
    bytes : int or None
        Its size; None where its publisher's is not known here.
    about : int
        The size, or an estimate by the number of parameters.
    waiting : int
        Bytes of it that an interrupted fetch has left.
    cached : bool
        Whether it is on this machine.
    licence : str
        Of the weights.
    note : str
        Why it is fetched, where it may not be.
    """

    owner: str
    label: str
    bytes: int | None
    about: int
    cached: bool
    licence: str
    waiting: int = 0
    note: str = ""

    @property
    def left(self) -> int:
        """Bytes that are still to be fetched."""
        return 0 if self.cached else max(0, self.about - self.waiting)


@dataclass(frozen=True)
class Room:
    """Whether the disk has room for what is to be fetched.

    Attributes
    ----------
    files : int
        How many are to be fetched.
    wanted : int
        Bytes that are to be fetched.
    free : int
        Bytes free where they are kept.
    """

    files: int
    wanted: int
    free: int

    @property
    def enough(self) -> bool:
        """Whether they fit, and some room is left."""
        return self.files == 0 or self.wanted + SLACK <= self.free


def file_rows(preset: Preset, names: Iterable[str] | None = None) -> list[FileRow]:
    """List what is fetched for a preset, each file once.

    Parameters
    ----------
    preset : Preset
        Of which.
    names : iterable of str, optional
        Only these specialists and the projectors; None takes all of the preset's.

    Returns
    -------
    list of FileRow
        Without the files that are committed with the project.
    """
    rows = list(_heads(preset))
    for name in required(list(names if names is not None else preset.specialists())):
        spec = find(name)[0]
        parts = max(1, sum(role != "tokenizer" for role in spec.weights))
        for role, source in spec.weights.items():
            guess = _TOKENIZER if role == "tokenizer" else int(spec.bytes_per_parameter * spec.parameters / parts)
            rows.append(_row(spec.title, source, guess, spec.licence))
    return list({row.label: row for row in rows}.values())


def _heads(preset: Preset) -> Iterator[FileRow]:
    for source in preset.files.values():
        if isinstance(source, HubFile):
            yield _row("projectors and routers", source, heads_bytes(preset), preset.licence)
    for fallback, used in fallbacks(preset):
        if used is not False:
            row = _row("projectors and routers", fallback.source, heads_bytes(preset), preset.licence)
            yield replace(row, note="" if used else f"only if the preset's own file lacks {fallback.prefix}*")


def fallbacks(preset: Preset) -> Iterator[tuple[Fallback, bool | None]]:
    """Tell of each fallback whether it is used; None where the file that may lack something is not here to be seen."""
    for file, fallback in preset.fallbacks.items():
        source = preset.files[file]
        path = find_cached(source) if isinstance(source, HubFile) else None
        used = None
        if path is not None:
            with contextlib.suppress(WeightsError):  # it is damaged: loading will say so
                used = compare(preset, file, entries_of_file(path)).fallback is not None
        yield fallback, used


def _row(owner: str, source: WeightSource, guess: int, licence: str) -> FileRow:
    member = getattr(source, "member", getattr(source, "filename", ""))
    label = source.label if source.label.endswith(member) else f"{source.label}, {member}"
    here = is_cached(source)
    about = source.size or guess
    return FileRow(owner, label, source.size, about, here, licence, 0 if here else bytes_waiting(source))


def is_commercial(licence: str) -> bool:
    """Whether a licence's identifier does not say that commercial use is forbidden."""
    return "-NC" not in licence and "non-commercial" not in licence


def licences(preset: Preset, names: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Give {licence: titles of the specialists under it}, those that forbid commercial use first."""
    found: dict[str, list[str]] = {}
    for name in required(list(names if names is not None else preset.specialists())):
        spec = find(name)[0]
        found.setdefault(spec.licence, []).append(spec.title)
    return dict(sorted(found.items(), key=lambda row: (is_commercial(row[0]), row[0])))


def room(rows: Iterable[FileRow], free: int) -> Room:
    """Hold what is missing among `rows` against `free` bytes; doctor, the automatic choice and fetching ask this."""
    missing = [row for row in rows if not row.cached]
    return Room(len(missing), sum(row.left for row in missing), free)


def free_on_disk() -> int:
    """Bytes that are free where weights are kept."""
    folder = Path(os.environ.get("HF_HUB_CACHE", cache_directory())).expanduser()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def announce(preset: Preset, names: Iterable[str]) -> None:
    """Say what is about to be fetched and under which licence, and see that it has room; nothing where all is here.

    Parameters
    ----------
    preset : Preset
        What is about to be loaded.
    names : iterable of str
        Which of its specialists.

    Raises
    ------
    WeightsError
        The disk has too little room.
    """
    chosen = list(names)
    missing = [row for row in file_rows(preset, chosen) if not row.cached]
    if not missing:
        return
    needed = room(missing, free_on_disk())
    wanted, free = needed.wanted, needed.free
    for licence, titles in licences(preset, chosen).items():
        if not is_commercial(licence):
            log.warning("preset %s is not for commercial use: %s (%s)", preset.name, ", ".join(titles), licence)
    log.info("%d files to fetch, about %.1f GB; %.1f GB free", len(missing), wanted / 1e9, free / 1e9)
    if not needed.enough:
        raise WeightsError(
            f"{free / 1e9:.1f} GB free for the {len(missing)} files of preset '{preset.name}' that are not here yet, "
            f"from {missing[0].label} on",
            f"about {(wanted + SLACK) / 1e9:.1f} GB",
            "make room, or set OMNIBIND_CACHE to a folder on a larger disk",
        )
