"""What the explorer answers, and the one JSON form of it that page, command line and programs get.

A function here makes one kind of answer; whoever needs another key adds it here, so that all get it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from omnibind_core.errors import OmniBindError
from omnibind_core.search.compare import Compared
from omnibind_core.search.compose import Term
from omnibind_core.search.explain import Explained
from omnibind_core.search.localise import Located
from omnibind_core.search.separate import Separated
from omnibind_core.store.catalogue import Item
from omnibind_core.types import Bound, FloatArray, Hit, Media, Modality

__all__ = [
    "Embedded",
    "Found",
    "LabelScore",
    "compared_form",
    "embedded_form",
    "error_form",
    "explained_form",
    "found_form",
    "hit_form",
    "item_form",
    "located_form",
    "scores_form",
    "separated_form",
    "similarity_form",
]

Address = Callable[[str], str]
"""Path of a file of the gallery -> what the reader of the JSON opens it by."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """One input in the shared space, and how it got there.

    Attributes
    ----------
    bound : Bound
        Of this one input, with what was weighed.
    titles : dict of str to str
        What people call each specialist.
    routed : bool
        False where all inputs of this modality get the same weights.
    media : Media, optional
        The decoded input; None where it is not kept.
    """

    bound: Bound
    titles: Mapping[str, str] = field(default_factory=dict)
    routed: bool = False
    media: Media | None = None

    @property
    def modality(self) -> Modality:
        """What it is."""
        return self.bound.modality

    @property
    def notices(self) -> tuple[str, ...]:
        """What was dropped, assumed or missing when it was read."""
        return self.bound.notices[0] if self.bound.notices else ()

    @property
    def vector(self) -> FloatArray:
        """Unit vector in the shared space, shape (D,), float32."""
        vector: FloatArray = self.bound.vectors[0]
        return vector

    def term(self, weight: float = 1.0, label: str = "") -> Term:
        """Make it a term of a query."""
        return Term(self.vector, weight, self.modality, label)


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    hits : dict of Modality to list of Hit
        Best first.
    seconds : float
        What the search took, without embedding.
    far : frozenset of Modality
        Where even the best answer is farther than what belongs together is; of a mix, where that is so of each of its
        wanted terms alone.
    """

    hits: Mapping[Modality, list[Hit]] = field(default_factory=dict)
    seconds: float = 0.0
    far: frozenset[Modality] = frozenset()


@dataclass(frozen=True)
class LabelScore:
    """One label's share.

    Attributes
    ----------
    label : str
        As given.
    probability : float
        0..1; all labels' sum to 1.
    cosine : float
        -1..1.
    """

    label: str
    probability: float
    cosine: float


def hit_form(hit: Hit, address: Address = str) -> dict[str, Any]:
    """Give {"id", "modality", "caption", "score", "z", "share", "terms", "file", "like"}.

    "z" says by how many standard deviations the score stands out; "share" (0..1) how many of the gallery's pairs of
    these two kinds are not as near, null for a mix; "terms" is the item's cosine with each term of the query, in their
    order; "file" is null for a sentence; "like" names near duplicates that are folded under it.
    """
    return {
        "id": hit.id,
        "modality": hit.modality,
        "caption": hit.caption,
        "score": round(hit.score, 6),
        "z": round(hit.z, 3),
        "share": None if hit.share is None else round(hit.share, 5),
        "terms": [round(cosine, 6) for cosine in hit.terms],
        "file": address(hit.file) if hit.file else None,
        "like": list(hit.like),
    }


def found_form(preset: str, found: Found, address: Address = str, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "hits": {modality: [hit]}, "far": [modality], "notices"}, best first; see :func:`hit_form`.

    "far" names the modalities in which nothing is near, though the nearest are given; "notices" says what was
    dropped, assumed or missing when the query's files were read, in words for people.
    """
    hits = {m: [hit_form(hit, address) for hit in answers] for m, answers in found.hits.items()}
    return {"preset": preset, "hits": hits, "far": sorted(found.far), "notices": list(notices)}


def embedded_form(one: Embedded) -> dict[str, Any]:
    """Give {"modality", "vector", "weights", "routed", "timings", "notices"}.

    "vector" is a unit vector as numbers that give the very same float32 again; "weights" is {specialist: the
    router's weight}, "routed" whether a trained router weighed this input, "timings" {stage: seconds}, "notices" what
    was dropped, assumed or missing when it was read.
    """
    return {
        "modality": one.modality,
        "vector": _numbers(one.vector),
        "weights": one.bound.weights_by_name(),
        "routed": one.routed,
        "timings": one.bound.timings,
        "notices": list(one.notices),
    }


def similarity_form(matrix: FloatArray) -> list[list[float]]:
    """Give a matrix of cosines as its rows."""
    return [_numbers(row) for row in matrix]


def compared_form(preset: str, one: Compared, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "matrix", "shares", "order", "groups", "notices"}; rows and columns are in the order given.

    "matrix" holds cosines, "shares" (0..1) how many of the gallery's pairs of two modalities are not as near, "order"
    the items so that neighbours stand side by side, "groups" the number of each item's group.
    """
    return {
        "preset": preset, "matrix": similarity_form(one.cosines),
        "shares": np.round(one.shares.astype(float), 5).tolist(), "order": list(one.order), "groups": list(one.groups),
        "notices": list(notices),
    }  # fmt: skip


def explained_form(preset: str, one: Explained, labels: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "id", "score", "multiplies", "item", "caption", "terms"}.

    "terms" is a list of {"label", "weight", "cosine", "part", "specialists": {specialist: its part of the cosine}}; the
    parts sum to the score, or multiply to it where "multiplies"; "item" and "caption" sum to it too. `labels` replaces
    the terms' own.
    """
    terms = [
        {
            "label": label, "weight": round(part.weight, 4), "cosine": round(part.cosine, 6),
            "part": round(part.part, 6),
            "specialists": {name: round(share, 6) for name, share in part.specialists.items()},
        }
        for part, label in zip(one.terms, labels or [part.label for part in one.terms], strict=True)
    ]  # fmt: skip
    return {
        "preset": preset, "id": one.id, "score": round(one.score, 6), "multiplies": one.multiplies,
        "item": round(one.item, 6), "caption": round(one.caption, 6), "terms": terms,
    }  # fmt: skip


def scores_form(preset: str, scores: Sequence[LabelScore], fits: bool, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "scores": [{"label", "probability", "cosine"}], "fits", "notices"}, best first.

    "fits" is false where even the first label stands out less than right ones do: perhaps none of them is right.
    """
    rows = [{"label": one.label, "probability": one.probability, "cosine": one.cosine} for one in scores]
    return {"preset": preset, "scores": rows, "fits": fits, "notices": list(notices)}


def located_form(preset: str, found: Located, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "modality", "best", "score", "near", "heat", "notices"}.

    "best" is {"left", "top", "right", "bottom"} as shares of a picture's sides, {"first", "last"} in seconds, or
    {"part"}, a number from 0 of a shape's parts; "near" says whether anything there is near at all; "heat" holds
    centred cosines: rows over a picture, [{"first", "last", "score"}] over a sound, one number a part.
    """
    names = {"image": ("left", "top", "right", "bottom"), "audio": ("first", "last"), "point": ("part",)}
    best: dict[str, Any] = dict(zip(names[found.modality], found.best, strict=True))
    heat: list[Any] = np.round(found.heat.astype(float), 4).tolist()
    if found.modality == "audio":
        pairs = zip(found.edges[:-1].astype(float), found.edges[1:].astype(float), heat, strict=True)
        heat = [{"first": round(a, 3), "last": round(b, 3), "score": score} for a, b, score in pairs]
    if found.modality == "point":
        best["part"] = int(best["part"])
    return {
        "preset": preset, "modality": found.modality, "best": best, "score": round(found.score, 6), "near": found.near,
        "heat": heat, "notices": list(notices),
    }  # fmt: skip


def separated_form(preset: str, one: Separated, found: str, rest: str, notices: Sequence[str] = ()) -> dict[str, Any]:
    """Give {"preset", "present", "score", "rate", "seconds", "found", "rest", "parts", "notices"}.

    "parts" is a list of {"score", "weight", "level"};
    "found" and "rest" are what the reader opens these sounds by; "present" is false where what was asked for is not
    in the sound; "score" and those of the parts are standard deviations above the gallery's other things, "weight" how
    much of a part was taken and "level" its share of the energy, both 0..1.
    """
    parts = [{"score": round(p.score, 3), "weight": round(p.weight, 3), "level": round(p.level, 4)} for p in one.parts]
    seconds = round(len(one.found) / one.rate, 3)
    return {
        "preset": preset, "present": one.present, "score": round(one.score, 3), "rate": one.rate, "seconds": seconds,
        "found": found, "rest": rest, "parts": parts, "notices": list(notices),
    }  # fmt: skip


def item_form(item: Item) -> dict[str, Any]:
    """Give {"id", "modality", "caption", "licence"} of an item of the gallery."""
    return {"id": item.id, "modality": item.modality, "caption": item.caption, "licence": item.licence}


def error_form(error: OmniBindError) -> dict[str, Any]:
    """Give {"error": {"given", "allowed", "action"}}."""
    return {"error": {"given": error.given, "allowed": error.allowed, "action": error.action}}


def _numbers(row: FloatArray) -> list[float]:
    """Give the shortest numbers that are the same float32 values: (n,) -> n."""
    return [float(str(x)) for x in np.asarray(row, np.float32)]
