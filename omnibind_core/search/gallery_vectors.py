"""The vectors of a gallery: made in pieces that survive a kill, kept under all that decides them, and read again."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import GalleryError
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.kept import digest, identity
from omnibind_core.store.paths import assets_directory, cache_directory, replace_file
from omnibind_core.store.room import unwritten
from omnibind_core.store.shards import PoolError, extract
from omnibind_core.types import MODALITIES, FloatArray, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.presets.preset import Preset

__all__ = ["build", "is_kept", "kept_path", "make", "read", "vectors_path"]

log = logging.getLogger(__name__)

BATCH = 16  # items that go through a tower together, and that a kill can cost
Progress: TypeAlias = Callable[[int, int], None]


def vectors_path(folder: Path, preset: str) -> Path:
    """Where a gallery's own vectors of a preset lie: those that are committed, or built on purpose."""
    return folder / f"vectors-{preset}.safetensors"


def kept_path(model: OmniBind, folder: Path) -> Path:
    """Where vectors that were made on the way are kept: in the cache, under all that decides them.

    That is the preset with its fingerprint, the catalogue with its files' content, and the numbers that it computes in.
    """
    who = identity({"catalogue": _digest(read_catalogue(folder), folder), "numbers": model.numbers})
    return cache_directory() / "gallery" / f"{_stem(model.preset)}-{who}.safetensors"


def is_kept(preset: Preset, folder: Path | None = None) -> bool:
    """Whether a preset has vectors of a gallery, told without loading it: those of any numbers and catalogue count."""
    if vectors_path(folder or assets_directory() / "gallery", preset.name).is_file():
        return True
    return any((cache_directory() / "gallery").glob(f"{_stem(preset)}-*.safetensors"))


def build(
    model: OmniBind, folder: Path | None = None, progress: Progress | None = None, path: Path | None = None
) -> Path:
    """Embed every item's media and caption and write the vectors.

    Parameters
    ----------
    model : OmniBind
        In float32, so that two machines give the same vectors.
    folder : Path, optional
        The gallery; None takes the committed one.
    progress : callable, optional
        Called with (vectors done, vectors).
    path : Path, optional
        The file to write; None takes the one beside the catalogue.

    Returns
    -------
    Path
        The file written: tensors "media" and "caption", (n, D) float16 unit rows in catalogue order.

    Raises
    ------
    GalleryError
        No catalogue, or the file cannot be written.
    """
    folder = folder or assets_directory() / "gallery"
    items = read_catalogue(folder)
    path = path or vectors_path(folder, model.preset.name)
    vectors = _embed(model, items, folder, progress)
    try:
        _write(path, model, items, vectors)
    except OSError as error:
        raise unwritten(path.parent, error, path.name, "run the same again, or pass another --folder") from error
    return path


def make(model: OmniBind, folder: Path, progress: Progress | None = None) -> tuple[FloatArray, FloatArray]:
    """Embed a gallery and keep its vectors in the cache; what an interrupted call finished is not embedded again.

    Parameters
    ----------
    model : OmniBind
        In whichever numbers.
    folder : Path
        The gallery.
    progress : callable, optional
        Called with (vectors done, vectors).

    Returns
    -------
    tuple of ndarray, (n, D) each, float32
        Of media and of captions. Where the cache cannot be written they are given all the same, and the log says so.
    """
    items = read_catalogue(folder)
    kept = kept_path(model, folder)
    pieces = kept.with_suffix(".making")
    try:
        vectors = _embed(model, items, folder, progress, pieces)
        _write(kept, model, items, vectors)
        shutil.rmtree(pieces, ignore_errors=True)
    except (OSError, PoolError) as error:
        again = "start again: what was finished is kept"
        why = unwritten(kept.parent, error, kept.name, again) if isinstance(error, OSError) else error
        log.warning("the gallery's vectors are not kept: %s", why)
        vectors = _embed(model, items, folder, progress)
    return vectors["media"].astype(np.float32), vectors["caption"].astype(np.float32)


def read(path: Path, model: OmniBind, items: Sequence[Item]) -> tuple[FloatArray, FloatArray]:
    """Read the vectors of media and captions, (n, D) each; raises GalleryError where they are another's."""
    remedy = f"run `make gallery`, or `python -m omnibind_core gallery --build --preset {model.preset.name}`"
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            stored = [opened.get_tensor(name) for name in ("media", "caption")]
    except (OSError, SafetensorError) as error:
        raise GalleryError(f"no usable vectors at {path} ({error})", "vectors of this preset", remedy) from error
    mine = fingerprint(model.preset)
    if metadata.get("fingerprint") != mine:
        raise GalleryError(
            f"vectors made by preset fingerprint {metadata.get('fingerprint')}",
            f"fingerprint {mine} of preset '{model.preset.name}'",
            remedy,
        )
    if metadata.get("content", whole := digest(*stored)) != whole:
        raise GalleryError(f"{path}, whose content has changed", "the vectors that were written", remedy)
    rows = {name: row for row, name in enumerate(json.loads(metadata.get("ids", "[]")))}
    if not all(item.id in rows for item in items):
        raise GalleryError("vectors of another catalogue", "a vector for each item", remedy)
    order = [rows[item.id] for item in items]  # a collection that grows has vectors before its catalogue names them
    media, caption = (one[order].astype(np.float32) for one in stored)
    return media, caption


def _embed(
    model: OmniBind, items: Sequence[Item], folder: Path, progress: Progress | None, pieces: Path | None = None
) -> dict[str, NDArray[np.float16]]:
    """Give each item's media and caption as unit rows, {"media", "caption"}: (n, D), by way of `pieces` if given."""
    vectors = {name: np.zeros((len(items), model.width), np.float16) for name in ("media", "caption")}
    count = len(items) + sum(item.file is not None for item in items)
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(done, count)

    def run(name: str, modality: Modality, rows: Sequence[int], sources: Sequence[str | Path]) -> NDArray[np.float16]:
        def embed(numbers: Sequence[int]) -> FloatArray:
            found = model.embed(modality, [sources[number] for number in numbers]).vectors
            told(len(found))
            return found

        if pieces is None:
            cuts = range(0, len(rows), BATCH)
            return np.concatenate([embed(range(at, min(at + BATCH, len(rows)))) for at in cuts]).astype(np.float16)
        keys = [items[row].id for row in rows]
        made = extract(
            pieces / name, range(len(rows)), keys, embed,
            specialist=model.preset.name, batch=BATCH, shard_rows=BATCH, told=told,
        )  # fmt: skip
        return made.chunk(0, len(rows)).astype(np.float16)

    every = range(len(items))
    vectors["caption"][:] = run("caption", "text", every, [item.caption for item in items])
    for modality in MODALITIES:
        rows = [row for row in every if items[row].modality == modality]
        spoken = [row for row in rows if items[row].file is None]
        vectors["media"][spoken] = vectors["caption"][spoken]
        heard = [row for row in rows if items[row].file is not None]
        if heard:
            files = [folder / str(items[row].file) for row in heard]
            vectors["media"][heard] = run(modality, modality, heard, files)
    return vectors


def _write(path: Path, model: OmniBind, items: Sequence[Item], vectors: Mapping[str, NDArray[np.float16]]) -> None:
    metadata = {"fingerprint": fingerprint(model.preset), "ids": json.dumps([item.id for item in items])}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save(dict(vectors), metadata=metadata))


def _stem(preset: Preset) -> str:
    return f"{preset.name}-{fingerprint(preset)}"


def _digest(items: Sequence[Item], folder: Path) -> str:
    """Name everything of a catalogue that decides its vectors: which items, their files' content and captions."""
    rows = [[item.id, item.modality, item.caption, _content(item, folder)] for item in items]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _content(item: Item, folder: Path) -> str | None:
    """Name a file's content; None where there is none to read, which embedding explains better than this."""
    if item.sha256 or not item.file:
        return item.sha256
    with suppress(OSError):
        return hashlib.sha256((folder / item.file).read_bytes()).hexdigest()
    return None
