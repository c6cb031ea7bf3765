"""Vectors of a collection's items by their identifiers, in the file that a gallery reads; its bytes repeat."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omnibind_core.binding.files import fingerprint
from omnibind_core.presets.preset import Preset
from omnibind_core.search.gallery import vectors_path
from omnibind_core.store.kept import digest
from omnibind_core.store.paths import replace_file

__all__ = ["Known", "read_known", "whose", "write_known"]

log = logging.getLogger(__name__)


@dataclass
class Known:
    """Rows that need not be worked out.

    Attributes
    ----------
    media : dict of str to ndarray, shape (D,), float16 or float32
        By an item's identifier.
    caption : dict of str to ndarray, shape (D,), float16 or float32
        By a sentence's identifier, see :func:`omnibind_core.search.collection_scan.text_id`.
    """

    media: dict[str, NDArray[Any]] = field(default_factory=dict)
    caption: dict[str, NDArray[Any]] = field(default_factory=dict)


def whose(preset: Preset) -> str:
    """Name whose vectors they are."""
    return f"{preset.name}-{fingerprint(preset)}"


def read_known(folder: Path, preset: Preset) -> Known:
    """Read what a preset made for a collection; empty where it made nothing, or where the file is damaged."""
    path = vectors_path(folder, preset.name)
    if not path.is_file():
        return Known()
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            media, caption = opened.get_tensor("media"), opened.get_tensor("caption")
        ids, said = json.loads(metadata["ids"]), json.loads(metadata["captions"])
        whole = metadata["content"] == digest(media, caption) and len(ids) == len(said) == len(media)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        log.warning("%s is damaged (%s): its vectors are made anew", path, error)
        return Known()
    if not whole:
        log.warning("%s is damaged (its content has changed): its vectors are made anew", path)
        return Known()
    if metadata.get("fingerprint") != fingerprint(preset):
        log.warning("%s was made by another version of the preset: its vectors are made anew", path)
        return Known()
    return Known(
        dict(zip(ids, media, strict=True)),
        {key: row for key, row in zip(said, caption, strict=True) if key},
    )


def write_known(folder: Path, preset: Preset, rows: Sequence[Mapping[str, Any]], known: Known) -> None:
    """Write the rows of items in order; an item without a caption has its own row for it."""
    from omnibind_core.search.collection_scan import text_id

    said = [text_id(row["caption"]) if row["captioned"] else "" for row in rows]
    shape = (len(rows), preset.width)
    media, caption = np.zeros(shape, np.float16), np.zeros(shape, np.float16)
    for i, row in enumerate(rows):
        media[i] = known.media[row["id"]]
        caption[i] = known.caption[said[i]] if said[i] else media[i]
    metadata = {
        "captions": json.dumps(said), "content": digest(media, caption), "fingerprint": fingerprint(preset),
        "ids": json.dumps([row["id"] for row in rows]),
    }  # fmt: skip
    replace_file(vectors_path(folder, preset.name), _ordered(save({"caption": caption, "media": media}, metadata)))


def _ordered(content: bytes) -> bytes:
    """Put the entries of a header in order: safetensors writes those of the metadata in none."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":")).encode()
    ordered += b" " * (-len(ordered) % 8)
    return struct.pack("<Q", len(ordered)) + ordered + content[8 + length :]
