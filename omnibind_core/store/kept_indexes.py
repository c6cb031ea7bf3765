"""Indexes that are kept in the cache: whose each one is, who uses it, and which may go.

Beside each index, a folder ``indexes/NAME`` named by what it holds, lie::

    NAME.json    whose it is: collections, preset, and what of them is searched
    NAME.used    locked, with others, by each process that searches in it; a killed one leaves no lock
    NAME.lock    locked, alone, by who makes, opens or deletes it
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from omnibind_core.store.checked import forget
from omnibind_core.store.paths import cache_directory, replace_file

__all__ = ["Whose", "alone", "index_bytes", "index_place", "owned", "remove_indexes", "used"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Whose:
    """What an index was made of.

    Attributes
    ----------
    folders : tuple of str
        Of the collections that are searched together, resolved, in order.
    preset : str
        Whose vectors they are.
    part : str
        What of them: a modality, and how it is compared.
    """

    folders: tuple[str, ...]
    preset: str
    part: str


def index_place(name: str) -> Path:
    """Where an index of that name lies."""
    return cache_directory() / "indexes" / name


@contextmanager
def alone(place: Path, seconds: float = -1) -> Iterator[None]:
    """Let one process at a time make, open or delete an index.

    Raises
    ------
    Timeout
        Another one still does after `seconds`; a negative number waits for as long as it takes.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock", timeout=seconds):
        yield


def used(place: Path, by: object) -> None:
    """Note that an index is searched, for as long as `by` lives; call it inside of :func:`alone`."""
    try:
        import fcntl
    except ImportError:  # Windows: it deletes no file that is open
        return
    number = os.open(f"{place}.used", os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    weakref.finalize(by, os.close, number)


def owned(place: Path, whose: Whose) -> None:
    """Note whose a complete index is, and delete those that were theirs before and that no process uses.

    To be called inside of :func:`alone`. Where it cannot be noted, nothing is deleted.
    """
    try:
        owners = _owners(place)
        if whose not in owners:
            _write(place, [*owners, whose])
        for other in _every():
            if other != place and whose in _owners(other):
                _leave(other, whose)
        for left in (*place.parent.glob("*.part"), *place.parent.glob("*.gone")):
            with suppress(Timeout), alone(left.with_suffix(""), 0):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        log.warning("indexes of older vectors stay: %s", error)


def index_bytes(folder: Path) -> int:
    """Add up the sizes of the indexes of a collection's vectors, and of several together of which it is one."""
    mine = [place for place in _every() if any(str(folder.resolve()) in one.folders for one in _owners(place))]
    return sum(path.stat().st_size for place in mine for path in place.rglob("*") if path.is_file())


def remove_indexes(folder: Path) -> None:
    """Delete the indexes of a collection that goes, those that are in use too; what others have, too, stays theirs."""
    for place in _every():
        for one in _owners(place):
            if str(folder.resolve()) in one.folders:
                with alone(place):
                    _disown(place, one, even_used=True)


def _leave(place: Path, whose: Whose) -> None:
    with suppress(Timeout), alone(place, 0):
        _disown(place, whose)


def _disown(place: Path, whose: Whose, *, even_used: bool = False) -> None:
    """Take one of an index's owners away, and with the last one the index."""
    rest = [one for one in _owners(place) if one != whose]
    if rest:
        _write(place, rest)
    elif even_used or not _is_used(place):
        for path in place.iterdir():
            forget(path)
        gone = place.with_name(f"{place.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        place.rename(gone)  # from here on it is none
        shutil.rmtree(gone, ignore_errors=True)
        for ending in ("json", "used"):
            Path(f"{place}.{ending}").unlink(missing_ok=True)


def _is_used(place: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    number = os.open(f"{place}.used", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(number)
    return False


def _every() -> list[Path]:
    """Give the places of all indexes that say whose they are."""
    return sorted(path.with_suffix("") for path in index_place("").glob("*.json") if path.with_suffix("").is_dir())


def _owners(place: Path) -> list[Whose]:
    try:
        raw = json.loads(Path(f"{place}.json").read_text(encoding="utf-8"))
        return [Whose(tuple(one["folders"]), one["preset"], one["part"]) for one in raw["of"]]
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged: nobody's, and nobody deletes it
        return []


def _write(place: Path, owners: list[Whose]) -> None:
    replace_file(Path(f"{place}.json"), json.dumps({"of": [asdict(one) for one in owners]}).encode())
