"""Where: a query's place in a picture, its seconds in a sound, its part of a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from demo.guard.files import uploaded_path
from demo.html import cards, panels, places
from demo.html.icons import ORDER
from demo.seen import seen_media
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell import scenes
from demo.shell.examples import Examples
from demo.shell.notice import dismissible, notice_box
from demo.shell.theme import PAGE_JS, html
from demo.shell.uploads import embed_upload, looked_into
from demo.shell.view import attempt
from demo.state import Ingredient
from omnibind_core.errors import QueryError
from omnibind_core.search.compose import Term
from omnibind_core.search.localise import Located
from omnibind_core.types import Audio, Image, PointCloud

__all__ = ["TITLE", "Asked", "build", "look", "spot", "wire"]

TITLE = "Where"

_LEAD = "Where in a picture, when in a sound, which part of a shape: choose what to look into, then what to look for."


# A click into the picture or the sound names the place, as shares of its sides; the button, without any, the best one.
_JS = """
element.addEventListener('click', (event) => {
  const drawn = event.target.closest('[data-spot]')?.querySelector('img, svg');
  if (!drawn) return;
  const box = drawn.getBoundingClientRect();
  const place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  trigger('select', { id: place.map((one) => one.toFixed(3)).join(' ') });
});
"""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a visitor has chosen so far.

    Attributes
    ----------
    inside : str
        What is looked into: the name of a scene, or the path of the visitor's own file.
    own : bool
        Whether it is a file of the visitor's.
    query : Ingredient or None
        What is looked for.
    """

    inside: str = "picture"
    own: bool = False
    query: Ingredient | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """What the tab shows next; None leaves a part as it is."""

    asked: Asked
    drawing: str | None = None
    answers: str = ""
    shape: str | None = None
    sound: str | None = None
    notices: tuple[str, ...] = ()


@dataclass
class Parts:
    """Components that the wiring needs."""

    asked: gr.State
    file: gr.File
    scenes: gr.HTML
    text: gr.Textbox
    query_file: gr.File
    button: gr.Button
    chips: list[gr.HTML]
    drawing: gr.HTML
    answers: gr.HTML
    shape: gr.Model3D
    sound: gr.Audio
    notice: gr.HTML

    def outputs(self) -> list[Any]:
        """Give what an answer has values for."""
        return [self.asked, self.scenes, self.drawing, self.shape, self.sound, self.answers, self.notice]


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service
    asked = gr.State(Asked(), time_to_live=3600)
    html(f'<p class="ob-lead">{_LEAD}</p>', js=None)
    with gr.Row(elem_classes="ob-page ob-two"):
        with gr.Column(scale=2, min_width=300, elem_classes="ob-input"):
            html("<h3>Look into</h3>", js=None)
            chosen = html(scenes.chips(Asked().inside))
            file = gr.File(label="Your own", height=120)
            html("<h3>Look for</h3>", js=None)
            text = gr.Textbox(label="A word or a sentence", max_length=2000, max_lines=2, placeholder="a dog")
            button = gr.Button("Where is it?", variant="primary")
            chips = [html(panels.example_chips(modality, scenes.queries(examples, modality))) for modality in ORDER]
            query_file = gr.File(label="Your own", height=120)
        with gr.Column(scale=3, min_width=300, elem_classes="ob-found"):
            drawing = html(
                '<p class="ob-note">The place appears here. Click something to look for.</p>', js=PAGE_JS + _JS
            )
            shape = gr.Model3D(interactive=False, show_label=False, height=420, visible="hidden")
            sound = gr.Audio(interactive=False, label="These seconds", visible=False, buttons=[])
            notice = notice_box()
            answers = html("", "ob-results")
    return Parts(asked, file, chosen, text, query_file, button, chips, drawing, answers, shape, sound, notice)


def look(service: Service, asked: Asked, query: Ingredient | None = None) -> Shown:
    """Find what is looked for in what is looked into.

    Parameters
    ----------
    query : Ingredient, optional
        What is looked for from now on; None keeps what it was.
    """
    now = replace(asked, query=query or asked.query)
    media = _media(service, now)
    told = media.notices if now.own else ()
    if now.query is None:
        shape, sound = _seen(media, None)
        return Shown(now, _bare(media), shape=shape, sound=sound, notices=told)
    if now.query.preset not in {"", service.wait().preset}:
        raise QueryError("a query that another preset read", "one of the preset that answers", "choose it again")
    found = service.wait().locate(Term(now.query.vector, 1.0, now.query.modality, now.query.label), media)
    shape, sound = _seen(media, found)
    told = tuple(dict.fromkeys((*told, *now.query.notices)))
    return Shown(now, places.place(found, media, now.query), shape=shape, sound=sound, notices=told)


def spot(service: Service, asked: Asked, place: str) -> Shown:
    """Search with one place of what is looked into, alone.

    Parameters
    ----------
    place : str
        Shares of the sides, as the page writes them: "0.25 0.75"; of a sound only the first counts. Empty means where
        the query is, and so does any click on a shape.

    Raises
    ------
    QueryError
        A place of another form, or nothing was looked for yet.
    """
    media, explorer = _media(service, asked), service.wait()
    if asked.query is None:
        raise QueryError("no query", "a place that was found", "look for something first")
    try:
        shares = [float(one) for one in place.split()]
    except ValueError as error:
        raise QueryError("a place of another form", "two numbers", "click into the picture or the sound") from error
    query = Term(asked.query.vector, 1.0, asked.query.modality, asked.query.label)
    if isinstance(media, Audio):
        shares = [one * media.seconds for one in shares[:1]]
    found = explorer.locate(query, media)
    bounds, term = explorer.at(media, found.best if isinstance(media, PointCloud) or not shares else shares)
    found = replace(found, best=bounds)
    shape, sound = _seen(media, found)
    made = Ingredient(term.modality, "this place", term.vector)
    answers = cards.answers(explorer.search([term]), [made])
    return Shown(asked, places.spot(found, media), answers, shape, sound)


def _media(service: Service, asked: Asked) -> Image | Audio | PointCloud:
    if asked.own:
        return looked_into(service, asked.inside)
    return scenes.scene(asked.inside, service.wait().gallery)


def _bare(media: Image | Audio | PointCloud) -> str:
    """Draw what is looked into before anything is looked for."""
    hint = '<p class="ob-note">Now choose something to look for.</p>'
    return places.bare(media) + hint if isinstance(media, Image) else hint


def _seen(media: Image | Audio | PointCloud, found: Located | None) -> tuple[str, str]:
    """Give the files of the viewer and of the player, empty where they show nothing."""
    if isinstance(media, PointCloud):
        return seen_media(media if found is None else places.coloured(found)), ""
    if isinstance(media, Audio):
        if found is None:
            return "", seen_media(media)
        first, last = (round(one * media.rate) for one in found.best)
        return "", seen_media(Audio(media.samples[first:last], media.rate))
    return "", ""


def _answer(service: Service, asked: Asked, run: Callable[[], Shown]) -> list[Any]:
    """Give what a run shows as values for :meth:`Parts.outputs`; where it fails, only why."""
    shown, notice = attempt("where", lambda: service.steady(run))
    if shown is None:
        return [asked, *[gr.skip()] * 5, notice]
    return [
        shown.asked,
        scenes.chips("" if shown.asked.own else shown.asked.inside),
        shown.drawing,
        gr.Model3D(value=shown.shape or None, visible=True if shown.shape else "hidden"),
        gr.Audio(value=shown.sound or None, visible=bool(shown.sound)),
        shown.answers,
        panels.told(shown.notices),
    ]


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when something is dropped, typed or clicked."""
    p, outputs = parts, parts.outputs()
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "full", "show_progress_on": p.drawing,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip

    answer = partial(_answer, service)

    def chosen(asked: Asked, event: gr.EventData) -> list[Any]:
        name = str(event._data.get("id"))
        # The visitor's own file no longer counts, so it does not stand there any more.
        return [*answer(asked, lambda: look(service, replace(asked, inside=name, own=False))), None]

    def given(request: gr.Request, asked: Asked, upload: Mapping[str, Any] | None) -> list[Any]:
        if not upload:
            return answer(asked, lambda: look(service, asked))
        inside = uploaded_path(upload)
        shown = answer(asked, lambda: look(service, replace(asked, inside=inside, own=True)))
        now = demo.state_holder[str(request.session_hash)][p.asked._id]
        if isinstance(now, Asked) and now is not asked:  # something was asked while the file was read: that counts
            shown = answer(now, lambda: look(service, replace(now, inside=inside, own=True)))
        return shown

    def queried(asked: Asked, text: str, upload: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> list[Any]:
        if own:  # it may still be being read
            asked = replace(asked, inside=uploaded_path(own), own=True)
        return answer(
            asked,
            lambda: look(
                service, asked, service.embed(text, "text") if text.strip() else embed_upload(service, upload or [])
            ),
        )

    def filed(asked: Asked, upload: Mapping[str, Any] | None) -> list[Any]:
        return answer(asked, lambda: look(service, asked, embed_upload(service, upload) if upload else None))

    def tried(asked: Asked, event: gr.EventData) -> list[Any]:
        return answer(asked, lambda: look(service, asked, service.item(str(event._data.get("id")))))

    def clicked(asked: Asked, event: gr.EventData) -> list[Any]:
        return answer(asked, lambda: spot(service, asked, str(event._data.get("id"))))

    p.drawing.select(clicked, p.asked, outputs, **heavy)
    p.answers.select(tried, p.asked, outputs, **heavy)
    p.scenes.select(chosen, p.asked, [*outputs, p.file], **heavy)
    p.file.upload(given, [p.asked, p.file], outputs, **heavy)
    gr.on([p.button.click, p.text.submit], queried, [p.asked, p.text, p.query_file, p.file], outputs, **heavy)
    p.query_file.upload(filed, [p.asked, p.query_file], outputs, **heavy)
    for chips in p.chips:
        chips.select(tried, p.asked, outputs, **heavy)

    def opened(asked: Asked) -> list[Any]:
        if asked.query is not None:
            return [gr.skip()] * len(outputs)
        first = scenes.FIRST_QUERY
        return answer(asked, lambda: look(service, asked, service.item(first)))

    tab.select(opened, p.asked, outputs, **heavy)
    dismissible(p.notice)
