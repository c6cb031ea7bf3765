"""The main tab's components: four inputs, one mix, answers in all four modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.html import cards, own, panels
from demo.html.icons import NAMES, ORDER, PLURALS
from demo.service import Service
from demo.settings import PULSE_SECONDS
from demo.shell.drawer import Drawer
from demo.shell.examples import Examples
from demo.shell.notice import notice_box
from demo.shell.theme import PAGE_JS, html
from demo.state import Visit
from demo.tabs.explore.boxes import UPS
from omnibind_core.search.compose import MATCHES, OPERATORS, Options
from omnibind_core.types import Modality

__all__ = ["Parts", "build", "facets"]

_MODES = [("New search", "new"), ("+ Add", "add"), ("− Subtract", "subtract")]
# What can be taken away follows the answers while it is looked at.
_TAKEN_JS = f"""{PAGE_JS}
window.addEventListener('ob-answers', () => {{
  if (element.checkVisibility?.() && element.querySelector('.ob-takeaway')) trigger('select', {{}});
}});
"""
_MATCHES = {"media+caption": "the thing and its caption", "media": "the thing alone"}


@dataclass
class Parts:
    """Components that the wiring needs."""

    examples: Examples
    visit: gr.State
    status: gr.HTML
    pulse: gr.Timer
    mode: gr.Radio
    inputs: dict[Modality, Any]
    chips: list[gr.HTML]
    up: gr.Radio
    files: gr.UploadButton
    send: gr.Button
    choices: dict[str, Any]
    mix: gr.HTML
    steps: gr.HTML
    walk: gr.HTML
    answers: gr.HTML
    library: gr.Accordion
    collections: gr.HTML
    preset: gr.Accordion
    presets: gr.HTML
    take: gr.Accordion
    taken: gr.HTML
    mine: gr.State
    mine_files: gr.UploadButton
    mine_list: gr.HTML
    inside: gr.HTML
    sliders: gr.JSON
    notice: gr.HTML
    drawer: Drawer

    def page(self) -> list[Any]:
        """Give the outputs of every event, in the order of the wiring's updates."""
        shown = [self.visit, self.mix, self.steps, self.walk, self.answers, self.inside, self.notice]
        return [*shown, *self.drawer.outputs(), *self.inputs.values(), self.up]


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    visit = gr.State(Visit(), time_to_live=3600)
    pulse = gr.Timer(PULSE_SECONDS)
    with gr.Row(elem_classes="ob-top"):
        mode = gr.Radio(_MODES, value="new", label="Next input", elem_classes="ob-segment")
        # Whatever is dropped anywhere on the page comes through this button's input, see demo/shell/drop.js.
        files = gr.UploadButton("Choose files", file_count="multiple", size="sm", elem_classes="ob-anywhere")
        status = html(panels.status(service.status()), "ob-status-box")
    with gr.Row(elem_classes="ob-page"):
        with gr.Column(scale=4, min_width=320, elem_classes="ob-main"):
            inputs, chips, up, send = _inputs(examples)
            with gr.Column(elem_classes="ob-mix"):
                with gr.Row(elem_classes="ob-mixed"):
                    mix = html(panels.mix(Visit()))
                    steps = html(panels.steps(Visit()), "ob-steps-box")
                chips.append(html(panels.ready_mixes([one.title for one in examples.mixes])))
            walk = html("", "ob-walk-box")
            answers = html(cards.skeleton(), "ob-results")
        with gr.Column(scale=1, min_width=250, elem_classes="ob-rail"):
            with gr.Accordion("Options", open=False, elem_classes="ob-options"):
                choices = _options(facets(service, examples))
            with gr.Accordion(
                "Collections", open=False, elem_classes="ob-options", visible=service.settings.switchable
            ) as library:
                collections = html()
            with gr.Accordion("Preset", open=False, elem_classes="ob-options") as preset:
                presets = html()
            with gr.Accordion("My files", open=False, elem_classes="ob-options"):
                mine_files = gr.UploadButton("Add files", file_count="multiple", size="sm", elem_classes="ob-add-mine")
                mine_list = html(own.listed(()))
            with gr.Accordion("Share and save", open=False, elem_classes="ob-options") as take:
                taken = html(js=_TAKEN_JS)
            inside = html(panels.inside(None))
    sliders = gr.JSON(visible=False)  # never shown: where they stand, read from the page when an event is sent
    notice, drawer = notice_box(), Drawer.build()
    return Parts(
        examples, visit, status, pulse, mode, inputs, chips, up, files, send, choices,
        mix, steps, walk, answers, library, collections, preset, presets, take, taken,
        gr.State((), time_to_live=3600), mine_files, mine_list, inside, sliders, notice, drawer,
    )  # fmt: skip


def _inputs(examples: Examples) -> tuple[dict[Modality, Any], list[gr.HTML], gr.Radio, gr.Button]:
    inputs: dict[Modality, Any] = {}
    chips: list[gr.HTML] = []
    with gr.Row(elem_classes="ob-inputs"):
        for modality in ORDER:
            with gr.Column(min_width=210, elem_classes=f"ob-input ob-{modality}"):
                with gr.Row(elem_classes="ob-extra"):
                    html(panels.input_heading(modality), js=None)
                    if modality == "point":
                        up = gr.Radio(
                            UPS, value=UPS[0][1], label="Axis that points up", elem_classes="ob-segment ob-small"
                        )
                inputs[modality] = _input(modality)
                if modality == "text":
                    send = gr.Button("Find neighbours", variant="primary", size="sm", elem_classes="ob-send")
                chips.append(html(panels.example_chips(modality, examples.faces(modality))))
                if modality == "text" and examples.anywhere:
                    chips.append(html(panels.example_words(examples.anywhere)))
    return inputs, chips, up, send


def _input(modality: Modality) -> Any:
    shared: dict[str, Any] = {"label": f"Your {NAMES[modality].lower()}", "show_label": False, "interactive": True}
    if modality == "point":
        return gr.Model3D(height=150, **shared)
    if modality == "audio":
        return gr.Audio(type="filepath", sources=["upload", "microphone"], buttons=[], **shared)
    if modality == "image":
        return gr.Image(type="filepath", height=150, sources=["upload", "webcam", "clipboard"], buttons=[], **shared)
    return gr.Textbox(
        lines=1,
        max_lines=3,
        max_length=2000,
        placeholder="a dog barks · 一只狗在叫 · собака лает · كلب ينبح",
        container=False,
        **shared,
    )


def facets(service: Service, examples: Examples) -> dict[str, list[str]]:
    """Say what can be chosen among what is searched now, by the field of :class:`Options` that it is."""
    items = [*examples.catalogue, *service.others()]
    return {
        "licences": sorted({one.licence for one in items}),
        "concepts": sorted({one.concept for one in items}),
        "collections": list(dict.fromkeys(one.name for one in service.folders)),
    }


def _options(known: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Lay out what a visitor chooses about the search, by the field of :class:`Options` that it is.

    `known` is from :func:`facets`.
    """
    default = Options()
    info = " ".join(f"{one.title}: {one.summary}" for one in OPERATORS.values())
    operators = [(one.title, name) for name, one in OPERATORS.items()]
    matches = [(_MATCHES.get(name, name), name) for name in sorted(MATCHES, key=lambda one: one != default.match)]
    return {
        "operator": gr.Radio(operators, value=default.operator, label="How terms are mixed", info=info),
        "match": gr.Radio(matches, value=default.match, label="Compare with"),
        "kinds": gr.CheckboxGroup([(PLURALS[one], one) for one in ORDER], label="Show only", info="none for all"),
        "licences": gr.Dropdown(known["licences"], value=[], multiselect=True, label="Under these licences"),
        "concepts": gr.Dropdown(known["concepts"], value=[], multiselect=True, label="That show"),
        "collections": gr.CheckboxGroup(
            known["collections"], label="Search in", info="none for all", visible=len(known["collections"]) > 1
        ),
        "k": gr.Slider(1, 24, value=default.k, step=1, label="Answers of each kind"),
    }
