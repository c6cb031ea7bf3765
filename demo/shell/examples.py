"""What can be tried with one click: items of the gallery, and ready-made mixes."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from omnibind_core.errors import DamagedError, GalleryError, QueryError
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.integrity import check_committed
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Examples", "Mix", "Part"]

log = logging.getLogger(__name__)
_EACH = {"text": 2}  # examples under each input; of other kinds, four
_MOST = 4


@dataclass(frozen=True)
class Part:
    """One term of a ready-made mix: a gallery item, or a sentence.

    Attributes
    ----------
    weight : float
        -1 to 1.
    item : str
        The gallery's identifier, or empty.
    text : str
        The sentence, or empty.
    """

    weight: float
    item: str = ""
    text: str = ""


@dataclass(frozen=True)
class Mix:
    """A ready-made mix.

    Attributes
    ----------
    title : str
        What people read.
    parts : tuple of Part
        Its terms.
    """

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Examples:
    """What a page offers to click.

    Attributes
    ----------
    first : str
        Item whose answers the page opens with.
    items : tuple of Item
        Of all modalities.
    mixes : tuple of Mix
    anywhere : tuple of str
        Sentences in other scripts.
    folder : Path
        What the items' files are relative to.
    catalogue : tuple of Item
        All items of the gallery.
    """

    first: str = ""
    items: tuple[Item, ...] = ()
    mixes: tuple[Mix, ...] = ()
    folder: Path = Path()
    catalogue: tuple[Item, ...] = ()
    anywhere: tuple[str, ...] = ()

    def of(self, modality: str) -> list[Item]:
        """Examples of one modality."""
        return [item for item in self.items if item.modality == modality][: _EACH.get(modality, _MOST)]

    def faces(self, modality: str) -> list[tuple[Item, str]]:
        """Examples of one modality, each with the path of its thumbnail, which is empty where it has none."""
        return [(i, str((self.folder / i.thumbnail).resolve()) if i.thumbnail else "") for i in self.of(modality)]

    def shown(self, item_id: str) -> dict[Modality, str]:
        """Say what to put into an input when its example is clicked: a file, or the sentence."""
        found = (item for item in self.items if item.id == item_id)
        return {one.modality: str((self.folder / one.file).resolve()) if one.file else one.caption for one in found}

    def mix(self, number: str) -> Mix:
        """Give a mix by its number in the list.

        Raises
        ------
        QueryError
            There is none.
        """
        if not number.isdigit() or int(number) >= len(self.mixes):
            raise QueryError(f"the mix '{number[:20]}'", f"one of {len(self.mixes)} mixes", "reload the page")
        return self.mixes[int(number)]

    @classmethod
    def read(cls, assets: Path, gallery: Path | None = None) -> Examples:
        """Read ``examples.json``; what it names and the catalogue lacks is left out.

        Without the file, the first items of the catalogue are offered; without a catalogue, nothing is.
        """
        gallery = gallery or assets / "gallery"
        try:
            catalogue = {item.id: item for item in read_catalogue(gallery)}
            check_committed([assets / "examples.json"])
        except (DamagedError, GalleryError) as error:
            log.warning("the page offers no examples: %s", error)
            return cls()
        path = assets / "examples.json"
        raw = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        named = [catalogue[one] for one in raw.get("examples", ()) if one in catalogue]
        if not named:
            named = [item for m in MODALITIES for item in _some(catalogue, m)]
        mixes = tuple(Mix(one["title"], tuple(Part(**part) for part in one["terms"])) for one in raw.get("mixes", ()))
        known = tuple(mix for mix in mixes if all(not part.item or part.item in catalogue for part in mix.parts))
        first = raw.get("first", "")
        return cls(
            first if first in catalogue else (named[0].id if named else ""),
            tuple(named),
            known,
            gallery,
            tuple(catalogue.values()),
            tuple(raw.get("anywhere", ())),
        )


def _some(catalogue: dict[str, Item], modality: str) -> list[Item]:
    return [item for item in catalogue.values() if item.modality == modality][: _EACH.get(modality, _MOST)]
