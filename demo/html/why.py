"""Why something answers, as bars that add up to its score."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from demo.html.icons import icon
from demo.state import Ingredient
from omnibind_core.search.explain import Explained, TermPart

__all__ = ["why"]

_FULL = 0.5  # what a bar across half of its lane stands for


def why(one: Explained, terms: Sequence[Ingredient]) -> str:
    """Draw it: a bar for each term, under it one for each specialist, and what item and caption brought."""
    rows = "".join(_term(part, term, one.multiplies) for part, term in zip(one.terms, terms, strict=True))
    how = "multiply to" if one.multiplies else "add up to"
    said = f"{'The term brings' if len(terms) == 1 else f'The terms {how}'} the score: <b>{one.score:+.3f}</b>"
    both = ""
    if abs(one.caption) > 1e-6:
        both = f'<p class="ob-note">{one.item:+.3f} by the thing itself, {one.caption:+.3f} by its caption.</p>'
    return f'<details class="ob-why" open><summary>Why it answers</summary><p>{said}</p><ul>{rows}</ul>{both}</details>'


def _term(part: TermPart, term: Ingredient, multiplies: bool) -> str:
    value = f"×{part.part:.3f}" if multiplies else f"{part.part:+.3f}"
    scale = 1.0 if multiplies or abs(part.cosine) < 1e-6 else part.part / part.cosine  # so that they add up to the bar
    shares = sorted(((name, scale * share) for name, share in part.specialists.items()), key=lambda pair: -abs(pair[1]))
    inner = "".join(f"<li>{_bar(term.titles.get(name, name), share, f'{share:+.3f}')}</li>" for name, share in shares)
    told = f"<ul>{inner}</ul>" if len(shares) > 1 else ""
    title = f"cosine {part.cosine:+.3f}, weight {part.weight:+.2f}"
    named = f'{icon(term.modality)}<span title="{escape(title)}">{escape(term.label)}</span>'
    bar = _lane(part.cosine if multiplies else part.part)
    lot = f'<div class="ob-lot"><strong>{named}</strong>{bar}<em>{value}</em></div>'
    return f'<li class="ob-{term.modality}">{lot}{told}</li>'


def _bar(name: str, value: float, said: str) -> str:
    return f'<div class="ob-lot"><span>{escape(name)}</span>{_lane(value)}<em>{said}</em></div>'


def _lane(value: float) -> str:
    width = min(abs(value) / _FULL, 1.0) * 50
    side = "left:50%" if value >= 0 else "right:50%"
    return f'<i class="ob-beam" aria-hidden="true"><b style="{side};width:{width:.0f}%"></b></i>'
