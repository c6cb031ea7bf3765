"""A collection on disk: a gallery's folder with a ledger of the files that it was made of.

A folder holds::

    catalogue.json                  its items, as every gallery has them
    vectors-PRESET.safetensors      their vectors, one file a preset
    images/ sounds/ shapes/         copies of the media, named by content: the folder can be moved
    thumbnails/                     what the page shows
    ledger.json                     each source file: size, time, hash, what it gave or why it was skipped
    skipped.csv                     what was skipped, for people
    making/                         rows of a run that goes on; gone when it ends

Every file is replaced atomically, and one process at a time writes a folder.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from filelock import FileLock, Timeout

from omnibind_core.errors import GalleryError
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.kept_indexes import remove_indexes
from omnibind_core.store.paths import assets_directory, replace_file
from omnibind_core.store.room import unwritten

__all__ = [
    "FOLDERS",
    "GALLERY",
    "Ledger",
    "Source",
    "collection_folder",
    "collection_folders",
    "collection_names",
    "collections_directory",
    "locked",
    "read_items",
    "read_ledger",
    "remove_collection",
    "write_items",
    "write_ledger",
    "write_skipped",
]

FOLDERS: Mapping[str, str] = {"image": "images", "audio": "sounds", "point": "shapes"}
"""Modality -> where its files lie in a collection."""

GALLERY = "gallery"
"""Name of the collection that comes along."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEDGER, _SKIPPED, _LOCK = "ledger.json", "skipped.csv", ".lock"
_VERSION = 1


@dataclass(frozen=True)
class Source:
    """What is known of one source file.

    Attributes
    ----------
    size : int
        In bytes.
    time : int
        Of its last change, in ns.
    sha256 : str
        Of its content.
    items : tuple of dict
        What it gave: fields of :class:`omnibind_core.store.catalogue.Item`, and "captioned": whether the caption is
        somebody's words and not the file's name.
    skipped : tuple of tuple of str
        (where, reason) of what it could not give.
    """

    size: int
    time: int
    sha256: str
    items: tuple[dict[str, Any], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


Ledger: TypeAlias = dict[str, Source]


def collections_directory() -> Path:
    """Where collections lie by name: ``$OMNIBIND_COLLECTIONS``, else in the user's data directory."""
    if explicit := os.environ.get("OMNIBIND_COLLECTIONS"):
        return Path(explicit).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "omnibind" / "collections"


def collection_folder(name: str, *, exists: bool = True) -> Path:
    """Give a collection's folder: NAME lies among the collections, a path with a separator is one itself.

    Raises
    ------
    GalleryError
        A name that cannot be one, or (where `exists`) no such collection.
    """
    if os.sep in name or "/" in name:
        folder = Path(name).expanduser()
    elif _NAME.fullmatch(name) and name != GALLERY:
        folder = collections_directory() / name
    else:
        raise GalleryError(
            f"the collection '{name}'", "up to 64 letters, digits, dots, dashes, or a folder's path", "choose another"
        )
    if exists and not (folder / "catalogue.json").is_file():
        here = ", ".join(collection_names()) or "none"
        raise GalleryError(
            f"the collection '{name}'", f"one that is here: {here}", f"make it: `omnibind collection add {name} FOLDER`"
        )
    return folder


def collection_folders(names: str) -> list[Path]:
    """Give the folders of collections, whose names stand between commas; raises GalleryError as one alone does."""
    every = [one.strip() for one in names.split(",") if one.strip()] or [GALLERY]
    return [assets_directory() / "gallery" if one == GALLERY else collection_folder(one) for one in every]


def collection_names() -> list[str]:
    """Name the collections that are here."""
    return sorted(path.parent.name for path in collections_directory().glob("*/catalogue.json"))


@contextmanager
def locked(folder: Path, seconds: float = 600.0) -> Iterator[None]:
    """Let one process at a time write a folder; a killed one leaves no lock.

    Raises
    ------
    GalleryError
        Another process still writes after `seconds`, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=seconds)
        with lock:
            yield
    except Timeout as error:
        raise GalleryError(f"{folder}, which another process writes", "one at a time", "wait for it") from error
    except OSError as error:
        raise unwritten(
            folder, error, "copies of the media", "run the same command again: what was finished is kept"
        ) from error


def read_items(folder: Path) -> list[Item]:
    """Items of a collection; none where it is new."""
    return read_catalogue(folder) if (folder / "catalogue.json").is_file() else []


def write_items(folder: Path, items: list[Item]) -> None:
    """Replace the catalogue."""
    rows = [asdict(item) for item in items]
    replace_file(folder / "catalogue.json", json.dumps({"items": rows}, ensure_ascii=False, indent=1).encode())


def read_ledger(folder: Path) -> Ledger:
    """Source files by path; raises GalleryError where the ledger is damaged."""
    path = folder / _LEDGER
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["version"] != _VERSION:
            raise ValueError(f"version {raw['version']}")
        return {
            name: Source(
                one["size"], one["time"], one["sha256"], tuple(one["items"]), tuple((a, b) for a, b in one["skipped"])
            )
            for name, one in raw["files"].items()
        }
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise GalleryError(
            f"{path} ({type(error).__name__}: {error})",
            f"a ledger of version {_VERSION}",
            "delete it and add the folders again: vectors are kept",
        ) from error


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Replace the ledger."""
    files = {name: asdict(ledger[name]) for name in sorted(ledger)}
    replace_file(
        folder / _LEDGER, json.dumps({"version": _VERSION, "files": files}, ensure_ascii=False, indent=1).encode()
    )


def write_skipped(folder: Path, ledger: Ledger) -> int:
    """Write the report of what was skipped; returns how many."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "reason"])
    rows = [row for name in sorted(ledger) for row in ledger[name].skipped]
    writer.writerows(rows)
    replace_file(folder / _SKIPPED, out.getvalue().encode())
    return len(rows)


def remove_collection(name: str) -> Path:
    """Delete a collection with its copies and indexes; the files that it was made of stay. Raises GalleryError.

    A folder without a ledger is no collection of ours and is not deleted.
    """
    folder = collection_folder(name)
    if not (folder / _LEDGER).is_file():
        raise GalleryError(
            f"{folder}, which has no ledger", "a collection made by `collection add`", "delete it by hand"
        )
    with locked(folder):
        remove_indexes(folder)
        gone = folder.with_name(f"{folder.name}.{os.getpid()}.removed")
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    return folder
