"""What one visitor has put together, and how far loading is. Frozen: a callback takes a visit and gives the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from demo.settings import MAX_TERMS
from omnibind_core.errors import QueryError
from omnibind_core.search.answers import Embedded
from omnibind_core.search.compose import Term, check_weight
from omnibind_core.types import FloatArray, Modality

__all__ = ["MINE", "Ingredient", "Mode", "Phase", "Status", "Visit"]

Phase: TypeAlias = Literal["asleep", "loading", "ready", "failed"]

Mode: TypeAlias = Literal["new", "add", "subtract"]
_STEPS = 30  # that can be undone
MINE = "mine/"
"""What identifiers of a visitor's own things begin with."""
DEFAULT_WEIGHT: Mapping[Mode, float] = {"new": 1.0, "add": 1.0, "subtract": -0.7}
"""A subtracted term at -0.7 cut the unwanted group from half to a seventh of the answers and kept precision."""


@dataclass(frozen=True)
class Status:
    """How far loading is.

    Attributes
    ----------
    phase : Phase
    label : str
        What is being loaded, or what went wrong.
    share : float
        Of that, done; 0..1.
    seconds : float
        Since loading began; at the end, what it took.
    coming : str
        With "ready": the preset that is being made ready while another answers; `share` is of what happens with it now.
    missed : str
        With "ready": the preset that did not load, so that another goes on answering.
    """

    phase: Phase = "asleep"
    label: str = ""
    share: float = 0.0
    seconds: float = 0.0
    coming: str = ""
    missed: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.phase == "failed" or (self.phase == "ready" and not self.coming)


@dataclass(frozen=True, eq=False)
class Ingredient:
    """One embedded input.

    Attributes
    ----------
    modality : Modality
        What it is.
    label : str
        What people read; not escaped.
    vector : ndarray, shape (D,), float32
        Unit vector in the shared space.
    weight : float
        -1 to 1.
    muted : float
        The weight that it had before it was muted; 0 where it was not.
    thumbnail : str
        Address of a small picture, or empty.
    item_id : str
        The gallery's identifier; empty for what the visitor brought.
    upload : str
        Which input it came through, and which shows it; empty where none does.
    seen : str
        Path of what the input shows: for a shape what was read of it, for others the file itself; empty for a sentence.
    source, up : str
        Path of what the visitor brought, or the sentence, and which axis points up in it, "auto" where that is guessed:
        enough to embed it again.
    beside : dict of str to Path
        Files that were given together with a shape, by name.
    preset : str
        Whose vector it is.
    shares : dict of str to float
        The router's weight for each specialist.
    titles : dict of str to str
        What people call each specialist.
    routed : bool
        False where all inputs of this modality get the same weights.
    by_hand : bool
        Whether `shares` were set by the visitor.
    timings : dict of str to float
        Stage -> seconds.
    embedded : Embedded, optional
        As it was embedded, to weigh its specialists otherwise.
    notices : tuple of str
        What was dropped, assumed or missing when it was read.
    key : str
        Unique within the visit.
    """

    modality: Modality
    label: str
    vector: FloatArray
    weight: float = 1.0
    thumbnail: str = ""
    item_id: str = ""
    upload: str = ""
    seen: str = ""
    source: str = ""
    up: str = "auto"
    beside: dict[str, Path] = field(default_factory=dict)
    preset: str = ""
    shares: dict[str, float] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    routed: bool = False
    by_hand: bool = False
    timings: dict[str, float] = field(default_factory=dict)
    embedded: Embedded | None = None
    notices: tuple[str, ...] = ()
    key: str = ""
    muted: float = 0.0

    def term(self) -> Term:
        """Give it as the core wants it."""
        return Term(self.vector, self.weight, self.modality, self.label)


@dataclass(frozen=True, eq=False)
class Visit:
    """The ingredients of one visitor's query.

    Attributes
    ----------
    ingredients : tuple of Ingredient
        In the order in which they came.
    inspected : str
        Key of the ingredient whose inner life is shown.
    serial : int
        Number of ingredients ever made, for keys.
    mine : tuple of Ingredient
        The visitor's own things that join the answers; their `item_id` begins with :data:`MINE`.
    past, future : tuple of tuple of Ingredient
        What was put together before, oldest first, and what was undone, latest last.
    slid : bool
        Whether the last step was a slider's.
    turn : int
        How often weights were changed: a page that shows sliders where they stood before must draw them again.
    """

    ingredients: tuple[Ingredient, ...] = ()
    inspected: str = ""
    serial: int = 0
    mine: tuple[Ingredient, ...] = ()
    past: tuple[tuple[Ingredient, ...], ...] = ()
    future: tuple[tuple[Ingredient, ...], ...] = ()
    slid: bool = False
    turn: int = 0

    def follow(self, new: Visit) -> Visit:
        """Give the visit that comes after this one so that it can be undone; slider after slider is one step."""
        changed = new.ingredients is not self.ingredients and new.past is self.past and new.future is self.future
        if not changed or (self.slid and new.slid):
            return new
        return replace(new, past=(*self.past, self.ingredients)[-_STEPS:], future=())

    def undo(self) -> Visit:
        """Go back to what was put together before; the same where nothing is known of it."""
        if not self.past:
            return self
        return self._with(self.past[-1], past=self.past[:-1], future=(*self.future, self.ingredients))

    def redo(self) -> Visit:
        """Take :meth:`undo` back; the same where nothing was undone."""
        if not self.future:
            return self
        return self._with(self.future[-1], past=(*self.past, self.ingredients), future=self.future[:-1])

    def _with(self, ingredients: tuple[Ingredient, ...], **changes: Any) -> Visit:
        keys = {one.key for one in ingredients}
        inspected = self.inspected if self.inspected in keys else (ingredients[-1].key if ingredients else "")
        return replace(self, ingredients=ingredients, inspected=inspected, **changes)

    def restart(self, ingredients: Iterable[Ingredient] = ()) -> Visit:
        """Begin a new query of ready ingredients, keeping their weights."""
        keyed = tuple(replace(one, key=f"t{self.serial + 1 + i}") for i, one in enumerate(ingredients))
        return replace(self._with(keyed), serial=self.serial + len(keyed))

    def mute(self, key: str) -> Visit:
        """Let an ingredient not count, or count again as before; raises QueryError where there is none of that key."""
        one = self.find(key)
        new = (
            replace(one, weight=one.muted or 1.0, muted=0.0)
            if one.weight == 0
            else replace(one, weight=0.0, muted=one.weight)
        )
        return self.remake(new)

    def swap(self) -> Visit:
        """Let two ingredients change their weights; raises QueryError where there are not two."""
        if len(self.ingredients) != 2:
            raise QueryError(f"a swap of {len(self.ingredients)} terms", "a mix of two", "add or remove terms")
        a, b = self.ingredients
        return self.remake(replace(a, weight=b.weight)).remake(replace(b, weight=a.weight))

    def take(self, new: Ingredient, mode: Mode) -> Visit:
        """Start a new query with an ingredient, or add it to the one there is.

        Raises
        ------
        QueryError
            The mix is full, or holds that item of the gallery already.
        """
        kept = () if mode == "new" else self.ingredients
        if new.item_id and any(one.item_id == new.item_id for one in kept):
            raise QueryError("something that is in the mix already", "something else", "move its slider instead")
        if len(kept) >= MAX_TERMS:
            raise QueryError(f"a mix of {len(kept)} terms and one more", f"at most {MAX_TERMS}", "remove a term first")
        key = f"t{self.serial + 1}"
        new = replace(new, key=key, weight=DEFAULT_WEIGHT[mode])
        return replace(self, ingredients=(*kept, new), inspected=key, serial=self.serial + 1)

    def remake(self, new: Ingredient) -> Visit:
        """Put a remade ingredient in the place of the one with its key; raises QueryError where there is none."""
        self.find(new.key)
        return replace(self, ingredients=tuple(new if one.key == new.key else one for one in self.ingredients))

    def reweigh(self, key: str, weight: object) -> Visit:
        """Give an ingredient another weight.

        Raises
        ------
        QueryError
            No such ingredient, or not a number from -1 to 1.
        """
        self.find(key)
        value = check_weight(weight)
        changed = (replace(one, weight=value) if one.key == key else one for one in self.ingredients)
        return replace(self, ingredients=tuple(changed), turn=self.turn + 1)

    def drop(self, key: str) -> Visit:
        """Leave an ingredient out; raises QueryError where there is none of that key."""
        self.find(key)
        kept = tuple(one for one in self.ingredients if one.key != key)
        inspected = self.inspected if self.inspected != key else (kept[-1].key if kept else "")
        return replace(self, ingredients=kept, inspected=inspected)

    def inspect(self, key: str) -> Visit:
        """Look into another ingredient; raises QueryError where there is none of that key."""
        return replace(self, inspected=self.find(key).key)

    def find(self, key: str) -> Ingredient:
        """Give an ingredient by key.

        Raises
        ------
        QueryError
            There is none.
        """
        for one in self.ingredients:
            if one.key == key:
                return one
        raise QueryError("a term that is no longer in the mix", "a term of the mix", "add it again")

    def standing(self, upload: str) -> Ingredient | None:
        """Give what stands in an input: the last ingredient that came through it."""
        return next((one for one in reversed(self.ingredients) if one.upload == upload), None)

    def own(self, item_id: str) -> Ingredient | None:
        """Give one of the visitor's own things by its identifier; None where there is none."""
        return next((one for one in self.mine if one.item_id == item_id), None)

    def shown(self) -> Ingredient | None:
        """Give the ingredient whose inner life is shown."""
        return next((one for one in self.ingredients if one.key == self.inspected), None)

    def item_ids(self) -> set[str]:
        """Gallery items among the ingredients."""
        return {one.item_id for one in self.ingredients if one.item_id}
