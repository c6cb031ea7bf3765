"""The visitor's own things that join the answers, as a list."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from demo.html.icons import icon
from demo.settings import MAX_MINE
from demo.state import Ingredient

__all__ = ["listed"]

_LEAD = "Your files join the answers, for this visit only, and nobody else sees them."


def listed(mine: Sequence[Ingredient]) -> str:
    """Draw what there is, each with a way to take it away."""
    if not mine:
        return f'<p class="ob-note">{_LEAD} Up to {MAX_MINE}: pictures, sounds, shapes, texts.</p>'
    rows = "".join(_row(one) for one in mine)
    return f'<p class="ob-note">{_LEAD} {len(mine)} of {MAX_MINE}.</p><ul class="ob-own">{rows}</ul>'


def _row(one: Ingredient) -> str:
    face = f'<img src="{escape(one.thumbnail)}" alt="">' if one.thumbnail else icon(one.modality)
    label, name = escape(one.label), escape(one.item_id)
    return (
        f'<li class="ob-{one.modality}"><span class="ob-dot ob-{one.modality}">{face}</span>'
        f'<span title="{label}">{label}</span><button class="ob-drop" data-act="forget" data-id="{name}" '
        f'aria-label="Remove {label}">{icon("close")}</button></li>'
    )
