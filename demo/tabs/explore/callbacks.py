"""What happens on the main tab: plain functions, so that tests call them directly; see :mod:`demo.shell.view`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from demo import links
from demo.html import cards, panels
from demo.html.takeaway import takeaway
from demo.html.walk import walk
from demo.html.why import why
from demo.service import Service
from demo.settings import MAX_MINE
from demo.shell.examples import Examples
from demo.shell.uploads import Upload, embed_upload, embed_uploads
from demo.shell.view import View, attempt, guarded
from demo.state import MINE, Ingredient, Mode, Status, Visit
from omnibind_core.errors import QueryError
from omnibind_core.media.upright import is_guess
from omnibind_core.search.answers import Found
from omnibind_core.search.compose import Options
from omnibind_core.search.own import OwnItem, with_own
from omnibind_core.types import Hit, Modality

__all__ = [
    "act",
    "add_mine",
    "arrive",
    "follow",
    "forget",
    "give_example",
    "give_file",
    "give_files",
    "give_item",
    "give_mix",
    "give_text",
    "rebalance",
    "refresh",
    "reweigh",
    "switch",
    "take_away",
    "take_in",
    "turn",
]

Mine: TypeAlias = tuple[Ingredient, ...]


def _respond(
    service: Service,
    visit: Visit,
    options: Options,
    *,
    redraw_mix: bool = True,
    redraw_walk: bool = True,
    slid: bool = False,
    told: Sequence[str] = (),
) -> View:
    """Search with a visit's ingredients and draw everything that follows from it, and what is `told` of their reading.

    A walk between two terms does not hang on their weights: where only these changed it stays as it is.
    """
    visit = replace(visit, slid=slid)
    return service.steady(lambda: _answered(service, visit, options, redraw_mix, redraw_walk, told))


def _answered(
    service: Service, asked: Visit, options: Options, redraw_mix: bool, redraw_walk: bool, told: Sequence[str]
) -> View:
    visit = service.renewed(asked)
    changed = visit is not asked
    mix = panels.mix(visit) if redraw_mix or changed else None
    way = _walk(service, visit, options) if redraw_walk or changed else None
    if not visit.ingredients:
        idle = cards.skeleton(idle=True)
        return View(visit, mix, way, idle, panels.inside(None), notice=panels.told(told), closed=True)
    found = _found(service, visit, options)
    return View(
        visit,
        mix,
        way,
        cards.answers(found, visit.ingredients),
        panels.inside(visit.shown(), found.seconds),
        notice=panels.told([*told, *_left_out(visit, service.wait().preset)], _may_lie(visit, told)),
        closed=True,
    )


def _may_lie(visit: Visit, told: Sequence[str]) -> bool:
    """Whether what is told says which way is up in the shape that stands in its input: that was guessed."""
    shape = visit.standing("point")
    return shape is not None and shape.up == "auto" and any(is_guess(one) for one in told)


def _left_out(visit: Visit, preset: str) -> list[str]:
    """Say which of the visitor's own things do not answer: vectors of two presets cannot be compared."""
    count = sum(one.preset != preset for one in visit.mine)
    if not count:
        return []
    what = "thing" if count == 1 else "things"
    return [f"{count} {what} of yours another preset read: add again what shall be found with {preset}"]


def _found(service: Service, visit: Visit, options: Options) -> Found:
    """Search with a visit's ingredients in the gallery and among the visitor's own things."""
    explorer, terms = service.wait(), [one.term() for one in visit.ingredients]
    found = explorer.search(terms, options, exclude=visit.item_ids())
    mine = [_own_item(one) for one in visit.mine if one.preset == explorer.preset]
    if options.licences or options.concepts:  # they have none
        mine = []
    return with_own(found, explorer.gallery, mine, terms, options, visit.item_ids()) if mine else found


def _own_item(one: Ingredient) -> OwnItem:
    return OwnItem(one.item_id, one.modality, one.label, one.vector, one.seen or None, one.thumbnail or None)


def _item(service: Service, visit: Visit, item_id: str) -> Ingredient:
    """Take an item of the gallery, or one of the visitor's own things; raises QueryError where there is none."""
    return visit.own(item_id) or service.item(item_id)


def _hit(service: Service, visit: Visit, item_id: str) -> Hit:
    one = visit.own(item_id)
    if one is None:
        return service.wait().hit(item_id)
    return Hit(item_id, one.modality, one.label, 0.0, file=one.seen or None, thumbnail=one.thumbnail or None)


def _walk(service: Service, visit: Visit, options: Options) -> str:
    """Draw the walk between two terms; empty where there are not two, or one is unwanted."""
    if len(visit.ingredients) != 2 or any(one.weight < 0 for one in visit.ingredients):
        return ""
    start, end = visit.ingredients
    one_each = replace(options, k=1)
    stops = service.wait().journey(start.term(), end.term(), one_each, exclude=visit.item_ids())
    return walk(start, end, stops)


def arrive(service: Service, visit: Visit, options: Options, first: str, part: str = "") -> tuple[Status, View | None]:
    """Look how far loading is; once ready, show the first example's answers to a visitor who has asked nothing yet.

    Where another preset answers from now on, what was asked is asked again.

    Parameters
    ----------
    first : str
        Identifier of the gallery item that the page opens with; empty for none.
    part : str
        Of a link that the page was opened by: what it asks comes instead, see :func:`follow`.
    """
    now = service.status()
    if now.phase == "failed":
        return now, View(visit, notice=panels.notice(service.error, "The models did not load."))
    if now.phase == "ready" and service.is_outdated(visit):
        return now, refresh(service, visit, options)
    if now.phase != "ready" or visit.ingredients or not (first or part):
        return now, None
    if part:
        view = follow(service, visit, part)
        if view.visit.ingredients or not first:
            return now, view
        return now, replace(give_item(service, visit, first, "new", options), notice=view.notice)
    return now, give_item(service, visit, first, "new", options)


@guarded
def give_file(
    service: Service,
    visit: Visit,
    upload: Upload | None,
    modality: Modality,
    up: str,
    mode: Mode,
    options: Options,
) -> View:
    """Take an uploaded file into the query.

    Parameters
    ----------
    upload : Upload or None
        As gradio gives it, several for a shape in several files; None where the visitor emptied the input.
    up : str
        The axis that points up in a shape's file.
    """
    if not upload:
        return View(visit)
    made = embed_upload(service, upload, modality, up)
    return _respond(service, visit.take(made, mode), options, told=made.notices)


@guarded
def give_files(
    service: Service, visit: Visit, uploads: Sequence[Upload], up: str, mode: Mode, options: Options
) -> View:
    """Take whatever was dropped on the page, each thing as what it is; what cannot be read is named, the rest serves.

    Parameters
    ----------
    uploads : sequence of Upload
        A shape may have its pictures and buffers among them.
    up : str
        The axis that points up in shapes' files.
    """
    made, left = embed_uploads(service, uploads, up)
    for one in made:
        try:
            visit = visit.take(one, mode)
        except QueryError as error:  # the mix is full
            left.append(error)
            break
        mode = "add" if mode == "new" else mode
    notices = [text for one in made for text in one.notices]
    return _respond(service, visit, options, told=[*notices, *(f"{one.given}: left out; {one.action}" for one in left)])


@guarded
def turn(service: Service, visit: Visit, up: str, options: Options) -> View:
    """Read the shape that stands in its input again, with another axis up."""
    old = visit.standing("point")
    if old is None:
        return View(visit)
    read = service.embed(old.source or old.seen, "point", old.label, up=up, beside=old.beside)
    new = replace(read, key=old.key, weight=old.weight, item_id=old.item_id, upload="point")
    shown = replace(visit.remake(new), inspected=old.key)
    return _respond(service, shown, options, told=new.notices)


@guarded
def give_text(service: Service, visit: Visit, text: str | None, mode: Mode, options: Options) -> View:
    """Take a sentence into the query."""
    if mode != "new" and any(one.modality == "text" and one.source == text for one in visit.ingredients):
        raise QueryError(
            "a sentence that is in the mix already", "another one", "move its slider, or write something else"
        )
    made = replace(service.embed(text or "", "text"), upload="text")
    return _respond(service, visit.take(made, mode), options, told=made.notices)


@guarded
def give_item(service: Service, visit: Visit, item_id: str, mode: Mode, options: Options) -> View:
    """Take a gallery item into the query."""
    return _respond(service, visit.take(_item(service, visit, item_id), mode), options)


@guarded
def give_example(service: Service, visit: Visit, item_id: str, mode: Mode, options: Options) -> View:
    """Take a gallery item into the query as if it came from its input, which shows it."""
    made = service.item(item_id)
    return _respond(service, visit.take(replace(made, upload=made.modality), mode), options)


@guarded
def give_mix(service: Service, visit: Visit, examples: Examples, number: str, options: Options) -> View:
    """Replace the query by a ready-made mix, given by its number."""
    made = [
        replace(service.item(part.item) if part.item else service.embed(part.text, "text"), weight=part.weight)
        for part in examples.mix(number).parts
    ]
    return _respond(service, visit.restart(made), options)


@guarded
def reweigh(service: Service, visit: Visit, weights: object, options: Options) -> View:
    """Give terms other weights. The sliders are left alone, so that they keep the focus.

    Parameters
    ----------
    weights : mapping of str to number
        -1 to 1, by the terms' keys.
    """
    before = visit
    for key, weight in _numbers(weights).items():
        visit = visit.reweigh(key, weight)
    turned = any((one.weight < 0) != (visit.find(one.key).weight < 0) for one in before.ingredients)
    return _respond(service, visit, options, redraw_mix=False, redraw_walk=turned, slid=True)


@guarded
def rebalance(service: Service, visit: Visit, shares: object, options: Options) -> View:
    """Weigh the specialists of the term that is looked into by hand.

    Parameters
    ----------
    shares : mapping of str to number
        At least 0 each; scaled to sum to 1.
    """
    new = service.reweigh(visit.find(visit.inspected), _numbers(shares))
    return _respond(service, visit.remake(new), options, redraw_mix=False)


def _numbers(sliders: object) -> dict[str, float]:
    """Hold what the page says about its sliders to its form."""
    if not isinstance(sliders, Mapping) or not all(
        isinstance(x, (int, float)) and not isinstance(x, bool) for x in sliders.values()
    ):
        raise QueryError("weights of another form", "a number for each slider", "use the sliders")
    return {str(name): float(x) for name, x in sliders.items()}


def take_away(service: Service, visit: Visit, options: Options) -> str:
    """Draw the link, the files and the code of what is asked now; a notice where that fails."""

    def draw() -> str:
        part, link = links.pack(visit, options)
        explorer = service.wait()
        found = _found(service, service.renewed(visit), options) if visit.ingredients else None
        return takeaway(explorer.preset, part, link, visit.ingredients, found)

    drawn, notice = attempt("take_away", draw)
    return drawn or notice


@guarded
def follow(service: Service, visit: Visit, part: str) -> View:
    """Ask what a link says; items that this gallery lacks are left out and named."""
    link = links.unpack(part)
    gallery = service.wait().gallery
    missing = [one.item for one in link.terms if one.item and not gallery.has(one.item)]
    made = [
        replace(
            service.item(one.item) if one.item else replace(service.embed(one.text, "text"), upload="text"),
            weight=one.weight,
        )
        for one in link.terms
        if one.item not in missing
    ]
    if not made:
        raise QueryError("a link to items that are not here", "items of this gallery", "search for something else")
    told = [f"{one}, which the link names, is not in this gallery" for one in missing]
    return _respond(service, visit.restart(made), link.options, told=told)


def add_mine(
    service: Service,
    mine: Mine,
    uploads: Sequence[Upload],
    up: str,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Mine, str]:
    """Put a visitor's files among what answers, for this visit.

    Returns
    -------
    mine : tuple of Ingredient
        All of them; as before where nothing could be read.
    notice : str
        HTML: what could not be read, or was read only in part.
    """

    def read() -> tuple[Mine, str]:
        if len(mine) >= MAX_MINE:
            raise QueryError(f"{len(mine)} things of yours and more", f"at most {MAX_MINE}", "take some away first")
        made, left = embed_uploads(service, uploads, up, progress)
        told = [f"{one.given}: left out; {one.action}" for one in left]
        if len(mine) + len(made) > MAX_MINE:
            told.append(f"{len(mine) + len(made) - MAX_MINE} more than {MAX_MINE} were left out")
            made = made[: MAX_MINE - len(mine)]
        first = 1 + max((int(one.item_id.removeprefix(MINE)) for one in mine), default=0)
        new = [replace(one, item_id=f"{MINE}{first + i}", upload="") for i, one in enumerate(made)]
        return (*mine, *new), panels.told([*told, *(text for one in new for text in one.notices)])

    made, notice = attempt("add_mine", lambda: service.steady(read))
    return made or (mine, notice)


def forget(mine: Mine, item_id: str) -> Mine:
    """Take one of the visitor's own things away."""
    return tuple(one for one in mine if one.item_id != item_id)


@guarded
def switch(service: Service, visit: Visit, name: str) -> View:
    """Have another preset made ready; what was asked is asked again once it is, see :func:`arrive`."""
    service.switch(name)
    return View(visit)


@guarded
def take_in(service: Service, visit: Visit, name: str, options: Options) -> View:
    """Search in one more collection, and again for what was asked."""
    service.take_in(name)
    return _respond(service, visit, options, redraw_mix=False)


@guarded
def refresh(service: Service, visit: Visit, options: Options) -> View:
    """Search again, with other options."""
    return _respond(service, visit, options, redraw_mix=False)


def _why(service: Service, asked: Visit, item_id: str, options: Options) -> str:
    """Draw why an item answers what is asked; empty where nothing is."""

    def draw() -> str:
        terms = service.renewed(asked).ingredients
        made = [found for found in map(service.embedded, terms) if found is not None]
        if asked.own(item_id) or not terms or len(made) < len(terms) or not any(one.weight for one in terms):
            return ""
        return why(service.wait().explain(item_id, made, [one.weight for one in terms], options), terms)

    return service.steady(draw)


def _halfway(visit: Visit, share: str) -> Visit:
    """Weigh two terms so that a share of the way from the first to the second is done; raises QueryError."""
    if len(visit.ingredients) != 2 or not re.fullmatch(r"0|1|0\.\d{1,4}", share):
        raise QueryError(f"a stop at '{share[:20]}'", "a walk between two terms", "use the buttons")
    start, end = visit.ingredients
    return visit.reweigh(start.key, round(1 - float(share), 4)).reweigh(end.key, float(share))


@guarded
def act(service: Service, visit: Visit, action: str, target: str, options: Options) -> View:
    """Do what a button on a card, a chip or the detail panel says.

    Parameters
    ----------
    action : str
        "open", "search", "add" or "subtract" (a gallery item), "drop", "inspect", "mute" or "route" (a term),
        "stop" (of a walk), "turn" (the shape in its input), "swap", "undo", "redo", "clear", "close", "dismiss".
    target : str
        The item's identifier, the term's key, the share of the way, or the axis that points up.
    """
    modes: dict[str, Mode] = {"search": "new", "add": "add", "subtract": "subtract"}
    if action in modes:
        return _respond(service, visit.take(_item(service, visit, target), modes[action]), options)
    if action == "open":
        return View(visit, detail=_hit(service, visit, target), why=_why(service, visit, target, options))
    if action == "drop":
        return _respond(service, visit.drop(target), options)
    if action == "inspect":
        seen = visit.inspect(target)
        return View(seen, panels.mix(seen), inside=panels.inside(seen.shown()))
    if action == "route":
        return _respond(service, visit.remake(service.reweigh(visit.find(target), None)), options)
    if action == "stop":
        return _respond(service, _halfway(visit, target), options, redraw_walk=False)
    if action in {"undo", "redo"}:
        return _respond(service, visit.undo() if action == "undo" else visit.redo(), options)
    if action == "mute":
        return _respond(service, visit.mute(target), options)
    if action == "turn":
        return turn(service, visit, target, options)
    if action == "swap":
        return _respond(service, visit.swap(), options)
    if action == "clear":
        return _respond(service, visit.restart(), options)
    if action in {"close", "dismiss"}:
        return View(visit, closed=action == "close")
    raise QueryError(f"the action '{action[:40]}'", "a button of this page", "reload the page")
