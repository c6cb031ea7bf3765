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
from demo.shell.examples import Examples
from demo.shell.notice import dismissible, notice_box
from demo.shell.theme import html
from demo.shell.uploads import embed_upload
from demo.shell.view import attempt
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

    file: gr.File
    text: gr.Textbox
    labels: gr.Textbox
    button: gr.Button
    chips: list[gr.HTML]
    verdict: gr.HTML
    notice: gr.HTML


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
        with gr.Column(scale=3, min_width=300):
            verdict = html('<p class="ob-note">The verdict appears here.</p>')
            notice = notice_box()
    return Parts(file, text, labels, button, chips, verdict, notice)


def classify(service: Service, upload: Mapping[str, Any] | None, text: str | None, labels: str) -> tuple[str, str]:
    """Say which labels fit a file or a sentence.

    Parameters
    ----------
    upload : mapping or None
        ``{"path": ..., "orig_name": ...}`` as gradio gives it; its modality is told from its content.
    text : str or None
        A sentence, where there is no file.
    labels : str
        Separated by commas or line ends.

    Returns
    -------
    tuple of str
        HTML of the verdict (empty where there is none) and of the notice.
    """
    return _verdict(
        service, lambda: embed_upload(service, upload) if upload else service.embed(text or "", "text"), labels
    )


def classify_item(service: Service, item_id: str, labels: str) -> tuple[str, str]:
    """As :func:`classify`, for an item of the gallery."""
    return _verdict(service, lambda: service.item(item_id), labels)


def _verdict(service: Service, subject: Callable[[], Ingredient], labels: str) -> tuple[str, str]:
    def say() -> str:
        made, explorer = subject(), service.wait()
        rows = explorer.classify(made.vector, labels.replace("\n", ",").split(","))
        return panels.scores(rows, made, explorer.fits(made.vector, made.modality, rows[0]))

    verdict, notice = attempt("classify", lambda: service.steady(say))
    return verdict or "", notice


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when something is dropped, typed or clicked."""
    del demo, tab
    p = parts
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": p.verdict,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip

    def answer(verdict: str, notice: str) -> list[Any]:
        return [verdict or gr.skip(), notice]

    # Of a sentence and a file the later one counts; the other no longer stands there.
    def named(upload: Any, text: str, labels: str) -> list[Any]:
        by_words = bool(text.strip())
        answered = classify(service, None if by_words else upload, text, labels)
        return [*answer(*answered), None if by_words else gr.skip()]

    def filed(upload: Any, labels: str) -> list[Any]:
        return [*answer(*classify(service, upload, "", labels)), ""]

    outputs = [p.verdict, p.notice]
    asked = [p.button.click, p.text.submit, p.labels.submit]
    gr.on(asked, named, [p.file, p.text, p.labels], [*outputs, p.file], **heavy)
    p.file.upload(filed, [p.file, p.labels], [*outputs, p.text], **heavy)

    def tried(labels: str, event: gr.EventData) -> list[Any]:
        return answer(*classify_item(service, str(event._data.get("id")), labels))

    for chips in p.chips:
        chips.select(tried, p.labels, outputs, **heavy)

    dismissible(p.notice)
