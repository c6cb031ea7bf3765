"""A folder of files -> what a collection makes of each: items with captions and licences, or a reason."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omnibind_core import media
from omnibind_core.errors import GalleryError, MediaError
from omnibind_core.store.collection import FOLDERS, Ledger, Source
from omnibind_core.store.integrity import sha256_of
from omnibind_core.types import Modality

__all__ = ["scan", "text_id"]

_LICENCE = re.compile(r"SPDX-License-Identifier:\s*(\S[^\r\n]*)")
_CREATOR = re.compile(r"SPDX-FileCopyrightText:\s*(\S[^\r\n]*)")
_NOBODYS = {"thumbs.db", "desktop.ini"}
_MOST = 1 << 20  # bytes of a caption's or licence's file that are read


def scan(given: Sequence[Path], known: Ledger) -> Ledger:
    """Look at files, and at folders with all below them; what `known` has unchanged is not hashed again.

    Raises
    ------
    GalleryError
        A path that does not exist.
    """
    found: Ledger = {}
    for path in _walk(given):
        name = str(path)
        if path.suffix.lower() == ".license" or _owner(path):
            continue
        try:
            found[name] = _look(path, known.get(name))
        except (MediaError, OSError) as error:
            found[name] = Source(-1, 0, "", (), ((name, str(error)),))
    return found


def _walk(given: Iterable[Path]) -> Iterator[Path]:
    for start in given:
        whole = Path(os.path.abspath(start.expanduser()))  # noqa: PTH100 (links stay: the path is what people gave)
        if whole.is_file():
            yield whole
        elif whole.is_dir():
            for folder, below, files in os.walk(whole):
                below[:] = sorted(one for one in below if not one.startswith("."))
                for name in sorted(files):
                    if not name.startswith(".") and name.lower() not in _NOBODYS:
                        yield Path(folder) / name
        else:
            raise GalleryError(f"'{start}', which does not exist", "files and folders", "correct the path")


def _owner(path: Path) -> bool:
    """Whether a text file is the caption of a file beside it: dog.txt or dog.jpg.txt of dog.jpg."""
    if path.suffix.lower() != ".txt":
        return False
    if path.with_suffix("").is_file():
        return True
    known = (extension for extensions in media.formats().values() for extension in extensions)
    return any(path.with_suffix(f".{one}").is_file() for one in known)


def _look(path: Path, before: Source | None) -> Source:
    about = path.stat()
    same = before is not None and (before.size, before.time) == (about.st_size, about.st_mtime_ns)
    sha256 = before.sha256 if same and before is not None else sha256_of(path)
    source = Source(about.st_size, about.st_mtime_ns, sha256)
    if path.suffix.lower() == ".txt":
        return _sentences(path, source)
    if same and before is not None and not before.items:
        return before  # it could not be read, and is what it was
    modality: Modality = before.items[0]["modality"] if same and before is not None else media.modality_of(path)
    return replace(source, items=(_item(path, modality, sha256),))


def _item(path: Path, modality: Modality, sha256: str) -> dict[str, Any]:
    caption, licence, creator = _beside(path)
    key = sha256[:24]
    return {
        "id": f"{modality}/{key}", "modality": modality, "concept": path.parent.name,
        "caption": caption or re.sub(r"[-_]+", " ", path.stem).strip() or path.name, "captioned": bool(caption),
        "file": f"{FOLDERS[modality]}/{key}{path.suffix.lower()}", "thumbnail": f"thumbnails/{modality}-{key}.webp",
        "creator": creator, "licence": licence, "source": str(path), "sha256": sha256,
    }  # fmt: skip


def _sentences(path: Path, source: Source) -> Source:
    items, skipped = [], []
    _, licence, creator = _beside(path)
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                sentence = media.load_text(line.strip()).text
            except MediaError as error:
                skipped.append((where, str(error)))
                continue
            items.append({
                "id": text_id(sentence), "modality": "text", "concept": path.stem, "caption": sentence,
                "captioned": True, "file": None, "thumbnail": None, "creator": creator, "licence": licence,
                "source": where, "sha256": None,
            })  # fmt: skip
    return replace(source, items=tuple(items), skipped=tuple(skipped))


def text_id(sentence: str) -> str:
    """Name a sentence by its content."""
    return f"text/{hashlib.sha256(sentence.encode()).hexdigest()[:24]}"


def _beside(path: Path) -> tuple[str, str, str]:
    """Caption, licence and creator from the files beside one; empty where there are none."""
    caption = ""
    for one in (path.with_name(f"{path.name}.txt"), path.with_suffix(".txt")):
        if one != path and not caption and one.is_file():
            words = " ".join(_text(one).split())
            try:
                caption = media.load_text(words).text if words else ""
            except MediaError:
                caption = ""
    said = _text(path.with_name(f"{path.name}.license"))
    licence, creator = _LICENCE.search(said), _CREATOR.search(said)
    return caption, licence[1].strip() if licence else "", creator[1].strip() if creator else ""


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return stream.read(_MOST).decode("utf-8", errors="replace")
