"""Everything on the page that is neither input nor answer, as HTML: the mix, the inner life, status, notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from demo.html.icons import NAMES, icon
from demo.html.pictures import file_address
from demo.settings import MAX_TERMS
from demo.state import Ingredient, Status, Visit
from omnibind_core.errors import OmniBindError
from omnibind_core.search.answers import LabelScore
from omnibind_core.store.catalogue import Item
from omnibind_core.types import Modality

if TYPE_CHECKING:
    from omnibind_core.machine.auto import Choice

__all__ = [
    "example_chips",
    "example_words",
    "header",
    "input_heading",
    "inside",
    "mix",
    "notice",
    "presets",
    "ready_mixes",
    "scores",
    "status",
    "steps",
    "told",
]

_KEPT = "That did not work. Your earlier answers are still here."
_HINTS: Mapping[Modality, str] = {
    "point": "GLB, OBJ, STL, PLY …",
    "audio": "upload or record",
    "image": "upload, webcam, paste",
    "text": "in your language",
}


def header(title: str, claim: str, languages: str = "") -> str:
    """Draw the name and the one sentence that says it all, and beside them the switch between languages."""
    marks = "".join(f'<i class="ob-{m}"></i>' for m in NAMES)
    return (
        f'<div class="ob-header"><div class="ob-logo" aria-hidden="true">{marks}</div><div><h1>{escape(title)}</h1>'
        f'<p>{escape(claim)} <button data-tour="0:0">Take a tour</button> {languages}</p></div></div>'
    )


def input_heading(modality: Modality) -> str:
    """Draw the top of an input."""
    return f"<h3>{icon(modality)}<span>{NAMES[modality]}</span><small>{escape(_HINTS[modality])}</small></h3>"


def example_chips(modality: Modality, examples: Sequence[tuple[Item, str]]) -> str:
    """Draw what can be tried with one click, under an input: items of the gallery, each with its picture's path."""
    chips = []
    for item, picture in examples:
        caption = escape(item.caption)
        face = f'<img src="{escape(file_address(picture))}" alt="" loading="lazy">' if picture else f"<q>{caption}</q>"
        if modality == "audio":  # all waveforms look alike
            face += f"<span>{escape(item.concept)}</span>"
        chips.append(
            f'<button data-act="example" data-id="{escape(item.id)}" title="{caption}" aria-label="Try: {caption}">'
            f"{face}</button>"
        )
    return f'<div class="ob-try ob-{modality}">{"".join(chips)}</div>' if chips else ""


def example_words(sentences: Sequence[str]) -> str:
    """Draw sentences in other scripts that can be tried with one click."""
    said = [escape(one) for one in sentences]
    chips = "".join(
        f'<button data-act="say" data-id="{one}" aria-label="Try: {one}"><q dir="auto">{one}</q></button>'
        for one in said
    )
    return f'<div class="ob-try ob-text ob-scripts">{chips}</div>' if chips else ""


def ready_mixes(titles: Sequence[str]) -> str:
    """Draw the ready-made mixes, and the way back to an empty query."""
    buttons = "".join(
        f'<button data-act="mix" data-id="{i}">{escape(title)}</button>' for i, title in enumerate(titles)
    )
    lead = f"<span>Try a mix</span><div>{buttons}</div>" if buttons else ""
    clear = f'<button class="ob-clear" data-act="clear">{icon("clear")}Start over</button>'
    return f'<div class="ob-mixes">{lead}{clear}</div>'


def status(now: Status) -> str:
    """Draw how far loading is; it announces itself to screen readers."""
    if now.coming:
        share = max(0.0, min(1.0, now.share))
        return (
            f'<div class="ob-status ob-loading" role="status"><i></i><span>Ready · {escape(now.label)}. '
            f"{escape(now.coming)} is being made ready, <b>{share:.0%}</b></span>"
            f'<div class="ob-track"><b style="width:{100 * share:.0f}%"></b></div></div>'
        )
    if now.missed:
        return (
            f'<div class="ob-status ob-failed" role="alert"><i></i><span>Ready · {escape(now.label)}; '
            f'{escape(now.missed)} did not load</span><button data-act="retry">Try again</button></div>'
        )
    if now.phase == "ready":
        return f'<div class="ob-status ob-ready" role="status"><i></i>Ready · {escape(now.label)}</div>'
    if now.phase == "failed":
        return (
            '<div class="ob-status ob-failed" role="alert"><i></i><span>The models did not load</span>'
            '<button data-act="retry">Try again</button></div>'
        )
    share = max(0.0, min(1.0, now.share))
    return (
        '<div class="ob-status ob-loading" role="status"><i></i>'
        f"<span>Waking up: {escape(now.label or 'the models')} <b>{share:.0%}</b></span>"
        f'<div class="ob-track"><b style="width:{100 * share:.0f}%"></b></div></div>'
    )


def presets(choices: Sequence[Choice], now: str) -> str:
    """Draw what this machine could load, and what loading it would take; `now` is what answers."""
    if not choices:
        return f'<p class="ob-note">{escape(now or "The preset")} answers. Whoever runs this page chooses it.</p>'
    rows = "".join(_choice(one, now) for one in choices)
    return f'<ul class="ob-presets">{rows}</ul><p class="ob-note">It changes for all who look at this page.</p>'


def collections(searched: Sequence[str], waiting: Sequence[str]) -> str:
    """Draw which collections are searched, and which ones can be taken in."""
    rows = "".join(f'<li><strong translate="no">{escape(one)}</strong><b>is searched</b></li>' for one in searched)
    rows += "".join(
        f'<li><strong translate="no">{escape(one)}</strong><button data-act="collection" data-id="{escape(one)}">'
        f"Search in {escape(one)}</button></li>"
        for one in waiting
    )
    note = "It changes for all who look at this page." if waiting else "No other collection is here."
    return f'<ul class="ob-presets">{rows}</ul><p class="ob-note">{note}</p>'


def _choice(one: Choice, now: str) -> str:
    name = escape(one.preset.name)
    facts = [
        "all here" if not one.to_fetch else f"{one.to_fetch / 1e9:.1f} GB to fetch",
        "commercial use allowed" if one.commercial else "not for commercial use",
        f"languages: {one.preset.languages}" if one.preset.languages else "",
    ]
    if one.preset.name == now:
        button = "<b>answers now</b>"
    elif one.fits:
        button = f'<button data-act="preset" data-id="{name}">Load {name}</button>'
    else:
        button = f"<em>{escape(_sentence('not here: ' + one.reason))}</em>"
    said = " · ".join(escape(fact) for fact in facts if fact)
    return f"<li><strong>{name}</strong><span>{escape(one.preset.title)}</span><small>{said}</small>{button}</li>"


def mix(visit: Visit) -> str:
    """Draw the ingredients with a slider each."""
    count = len(visit.ingredients)
    if not count:
        hint = "Give it something above, click an example, or add any answer with its + button."
    elif count == 1:
        hint = "Mix it: choose “Add” or “Subtract” for the next input, or use + and − on any answer."
    elif count == 2:
        hint = "Slide a weight: + pulls the answers towards it, − pushes them away."
    else:
        hint = "" if count < MAX_TERMS else "The mix is full."
    chips = "".join(_chip(one, one.key == visit.inspected) for one in visit.ingredients)
    return f'<div class="ob-chips" data-turn="{visit.turn}">{chips}<p class="ob-hint">{hint}</p></div>'


def steps(visit: Visit) -> str:
    """Draw the ways back and forth, grey where there is none, and the one to swap the weights of two terms."""
    ways = [("undo", "Undo", bool(visit.past)), ("redo", "Redo", bool(visit.future))]
    if len(visit.ingredients) == 2:
        ways.insert(0, ("swap", "Swap the two weights", True))
    buttons = "".join(
        f'<button data-act="{act}" title="{label}" aria-label="{label}"{"" if there else " disabled"}>'
        f"{icon(act)}</button>"
        for act, label, there in ways
    )
    return f'<span class="ob-steps">{buttons}</span>'


def _chip(one: Ingredient, inspected: bool) -> str:
    label, key = escape(one.label), escape(one.key)
    face = f'<img src="{escape(one.thumbnail)}" alt="">' if one.thumbnail else icon(one.modality)
    mute = "Let it count again" if one.weight == 0 else "Let it not count"
    return (
        f'<div class="ob-chip ob-{one.modality}{" ob-minus" if one.weight < 0 else ""}{" on" if inspected else ""}">'
        f'<button class="ob-face" data-act="inspect" data-id="{key}" title="Show what happened inside for this input" '
        f'aria-label="Look inside: {label}">{face}</button>'
        f'<div class="ob-words"><span class="ob-label" title="{label}">{icon(one.modality)}{label}</span>'
        f'<span class="ob-weigh"><input type="range" min="-1" max="1" step="0.05" value="{one.weight:g}" '
        f'style="--at:{50 + 50 * one.weight:g}%" '
        f'data-weight="{key}" aria-label="Weight of {label}"><output>{one.weight:+.2f}</output></span></div>'
        f'<button class="ob-mute{" on" if one.weight == 0 else ""}" data-act="mute" data-id="{key}" '
        f'title="{mute}" aria-label="{mute}: {label}">{icon("mute")}</button>'
        f'<button class="ob-drop" data-act="drop" data-id="{key}" aria-label="Remove {label}">{icon("close")}</button>'
        "</div>"
    )


def inside(one: Ingredient | None, search_seconds: float = 0.0) -> str:
    """Draw the router's weights and the time of each stage for one input, and sliders to overrule the router."""
    if one is None:
        idle = "Which specialists are listened to, and what takes the time, appears here."
        return f'<div class="ob-inside"><h3>Inside</h3><p class="ob-note">{idle}</p></div>'
    peak = max(one.shares.values(), default=1.0) or 1.0
    shares = "".join(
        f'<li><span>{escape(one.titles.get(name, name))}</span><span class="ob-meter">'
        f'<b style="width:{100 * share / peak:.0f}%"></b></span><em>{share:.0%}</em></li>'
        for name, share in one.shares.items()
    )
    if one.by_hand:
        note = "weighed by hand"
    elif one.routed:
        note = "weighed by the router for this very input"
    else:
        note = "flat weights: the same for every input of this kind"
    stages = [(name, one.timings[name]) for name in _stage_order(one)]
    stages += [("search", search_seconds)] if search_seconds else []
    total = sum(seconds for _, seconds in stages) or 1e-9
    track = "".join(
        f'<b class="ob-s{i % 6}" style="width:{100 * s / total:.1f}%" title="{escape(n)} {_ms(s)}"></b>'
        for i, (n, s) in enumerate(stages)
    )
    times = "".join(
        f'<li><i class="ob-s{i % 6}"></i><span>{escape(n)}</span><em>{_ms(s)}</em></li>'
        for i, (n, s) in enumerate(stages)
    )
    return (
        f'<div class="ob-inside ob-{one.modality}"><h3>Inside</h3><p class="ob-subject">{icon(one.modality)}'
        f'{escape(one.label)}</p><h4>Specialists</h4><ul class="ob-shares">{shares}</ul>'
        f'<p class="ob-note">{note}</p>{_read_notes(one)}{_by_hand(one)}<h4>Time <em>{_ms(total)}</em></h4>'
        f'<div class="ob-times" aria-hidden="true">{track}</div><ul class="ob-stages">{times}</ul></div>'
    )


def _read_notes(one: Ingredient) -> str:
    rows = "".join(f"<li>{escape(_sentence(text))}</li>" for text in one.notices)
    return f'<h4>As it was read</h4><ul class="ob-read">{rows}</ul>' if rows else ""


def _by_hand(one: Ingredient) -> str:
    """Draw a slider for each specialist; a single one leaves nothing to weigh."""
    if len(one.shares) < 2:
        return ""
    sliders = "".join(
        f'<label>{escape(one.titles.get(name, name))}<input type="range" min="0" max="100" value="{100 * share:.0f}" '
        f'data-share="{escape(name)}"></label>'
        for name, share in one.shares.items()
    )
    whose = "the router's" if one.routed else "flat weights"
    back = f'<button data-act="route" data-id="{escape(one.key)}">Back to {whose}</button>'
    opened = " open" if one.by_hand else ""
    return f'<details class="ob-hand"{opened}><summary>Weigh them by hand</summary>{sliders}{back}</details>'


def _stage_order(one: Ingredient) -> list[str]:
    last = ["project", "route", "bind"]
    towers = [name for name in one.timings if name not in {"decode", *last}]
    return [name for name in ["decode", *towers, *last] if name in one.timings]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 0.01 else f"{1000 * seconds:,.0f} ms"


def notice(error: Exception | str | None, title: str = _KEPT) -> str:
    """Draw what went wrong, in the three parts that every error of the core has; None clears it."""
    if error is None or error == "":
        return ""
    if isinstance(error, OmniBindError):
        rows = (("Given", error.given), ("Allowed", error.allowed), ("What to do", error.action))
        body = "".join(f"<dt>{label}</dt><dd>{escape(_sentence(text))}</dd>" for label, text in rows)
        inner = f"<strong>{escape(title)}</strong><dl>{body}</dl>"
    else:
        inner = f"<strong>{escape(str(error))}</strong>"
    return (
        f'<div class="ob-notice" role="alert">{inner}'
        f'<button data-act="dismiss" aria-label="Dismiss">{icon("close")}</button></div>'
    )


def told(notices: Sequence[str], turns: bool = False) -> str:
    """Draw what was dropped, assumed or missing when a file was read; empty where nothing was.

    With `turns` there is a button for each direction that may point up in a shape's file.
    """
    if not notices:
        return ""
    rows = "".join(f"<li>{escape(_sentence(text))}</li>" for text in notices)
    ways = "".join(
        f'<button data-act="turn" data-id="{sign}{axis}">{axis.upper()}{"↓" if sign else "↑"}</button>'
        for sign in ("", "-")
        for axis in "yzx"
    )
    turn = f'<p class="ob-turns"><span>What points up</span>{ways}</p>' if turns else ""
    return (
        f'<div class="ob-notice ob-told" role="status"><strong>How it was read</strong><ul>{rows}</ul>{turn}'
        f'<button data-act="dismiss" aria-label="Dismiss">{icon("close")}</button></div>'
    )


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:] + "."


def scores(rows: Sequence[LabelScore], subject: Ingredient, fits: bool = True) -> str:
    """Draw labels with their probabilities, best first, and say where perhaps none of them fits."""
    said = "Perhaps none of these: nine of ten right labels stand out more than the first one does."
    none = "" if fits else f'<p class="ob-none">{said}</p>'
    peak = max((one.probability for one in rows), default=1.0) or 1.0
    items = "".join(
        f'<li class="{"on" if i == 0 else ""}"><span translate="no">{escape(one.label)}</span><span class="ob-meter">'
        f'<b style="width:{100 * one.probability / peak:.0f}%"></b></span><em>{one.probability:.0%}</em>'
        f"<small>{one.cosine:+.2f}</small></li>"
        for i, one in enumerate(rows)
    )
    face = f'<img src="{escape(subject.thumbnail)}" alt="">' if subject.thumbnail else icon(subject.modality)
    return (
        f'<div class="ob-verdict ob-{subject.modality}"><div class="ob-face">{face}</div><div>'
        f'<p class="ob-subject">{icon(subject.modality)}'
        f'<span translate="no">{escape(subject.label)}</span></p>{none}<ul class="ob-shares">{items}</ul></div></div>'
    )
