"""The main tab: four inputs, one mix, answers in all four modalities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo import callbacks, panels, render
from demo.callbacks import View
from demo.examples import Examples
from demo.icons import NAMES, ORDER
from demo.service import Service
from demo.settings import MODEL_EVENTS, PULSE_SECONDS, Options
from demo.state import Visit
from demo.theme import html
from omnibind_core.search.compose import OPERATORS
from omnibind_core.types import Modality

__all__ = ["TITLE", "build", "wire"]

TITLE = "Explore"

_MODES = [("New search", "new"), ("+ Add", "add"), ("− Subtract", "subtract")]
_UPS = [("Y↑", "y"), ("Z↑", "z"), ("X↑", "x")]
_MATCHES = [("the thing and its caption", "media+caption"), ("the thing alone", "media")]
_SHAPES = [".off", ".xyz", ".npy", ".glb", ".gltf", ".obj", ".stl", ".ply"]

# The panel is closed by style, not by `visible`: a Model3D that is mounted together with its value stays empty.
_CLOSED, _OPEN = ["ob-drawer"], ["ob-drawer", "ob-open-drawer"]


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
    file: gr.UploadButton
    send: gr.Button
    choices: list[Any]
    mix: gr.HTML
    answers: gr.HTML
    inside: gr.HTML
    notice: gr.HTML
    drawer: gr.Column
    head: gr.HTML
    model: gr.Model3D
    tail: gr.HTML

    def page(self) -> list[Any]:
        """Give the outputs of every event, in the order of `_updates`."""
        drawer = [self.drawer, self.head, self.model, self.tail]
        return [self.visit, self.mix, self.answers, self.inside, self.notice, *drawer, *self.inputs.values()]


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    visit = gr.State(Visit(), time_to_live=3600)
    pulse = gr.Timer(PULSE_SECONDS)
    with gr.Row(elem_classes="ob-top"):
        mode = gr.Radio(_MODES, value="new", label="Next input", elem_classes="ob-segment")
        status = html(panels.status(service.status()), "ob-status-box")
    with gr.Row(elem_classes="ob-page"):
        with gr.Column(scale=4, min_width=320, elem_classes="ob-main"):
            inputs, chips, up, file, send = _inputs(examples)
            with gr.Column(elem_classes="ob-mix"):
                mix = html(panels.mix(Visit()))
                chips.append(html(panels.ready_mixes(examples)))
            answers = html(render.skeleton(), "ob-results")
        with gr.Column(scale=1, min_width=250, elem_classes="ob-rail"):
            with gr.Accordion("Options", open=False, elem_classes="ob-options"):
                choices = _options()
            inside = html(panels.inside(None))
    notice = html("", "ob-notice-box")
    with gr.Column(elem_classes=_CLOSED) as drawer:
        head = html()
        model = gr.Model3D(interactive=False, show_label=False, height=320, visible="hidden", elem_classes="ob-model")
        tail = html()
    return Parts(
        examples, visit, status, pulse, mode, inputs, chips, up, file, send, choices,
        mix, answers, inside, notice, drawer, head, model, tail,
    )  # fmt: skip


def _inputs(examples: Examples) -> tuple[dict[Modality, Any], list[gr.HTML], gr.Radio, gr.UploadButton, gr.Button]:
    inputs: dict[Modality, Any] = {}
    chips: list[gr.HTML] = []
    with gr.Row(elem_classes="ob-inputs"):
        for modality in ORDER:
            with gr.Column(min_width=210, elem_classes=f"ob-input ob-{modality}"):
                with gr.Row(elem_classes="ob-extra"):
                    html(panels.input_heading(modality), js=None)
                    if modality == "point":
                        up = gr.Radio(_UPS, value="y", label="Axis that points up", elem_classes="ob-segment ob-small")
                inputs[modality] = _input(modality)
                if modality == "point":
                    file = gr.UploadButton("OFF, XYZ, NPY …", file_types=_SHAPES, size="sm", elem_classes="ob-other")
                if modality == "text":
                    send = gr.Button("Find neighbours", variant="primary", size="sm", elem_classes="ob-send")
                chips.append(html(panels.example_chips(examples, modality)))
    return inputs, chips, up, file, send


def _input(modality: Modality) -> Any:
    shared: dict[str, Any] = {"label": f"Your {NAMES[modality].lower()}", "show_label": False, "interactive": True}
    if modality == "point":
        return gr.Model3D(height=150, **shared)
    if modality == "audio":
        return gr.Audio(type="filepath", sources=["upload", "microphone"], buttons=[], **shared)
    if modality == "image":
        return gr.Image(type="filepath", height=150, sources=["upload", "webcam", "clipboard"], buttons=[], **shared)
    return gr.Textbox(
        lines=1, max_lines=3, max_length=2000, placeholder="a dog barks at the postman", container=False, **shared
    )


def _options() -> list[Any]:
    default = Options()
    info = " ".join(f"{one.title}: {one.summary}" for one in OPERATORS.values())
    operators = [(one.title, name) for name, one in OPERATORS.items()]
    return [
        gr.Radio(operators, value=default.operator, label="How terms are mixed", info=info),
        gr.Radio(_MATCHES, value=default.match, label="Compare with"),
        gr.Slider(1, 24, value=default.k, step=1, label="Answers of each kind"),
    ]


def _updates(view: View, shown: dict[Modality, str] | None = None) -> list[Any]:
    """Give a view as values for :meth:`Parts.page`; `shown` puts examples into the inputs they belong to."""
    keep = gr.skip()
    parts = [keep if part is None else part for part in (view.mix, view.answers, view.inside)]
    if view.detail is not None:
        hit = view.detail
        shape = hit.modality == "point" and hit.file
        model = gr.Model3D(value=hit.file if shape else None, visible=True if shape else "hidden")
        drawer = [gr.Column(elem_classes=_OPEN), render.detail_head(hit), model, render.detail_tail(hit)]
    elif view.closed:
        drawer = [gr.Column(elem_classes=_CLOSED), keep, gr.Model3D(value=None, visible="hidden"), keep]
    else:
        drawer = [keep] * 4
    return [view.visit, *parts, view.notice, *drawer, *((shown or {}).get(m, keep) for m in ORDER)]


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when something is dropped, clicked or moved."""
    del tab
    p, outputs = parts, parts.page()
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": p.answers,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip

    def arrive(visit: Visit, *chosen: Any) -> list[Any]:
        now, view = callbacks.arrive(service, visit, Options(*chosen), p.examples.first)
        settled = now.phase in {"ready", "failed"}
        return [panels.status(now), gr.Timer(active=not settled), *_updates(view or View(visit))]

    for moment in (demo.load, p.pulse.tick):
        moment(arrive, [p.visit, *p.choices], [p.status, p.pulse, *outputs], concurrency_limit=8, **quiet)

    def file_given(modality: Modality) -> Callable[..., list[Any]]:
        def given(visit: Visit, upload: Any, up: str, mode: Any, *chosen: Any) -> list[Any]:
            return _updates(callbacks.give_file(service, visit, upload, modality, up, mode, Options(*chosen)))

        return given

    senses: list[tuple[Modality, Any, Any]] = [
        ("point", p.inputs["point"], p.inputs["point"].upload), ("point", p.file, p.file.upload),
        ("audio", p.inputs["audio"], p.inputs["audio"].input), ("image", p.inputs["image"], p.inputs["image"].input),
    ]  # fmt: skip
    for modality, source, event in senses:
        event(file_given(modality), [p.visit, source, p.up, p.mode, *p.choices], outputs, **heavy)

    def turned(visit: Visit, upload: Any, up: str, *chosen: Any) -> list[Any]:
        return _updates(callbacks.turn(service, visit, upload, up, Options(*chosen)))

    p.up.input(turned, [p.visit, p.inputs["point"], p.up, *p.choices], outputs, **heavy)

    def said(visit: Visit, text: str, mode: Any, *chosen: Any) -> list[Any]:
        return _updates(callbacks.give_text(service, visit, text, mode, Options(*chosen)))

    said_by = [p.inputs["text"].submit, p.send.click]
    gr.on(said_by, said, [p.visit, p.inputs["text"], p.mode, *p.choices], outputs, **heavy)

    def clicked(visit: Visit, mode: Any, operator: str, match: Any, k: int, event: gr.EventData) -> list[Any]:
        action, target, options = str(event._data.get("act")), str(event._data.get("id")), Options(operator, match, k)
        if action == "mix":
            return _updates(callbacks.give_mix(service, visit, p.examples, target, options))
        if action != "example":
            return _updates(callbacks.act(service, visit, action, target, options))
        view = callbacks.give_example(service, visit, target, mode, options)
        return _updates(view, p.examples.shown(target))

    for part in (*p.chips, p.mix, p.answers, p.inside, p.notice, p.head, p.tail):
        part.select(clicked, [p.visit, p.mode, *p.choices], outputs, **heavy)

    def weighed(visit: Visit, operator: str, match: Any, k: int, event: gr.EventData) -> list[Any]:
        key, weight = str(event._data.get("id")), event._data.get("weight")
        return _updates(callbacks.reweigh(service, visit, key, weight, Options(operator, match, k)))

    p.mix.input(
        weighed, [p.visit, *p.choices], outputs, trigger_mode="always_last", **{**heavy, "show_progress": "hidden"}
    )

    def balanced(visit: Visit, operator: str, match: Any, k: int, event: gr.EventData) -> list[Any]:
        key, shares = str(event._data.get("id")), event._data.get("shares")
        return _updates(callbacks.rebalance(service, visit, key, shares, Options(operator, match, k)))

    p.inside.input(balanced, [p.visit, *p.choices], outputs, trigger_mode="always_last", **heavy)

    def chosen(visit: Visit, *choice: Any) -> list[Any]:
        return _updates(callbacks.refresh(service, visit, Options(*choice)))

    changes = [p.choices[0].input, p.choices[1].input, p.choices[2].release]
    gr.on(changes, chosen, [p.visit, *p.choices], outputs, trigger_mode="always_last", **heavy)

    def retried() -> gr.Timer:
        service.start()
        return gr.Timer(active=True)  # look at the progress of loading again

    p.status.select(retried, None, p.pulse, **quiet)
