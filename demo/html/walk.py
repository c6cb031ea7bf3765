"""A walk from one thing to another as bands: what is met, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from demo.html.icons import ORDER, PLURALS, icon
from demo.html.pictures import file_address
from demo.state import Ingredient
from omnibind_core.search.journey import Stop
from omnibind_core.types import Hit, Modality

__all__ = ["walk"]


def walk(start: Ingredient, end: Ingredient, stops: Sequence[Stop]) -> str:
    """Draw it: a button for each stop, which weighs the two terms so, and under them a row for each modality."""
    buttons = "".join(
        f'<button data-act="stop" data-id="{stop.share:.4g}" title="{1 - stop.share:.0%} of the first, '
        f'{stop.share:.0%} of the second" aria-label="Weigh them {1 - stop.share:.0%} to {stop.share:.0%}"></button>'
        for stop in stops
    )
    rows = "".join(_row(modality, [stop.hits.get(modality, []) for stop in stops]) for modality in ORDER)
    return (
        f'<details class="ob-walk"><summary>Walk from <b>{icon(start.modality)}{escape(start.label)}</b> to '
        f"<b>{icon(end.modality)}{escape(end.label)}</b></summary>"
        f'<div class="ob-way" style="--stops:{len(stops)}"><span class="ob-note">Weigh them so</span>{buttons}{rows}'
        "</div></details>"
    )


def _row(modality: Modality, stops: Sequence[Sequence[Hit]]) -> str:
    if not all(stops):
        return ""
    met = [(hit, len(list(same))) for hit, same in groupby((hits[0] for hits in stops), key=lambda hit: hit.id)]
    first = {hits[0].id: hits[0] for hits in stops}
    bands = "".join(_band(first[name], count) for name, count in met)
    return f'<span class="ob-{modality}">{icon(modality)}{PLURALS[modality]}</span>{bands}'


def _band(hit: Hit, count: int) -> str:
    face = f'<img src="{escape(file_address(hit.thumbnail))}" alt="" loading="lazy">' if hit.thumbnail else ""
    caption = escape(hit.caption)
    return (
        f'<button class="ob-band ob-{hit.modality}" style="grid-column:span {count}" data-act="open" '
        f'data-id="{escape(hit.id)}" title="{caption}">{face}<span>{caption}</span></button>'
    )
