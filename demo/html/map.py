"""The gallery as a map: what the canvas of ``demo/shell/map.js`` draws, as JSON inside the component's HTML."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from demo.html.icons import NAMES, ORDER, PLURALS
from demo.html.pictures import file_address
from omnibind_core.store.catalogue import Item
from omnibind_core.types import FloatArray, Modality

if TYPE_CHECKING:
    from omnibind_core.search.gallery import Gallery
    from omnibind_core.search.plane import Plane

__all__ = ["drawn", "looped", "placed"]

_LABELS = 40  # neighbourhoods that are named
_NAMED, _FACES = 12, 60  # of what a loop was drawn around: concepts that are named, things that are shown
_NEAR = 0.16  # of the map's half: how near items are that make a neighbourhood


def drawn(gallery: Gallery, plane: Plane) -> str:
    """Draw all items; marks come later, by :func:`placed`."""
    items = []
    for item, closed, apart in zip(gallery.items, plane.closed.tolist(), plane.apart.tolist(), strict=True):
        picture = gallery.path(item, thumbnail=True)
        items.append(
            [item.id, ORDER.index(item.modality), item.caption, file_address(picture) if picture else "",
             *(round(one, 4) for one in (*closed, *apart))]
        )  # fmt: skip
    data = {"items": items, "kinds": [PLURALS[kind] for kind in ORDER], "labels": [
        _labels(gallery, plane.closed), _labels(gallery, plane.apart)
    ]}  # fmt: skip
    legend = "".join(
        f'<li class="ob-{kind}"><svg viewBox="-9 -9 18 18" aria-hidden="true"><path d="{_SHAPES[kind]}"/></svg>'
        f"{PLURALS[kind]}</li>"
        for kind in ORDER
    )
    return (
        f'<div class="ob-map"><canvas tabindex="0" role="img" aria-label="Map of {len(items):,} items; '
        'the list of answers below says the same in words"></canvas><div class="ob-tip" hidden></div>'
        f'<ul class="ob-legend">{legend}</ul><p class="ob-hint">Scroll to zoom, drag to move, click an item.</p>'
        '<button class="ob-lasso" aria-pressed="false" title="Or hold Shift while you drag">Draw a loop</button>'
        f"{_data(data)}</div>"
    )


_SHAPES: Mapping[Modality, str] = {
    "point": "M0-7 7 0 0 7-7 0z",
    "audio": "M0-7 7 6H-7z",
    "image": "M-6-6H6V6H-6z",
    "text": "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0",
}
"""A form for each modality, so that colour is not all that tells them apart; the canvas draws the same."""


def looped(gallery: Gallery, items: Sequence[Item]) -> str:
    """Say what a loop was drawn around: how many things, of what, and their faces; each can be clicked."""
    counts = Counter(item.concept for item in items if item.concept).most_common(_NAMED)
    named = ", ".join(f"{escape(name)} {count}" for name, count in counts)
    kinds = ", ".join(
        f"{count} {(PLURALS if count > 1 else NAMES)[kind].lower()}"
        for kind in ORDER
        if (count := sum(item.modality == kind for item in items))
    )
    faces = "".join(_face(gallery, item) for item in items[:_FACES])
    more = f'<p class="ob-note">and {len(items) - _FACES:,} more</p>' if len(items) > _FACES else ""
    return (
        f'<section class="ob-looped"><h3>{len(items):,} inside the loop: {kinds}</h3><p class="ob-note">{named}</p>'
        f'<div class="ob-faces">{faces}</div>{more}</section>'
    )


def _face(gallery: Gallery, item: Item) -> str:
    picture, caption = gallery.path(item, thumbnail=True), escape(item.caption)
    inner = f'<img src="{escape(file_address(picture))}" alt="" loading="lazy">' if picture else f"<q>{caption}</q>"
    return (
        f'<button class="ob-{item.modality}" data-act="open" data-id="{escape(item.id)}" title="{caption}" '
        f'aria-label="{caption}">{inner}</button>'
    )


def placed(marks: Sequence[tuple[str, Modality, FloatArray, FloatArray]], chosen: str = "") -> str:
    """Give what is drawn into the map: what was asked, with its two places, and which item was chosen."""
    data = [
        {"label": label, "kind": NAMES[kind], "closed": closed.astype(float).round(4).tolist(),
         "apart": apart.astype(float).round(4).tolist()}
        for label, kind, closed, apart in marks
    ]  # fmt: skip
    return _data({"marks": data, "chosen": chosen})


def _data(data: Any) -> str:
    """Write what the page's own code reads, out of sight."""
    return f'<pre class="ob-data" hidden>{escape(json.dumps(data, separators=(",", ":")), quote=False)}</pre>'


def _labels(gallery: Gallery, places: FloatArray) -> list[list[Any]]:
    """Name neighbourhoods by the concept that most items there share: [word, x, y, items], the largest first."""
    concepts = np.array([item.concept for item in gallery.items])
    found: list[list[Any]] = []
    for concept, count in Counter(concepts.tolist()).most_common():
        if count < 3 or not concept:
            continue
        mine = places[concepts == concept]
        middle = np.median(mine, axis=0)
        together = np.linalg.norm(mine - middle, axis=1) < _NEAR
        crowded = any(np.linalg.norm(middle - np.array(other[1:3])) < 0.07 for other in found)
        if together.sum() >= 3 and not crowded:
            spot = mine[together].mean(axis=0)
            found.append([escape(concept), round(float(spot[0]), 4), round(float(spot[1]), 4), int(together.sum())])
    return sorted(found, key=lambda row: -row[3])[:_LABELS]
