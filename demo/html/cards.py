"""Hits -> HTML. Everything that came from outside is escaped here; values are put in verbatim by ``gr.HTML``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from demo.html.icons import NAMES, ORDER, PLURALS, icon
from demo.html.pictures import file_address
from demo.state import MINE, Ingredient
from omnibind_core.search.answers import Found
from omnibind_core.types import Hit, Modality

__all__ = ["answers", "credits_of", "detail_head", "detail_tail", "skeleton", "strength"]

_STEPS = (1.0, 1.75, 2.5, 3.25, 4.0)  # standard deviations above the average item for one dot, two, ... five
_WORDS = ("barely", "a little", "noticeably", "clearly", "strongly", "outstandingly")
_KEY = (
    "A percentage says: nearer than so many of all pairs of these two kinds here. "
    "Dots say how far an answer stands out in its column."
)
_KEY_OF_MIX = (
    "The number is the score of the mix, its dots say how far an answer stands out in its column. "
    "The bars, one for each term in its order, say how near it is to each: to the right is near."
)
_SAFE_LINKS = ("https://", "http://")


def strength(z: float) -> int:
    """How much an answer stands out, as 0 to 5 dots."""
    return sum(z >= step for step in _STEPS)


def answers(found: Found, terms: Sequence[Ingredient]) -> str:
    """Draw the answers: a column for each modality, best first, the best one large."""
    columns = "".join(_column(m, found.hits[m], terms, m in found.far) for m in ORDER if m in found.hits)
    return (
        f'<p class="ob-reading">{_KEY if len(terms) == 1 else _KEY_OF_MIX}</p><div class="ob-answers">{columns}</div>'
    )


def skeleton(*, idle: bool = False) -> str:
    """Draw the columns before there is anything to show; `idle` where nothing has been asked."""
    waiting = "" if idle else ' aria-busy="true" aria-label="Answers are on their way"'
    rows = '<div class="ob-card ob-ghost"></div>' * 3
    columns = "".join(
        f'<section class="ob-column ob-{m}">{_heading(m, "")}<div class="ob-stack">'
        f'<div class="ob-card ob-best ob-ghost"></div>{rows}</div></section>'
        for m in ORDER
    )
    return f'<div class="ob-answers{" ob-idle" if idle else ""}"{waiting}>{columns}</div>'


def _heading(modality: Modality, note: str) -> str:
    return f"<h3>{icon(modality)}<span>{PLURALS[modality]}</span><small>{escape(note)}</small></h3>"


def _column(modality: Modality, hits: Sequence[Hit], terms: Sequence[Ingredient], far: bool) -> str:
    note = "none is near" if far else f"nearest {len(hits)}" if hits else ""
    cards = "".join(_card(hit, rank, terms, far) for rank, hit in enumerate(hits))
    cards = cards or '<p class="ob-none">Nothing here: there is no other item of this kind.</p>'
    stack = f'<div class="ob-stack">{cards}</div>'
    if far:  # of its own kind the nearest are worth a look all the same
        shown = " open" if [term.modality for term in terms] == [modality] else ""
        said = (
            f"Nothing here is near. Of queries that {PLURALS[modality].lower()} here belong to, at least 19 of 20 "
            "find nearer ones, and are less like noise."
            if len(terms) == 1
            else "Nothing here is near any of what is mixed."
        )
        folded = f"<summary>Show the nearest</summary>{stack}"
        stack = f'<p class="ob-none">{said}</p><details class="ob-far"{shown}>{folded}</details>'
    return (
        f'<section class="ob-column ob-{modality}" aria-label="{PLURALS[modality]} that answer">'
        f"{_heading(modality, note)}{stack}</section>"
    )


def _card(hit: Hit, rank: int, terms: Sequence[Ingredient], far: bool) -> str:
    caption, item = escape(hit.caption), escape(hit.id)
    best = " ob-best" if rank == 0 else ""
    count = len(hit.like)
    alike = ""
    if count:
        alike = f'<button class="ob-alike" data-act="open" data-id="{escape(hit.like[0])}">and {count} alike</button>'
    mine = '<span class="ob-mine">yours</span>' if hit.id.startswith(MINE) else ""
    return (
        f'<article class="ob-card{best} ob-{hit.modality}">{_face(hit, caption, item, rank == 0)}'
        f'<div class="ob-words"><button class="ob-caption" data-act="open" data-id="{item}">{caption}</button>'
        f"{mine}{alike}{'' if far else _score(hit, terms)}{_bars(hit, terms)}</div>{_actions(item, caption)}</article>"
    )


def _face(hit: Hit, caption: str, item: str, best: bool) -> str:
    """Draw the picture of a card; sounds also get a button that plays them in place."""
    picture = hit.file if best and hit.modality == "image" else hit.thumbnail  # a thumbnail is square
    if picture:
        inner = f'<img src="{escape(file_address(picture))}" alt="" loading="lazy" decoding="async">'
    else:
        inner = icon(hit.modality)
    opener = (
        f'<button class="ob-open" data-act="open" data-id="{item}" tabindex="-1" aria-hidden="true">{inner}</button>'
    )
    player = ""
    if hit.modality == "audio" and hit.file:
        player = (
            f'<button class="ob-play" data-play aria-label="Play: {caption}">{icon("play")}{icon("pause")}</button>'
            f'<audio preload="none" src="{escape(file_address(hit.file))}"></audio>'
        )
    return f'<div class="ob-face">{opener}{player}</div>'


def _score(hit: Hit, terms: Sequence[Ingredient]) -> str:
    """Draw how near an answer is: in dots, and for a single term as the share of pairs that are not as near."""
    dots = strength(hit.z)
    marks = "".join(f'<i class="{"on" if i < dots else ""}"></i>' for i in range(5))
    meaning = f"Stands out {_WORDS[dots]}: {hit.z:.1f} standard deviations above the average of its column"
    number = f"{hit.score:+.2f}"
    if hit.share is not None and len(terms) == 1:
        number = _percent(hit.share)
        pair = f"{NAMES[terms[0].modality]} and {NAMES[hit.modality]}".lower()
        meaning = f"Nearer than {number} of all pairs of {pair} here. {meaning}; cosine {hit.score:+.2f}"
    return (
        f'<div class="ob-score" title="{meaning}"><span class="ob-dots" role="img" aria-label="{meaning}">{marks}'
        f'</span><span class="ob-number">{number}</span></div>'
    )


def _percent(share: float) -> str:
    """Spell a share, rounded down so that none but all is 100."""
    return f"{math.floor(share * 1000) / 10:.1f} %" if share < 1 else "100 %"


def _bars(hit: Hit, terms: Sequence[Ingredient]) -> str:
    """Draw how near the item is to each term of a mix: bars to the right are near, to the left far.

    A term whose slider stands at 0 keeps its bar, faint, so that bars neither vanish nor change places on the way
    from more to less of it.
    """
    if len(terms) < 2 or len(hit.terms) != len(terms):
        return ""
    rows = []
    for term, cosine in zip(terms, hit.terms, strict=True):
        width = min(abs(cosine) / 0.8, 1.0) * 50
        side = "left:50%" if cosine >= 0 else "right:50%"
        sign, mark = _sign(term.weight)
        title = escape(f"{term.label} ({sign}): cosine {cosine:+.2f}")
        rows.append(
            f'<span class="ob-bar ob-{term.modality}{mark}" title="{title}">'
            f'<b style="{side};width:{width:.0f}%"></b></span>'
        )
    return f'<div class="ob-bars" role="img" aria-label="{_spoken(terms, hit)}">{"".join(rows)}</div>'


def _sign(weight: float) -> tuple[str, str]:
    """Say what a weight means, and which class draws it."""
    if abs(weight) < 1e-6:
        return "not counted", " ob-off"
    return ("wanted", "") if weight > 0 else ("unwanted", " ob-minus")


def _spoken(terms: Sequence[Ingredient], hit: Hit) -> str:
    parts = (f"{t.label}: {c:+.2f}" for t, c in zip(terms, hit.terms, strict=True))
    return escape("Nearness to each term: " + "; ".join(parts))


def _actions(item: str, caption: str) -> str:
    labels = {"search": "Search with this", "add": "Add to the mix", "subtract": "Subtract from the mix"}
    buttons = "".join(
        f'<button data-act="{act}" data-id="{item}" title="{label}" aria-label="{label}: {caption}">'
        f"{icon(act)}</button>"
        for act, label in labels.items()
    )
    return f'<div class="ob-actions">{buttons}</div>'


def detail_head(hit: Hit) -> str:
    """Draw the top of the detail panel: what it is, and the real thing unless it is a shape."""
    caption = escape(hit.caption)
    body = ""
    if hit.modality == "image" and hit.file:
        body = f'<img class="ob-large" src="{escape(file_address(hit.file))}" alt="{caption}">'
    elif hit.modality == "audio" and hit.file:
        face = f'<img class="ob-wave" src="{escape(file_address(hit.thumbnail))}" alt="">' if hit.thumbnail else ""
        body = f'{face}<audio controls preload="metadata" src="{escape(file_address(hit.file))}"></audio>'
    elif hit.modality == "text":
        body = f"<blockquote>{caption}</blockquote>"
    title = "" if hit.modality == "text" else f"<h2>{caption}</h2>"
    return (
        f'<div class="ob-detail ob-{hit.modality}"><header><span class="ob-kind">{icon(hit.modality)}'
        f'{NAMES[hit.modality]}</span><button class="ob-close" data-act="close" aria-label="Close">{icon("close")}'
        f"</button></header>{title}{body}</div>"
    )


def detail_tail(hit: Hit, why: str = "") -> str:
    """Draw the rest of the detail panel: what to do with the item, why it answers (as HTML), and whose work it is."""
    item = escape(hit.id)
    return (
        f'<div class="ob-detail ob-{hit.modality}"><div class="ob-do">'
        f'<button class="ob-primary" data-act="search" data-id="{item}">{icon("search")}Search with this</button>'
        f'<button data-act="add" data-id="{item}">{icon("add")}Add to mix</button>'
        f'<button data-act="subtract" data-id="{item}">{icon("subtract")}Subtract</button></div>'
        f"{why}{credits_of(hit)}</div>"
    )


def credits_of(hit: Hit) -> str:
    """Draw what an item shows and whose work it is."""
    rows = []
    for label, key in (("Shows", "concept"), ("Made by", "creator"), ("Licence", "licence"), ("Source", "source")):
        value = hit.details.get(key, "")
        if value:
            rows.append(f"<dt>{label}</dt><dd>{_link(value)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _link(value: str) -> str:
    """Escape a value; one that is an address becomes a link that the visitor may follow."""
    text = escape(value)
    if value.startswith(_SAFE_LINKS) and " " not in value:
        return f'<a href="{text}" target="_blank" rel="noopener noreferrer">{text}</a>'
    return text
