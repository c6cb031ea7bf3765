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
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from omnibind_core import media
from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.presets.preset import Preset
from omnibind_core.search.collection_scan import scan, text_id
from omnibind_core.search.collection_vectors import Known, read_known, whose, write_known
from omnibind_core.search.thumbnails import thumbnail
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
from omnibind_core.types import MODALITIES, FloatArray, Media, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind

__all__ = [
    "BATCH",
    "Added",
    "Embedded",
    "Engine",
    "Row",
    "add",
    "embed_batch",
    "finish",
    "missing",
    "read_content",
    "read_row",
]

log = logging.getLogger(__name__)

BATCH = 16  # items that go through a tower together, and that a kill can cost
Progress: TypeAlias = Callable[[int, int], None]
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Embedded:
    """What became of a batch of n rows elsewhere.

    Attributes
    ----------
    vectors : ndarray, shape (n, D), float32
        Zero where a file could not be read.
    thumbnails : sequence of bytes
        WebP, one a row; empty where there is none.
    embedded : int
        How many of them were embedded.
    """

    vectors: FloatArray
    thumbnails: Sequence[bytes]
    embedded: int


class Engine(Protocol):
    """What embeds in place of this process, see :class:`omnibind_core.search.collection_ray.RayEngine`."""

    def rows(
        self, folder: Path, preset: Preset, modality: Modality, rows: Sequence[Row]
    ) -> Callable[[Sequence[int]], Embedded]:
        """Give what embeds batches of these rows by their numbers; it is asked for them in order."""
        ...


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
    model: OmniBind | Preset,
    *,
    prune: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Added:
    """Make or grow a collection; only what is new or changed is embedded.

    Parameters
    ----------
    name : str
        A name, or the path of a folder.
    paths : sequence of str or Path
        Files, and folders with all below them; none embeds what the collection has, for another preset.
    model : OmniBind or Preset
        In float32, so that two machines give the same vectors. A preset is enough where an engine embeds.
    prune : bool
        Forget items whose files are gone. Without it they stay, for the collection has copies.
    engine : Engine, optional
        Embeds in place of this process, with the same bytes as the outcome.
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
        preset, loaded = (model, None) if isinstance(model, Preset) else (model.preset, model)
        made = finish(folder, ledger, preset, loaded, engine=engine, progress=progress)
        return replace(made, moved=moved, gone=gone, forgotten=forgotten)


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
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Added:
    """Work out what a ledger's items lack, then replace vectors, ledger and catalogue; the folder is locked.

    `given` are vectors that came from elsewhere. Without model and engine every row must be known.
    """
    known = read_known(folder, preset)
    if given is not None:
        known.media.update(given.media)
        known.caption.update(given.caption)
    chosen = _chosen(ledger)
    run = _Run(folder, preset, model, engine, known, progress)
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


def read_row(row: Row, folder: Path) -> tuple[Media, bytes, bytes] | str:
    """Decode a row's file, or its copy in the collection: (media, content, thumbnail), or the reason in words."""
    path, kept = Path(row["source"]), folder / row["file"]
    try:
        source = path if path.is_file() else kept
        found = media.load(source, row["modality"])
        content, picture = source.read_bytes(), thumbnail(found)
    except MediaError as error:
        return str(error)
    except (FileNotFoundError, PermissionError) as error:
        if error.filename is None or not str(error.filename).startswith(str(folder)):
            return str(error)
        raise
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        return f"{source.name} changed while it was read; add it again"
    return found, content, picture


def read_content(row: Row, folder: Path) -> bytes | None:
    """Read a row's file, or its copy in the collection; None where it is not what the row says."""
    path = Path(row["source"])
    try:
        content = (path if path.is_file() else folder / row["file"]).read_bytes()
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest() == row["sha256"] else None


def embed_batch(model: OmniBind, modality: Modality, items: Sequence[Any]) -> tuple[FloatArray, int]:
    """Embed a batch of n media or sentences.

    Parameters
    ----------
    model : OmniBind
        Of width D.
    modality : {"image", "audio", "point", "text"}
        Of all of them.
    items : sequence of Media, str or None
        Decoded media, or sentences; None stands for what could not be read.

    Returns
    -------
    vectors : ndarray, shape (n, D), float32
        Zero for what cannot be embedded.
    embedded : int
        How many of them were embedded.
    """
    usable = [i for i, one in enumerate(items) if one is not None]
    out = np.zeros((len(items), model.preset.width), np.float32)
    if not usable:
        return out, 0
    try:
        vectors = model.embed(modality, [items[i] for i in usable]).vectors
    except MediaError:
        if len(usable) == 1:
            return out, 0
        alone = [embed_batch(model, modality, [items[i]]) for i in usable]
        out[usable] = np.concatenate([vector for vector, _ in alone])
        return out, sum(count for _, count in alone)
    out[usable] = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, np.float32(0))
    return out, len(usable)


def _item(row: Row) -> Item:
    return Item(**{name: row[name] for name in Item.__dataclass_fields__})


class _Run:
    """One pass of a preset over what is missing."""

    def __init__(
        self, folder: Path, preset: Preset, model: OmniBind | None, engine: Engine | None, known: Known,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self._folder, self._preset, self._model, self._known = folder, preset, model, known
        self._engine, self._progress = engine, progress
        self._done = self._count = 0
        self.embedded = 0

    def complete(self, rows: Sequence[Row]) -> dict[str, str]:
        """Fill `known`; returns the reasons of what cannot be embedded, by identifier."""
        reasons: dict[str, str] = {}
        wanted: dict[Modality, list[Row]] = {}
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
            made = self._rows("text", [{"id": text_id(one), "caption": one} for one in new])
            self._known.caption.update(zip((text_id(one) for one in new), made, strict=True))
        for row in rows:
            if row["modality"] == "text":
                self._known.media[row["id"]] = self._known.caption[row["id"]]
        return reasons

    def _media(self, modality: Modality, rows: Sequence[Row]) -> dict[str, str]:
        reasons = {}
        for row, vector in zip(rows, self._rows(modality, rows), strict=True):
            if vector.any():
                self._known.media[row["id"]] = vector
            else:  # read once more: an earlier run may have met it
                reason = self._shelve(row)
                reasons[str(row["id"])] = reason if isinstance(reason, str) else "its vector has no direction"
        return reasons

    def _shelve(self, row: Row) -> Media | str:
        """Decode a file, keep its copy and its thumbnail; gives the media, or the reason in words."""
        found = read_row(row, self._folder)
        if isinstance(found, str):
            return found
        self._keep(row, *found[1:])
        return found[0]

    def _keep(self, row: Row, content: bytes, picture: bytes) -> None:
        for name, some in ((row["file"], content), (row["thumbnail"], picture)):
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            if name == row["thumbnail"] or not path.is_file():
                replace_file(path, some)

    def _here(self, modality: Modality, rows: Sequence[Row]) -> FloatArray:
        """Embed a batch in this process."""
        if self._model is None:
            raise PoolError("items without vectors", "a model that embeds them", "add them with a preset")
        items: list[Any]
        if modality == "text":
            items = [row["caption"] for row in rows]
        else:
            with ThreadPoolExecutor(limits.WORKERS) as threads:  # each waits for a decoding process
                items = [None if isinstance(one, str) else one for one in threads.map(self._shelve, rows)]
        vectors, embedded = embed_batch(self._model, modality, items)
        self.embedded += embedded
        return vectors

    def _join(self, rows: Sequence[Row], made: Embedded) -> FloatArray:
        """Keep copies and thumbnails of what was embedded elsewhere; gives the vectors."""
        vectors = np.array(made.vectors)
        for i, (row, picture) in enumerate(zip(rows, made.thumbnails, strict=True)):
            if picture:
                content = read_content(row, self._folder)
                if content is None:  # it changed, or went, since it was embedded
                    vectors[i] = 0
                else:
                    self._keep(row, content, picture)
        self.embedded += made.embedded
        return vectors

    def _rows(self, modality: Modality, rows: Sequence[Row]) -> FloatArray:
        """Rows of items, in pieces that survive a kill; pieces that were damaged meanwhile are made anew."""
        keys = [str(row["id"]) for row in rows]
        stem = {"preset": whose(self._preset), "keys": keys}
        folder = self._folder / "making" / f"{modality}-{identity(stem)}"
        folder.parent.mkdir(exist_ok=True)
        elsewhere = self._engine.rows(self._folder, self._preset, modality, rows) if self._engine else None

        def tell(more: int) -> None:
            self._done += more
            if self._progress:
                self._progress(self._done, self._count)

        def embed(numbers: Sequence[int]) -> FloatArray:
            some = [rows[number] for number in numbers]
            vectors = self._join(some, elsewhere(numbers)) if elsewhere else self._here(modality, some)
            tell(len(vectors))
            return vectors

        def work() -> FloatArray:
            extract(
                folder, range(len(keys)), keys, embed, specialist=self._preset.name, batch=BATCH, shard_rows=BATCH,
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
