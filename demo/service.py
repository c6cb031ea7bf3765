"""What visitors bring, read by the explorer behind the page: ingredients with pictures. Knows nothing of gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from demo.html.pictures import file_address, thumbnail
from demo.loading import Loader
from demo.seen import seen_file
from demo.settings import Settings
from demo.state import Ingredient, Visit
from demo.zero import on_card
from omnibind_core.errors import QueryError
from omnibind_core.search.answers import Embedded
from omnibind_core.types import Modality

__all__ = ["Service"]

_NAMELESS: Mapping[Modality, str] = {"image": "your picture", "audio": "your sound", "point": "your shape", "text": ""}


class Service(Loader):
    """What tabs and programs ask: the explorer, as soon as it is there, and ingredients read by it.

    Parameters
    ----------
    settings : Settings
        Which preset on which device.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.read = on_card(self._read)
        self.read_item = on_card(self._read_item)

    def embed(
        self,
        source: str,
        modality: Modality | None = None,
        label: str = "",
        *,
        up: str = "auto",
        beside: Mapping[str, Path] | None = None,
    ) -> Ingredient:
        """Embed what a visitor brought.

        Parameters
        ----------
        source : str
            Path of a file, or for "text" the sentence.
        modality : Modality, optional
            What it is; None tells a file by its content.
        label : str
            What people read; empty takes the sentence, or a word for the modality.
        up : {"x", "y", "z", "-x", "-y", "-z", "auto"}
            The axis that points up in a shape's file; "auto" guesses it where the file does not say.
        beside : mapping of str to Path, optional
            Files that were given together with a shape, by name; an upload has no other neighbours.

        Returns
        -------
        Ingredient
            With weight 1.

        Raises
        ------
        OmniBindError
            With what was given, what is allowed and what to do.
        """
        explorer = self.wait()
        made = self.read(source, modality, up, beside or {})
        name = label or getattr(made.media, "text", "") or _NAMELESS[made.modality]
        picture = thumbnail(made.media) if made.media else ""
        seen = seen_file(made.media, source) if made.media else ""
        one = _ingredient(replace(made, media=None), name, picture)
        return replace(one, seen=seen, source=source, up=up, beside=dict(beside or {}), preset=explorer.preset)

    def _read(
        self, source: str, modality: Modality | None, up: str, beside: Mapping[str, Path], decoded: bool = True
    ) -> Embedded:
        """Compute; `read` is this, on a card that is lent where cards are lent by the call."""
        return self.wait().embed(source, modality, up=up, beside=beside, decoded=decoded)

    def _read_item(self, item_id: str) -> Embedded:
        """Compute likewise, for :attr:`read_item`."""
        return self.wait().item(item_id)

    def item(self, item_id: str) -> Ingredient:
        """Take an item of the gallery; raises QueryError where there is none."""
        explorer = self.wait()
        made, item = self.read_item(item_id), explorer.gallery.item(item_id)
        picture = explorer.gallery.path(item, thumbnail=True)
        one = _ingredient(made, item.caption, file_address(picture) if picture else "")
        return replace(one, item_id=item_id, seen=explorer.gallery.path(item) or "", preset=explorer.preset)

    def is_outdated(self, visit: Visit) -> bool:
        """Whether another preset than the one that answers read some ingredients."""
        now = self._explorer
        return now is not None and any(one.preset not in {"", now.preset} for one in visit.ingredients)

    def renewed(self, visit: Visit) -> Visit:
        """Read ingredients again that another preset read, under their names and weights; the same visit if none was.

        Raises
        ------
        OmniBindError
            An upload cannot be read again.
        """
        if not self.is_outdated(visit):
            return visit
        name = self.wait().preset
        for old in visit.ingredients:
            if old.preset in {"", name}:
                continue
            # A gallery's shape that was turned has a source of its own.
            new = (
                self.embed(old.source, old.modality, up=old.up, beside=old.beside)
                if old.source
                else self.item(old.item_id)
            )
            visit = visit.remake(
                replace(new, key=old.key, weight=old.weight, label=old.label, upload=old.upload, item_id=old.item_id)
            )
        return visit

    def reweigh(self, one: Ingredient, shares: Mapping[str, float] | None) -> Ingredient:
        """Weigh an ingredient's specialists by hand, or as the router did where `shares` is None.

        Raises
        ------
        QueryError
            Weights that are not usable.
        """
        if one.embedded is None:
            raise QueryError("a term without its specialists", "a term of the mix", "add it again")
        made = one.embedded if shares is None else self.wait().reweigh(one.embedded, shares)
        new = _ingredient(made, one.label, one.thumbnail)
        # `embedded` stays as the router had it, to go back to.
        return replace(
            one, vector=new.vector, shares=new.shares, by_hand=shares is not None, timings=made.bound.timings
        )

    def embedded(self, one: Ingredient) -> Embedded | None:
        """Give an ingredient as it counts now, its specialists weighed by hand where they are; None where unknown."""
        if one.embedded is None or not one.by_hand:
            return one.embedded
        return self.wait().reweigh(one.embedded, one.shares)


def _ingredient(made: Embedded, label: str, picture: str) -> Ingredient:
    return Ingredient(
        made.modality,
        label,
        made.vector,
        thumbnail=picture,
        shares=made.bound.weights_by_name(),
        titles=dict(made.titles),
        routed=made.routed,
        timings=made.bound.timings,
        embedded=made,
        notices=made.notices,
    )
