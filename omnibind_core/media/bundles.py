"""Shapes that lie in several files: found in the same folder, among files that were given together, or in one .zip.

A shape names its materials, buffers and pictures. They are looked for beside it and nowhere else: names that lead out
of the folder, links that do, and addresses are never followed.
"""

from __future__ import annotations

import io
import posixpath
import re
import stat
import unicodedata
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.sniff import HEAD_BYTES
from omnibind_core.media.source import Blob, check_format, shown

__all__ = ["Beside", "Folder", "Together", "unpacked"]

_ARCHIVES = ("zip", "7z", "rar", "gz", "bz2", "xz", "tar", "tgz", "zst")


class Beside(ABC):
    """Files beside a shape, by the names that it writes: callable, gives a file's content or None.

    Whatever is read counts towards `limits.MAX_BUNDLE_FILES` and `limits.MAX_BUNDLE_BYTES`; beyond them nothing is
    given any more.
    """

    def __init__(self) -> None:
        self._files = self._bytes = 0

    def __call__(self, name: str) -> bytes | None:
        """Content of a file; None where it is not there, or may not be read."""
        for clean in dict.fromkeys(self._spellings(name)):
            if self._files >= limits.MAX_BUNDLE_FILES:
                break
            data = self._read(clean, limits.MAX_BUNDLE_BYTES - self._bytes)
            if data is not None:
                self._files, self._bytes = self._files + 1, self._bytes + len(data)
                return data
        return None

    def _spellings(self, name: str) -> Iterator[str]:
        """Names inside to look for: as written, without percent signs, without what follows a question mark.

        Then the last part alone, for names that lead elsewhere: programs write where their author's disk had it.
        """
        for one in (name, unquote(name), re.split(r"[?#]", name, maxsplit=1)[0]):
            clean = _inside(one)
            if clean is not None:
                yield clean
        last = _inside(posixpath.basename(re.sub(r"[?#].*", "", unquote(name)).strip().strip("\"'").replace("\\", "/")))
        if last is not None:
            yield last

    @abstractmethod
    def _read(self, name: str, most: int) -> bytes | None:
        """Content of a file of at most `most` bytes; None where it is not there, or may not be read."""


def _inside(name: str) -> str | None:
    """Bring a name to the form "folder/file"; None for one that is absolute, an address or leads outside."""
    plain = name.strip().strip("\"'").replace("\\", "/")
    if not plain or "\0" in plain or ":" in plain or plain.startswith("/") or len(plain) > 1_000:
        return None
    plain = posixpath.normpath(plain)
    return None if plain.startswith("..") or plain == "." else plain


def _key(name: str) -> str:
    """Name to compare by: the case of letters aside, and whether their marks are apart (as macOS writes them)."""
    return unicodedata.normalize("NFC", name).casefold()


class Folder(Beside):
    """Files of one folder and those below it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _read(self, name: str, most: int) -> bytes | None:
        try:
            root = self._folder.resolve()
            path = _matching(root, name)
            if path is None:
                return None
            path = path.resolve()
            if not path.is_relative_to(root):  # a link to somewhere else
                return None
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > most:
                return None
            with path.open("rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError, RuntimeError):
            return None
        return data if len(data) <= most else None


def _matching(root: Path, name: str) -> Path | None:
    """Find a file by its name, the case of its letters aside: names come from other systems."""
    if (path := root / name).exists():
        return path
    for part in Path(name).parts:
        found = [one for one in sorted(root.iterdir()) if _key(one.name) == _key(part)]
        if not found:
            return None
        root = found[0]
    return root


class Together(Beside):
    """Files that were given together: whatever folder a name says, its last part decides.

    Parameters
    ----------
    files : mapping of str to Path or bytes
        By name.
    """

    def __init__(self, files: Mapping[str, Path | bytes]) -> None:
        super().__init__()
        self._known = {_key(posixpath.basename(name.replace("\\", "/"))): found for name, found in files.items()}

    def _read(self, name: str, most: int) -> bytes | None:
        found = self._known.get(_key(posixpath.basename(name)))
        if found is None and (only := _only(name, self._known)) is not None:
            found = self._known[only]
        if isinstance(found, Path):
            return Folder(found.parent)._read(found.name, most)
        return found if found is not None and len(found) <= most else None


def _only(name: str, known: Iterable[str]) -> str | None:
    """Of "*.mtl" and its like: the one file that ends so, where there is just one."""
    if not name.startswith("*."):
        return None
    ending = [one for one in known if one.lower().endswith(name[1:].lower())]
    return ending[0] if len(ending) == 1 else None


class _Packed(Beside):
    """Members of an archive, relative to the shape's folder in it; "../" is fine as long as it stays inside."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__()
        self._archive, self._base = archive, folder
        self._names = {_key(name.replace("\\", "/")).removeprefix("./"): name for name in archive.namelist()}

    def __call__(self, name: str) -> bytes | None:
        plain = name.strip().strip("\"'").replace("\\", "/")
        return super().__call__(plain if plain.startswith("*.") else posixpath.join(self._base, plain))

    def _read(self, name: str, most: int) -> bytes | None:
        found = self._names.get(_key(name)) or self._by_last_part(name)
        if found is None and (only := _only(name, self._names)) is not None:
            found = self._names[only]
        if found is None:
            return None
        with self._archive.open(found) as member:
            data = member.read(most + 1)
        return data if len(data) <= most else None

    def _by_last_part(self, name: str) -> str | None:
        last = _key(posixpath.basename(name))
        return next((found for key, found in self._names.items() if posixpath.basename(key) == last), None)


def unpacked(blob: Blob, formats: Collection[str]) -> Blob:
    """Find the shape in a .zip, with what lies beside it there.

    Parameters
    ----------
    blob : Blob
        The archive.
    formats : collection of str
        Extensions of shapes, the preferred first.

    Returns
    -------
    Blob
        The shape; where the archive has several, the first by format, depth and name, with a notice.

    Raises
    ------
    MediaError
        No shape in it, another archive, a link, a password, or more than `limits.MAX_BUNDLE_BYTES` when unpacked.
    """
    archive = zipfile.ZipFile(io.BytesIO(blob.data))
    members = [one for one in archive.infolist() if not one.is_dir() and not _clutter(one.filename)]
    _check(blob, members)
    shapes = sorted(
        (one for one in members if _extension(one.filename) in formats),
        key=lambda one: (list(formats).index(_extension(one.filename)), one.filename.count("/"), one.filename),
    )
    if not shapes:
        raise MediaError(
            f"{blob.name}, an archive without a shape",
            f"one of {', '.join(formats)} with its materials and pictures",
            "pack the shape's own files",
        )
    chosen = shapes[0].filename
    if len(shapes) > 1:
        note(f"{len(shapes)} shapes are in the archive: {shown(posixpath.basename(chosen))} was read")
    with archive.open(chosen) as member:
        data = member.read(limits.MAX_BYTES["point"] + 1)
    if len(data) > limits.MAX_BYTES["point"]:
        raise _too_big(blob)
    name = shown(posixpath.basename(chosen.replace("\\", "/")))
    extension = check_format(data[:HEAD_BYTES], len(data), _extension(chosen), name, tuple(formats))
    beside = cache(
        _Packed(archive, posixpath.dirname(chosen.replace("\\", "/")).removeprefix("./"))
    )  # a picture of many materials is unpacked once
    return replace(blob, data=data, name=name, extension=extension, companions=beside)


def _extension(name: str) -> str:
    return posixpath.splitext(name)[1].lower().removeprefix(".")


def _clutter(name: str) -> bool:
    """Whether a system added it to the archive on its own."""
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(("._", ".DS_Store", "Thumbs.db"))


def _check(blob: Blob, members: Iterable[zipfile.ZipInfo]) -> None:
    listed = list(members)
    if len(listed) > limits.MAX_BUNDLE_FILES:
        raise MediaError(
            f"{blob.name} with {len(listed):,} files",
            f"an archive of at most {limits.MAX_BUNDLE_FILES:,} files",
            "pack only what belongs to the shape",
        )
    if sum(one.file_size for one in listed) > limits.MAX_BUNDLE_BYTES:
        raise _too_big(blob)
    for one in listed:
        inner, what = shown(posixpath.basename(one.filename)), ""
        if _inside(one.filename) is None:
            what = f"which holds the name '{shown(one.filename)}'"
        elif stat.S_ISLNK(one.external_attr >> 16):
            what = f"in which {inner} is a link"
        elif one.flag_bits & 1:
            what = "which has a password"
        elif _extension(one.filename) in _ARCHIVES:
            what = f"in which {inner} is an archive again"
        if what:
            raise MediaError(f"{blob.name}, {what}", "an archive of plain files, under names inside it", "pack it anew")


def _too_big(blob: Blob) -> MediaError:
    most = limits.MAX_BUNDLE_BYTES / limits.MB
    return MediaError(f"{blob.name}, which unpacks to more than {most:.0f} MB", f"at most {most:.0f} MB", "pack less")
