"""Tours that are told step by step; their answers were made before, so that they are there before any model is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from demo.shell.examples import Part
from demo.state import Ingredient
from omnibind_core.errors import DamagedError, GalleryError, QueryError
from omnibind_core.search.answers import Found
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Hit, Modality

__all__ = ["Step", "Stories", "Story"]

log = logging.getLogger(__name__)
_FILE = "stories.json"
_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Step:
    """One step of a tour.

    Attributes
    ----------
    say : str
        One sentence.
    parts : tuple of Part
        What is asked.
    terms : tuple of Ingredient
        The same to be drawn, without vectors.
    found : Found
        What answers it.
    """

    say: str
    parts: tuple[Part, ...]
    terms: tuple[Ingredient, ...]
    found: Found


@dataclass(frozen=True)
class Story:
    """A tour.

    Attributes
    ----------
    title, lead : str
        Its name, and one sentence about it.
    cover : tuple of Ingredient
        What its cover shows.
    steps : tuple of Step
    """

    title: str
    lead: str
    cover: tuple[Ingredient, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Stories:
    """All tours of a page.

    Attributes
    ----------
    all : tuple of Story
    preset : str
        Whose answers they show.
    items : dict of str to Hit
        What they show, by identifier.
    """

    all: tuple[Story, ...] = ()
    preset: str = ""
    items: Mapping[str, Hit] = field(default_factory=dict)

    def step(self, place: str) -> tuple[int, int]:
        """Read a place, "story:step" counted from 0.

        Raises
        ------
        QueryError
            There is none.
        """
        story, _, step = place.partition(":")
        steps = self.all[int(story)].steps if story.isdecimal() and int(story) < len(self.all) else ()
        if step.isdecimal() and int(step) < len(steps):
            return int(story), int(step)
        raise QueryError(f"the step '{place[:20]}'", f"one of {len(self.all)} tours", "reload the page")

    def hit(self, item_id: str) -> Hit:
        """Give something that a tour shows; raises QueryError where none does."""
        if item_id not in self.items:
            raise QueryError(f"the item '{item_id[:40]}'", "one that a tour shows", "reload the page")
        return self.items[item_id]

    @classmethod
    def read(cls, assets: Path, gallery: Path) -> Stories:
        """Read ``stories.json``; none where the page shows another gallery than the one that they tell of."""
        path = assets / _FILE
        try:
            if gallery.resolve() != (assets_directory() / "gallery").resolve() or not path.is_file():
                return cls()
            check_committed([path])
            items = {one.id: _hit(one, gallery) for one in read_catalogue(gallery)}
        except (DamagedError, GalleryError) as error:
            log.warning("the page offers no tours: %s", error)
            return cls()
        raw = json.loads(path.read_text(encoding="utf-8"))
        told = tuple(
            Story(
                one["title"],
                one["lead"],
                tuple(_term(Part(1.0, **{"item" if face in items else "text": face}), items) for face in one["cover"]),
                tuple(_step(step, items) for step in one["steps"]),
            )
            for one in raw["stories"]
        )
        shown = {hit.id for story in told for step in story.steps for hits in step.found.hits.values() for hit in hits}
        shown |= {part.item for story in told for step in story.steps for part in step.parts if part.item}
        return cls(told, raw["preset"], {one: items[one] for one in sorted(shown)})


def _hit(item: Item, gallery: Path) -> Hit:
    details = {name: getattr(item, name) for name in ("concept", "creator", "licence", "source")}
    files = [str((gallery / name).resolve()) if name else None for name in (item.file, item.thumbnail)]
    return Hit(item.id, item.modality, item.caption, 0.0, 0.0, (), files[0], files[1], details)


def _step(raw: Mapping[str, Any], items: Mapping[str, Hit]) -> Step:
    parts = tuple(Part(one.get("weight", 1.0), one.get("item", ""), one.get("text", "")) for one in raw["terms"])
    hits: dict[Modality, list[Hit]] = {m: [_answer(row, items) for row in rows] for m, rows in raw["hits"].items()}
    return Step(raw["say"], parts, tuple(_term(one, items) for one in parts), Found(hits, 0.0, frozenset(raw["far"])))


def _answer(row: Sequence[Any], items: Mapping[str, Hit]) -> Hit:
    name, score, z, share, *terms = row
    known = items[name]
    return Hit(
        name, known.modality, known.caption, score, z, tuple(terms), known.file, known.thumbnail, known.details, share
    )


def _term(part: Part, items: Mapping[str, Hit]) -> Ingredient:
    if not part.item:
        return Ingredient("text", part.text, _NOTHING, part.weight)
    known = items[part.item]
    return Ingredient(
        known.modality, known.caption, _NOTHING, part.weight, known.thumbnail or "", known.id, seen=known.file or ""
    )
