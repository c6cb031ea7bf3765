"""Map: the whole gallery at once, what is asked drawn in, and what lies there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo.html import cards
from demo.html import map as drawing
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell.examples import Examples
from demo.shell.notice import dismissible, notice_box
from demo.shell.theme import html
from demo.shell.view import attempt
from demo.state import Ingredient

__all__ = ["TITLE", "ask", "build", "choose", "loop", "open_map", "wire"]

TITLE = "Map"

_LEAD = (
    "Everything in the gallery on one sheet: things that mean the same lie together, as far as two dimensions of more "
    "than a thousand can show. The switch shows the space as it comes, before what all things of a kind share is taken "
    "out."
)
_JS = (Path(__file__).parents[1] / "shell" / "map.js").read_text(encoding="utf-8")
# Marks are a component of their own, so that the map is neither sent nor laid out again; a page event carries them.
_MARKS_JS = """
const tell = () => {
  const source = element.querySelector('.ob-data');
  if (source) window.dispatchEvent(new CustomEvent('ob-map', { detail: JSON.parse(source.textContent) }));
};
watch('value', tell);
"""
_GAP_JS = "(open) => { window.dispatchEvent(new CustomEvent('ob-map', { detail: { gap: open } })); return []; }"


@dataclass
class Parts:
    """Components that the wiring needs."""

    text: gr.Textbox
    gap: gr.Checkbox
    map: gr.HTML
    marks: gr.HTML
    answers: gr.HTML
    notice: gr.HTML


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service, examples
    html(f'<p class="ob-lead">{_LEAD}</p>', js=None)
    with gr.Row(elem_classes="ob-map-top"):
        text = gr.Textbox(
            placeholder="Find on the map: a word or a sentence, then Enter", show_label=False, container=False,
            label="Find on the map", max_length=2000, scale=3, min_width=260,
        )  # fmt: skip
        gap = gr.Checkbox(False, label="Show the gap between modalities", container=False, scale=1, min_width=220)
    shown = html('<div class="ob-map ob-waiting">The map is being drawn …</div>', js=_JS)
    marks = html("", "ob-hidden", js=_MARKS_JS)
    notice = notice_box()
    answers = html("", "ob-results ob-map-answers")
    return Parts(text, gap, shown, marks, answers, notice)


def open_map(service: Service) -> tuple[str, str]:
    """Draw the map: HTML of the map (empty where it cannot be drawn) and of the notice."""

    def draw() -> str:
        return drawing.drawn(service.wait().gallery, service.wait().plane())

    made, notice = attempt("map", lambda: service.steady(draw))
    return made or "", notice


def ask(service: Service, text: str) -> tuple[str, str, str]:
    """Place a sentence: HTML of the marks, the answers and the notice; empty where there is none."""
    return _placed(service, lambda: service.embed(text, "text"), "")


def loop(service: Service, names: str) -> tuple[str, str, str]:
    """Say what a loop was drawn around: marks (none), HTML of it, and the notice.

    Parameters
    ----------
    names : str
        Identifiers of gallery items, separated by blanks; those that are not there are left out.
    """

    def draw() -> str:
        gallery = service.wait().gallery
        return drawing.looped(gallery, [gallery.item(one) for one in dict.fromkeys(names.split()) if gallery.has(one)])

    made, notice = attempt("map", lambda: service.steady(draw))
    return "", made or "", notice


def choose(service: Service, item_id: str) -> tuple[str, str, str]:
    """As :func:`ask`, for an item of the gallery."""
    return _placed(service, lambda: service.item(item_id), item_id)


def _placed(service: Service, subject: Any, chosen: str) -> tuple[str, str, str]:
    def run() -> tuple[str, str]:
        made: Ingredient = subject()
        explorer = service.wait()
        found = explorer.search([made.term()], exclude=[chosen] if chosen else [])
        marks = [] if chosen else [(made.label, made.modality, *explorer.plane().place(made.vector, made.modality))]
        return drawing.placed(marks, chosen), cards.answers(found, [made])

    made, notice = attempt("map", lambda: service.steady(run))
    return (*made, notice) if made else ("", "", notice)


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when the tab is opened, and when something is typed or clicked."""
    del demo
    p = parts
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": p.answers,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip
    outputs = [p.marks, p.answers, p.notice]

    def answer(marks: str, answers: str, notice: str) -> list[Any]:
        return [marks or gr.skip(), answers or gr.skip(), notice]

    def opened() -> list[Any]:
        made, notice = open_map(service)
        return [made or gr.skip(), notice]

    def asked(text: str) -> list[Any]:
        return answer(*ask(service, text))

    def clicked(event: gr.EventData) -> list[Any]:
        if event._data.get("act") == "loop":
            return answer(*loop(service, str(event._data.get("id"))))
        return answer(*choose(service, str(event._data.get("id"))))

    tab.select(opened, None, [p.map, p.notice], **quiet)
    p.text.submit(asked, p.text, outputs, **heavy)
    for part in (p.map, p.answers):
        part.select(clicked, None, outputs, **heavy)
    p.gap.change(None, p.gap, None, js=_GAP_JS, **quiet)
    dismissible(p.notice)
