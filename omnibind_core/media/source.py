"""From a path or bytes to bytes whose size and format are known to be allowed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.sniff import HEAD_BYTES, TEXT, UNKNOWN, sniff
from omnibind_core.types import Modality

__all__ = ["Blob", "FileSource", "check_format", "open_blob", "read_head", "undecodable"]

FileSource: TypeAlias = str | Path | bytes | bytearray | memoryview

# How a message names a file of each modality, and what to do about one that is too big.
_NOUN: dict[Modality, str] = {"image": "picture", "audio": "sound", "point": "shape", "text": "sentence"}
_SMALLER: dict[Modality, str] = {
    "image": "save it smaller or as JPEG",
    "audio": "cut it or save it as MP3 or FLAC",
    "point": "simplify the mesh, shrink its textures or save it as GLB",
    "text": "shorten it",
}


@dataclass(frozen=True)
class Blob:
    """A file's content with what is known about it.

    Attributes
    ----------
    data : bytes
        Not empty, within the modality's limit.
    name : str
        What messages call it; safe to show.
    extension : str
        The format's key in its table: lower case, no dot.
    companions : callable, optional
        Name as the file writes it -> content of a file beside it, or None; None where there is nothing beside it.
    """

    data: bytes
    name: str
    extension: str
    companions: Callable[[str], bytes | None] | None = field(default=None, repr=False, compare=False)

    def beside(self, name: str) -> bytes | None:
        """Content of a file that this one names; None where it is not there or may not be read."""
        return None if self.companions is None else self.companions(name)


def open_blob(source: FileSource, modality: Modality, allowed: Iterable[str], extension: str | None = None) -> Blob:
    """Read a file, or take bytes, and settle which format it is.

    Parameters
    ----------
    source : str, Path or bytes-like
        A path is read up to the modality's limit; only regular files are (links to them are followed).
    modality : Modality
        Chooses the limit and the words.
    allowed : iterable of str
        Extensions the modality reads.
    extension : str, optional
        For bytes, the extension they were uploaded under; without it the content decides.

    Raises
    ------
    MediaError
        Missing, not a file, unreadable, empty, too big, of another format, or under a wrong extension.
    """
    allowed = tuple(allowed)
    if isinstance(source, (bytes, bytearray, memoryview)):
        name = f"the {_NOUN[modality]}"
        data = bytes(source)
        _check_size(len(data), modality, name)
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = shown(path.name)
        data = _read(path, modality, name)
        extension = path.suffix if extension is None else extension
    else:
        raise MediaError(
            f"a {type(source).__name__} as a {_NOUN[modality]}", "a path or bytes", "pass the file's path or its bytes"
        )
    key = (extension or "").lower().removeprefix(".")
    return Blob(data, name, check_format(data, len(data), key, name, allowed))


def shown(name: str) -> str:
    """Make a file's name fit for a message: printable, at most 60 characters."""
    clean = "".join(c if c.isprintable() else "?" for c in name) or "the file"
    return clean if len(clean) <= 60 else f"{clean[:40]}...{clean[-16:]}"


def read_head(path: Path) -> tuple[bytes, int]:
    """First `HEAD_BYTES` bytes of a regular file, and its size; raises MediaError as `open_blob` does."""
    name = shown(path.name)
    size = _stat(path, name)
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES), size
    except OSError as error:
        raise _unreadable(name, error) from error


def _stat(path: Path, name: str) -> int:
    """Size of a regular file that is not empty."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MediaError(f"{name}, which does not exist", "an existing file", "check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL inside the path
        raise _unreadable(name, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{name}, which is a folder", "one file", "choose a file inside it")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device could wait for ever
        raise MediaError(f"{name}, which is a pipe or device", "a regular file", "save it to a file first")
    if status.st_size == 0:
        raise MediaError(f"{name}, which is empty (0 bytes)", "a file with content", "save or download it again")
    return status.st_size


def _read(path: Path, modality: Modality, name: str) -> bytes:
    """Content of a regular file within its modality's limit."""
    _check_size(_stat(path, name), modality, name)
    try:
        with path.open("rb") as file:  # the file may have grown since: never read more than one byte too many
            data = file.read(limits.MAX_BYTES[modality] + 1)
    except OSError as error:
        raise _unreadable(name, error) from error
    _check_size(len(data), modality, name)
    return data


def _unreadable(name: str, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or "the path is not valid"
    return MediaError(f"{name}, which cannot be read ({reason.lower()})", "a readable file", "check its permissions")


def _check_size(size: int, modality: Modality, name: str) -> None:
    if size == 0:
        raise MediaError(f"{name}, which is empty (0 bytes)", "a file with content", "save or download it again")
    limit = limits.MAX_BYTES[modality]
    if size > limit:
        raise MediaError(
            f"{name} with {size / limits.MB:,.1f} MB",
            f"a {_NOUN[modality]} of at most {limit / limits.MB:,.0f} MB",
            _SMALLER[modality],
        )


def check_format(head: bytes, size: int, extension: str, name: str, allowed: tuple[str, ...]) -> str:
    """Settle a file's format: its content decides where it is told apart from all others, else its extension.

    Returns
    -------
    str
        One of `allowed`. A GIF named .png is read as the GIF it is: people rename pictures, and browsers save
        them under wrong names.

    Raises
    ------
    MediaError
        An extension that is not allowed, or content of another kind than it says.
    """
    choices = ", ".join(allowed)
    label, fits = sniff(head, size)
    if extension and extension not in allowed:
        raise MediaError(f"{name}, a .{shown(extension)} file", choices, "convert it to one of these")
    if extension in fits:
        return extension
    readable = [candidate for candidate in fits if candidate in allowed]
    if readable and label not in (TEXT, UNKNOWN):
        return readable[0]
    if not extension:
        raise MediaError(f"{name} without an extension, holding {label} data", choices, "name it by its format")
    raise MediaError(
        f"{name}, whose content is {label} data and not .{extension}", choices, "convert it, or choose another file"
    )


def undecodable(name: str, extension: str, reason: object) -> MediaError:
    """Word the error for content that its decoder refuses: damaged, cut short or not what it claims."""
    words = re.sub(r"<[^>]*>|\[Errno -?\d+\]|Error opening *: *|: *'<none>'", "", str(reason))
    words = " ".join(words.split()).removeprefix("Error opening : ")
    words = "".join(c for c in words if c.isprintable())
    words = words if len(words) <= 160 else f"{words[:157]}..."
    return MediaError(
        f"{name}, which is damaged or incomplete ({words.rstrip('.') or 'its parts contradict each other'})",
        f"a complete, valid .{extension} file",
        "open it in another program and save it again",
    )
