"""The catalogue of a gallery: items with caption, creator, licence and source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from omnibind_core.errors import GalleryError
from omnibind_core.store.integrity import check_committed
from omnibind_core.types import Modality

__all__ = ["Item", "read_catalogue"]


@dataclass(frozen=True)
class Item:
    """One row of the catalogue.

    Attributes
    ----------
    id : str
        ``"image/dog-1"``.
    modality : Modality
        What it is.
    concept : str
        What it shows, in one or two words; items of one concept belong together.
    caption : str
        Our own words about it; for a sentence the sentence.
    file, thumbnail : str or None
        Relative to the gallery's folder; None for a sentence.
    creator, licence, source : str
        Where it comes from; `licence` is an SPDX identifier where there is one.
    sha256 : str or None
        Of the file.
    """

    id: str
    modality: Modality
    concept: str
    caption: str
    file: str | None
    thumbnail: str | None
    creator: str
    licence: str
    source: str
    sha256: str | None = None

    @property
    def package(self) -> str:
        """Where it comes from as a whole: the first word of `source`."""
        return self.source.partition(" ")[0]


def read_catalogue(folder: Path) -> list[Item]:
    """Read ``catalogue.json`` of a gallery folder.

    Raises
    ------
    DamagedError
        It is not what was committed.
    GalleryError
        It is missing or not of the right form.
    """
    path = folder / "catalogue.json"
    check_committed([path])
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["items"]
        names = set(Item.__dataclass_fields__)
        return [Item(**{key: value for key, value in row.items() if key in names}) for row in rows]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise GalleryError(
            f"catalogue {path} ({type(error).__name__}: {error})", "the committed catalogue", "restore it"
        ) from error
