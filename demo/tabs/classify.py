"""Name it: which of these labels fits a shape, a sound, a picture or a sentence best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.html import panels
from demo.html.icons import ORDER
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell.asking import Answer, Asking, answered, subject, wire_asking
from demo.shell.examples import Examples
from demo.shell.notice import notice_box
from demo.shell.theme import html
from demo.state import Ingredient

__all__ = ["TITLE", "build", "classify", "classify_item", "wire"]

TITLE = "Name it"

_LABELS = "dog, cat, bird, car, train, airplane, guitar, drum, chair, clock, rain, a person talking"
_LEAD = (
    "Write a few labels; any words will do. The input and the labels land in the same space, "
    "and the nearest label wins."
)


@dataclass
class Parts:
    """Components that the wiring needs."""

    asking: Asking
    labels: gr.Textbox
    verdict: gr.HTML
    notice: gr.HTML
    opened: gr.State
    first: str


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service
    html(f'<p class="ob-lead">{_LEAD}</p>', js=None)
    with gr.Row(elem_classes="ob-page ob-two"):
        with gr.Column(scale=2, min_width=300, elem_classes="ob-input"):
            file = gr.File(label="A shape, a sound or a picture", height=150)
            text = gr.Textbox(label="… or a sentence", max_length=2000, max_lines=2)
            labels = gr.Textbox(value=_LABELS, label="Labels, separated by commas", lines=3, max_length=8000)
            button = gr.Button("Name it", variant="primary")
            chips = [html(panels.example_chips(modality, examples.faces(modality))) for modality in ORDER]
        with gr.Column(scale=3, min_width=300, elem_classes="ob-found"):
            verdict = html('<p class="ob-note">The verdict appears here.</p>')
            notice = notice_box()
    first = next((item.id for item, _ in examples.faces("image")), "")
    return Parts(Asking(file, text, button, chips), labels, verdict, notice, gr.State(False), first)


def classify(
    service: Service, upload: Mapping[str, Any] | None, text: str | None, labels: str, up: str = "auto"
) -> Answer:
    """Say which labels fit a file or a sentence.

    Parameters
    ----------
    upload, text, up
        See :func:`demo.shell.asking.subject`.
    labels : str
        Separated by commas or line ends.

    Returns
    -------
    tuple of str
        HTML of the verdict (empty where there is none) and of the notice.
    """
    return _verdict(service, lambda: subject(service, upload, text, up), labels)


def classify_item(service: Service, item_id: str, labels: str) -> Answer:
    """As :func:`classify`, for an item of the gallery."""
    return _verdict(service, lambda: service.item(item_id), labels)


def _verdict(service: Service, asked: Callable[[], Ingredient], labels: str) -> Answer:
    def draw(made: Ingredient) -> str:
        explorer = service.wait()
        rows = explorer.classify(made.vector, labels.replace("\n", ",").split(","))
        return panels.scores(rows, made, explorer.fits(made.vector, made.modality, rows[0]))

    return answered(service, "classify", asked, draw)


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when the tab is opened, and when something is dropped, typed or clicked."""
    del demo
    p, outputs = parts, [parts.verdict, parts.notice]
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": p.verdict,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip

    def answer(file: Any, text: str, up: str, labels: str) -> Answer:
        return classify(service, file, text, labels, up)

    def answer_item(item_id: str, labels: str) -> Answer:
        return classify_item(service, item_id, labels)

    wire_asking(p.asking, [p.labels], outputs, answer, answer_item, heavy, [p.labels.submit])

    def first(opened: bool, labels: str) -> list[Any]:
        if opened or not p.first:
            return [gr.skip(), gr.skip(), True]
        verdict, notice = classify_item(service, p.first, labels)
        return [verdict or gr.skip(), notice, True]

    tab.select(first, [p.opened, p.labels], [*outputs, p.opened], **heavy)
