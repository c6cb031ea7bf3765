"""What happens when something is dropped, clicked or moved: plain functions, so that tests call them directly.

Every callback takes the service, the visit and what the visitor did, and gives a :class:`View`. Errors never leave
one: they become a notice, and everything else on the page stays as it was.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from demo import panels, render
from demo.examples import Examples
from demo.guard import uploaded_path
from demo.service import Service, Status
from demo.settings import Options
from demo.state import Ingredient, Mode, Visit
from omnibind_core.errors import OmniBindError, QueryError
from omnibind_core.types import Hit, Modality

__all__ = [
    "View",
    "act",
    "arrive",
    "classify",
    "classify_item",
    "give_example",
    "give_file",
    "give_item",
    "give_mix",
    "give_text",
    "rebalance",
    "refresh",
    "reweigh",
    "turn",
]

log = logging.getLogger(__name__)

P = ParamSpec("P")

_UNEXPECTED = "Something unexpected went wrong; it has been noted in the log. Your earlier answers are still here."
_RECORDED = {"audio", "audio.wav", "image.png", "image.webp", "webcam.png", "blob", "file"}  # names no one gave


@dataclass(frozen=True, eq=False)
class View:
    """What the page shows next; None leaves a part as it is.

    Attributes
    ----------
    visit : Visit
        The visitor's query from now on.
    mix, answers, inside : str or None
        HTML.
    notice : str
        HTML; empty takes an earlier notice away.
    detail : Hit or None
        What the detail panel opens with.
    closed : bool
        Whether the detail panel closes.
    """

    visit: Visit
    mix: str | None = None
    answers: str | None = None
    inside: str | None = None
    notice: str = ""
    detail: Hit | None = None
    closed: bool = False


def guarded(
    callback: Callable[Concatenate[Service, Visit, P], View],
) -> Callable[Concatenate[Service, Visit, P], View]:
    """Turn whatever a callback raises into a notice."""

    @functools.wraps(callback)
    def safe(service: Service, visit: Visit, /, *args: P.args, **kwargs: P.kwargs) -> View:
        try:
            return callback(service, visit, *args, **kwargs)
        except OmniBindError as error:
            return View(visit, notice=panels.notice(error))
        except Exception:
            log.exception("%s failed", callback.__name__)
            return View(visit, notice=panels.notice(_UNEXPECTED))

    return safe


def _respond(service: Service, visit: Visit, options: Options, *, redraw_mix: bool = True) -> View:
    """Search with a visit's ingredients and draw everything that follows from it."""
    mix = panels.mix(visit) if redraw_mix else None
    if not visit.ingredients:
        return View(visit, mix, render.skeleton(idle=True), panels.inside(None), closed=True)
    found = service.search([one.term() for one in visit.ingredients], options, exclude=visit.item_ids())
    return View(
        visit,
        mix,
        render.answers(found, visit.ingredients),
        panels.inside(visit.shown(), found.seconds),
        closed=True,
    )


def arrive(service: Service, visit: Visit, options: Options, first: str) -> tuple[Status, View | None]:
    """Look how far loading is; once ready, show the first example's answers to a visitor who has asked nothing yet.

    Parameters
    ----------
    first : str
        Identifier of the gallery item that the page opens with; empty for none.
    """
    now = service.status()
    if now.phase == "failed":
        return now, View(visit, notice=panels.notice(service.error, "The models did not load."))
    if now.phase != "ready" or visit.ingredients or not first:
        return now, None
    return now, give_item(service, visit, first, "new", options)


@guarded
def give_file(
    service: Service,
    visit: Visit,
    upload: Mapping[str, Any] | None,
    modality: Modality,
    up: str,
    mode: Mode,
    options: Options,
) -> View:
    """Take an uploaded file into the query.

    Parameters
    ----------
    upload : mapping or None
        ``{"path": ..., "orig_name": ...}`` as gradio gives it; None where the visitor emptied the input.
    up : str
        The axis that points up in a shape's file.
    """
    if not upload:
        return View(visit)
    made = _embed_upload(service, upload, modality, up)
    return _respond(service, visit.take(made, mode), options)


@guarded
def turn(service: Service, visit: Visit, upload: Mapping[str, Any] | None, up: str, options: Options) -> View:
    """Read the shape that was brought last again, with another axis up."""
    if not upload:
        return View(visit)
    made = _embed_upload(service, upload, "point", up)
    return _respond(service, visit.exchange("point", made), options)


def _embed_upload(service: Service, upload: Mapping[str, Any], modality: Modality, up: str) -> Ingredient:
    path = uploaded_path(upload)
    name = Path(str(upload.get("orig_name") or path)).name
    label = "" if name.lower() in _RECORDED else Path(name).stem.replace("_", " ")[:60]
    return replace(service.embed(modality, path, label, up=up), upload=modality)


@guarded
def give_text(service: Service, visit: Visit, text: str | None, mode: Mode, options: Options) -> View:
    """Take a sentence into the query."""
    return _respond(service, visit.take(service.embed("text", text or ""), mode), options)


@guarded
def give_item(service: Service, visit: Visit, item_id: str, mode: Mode, options: Options) -> View:
    """Take a gallery item into the query."""
    return _respond(service, visit.take(service.item(item_id), mode), options)


@guarded
def give_example(service: Service, visit: Visit, item_id: str, mode: Mode, options: Options) -> View:
    """Take a gallery item into the query as if it came from its input, which shows it."""
    made = service.item(item_id)
    return _respond(service, visit.take(replace(made, upload=made.modality), mode), options)


@guarded
def give_mix(service: Service, visit: Visit, examples: Examples, number: str, options: Options) -> View:
    """Replace the query by a ready-made mix, given by its number."""
    del visit  # a mix starts afresh
    made = [
        replace(service.item(part.item) if part.item else service.embed("text", part.text), weight=part.weight)
        for part in examples.mix(number).parts
    ]
    return _respond(service, Visit.of(made), options)


@guarded
def reweigh(service: Service, visit: Visit, key: str, weight: object, options: Options) -> View:
    """Give a term another weight. The sliders are left alone, so that they keep the focus."""
    return _respond(service, visit.reweigh(key, weight), options, redraw_mix=False)


@guarded
def rebalance(service: Service, visit: Visit, key: str, shares: object, options: Options) -> View:
    """Weigh the specialists of a term by hand.

    Parameters
    ----------
    shares : mapping of str to number
        At least 0 each; scaled to sum to 1.
    """
    if not isinstance(shares, Mapping) or not all(isinstance(x, (int, float)) for x in shares.values()):
        raise QueryError("weights of another form", "a number for each specialist", "use the sliders")
    new = service.remake(visit.find(key), {str(name): float(share) for name, share in shares.items()})
    return _respond(service, visit.remake(new), options, redraw_mix=False)


@guarded
def refresh(service: Service, visit: Visit, options: Options) -> View:
    """Search again, with other options."""
    return _respond(service, visit, options, redraw_mix=False)


@guarded
def act(service: Service, visit: Visit, action: str, target: str, options: Options) -> View:
    """Do what a button on a card, a chip or the detail panel says.

    Parameters
    ----------
    action : str
        "open", "search", "add" or "subtract" (a gallery item), "drop", "inspect" or "route" (a term), "clear",
        "close", "dismiss".
    target : str
        The item's identifier or the term's key.
    """
    modes: dict[str, Mode] = {"search": "new", "add": "add", "subtract": "subtract"}
    if action in modes:
        return _respond(service, visit.take(service.item(target), modes[action]), options)
    if action == "open":
        return View(visit, detail=service.hit(target))
    if action == "drop":
        return _respond(service, visit.drop(target), options)
    if action == "inspect":
        seen = visit.inspect(target)
        return View(seen, panels.mix(seen), inside=panels.inside(seen.shown()))
    if action == "route":
        return _respond(service, visit.remake(service.remake(visit.find(target), None)), options)
    if action == "clear":
        return _respond(service, Visit(serial=visit.serial), options)
    if action in {"close", "dismiss"}:
        return View(visit, closed=action == "close")
    raise QueryError(f"the action '{action[:40]}'", "a button of this page", "reload the page")


def classify(service: Service, upload: Mapping[str, Any] | None, text: str | None, labels: str) -> tuple[str, str]:
    """Say which labels fit a file or a sentence.

    Parameters
    ----------
    upload : mapping or None
        As for :func:`give_file`; its modality is told from its content.
    text : str or None
        A sentence, where there is no file.
    labels : str
        Separated by commas or line ends.

    Returns
    -------
    tuple of str
        HTML of the verdict (empty where there is none) and of the notice.
    """

    def subject() -> Ingredient:
        if not upload:
            return service.embed("text", text or "")
        service.wait()
        from omnibind_core.media import modality_of

        return _embed_upload(service, upload, modality_of(uploaded_path(upload)), "y")

    return _verdict(service, subject, labels)


def classify_item(service: Service, item_id: str, labels: str) -> tuple[str, str]:
    """As :func:`classify`, for an item of the gallery."""
    return _verdict(service, lambda: service.item(item_id), labels)


def _verdict(service: Service, subject: Callable[[], Ingredient], labels: str) -> tuple[str, str]:
    try:
        made = subject()
        found = service.classify(made, labels.replace("\n", ",").split(","))
    except OmniBindError as error:
        return "", panels.notice(error)
    except Exception:
        log.exception("classify failed")
        return "", panels.notice(_UNEXPECTED)
    return panels.scores([(one.label, one.probability, one.cosine) for one in found], made), ""
