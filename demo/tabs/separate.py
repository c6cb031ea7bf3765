"""Separate: what a picture, a shape, a sentence or another sound names is pulled out of a sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from demo.guard.files import uploaded_path
from demo.html import panels, separated
from demo.html.icons import ORDER
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell.asking import Answer, Asking, answered, subject, wire_asking
from demo.shell.examples import Examples
from demo.shell.notice import notice_box
from demo.shell.theme import html
from demo.shell.view import attempt
from demo.state import Ingredient
from omnibind_core import media
from omnibind_core.errors import MediaError
from omnibind_core.search.separate import levelled
from omnibind_core.types import Audio

__all__ = ["MIXTURES", "TITLE", "before", "build", "hear", "separate", "separate_item", "wire"]

TITLE = "Separate"

MIXTURES: Mapping[str, tuple[str, str]] = {
    "a flute and a drum kit": ("audio/flute-1", "audio/drum-kit-1"),
    "a dog and a piano": ("audio/dog-1", "audio/piano-1"),
    "a rooster and a train": ("audio/rooster-1", "audio/train-1"),
    "a baby and a guitar": ("audio/baby-1", "audio/guitar-1"),
    "a car and a telephone": ("audio/car-1", "audio/telephone-1"),
}
"""What people read -> two sounds of the gallery, as loud as one another."""
_RATE, _SECONDS = 32_000, 4.0
_LEAD = (
    "Choose a mixture or bring a sound of up to a minute, then say what to pull out of it: in words, or by a picture, "
    "a shape or another sound. Nothing was trained for this: the parts of the sound are compared with what you ask "
    "for, in the one space."
)
_EMPTY = '<p class="ob-note">What is found, and what is left, appear here.</p>'


@dataclass
class Parts:
    """Components that the wiring needs."""

    mixture: gr.Dropdown
    sound: gr.File
    asking: Asking
    answer: gr.HTML
    notice: gr.HTML
    opened: gr.State


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service
    known = {item.id for item in examples.catalogue}
    names = [name for name, ids in MIXTURES.items() if known.issuperset(ids)]
    html(f'<p class="ob-lead">{_LEAD}</p>', js=None)
    with gr.Row(elem_classes="ob-page ob-two"):
        with gr.Column(scale=2, min_width=300, elem_classes="ob-input"):
            mixture = gr.Dropdown(names, value=names[0] if names else None, label="A mixture of two gallery sounds")
            sound = gr.File(label="… or your own sound", height=150)
            text = gr.Textbox(label="What to pull out, in words", value="a flute", max_length=2000, max_lines=2)
            file = gr.File(label="… or by a file", height=150)
            button = gr.Button("Pull it out", variant="primary")
            chips = [html(panels.example_chips(m, examples.faces(m))) for m in ORDER if m != "text"]
        with gr.Column(scale=3, min_width=300, elem_classes="ob-found"):
            answer = html(_EMPTY, js=None)
            notice = notice_box()
    return Parts(mixture, sound, Asking(file, text, button, chips), answer, notice, gr.State(False))


def hear(service: Service, sound: Mapping[str, Any] | None, mixture: str | None) -> Audio:
    """Give the sound to take apart: an uploaded one, else a mixture of two gallery sounds.

    Raises
    ------
    MediaError
        Neither is there, or the upload is no sound.
    """
    if sound:
        return _sound(uploaded_path(sound))
    if mixture is None or mixture not in MIXTURES:
        raise MediaError("no sound", f"a sound, or one of: {', '.join(MIXTURES)}", "choose a mixture or upload a sound")
    gallery = service.wait().gallery
    paths = [gallery.path(gallery.item(one)) for one in MIXTURES[mixture]]
    mixed = np.sum([levelled(_sound(path), _RATE, _SECONDS) for path in paths], axis=0, dtype=np.float32)
    return Audio(mixed, _RATE)


def before(service: Service, mixture: str | None, sound: Mapping[str, Any] | None) -> Answer:
    """Show a sound before anything is pulled out of it: HTML of it (empty where there is none) and of the notice."""

    def show() -> str:
        return separated.alone(hear(service, sound, mixture)) + _EMPTY

    heard, notice = attempt("sound", lambda: service.steady(show))
    return heard or "", notice


def _sound(source: object) -> Audio:
    read = media.load(source, "audio")
    if not isinstance(read, Audio):
        raise TypeError(f"decoded a sound into {type(read).__name__}")
    return read


def separate(
    service: Service,
    mixture: str | None,
    sound: Mapping[str, Any] | None,
    text: str | None,
    file: Mapping[str, Any] | None,
    up: str = "auto",
) -> Answer:
    """Pull out of a sound what a file or a sentence names.

    Parameters
    ----------
    mixture : str or None
        A key of :data:`MIXTURES`; not looked at where there is a sound.
    sound, file : mapping or None
        ``{"path": ..., "orig_name": ...}`` as gradio gives it.
    text : str or None
        A sentence, where there is no file.
    up : str
        The axis that points up in a shape's file.

    Returns
    -------
    tuple of str
        HTML of the answer (empty where there is none) and of the notice.
    """
    return _answer(service, mixture, sound, lambda: subject(service, file, text, up))


def separate_item(service: Service, mixture: str | None, sound: Mapping[str, Any] | None, item_id: str) -> Answer:
    """As :func:`separate`, for what an item of the gallery shows."""
    return _answer(service, mixture, sound, lambda: service.item(item_id))


def _answer(
    service: Service, mixture: str | None, sound: Mapping[str, Any] | None, query: Callable[[], Ingredient]
) -> Answer:
    def draw(asked: Ingredient) -> str:
        heard = hear(service, sound, mixture)
        return separated.answer(heard, service.wait().separate(heard, asked.term()), asked.label)

    return answered(service, "separate", query, draw)


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when the tab is opened, and when the button or an example is clicked."""
    del demo
    p = parts
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "full", "show_progress_on": p.answer,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip

    def shown(answer: str, notice: str) -> list[Any]:
        return [answer or gr.skip(), notice]

    def answer(file: Any, text: str, up: str, mixture: str, sound: Any) -> Answer:
        return separate(service, mixture, sound, text, file, up)

    def answer_item(item_id: str, mixture: str, sound: Any) -> Answer:
        return separate_item(service, mixture, sound, item_id)

    outputs = [p.answer, p.notice]
    wire_asking(p.asking, [p.mixture, p.sound], outputs, answer, answer_item, heavy)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def first(opened: bool, mixture: str | None, sound: Any) -> list[Any]:
        return [*([gr.skip(), gr.skip()] if opened else shown(*before(service, mixture, sound))), True]

    # Of a mixture and a sound the later one counts; the other no longer stands there.
    tab.select(first, [p.opened, p.mixture, p.sound], [*outputs, p.opened], **quiet)
    p.sound.upload(lambda sound: [None, *shown(*before(service, None, sound))], p.sound, [p.mixture, *outputs], **quiet)
    p.mixture.input(lambda name: [None, *shown(*before(service, name, None))], p.mixture, [p.sound, *outputs], **quiet)
