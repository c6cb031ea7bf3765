"""Collections: folders of files -> items with vectors, incremental, resumable, served like the gallery.

A run looks at the files (`collection_scan`), works out the rows that no earlier run left, in pieces that survive a kill
(:func:`omnibind_core.store.shards.extract`), and then replaces vectors, ledger and catalogue. What an item's row is
depends on its content, its preset and its neighbours in a batch alone, and neighbours are told by the list of what is
missing: a killed run that is started again goes on with the same batches, and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from omnibind_core import media
from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.search.collection_scan import scan, text_id
from omnibind_core.search.collection_vectors import Known, read_known, whose, write_known
from omnibind_core.search.thumbnails import write_thumbnail
from omnibind_core.store.catalogue import Item
from omnibind_core.store.collection import (
    FOLDERS,
    Ledger,
    collection_folder,
    locked,
    read_items,
    read_ledger,
    write_items,
    write_ledger,
    write_skipped,
)
from omnibind_core.store.kept import identity
from omnibind_core.store.paths import replace_file
from omnibind_core.store.shards import PoolError, extract, open_shards
from omnibind_core.types import MODALITIES, FloatArray, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.presets.preset import Preset

__all__ = ["Added", "add", "finish", "missing"]

log = logging.getLogger(__name__)

BATCH = 16  # items that go through a tower together, and that a kill can cost
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Added:
    """What a run did.

    Attributes
    ----------
    folder : Path
        The collection's.
    items : int
        In it now.
    embedded : int
        Rows that were worked out now; the rest was there.
    moved, gone, forgotten, skipped : int
        Files that were found elsewhere, that are no longer where they were, that `prune` took out for that, and that
        could not be read (with their reasons in skipped.csv).
    """

    folder: Path
    items: int
    embedded: int
    moved: int
    gone: int
    forgotten: int
    skipped: int


def add(
    name: str,
    paths: Sequence[str | Path],
    model: OmniBind,
    *,
    prune: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Make or grow a collection; only what is new or changed is embedded.

    Parameters
    ----------
    name : str
        A name, or the path of a folder.
    paths : sequence of str or Path
        Files, and folders with all below them; none embeds what the collection has, for another preset.
    model : OmniBind
        In float32, so that two machines give the same vectors.
    prune : bool
        Forget items whose files are gone. Without it they stay, for the collection has copies.
    progress : callable, optional
        Called with (rows done, rows).

    Returns
    -------
    Added

    Raises
    ------
    GalleryError
        A path that does not exist, no room, another process that does not end, a damaged ledger.
    """
    folder = collection_folder(name, exists=not paths)
    with locked(folder):
        ledger = read_ledger(folder)
        found = scan([Path(path) for path in paths], ledger)
        ledger, moved, gone, forgotten = _merge(ledger, found, prune)
        return replace(finish(folder, ledger, model.preset, model, progress=progress),
                       moved=moved, gone=gone, forgotten=forgotten)  # fmt: skip


def missing(folder: Path, preset: Preset) -> dict[Modality, int]:
    """Count the items that have no vector of a preset yet, by modality: what re-embedding would take."""
    known = read_known(folder, preset)
    counts: dict[Modality, int] = dict.fromkeys(MODALITIES, 0)
    for item in read_items(folder):
        counts[item.modality] += item.id not in known.media
    return counts


def _merge(ledger: Ledger, found: Ledger, prune: bool) -> tuple[Ledger, int, int, int]:
    """Join what was known with what is there: (ledger, moved, gone, forgotten)."""
    merged = {**ledger, **found}
    here = {one.sha256 for one in found.values() if one.items}
    lost = [name for name in ledger if name not in found and not Path(name).exists()]
    moved = [name for name in lost if ledger[name].sha256 in here]
    gone = [name for name in lost if name not in moved]
    for name in moved + (gone if prune else []):
        del merged[name]
    return merged, len(moved), len(gone), len(gone) if prune else 0


def finish(
    folder: Path,
    ledger: Ledger,
    preset: Preset,
    model: OmniBind | None,
    *,
    given: Known | None = None,
    progress: Progress | None = None,
) -> Added:
    """Work out what a ledger's items lack, then replace vectors, ledger and catalogue; the folder is locked.

    `given` are vectors that came from elsewhere. Without a model every row must be known.
    """
    known = read_known(folder, preset)
    if given is not None:
        known.media.update(given.media)
        known.caption.update(given.caption)
    chosen = _chosen(ledger)
    run = _Run(folder, preset, model, known, progress)
    reasons = run.complete(chosen)
    for item_id, reason in reasons.items():
        for name, source in ledger.items():
            if any(one["id"] == item_id for one in source.items):
                ledger[name] = replace(source, items=(), skipped=((name, reason),))
    items = [_item(row) for row in _chosen(ledger)]
    rows = [row for row in _chosen(ledger) if row["id"] not in reasons]
    write_known(folder, preset, rows, known)  # first: a catalogue never names what has no vector
    write_ledger(folder, ledger)
    write_items(folder, items)
    skipped = write_skipped(folder, ledger)
    _tidy(folder, items)
    return Added(folder, len(items), run.embedded, 0, 0, 0, skipped)


def _chosen(ledger: Ledger) -> list[dict[str, Any]]:
    """Rows of a ledger, one for each content, in the order of modality and path."""
    by_id: dict[str, dict[str, Any]] = {}
    for name in sorted(ledger):
        for row in ledger[name].items:
            by_id.setdefault(row["id"], row)
    return sorted(by_id.values(), key=lambda row: MODALITIES.index(row["modality"]))


def _item(row: Mapping[str, Any]) -> Item:
    return Item(**{name: row[name] for name in Item.__dataclass_fields__})


class _Run:
    """One pass of a preset over what is missing."""

    def __init__(
        self, folder: Path, preset: Preset, model: OmniBind | None, known: Known, progress: Progress | None
    ) -> None:
        self._folder, self._preset, self._model, self._known = folder, preset, model, known
        self._progress = progress
        self._done = self._count = 0
        self.embedded = 0

    def complete(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Fill `known`; returns the reasons of what cannot be embedded, by identifier."""
        reasons: dict[str, str] = {}
        wanted: dict[Modality, list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["modality"] == "text":
                continue
            if row["id"] not in self._known.media:
                wanted.setdefault(row["modality"], []).append(row)
            elif not (self._folder / row["file"]).is_file():  # its copy was lost, its vector was not
                reason = self._shelve(row)
                reasons.update({row["id"]: reason} if isinstance(reason, str) else {})
        said = list(dict.fromkeys(row["caption"] for row in rows if row["captioned"]))
        new = [one for one in said if text_id(one) not in self._known.caption]
        self._count = sum(map(len, wanted.values())) + len(new)
        for modality, some in wanted.items():
            reasons.update(self._media(modality, some))
        if new:
            made = self._rows("text", [text_id(one) for one in new], lambda n: self._embed("text", [new[i] for i in n]))
            self._known.caption.update(zip((text_id(one) for one in new), made, strict=True))
        for row in rows:
            if row["modality"] == "text":
                self._known.media[row["id"]] = self._known.caption[row["id"]]
        return reasons

    def _media(self, modality: Modality, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        def embed(numbers: Sequence[int]) -> FloatArray:
            some = [rows[number] for number in numbers]
            with ThreadPoolExecutor(limits.WORKERS) as threads:  # each waits for a decoding process
                decoded = list(threads.map(self._shelve, some))
            usable = [i for i, one in enumerate(decoded) if not isinstance(one, str)]
            out = np.zeros((len(some), self._preset.width), np.float32)
            if usable:
                out[usable] = self._embed(modality, [decoded[i] for i in usable])
            return out

        made = self._rows(modality, [str(row["id"]) for row in rows], embed)
        reasons = {}
        for row, vector in zip(rows, made, strict=True):
            if vector.any():
                self._known.media[row["id"]] = vector
            else:  # read once more: an earlier run may have met it
                reason = self._shelve(row)
                reasons[str(row["id"])] = reason if isinstance(reason, str) else "its vector has no direction"
        return reasons

    def _shelve(self, row: Mapping[str, Any]) -> Any:
        """Decode a file, keep its copy and its thumbnail; gives the media, or the reason in words."""
        path, kept = Path(row["source"]), self._folder / row["file"]
        try:
            source = path if path.is_file() else kept
            found = media.load(source, row["modality"])
            content = source.read_bytes()
            if hashlib.sha256(content).hexdigest() != row["sha256"]:
                return f"{source.name} changed while it was read; add it again"
            if not kept.is_file():
                kept.parent.mkdir(exist_ok=True)
                replace_file(kept, content)
            write_thumbnail(found, self._folder / row["thumbnail"])
        except MediaError as error:
            return str(error)
        except (FileNotFoundError, PermissionError) as error:
            if error.filename is None or not str(error.filename).startswith(str(self._folder)):
                return str(error)
            raise
        return found

    def _embed(self, modality: Modality, items: Sequence[Any]) -> FloatArray:
        if self._model is None:
            raise PoolError("items without vectors", "a model that embeds them", "add them with a preset")
        try:
            vectors = self._model.embed(modality, items).vectors
        except MediaError:
            if len(items) == 1:
                return np.zeros((1, self._preset.width), np.float32)
            return np.concatenate([self._embed(modality, [one]) for one in items])
        self.embedded += len(items)
        return np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, np.float32(0))

    def _rows(self, name: str, keys: Sequence[str], embed: Callable[[Sequence[int]], FloatArray]) -> FloatArray:
        """Rows of items, in pieces that survive a kill; pieces that were damaged meanwhile are made anew."""
        stem = {"preset": whose(self._preset), "keys": list(keys)}
        folder = self._folder / "making" / f"{name}-{identity(stem)}"
        folder.parent.mkdir(exist_ok=True)

        def tell(more: int) -> None:
            self._done += more
            if self._progress:
                self._progress(self._done, self._count)

        def told(numbers: Sequence[int]) -> FloatArray:
            rows = embed(numbers)
            tell(len(rows))
            return rows

        def work() -> FloatArray:
            extract(
                folder, range(len(keys)), keys, told, specialist=self._preset.name, batch=BATCH, shard_rows=BATCH,
                scaled=False, told=tell,
            )  # fmt: skip
            return open_shards(folder, verify=True).chunk(0, len(keys))

        before = self._done
        try:
            found = work()
        except PoolError as error:
            log.warning("%s: made anew", error)
            shutil.rmtree(folder, ignore_errors=True)
            self._done = before
            found = work()
        self._done = before + len(keys)
        return found


def _tidy(folder: Path, items: Sequence[Item]) -> None:
    """Delete copies and pieces that nothing names any more."""
    used = {name for item in items for name in (item.file, item.thumbnail) if name}
    for below in (*FOLDERS.values(), "thumbnails"):
        for path in (folder / below).glob("*"):
            if f"{below}/{path.name}" not in used:
                path.unlink(missing_ok=True)
    for path in folder.glob("*.part"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "making", ignore_errors=True)
