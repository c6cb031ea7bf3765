"""Whether committed files are what they were: hashes in ``sums.json``, held to before a file is used.

One flipped bit in a head moves vectors without a word: it still is a tensor of the right shape. A file is hashed once
for its size, time and inode, and the cache remembers that; hashing everything takes about a tenth of a second.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from omnibind_core.errors import DamagedError
from omnibind_core.store.paths import assets_directory, cache_directory, replace_file

__all__ = ["SUMS", "check_committed", "check_content", "listed", "read_sums", "sha256_of"]

log = logging.getLogger(__name__)

SUMS = "sums.json"
"""In the folder of assets: SHA-256 in hex, by path relative to that folder; ``python -m tools.sums`` writes it."""

_LISTED = (
    "examples.json",
    "stories.json",
    "gallery/catalogue.json",
    "gallery/vectors-*.safetensors",
    "mini/*.safetensors",
)
_CHUNK = 1 << 20
_LOCK = threading.Lock()
_SEEN: dict[str, list[int | str]] = {}


def listed(assets: Path) -> list[Path]:
    """Give the files that :data:`SUMS` holds; the gallery's media have theirs in the catalogue."""
    return sorted(path for pattern in _LISTED for path in assets.glob(pattern))


def sha256_of(path: Path) -> str:
    """Hash a file: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def read_sums(assets: Path) -> Mapping[str, str]:
    """Read the hashes of a folder of assets; empty where it has none, as somebody's own folder may.

    Raises
    ------
    DamagedError
        The list itself cannot be read.
    """
    path = assets / SUMS
    try:
        sums = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(path, assets, f"cannot be read ({type(error).__name__})") from error
    if not isinstance(sums, dict) or not all(isinstance(one, str) for one in sums.values()):
        raise _damaged(path, assets, "is not a list of hashes")
    return sums


def check_committed(paths: Iterable[Path]) -> None:
    """Hold files to their committed hashes; those that no list names are somebody's own, and pass.

    Parameters
    ----------
    paths : iterable of Path
        Absolute. A file that is missing is left to whoever reads it.

    Raises
    ------
    DamagedError
        A file is not what was committed; with the command that restores it.
    """
    assets = _plain(assets_directory())
    sums = read_sums(assets)
    for path in paths:
        real = _plain(path)
        expected = sums.get(real.relative_to(assets).as_posix()) if real.is_relative_to(assets) else None
        if expected is not None and real.is_file() and _remembered_hash(real) != expected:
            raise _damaged(real, assets, "is not what was committed: a byte of it has changed")


def check_content(path: Path, sha256: str | None) -> None:
    """Hold a file to the hash that the catalogue states; None states none.

    Raises
    ------
    DamagedError
        It is another; with the command that restores it.
    """
    if sha256 is not None and path.is_file() and _remembered_hash(_plain(path)) != sha256:
        raise _damaged(_plain(path), _plain(assets_directory()), "is not what the catalogue says")


def _plain(path: Path) -> Path:
    """Make a path absolute, and leave links alone: a file that is linked in is named as it is in the folder."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


def _remembered_hash(path: Path) -> str:
    """Hash a file, or remember its hash where its size, time and inode are those of the last time."""
    found = path.stat()
    mark: list[int | str] = [found.st_size, found.st_mtime_ns, found.st_ino]
    with _LOCK:
        if not _SEEN:
            _SEEN.update(_read_record())
        known = _SEEN.get(str(path))
        if known is not None and known[:3] == mark:
            return str(known[3])
        digest = sha256_of(path)
        _SEEN[str(path)] = [*mark, digest]
        _write_record()
    return digest


def _record() -> Path:
    return cache_directory() / "checked.json"


def _read_record() -> dict[str, list[int | str]]:
    try:
        record = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # never written, or cut off: everything is hashed again
    if not isinstance(record, dict):
        return {}
    return {name: row for name, row in record.items() if isinstance(row, list) and len(row) == 4}


def _write_record() -> None:
    try:
        _record().parent.mkdir(parents=True, exist_ok=True)
        replace_file(_record(), json.dumps(_SEEN).encode())
    except OSError as error:
        log.debug("hashes are not remembered: %s", error)  # a cache that cannot be written: hashed at each start


def _damaged(path: Path, assets: Path, what: str) -> DamagedError:
    name = path.relative_to(assets).as_posix() if path.is_relative_to(assets) else path.name
    if (assets.parent / ".git").exists():
        restore = f"restore it: `git checkout -- {assets.name}/{name}`"
    else:
        restore = "restore it: `pip install --force-reinstall --no-deps` of the wheel, or another copy of the folder"
    return DamagedError(
        f"{assets.name}/{name}, which {what}",
        f"the file whose SHA-256 {SUMS} states",
        f"{restore}; if you made it yourself, run `python -m tools.sums --write`",
    )
