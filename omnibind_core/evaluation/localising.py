"""How often a query finds its place: composites of gallery media by a fixed recipe, asked for in other modalities.

Concepts are split in two halves by a hash of their names: windows, centring and scoring were chosen on one half, the
figures are those of the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.report import Cell, Section
from omnibind_core.evaluation.retrieval import Figure, figure
from omnibind_core.search.composites import SECONDS, joined
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.localise import Located, localise, pieces
from omnibind_core.store.catalogue import Item
from omnibind_core.types import MODALITIES, Audio, Media, Modality

__all__ = ["Composite", "Pointing", "composites", "everywhere", "half_of", "localising", "localising_section"]

Half = Literal["development", "test"]


@dataclass(frozen=True, eq=False)
class Composite:
    """Several gallery items in one input.

    Attributes
    ----------
    media : Media
        Four pictures in one, two sounds after one another, or two shapes side by side.
    items : tuple of Item
        What is in it, in order: left to right, then top to bottom.
    edge : float
        Of two sounds: the second at which the other one begins.
    """

    media: Media
    items: tuple[Item, ...]
    edge: float = 0.0


_COUNTS: Mapping[Modality, int] = {"image": 50, "audio": 100, "point": 100}
_INTO = {"image": "four pictures", "audio": "two sounds", "point": "two shapes"}
_FOR = {
    "image": "by a picture",
    "audio": "by a sound",
    "point": "by a shape",
    "text": "by a sentence",
    "word": "by a word",
}


def half_of(concept: str) -> Half:
    """Say which half a concept belongs to."""
    return "test" if sha256(f"place:{concept}".encode()).digest()[0] % 2 else "development"


def everywhere(gallery: Gallery, half: Half) -> dict[str, dict[Modality, list[Item]]]:
    """Give the items of a half's concepts that the gallery has in every modality, by concept, in its order."""
    by: dict[str, dict[Modality, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in gallery.items:
        by[item.concept][item.modality].append(item)
    return {one: by[one] for one in sorted(by) if len(by[one]) == len(MODALITIES) and half_of(one) == half}


def composites(
    gallery: Gallery, modality: Modality, asked: Modality, count: int, half: Half, seed: int = 0,
    sources: Collection[str] = (),
) -> list[Composite]:  # fmt: skip
    """Make composites of items whose concepts the gallery also has as `asked`, all different within one.

    Parameters
    ----------
    gallery : Gallery
    modality : {"image", "audio", "point"}
        Of the composites.
    asked : Modality
        Of the queries.
    count : int
        How many.
    half : {"development", "test"}
        Whose concepts.
    seed : int
        Of the choice.
    sources : collection of str
        Packages that all items must be of; none takes all.
    """
    draw = np.random.default_rng(seed)
    there = {one.concept for one in gallery.items if one.modality == asked}
    pool = [
        one for one in gallery.items
        if one.modality == modality and one.concept in there and half_of(one.concept) == half
        and (not sources or one.package in sources)
    ]  # fmt: skip
    parts = 4 if modality == "image" else 2
    made: list[Composite] = []
    while len(made) < count:
        chosen = [pool[i] for i in draw.permutation(len(pool))[: 3 * parts]]
        items = tuple({one.concept: one for one in chosen}.values())[:parts]
        decoded = [media.load(str(gallery.path(one)), modality) for one in items]
        edge = min(decoded[0].seconds, SECONDS) if isinstance(decoded[0], Audio) else 0.0
        made.append(Composite(joined(decoded), items, edge))
    return made


@dataclass(frozen=True)
class Pointing:
    """Of one kind of query in one kind of composite.

    Attributes
    ----------
    modality : Modality
        Of the composites.
    asked : str
        Modality of the queries; "word" for the concept's name alone.
    right : Figure
        Share of queries whose best piece lies in the right item, percent.
    overlap : Figure or None
        Of a picture's best box with the right quarter: intersection over union, percent; None for others.
    n : int
        Queries.
    chance : float
        Percent.
    """

    modality: Modality
    asked: str
    right: Figure
    overlap: Figure | None
    n: int
    chance: float


def localising(
    model: OmniBind, gallery: Gallery, half: Half = "test", counts: Mapping[Modality, int] = _COUNTS,
    sources: Collection[str] = (),
) -> list[Pointing]:  # fmt: skip
    """Measure it for each modality that is looked into and each other one that is looked for.

    Parameters
    ----------
    model : OmniBind
    gallery : Gallery
        Of the model's preset.
    half : {"test", "development"}
    counts : mapping of Modality to int
        Composites for each modality of queries.
    sources : collection of str
        Packages that what is looked into must be of; none takes all.
    """
    found = []
    for modality, count in counts.items():
        for asked in MODALITIES:
            if asked != modality:
                found += _pointing(model, gallery, modality, asked, count, half, sources)
    return found


def _pointing(
    model: OmniBind, gallery: Gallery, modality: Modality, asked: Modality, count: int, half: Half,
    sources: Collection[str],
) -> list[Pointing]:  # fmt: skip
    """Measure one pair; sentences are asked for as the gallery's captions, and as the concept's word alone."""
    right: dict[str, list[bool]] = {}
    overlap: dict[str, list[float]] = {}
    draw = np.random.default_rng(1)
    rows, concepts = gallery.rows(asked), np.array(gallery.concepts(asked))
    means = {"query_mean": gallery.mean(asked), "mean": gallery.mean(modality)}
    for one in composites(gallery, modality, asked, count, half, sources=sources):
        cut = pieces(one.media)
        vectors = model.embed(modality, cut.media).vectors
        words = model.embed("text", [item.concept for item in one.items]).vectors if asked == "text" else ()
        for place, item in enumerate(one.items):
            queries = {str(asked): rows[draw.choice(np.flatnonzero(concepts == item.concept))]}
            if len(words):
                queries["word"] = words[place]
            for name, query in queries.items():
                located = localise(query, one.media, cut, vectors, **means)
                right.setdefault(name, []).append(_item_of(located, one) == place)
                if modality == "image":
                    overlap.setdefault(name, []).append(_overlap(located.best, place))
    chance = 100 / (4 if modality == "image" else 2)
    return [
        Pointing(
            modality, name, figure(np.array(hits)), figure(np.array(overlap[name])) if name in overlap else None,
            len(hits), chance,
        )
        for name, hits in right.items()
    ]  # fmt: skip


def _item_of(located: Located, one: Composite) -> int:
    """Say in which item of a composite the best piece has its middle."""
    if located.modality == "image":
        left, top, right, bottom = located.best
        return 2 * int(top + bottom >= 1) + int(left + right >= 1)
    if located.modality == "audio":
        return int(sum(located.best) / 2 >= one.edge)
    return int(located.parts[int(located.best[0])].xyz[:, 0].mean() >= 0)


def _overlap(box: Sequence[float], quarter: int) -> float:
    left, top = 0.5 * (quarter % 2), 0.5 * (quarter // 2)
    across = max(0.0, min(box[2], left + 0.5) - max(box[0], left))
    down = max(0.0, min(box[3], top + 0.5) - max(box[1], top))
    both = across * down
    return both / ((box[2] - box[0]) * (box[3] - box[1]) + 0.25 - both)


def localising_section(found: Sequence[Pointing], unheard: Sequence[Pointing] = ()) -> Section:
    """Lay the figures out, a row for each kind of query; `unheard` are of packages that no head heard."""
    rows: list[list[Cell]] = [
        [_INTO[one.modality] + more, _FOR[one.asked], one.n, f"{one.chance:.0f}", str(one.right),
         str(one.overlap or "-")]
        for more, many in (("", found), (" that no head heard", unheard))
        for one in many
    ]  # fmt: skip
    return Section(
        "Where a query is",
        "Gallery items put together, then looked for by an item of another modality that shows the same concept: four "
        "pictures in a square, two sounds of up to 4 s after one another, two shapes side by side. **Right** means "
        "that the middle of the best piece lies in the right item; **overlap** is that of the best box with the right "
        "quarter (intersection over union; windows of a half and a third of the sides can reach 100). Concepts are "
        "split in halves; windows and scoring were chosen on the other half, with pictures looked for by sounds and "
        "words. No picture of the gallery's packages was learned from; **sounds that no head heard** are of packages "
        "that were left out when the heads that are measured were trained. Percent, with 95 % intervals. "
        "`omnibind_core/evaluation/localising.py` has the recipe.",
        ["looked into", "looked for", "n", "chance", "right", "overlap"],
        rows,
    )
