"""Tours as HTML: the shelf that they stand on, and one step of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from demo.html import cards
from demo.html.icons import icon
from demo.html.pictures import file_address
from demo.state import Ingredient
from omnibind_core.search.answers import Found

__all__ = ["shelf", "stage", "tail", "tour"]

_LEAD = "Tours of what one space can do, a sentence a step. Their answers were made before; every step can be tried."


def shelf(covers: Sequence[tuple[str, str, int, Sequence[Ingredient]]]) -> str:
    """Draw all tours: each with its title, its lead, its number of steps and the things that its cover shows."""
    rows = []
    for i, (title, lead, steps, faces) in enumerate(covers):
        shown = "".join(f'<span class="ob-{one.modality}">{_face(one)}</span>' for one in faces)
        rows.append(
            f'<li><button data-act="step" data-id="{i}:0"><span class="ob-cover" aria-hidden="true">{shown}</span>'
            f"<strong>{escape(title)}</strong><span>{escape(lead)}</span><small>{steps} steps</small></button></li>"
        )
    return f'<p class="ob-lead">{_LEAD}</p><ol class="ob-shelf">{"".join(rows)}</ol>'


def tour(stages: Sequence[str]) -> str:
    """Draw a tour: all its steps, of which :func:`stage` shows one; turning to another one asks nobody (stories.js)."""
    return f'<div class="ob-tour">{"".join(stages)}<p class="ob-hide" aria-live="polite" translate="no"></p></div>'


def stage(
    title: str,
    say: str,
    place: tuple[int, int, int, int],
    terms: Sequence[Ingredient],
    found: Found,
    part: str,
    *,
    shown: bool = True,
) -> str:
    """Draw a step.

    Parameters
    ----------
    place : tuple of int
        Number of the tour, of tours, number of the step, of steps; numbers from 0.
    part : str
        Of the link that asks the same on the main tab.
    shown : bool
        Whether it is the one of its tour that is seen.
    """
    story, stories, step, steps = place
    before = f'data-turn="{step - 1}"' if step else "disabled"
    after = f'data-turn="{step + 1}"' if step + 1 < steps else f'data-act="step" data-id="{(story + 1) % stories}:0"'
    here = ' aria-current="step"'
    marks = "".join(
        f'<button data-turn="{i}" data-go="{i}" aria-label="Step {i + 1}"{here if i == step else ""}></button>'
        for i in range(steps)
    )
    dots = f'<span class="ob-dots-row">{marks}</span>'
    onward = "Next" if step + 1 < steps else "Next tour"
    chips = '<span class="ob-plus" aria-hidden="true">+</span>'.join(_chip(one, len(terms)) for one in terms)
    return (
        f'<div class="ob-stage"{"" if shown else " hidden"}><header>'
        f'<button class="ob-back" data-act="shelf">All tours</button>'
        f"<h2>{escape(title)}</h2>{dots}<nav>{_go('Back', 'previous', before)}{_go(onward, 'next', after)}</nav>"
        f'<span class="ob-more"><a class="ob-take" href="?q={escape(part)}">Try it yourself</a>'
        '<button class="ob-present" data-present title="Large type, nothing in the way; Esc ends it">'
        "<span>Present</span></button></span></header>"
        f'<p class="ob-say">{escape(say)}</p>'
        f'<div class="ob-asked">{chips}</div>{cards.answers(found, terms)}'
        '<p class="ob-keys">← and → turn the pages.</p></div>'
    )


def tail(details: str, part: str) -> str:
    """Draw what the detail panel of a tour ends with: a link that asks for the item, and whose work it is."""
    link = f'<a class="ob-take" href="?q={escape(part)}">Search with this</a>'
    return f'<div class="ob-detail"><div class="ob-do">{link}</div>{details}</div>'


def _go(name: str, way: str, does: str) -> str:
    primary = ' class="ob-primary"' if way == "next" else ""
    return f'<button{primary} data-go="{way}" {does}>{name}</button>'


def _face(one: Ingredient) -> str:
    if not one.thumbnail:
        return f"<q>{escape(one.label)}</q>" if one.modality == "text" else icon(one.modality)
    return f'<img src="{escape(file_address(one.thumbnail))}" alt="" loading="lazy">'


def _chip(one: Ingredient, count: int) -> str:
    weight = f"<output>{one.weight:+.2f}</output>" if count > 1 else ""
    player = ""
    if one.modality == "audio":
        player = (
            f'<button class="ob-play" data-play aria-label="Play: {escape(one.label)}">{icon("play")}{icon("pause")}'
            f'</button><audio preload="none" src="{escape(file_address(one.seen))}"></audio>'
        )
    face = "" if one.modality == "text" else f'<span class="ob-face">{_face(one)}{player}</span>'
    minus = " ob-minus" if one.weight < 0 else ""
    return (
        f'<span class="ob-chip ob-{one.modality}{minus}">{face}<span class="ob-label">{icon(one.modality)}'
        f"{escape(one.label)}</span>{weight}</span>"
    )
