"""What happens on the main tab when something is dropped, clicked or moved: events -> callbacks -> components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from demo.html import own, panels
from demo.links import link_options
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell.drawer import Drawer
from demo.shell.view import View
from demo.state import Visit
from demo.tabs.explore import callbacks
from demo.tabs.explore.boxes import boxes, chosen_up
from demo.tabs.explore.layout import Parts, facets
from omnibind_core.search.compose import Options
from omnibind_core.types import Modality

__all__ = ["wire"]

# Where sliders stand is read when an event is sent, not when it happens: of those that wait for an earlier one to be
# answered, gradio's "always_last" sends one, with the data of the first.
_WEIGHTS = """(visit, sliders, ...rest) => [visit, Object.fromEntries(
  [...document.querySelectorAll('.ob-chips [data-weight]')].map((one) => [one.dataset.weight, Number(one.value)])
), ...rest]"""
_SHARES = """(visit, sliders, ...rest) => [visit, Object.fromEntries(
  [...document.querySelectorAll('.ob-inside [data-share]')].map((one) => [one.dataset.share, Number(one.value)])
), ...rest]"""

_NAME_OF_SEND = """(mode) => obWords.say(
  { new: 'Find neighbours', add: 'Add to the mix', subtract: 'Subtract from the mix' }[mode])"""

_PROGRESS = gr.Progress()


def _updates(view: View, before: Visit, given: Modality | None = None, *, step: bool = True) -> list[Any]:
    """Give a view as values for :meth:`Parts.page`.

    `given` is the input that something was put into by hand; what the page did by itself is no `step` to be undone.
    """
    keep = gr.skip()
    after = before.follow(view.visit) if step else view.visit
    parts = [keep if part is None else part for part in (view.mix, panels.steps(after), view.walk, view.answers)]
    inside = keep if view.inside is None else view.inside
    shown = [after, *parts, inside, view.notice, *Drawer.updates(view)]
    return [*shown, *boxes(before, after, given), chosen_up(before, after)]


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Wires:
    """What all events of the tab have in common: `quiet` ones ask no model, `heavy` ones do."""

    demo: gr.Blocks
    service: Service
    parts: Parts
    outputs: list[Any]
    choices: list[Any]
    quiet: dict[str, Any]
    heavy: dict[str, Any]

    def options(self, chosen: Sequence[Any]) -> Options:
        """Give what is chosen under "Options"; `chosen` are the values of `choices`."""
        pairs = zip(self.parts.choices, chosen[:-1], strict=True)
        named: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in pairs}
        return Options(**named)

    def asked(self, visit: Visit, chosen: Sequence[Any]) -> Visit:
        """Give the visit with the visitor's own things, which have a state of their own: files take their time."""
        return replace(visit, mine=tuple(chosen[-1] or ()))


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when something is dropped, clicked or moved."""
    del tab
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": parts.answers,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip
    wires = _Wires(demo, service, parts, parts.page(), [*parts.choices.values(), parts.mine], quiet, heavy)
    for some in (_opening, _inputs, _mix, _options, _own_files, _presets, _collections, _share):
        some(wires)


def _opening(w: _Wires) -> None:
    """Answer at once when the page opens, and tell how far loading is."""
    p = w.parts

    def arrive(request: gr.Request, visit: Visit, *chosen: Any) -> list[Any]:
        part = str(request.query_params.get("q", ""))
        now, view = callbacks.arrive(w.service, w.asked(visit, chosen), w.options(chosen), p.examples.first, part)
        session = w.demo.state_holder[str(request.session_hash)]
        if view is not None and session[p.visit._id] is not visit:  # asked while this was computed: that stands
            view = None
        # Where nothing happened nothing is sent: neither a notice nor a newer visit is overwritten by a tick.
        shown = [gr.skip()] * len(w.outputs) if view is None else _updates(view, visit, step=False)
        said = link_options(part) if part and view is not None and not visit.ingredients else None
        how = [gr.skip() if said is None else _shown(getattr(said, name)) for name in p.choices]
        return [panels.status(now), gr.Timer(active=not now.settled), *how, *shown]

    for moment in (w.demo.load, p.pulse.tick):
        moment(
            arrive,
            [p.visit, *w.choices],
            [p.status, p.pulse, *p.choices.values(), *w.outputs],
            concurrency_limit=8,
            **w.quiet,
        )

    def retried() -> gr.Timer:
        w.service.start()
        return gr.Timer(active=True)  # look at the progress of loading again

    p.status.select(retried, None, p.pulse, **w.quiet)


def _inputs(w: _Wires) -> None:
    """Take files, sentences, and which way is up."""
    p = w.parts

    def file_given(modality: Modality) -> Callable[..., list[Any]]:
        def given(visit: Visit, upload: Any, up: str, mode: Any, *chosen: Any) -> list[Any]:
            view = callbacks.give_file(w.service, w.asked(visit, chosen), upload, modality, up, mode, w.options(chosen))
            return _updates(view, visit, modality)

        return given

    senses: list[tuple[Modality, Any]] = [
        ("point", p.inputs["point"].upload), ("audio", p.inputs["audio"].input), ("image", p.inputs["image"].input)
    ]  # fmt: skip
    for modality, event in senses:
        event(file_given(modality), [p.visit, p.inputs[modality], p.up, p.mode, *w.choices], w.outputs, **w.heavy)

    def dropped(visit: Visit, uploads: Any, up: str, mode: Any, *chosen: Any) -> list[Any]:
        return _updates(
            callbacks.give_files(w.service, w.asked(visit, chosen), uploads or (), up, mode, w.options(chosen)), visit
        )

    p.files.upload(dropped, [p.visit, p.files, p.up, p.mode, *w.choices], w.outputs, **w.heavy)

    def turned(visit: Visit, up: str, *chosen: Any) -> list[Any]:
        return _updates(callbacks.turn(w.service, w.asked(visit, chosen), up, w.options(chosen)), visit)

    p.up.input(turned, [p.visit, p.up, *w.choices], w.outputs, **w.heavy)

    def said(visit: Visit, text: str, mode: Any, *chosen: Any) -> list[Any]:
        return _updates(
            callbacks.give_text(w.service, w.asked(visit, chosen), text, mode, w.options(chosen)), visit, "text"
        )

    said_by = [p.inputs["text"].submit, p.send.click]
    gr.on(said_by, said, [p.visit, p.inputs["text"], p.mode, *w.choices], w.outputs, **w.heavy)

    p.mode.change(None, p.mode, p.send, js=_NAME_OF_SEND)


def _mix(w: _Wires) -> None:
    """Follow clicks on what is drawn, and sliders."""
    p = w.parts

    # `event` stands first: gradio hands it over by its annotation, and the options are as many as there are.
    def clicked(event: gr.EventData, visit: Visit, mode: Any, *chosen: Any) -> list[Any]:
        action, target, how = str(event._data.get("act")), str(event._data.get("id")), w.options(chosen)
        if action == "mix":
            return _updates(callbacks.give_mix(w.service, w.asked(visit, chosen), p.examples, target, how), visit)
        if action == "say":
            return _updates(callbacks.give_text(w.service, w.asked(visit, chosen), target, mode, how), visit)
        if action == "example":
            return _updates(callbacks.give_example(w.service, w.asked(visit, chosen), target, mode, how), visit)
        return _updates(callbacks.act(w.service, w.asked(visit, chosen), action, target, how), visit)

    for part in (*p.chips, p.mix, p.steps, p.walk, p.answers, p.inside, p.notice, p.drawer.head, p.drawer.tail):
        part.select(clicked, [p.visit, p.mode, *w.choices], w.outputs, **w.heavy)

    def weighed(visit: Visit, weights: object, *chosen: Any) -> list[Any]:
        return _updates(callbacks.reweigh(w.service, w.asked(visit, chosen), weights, w.options(chosen)), visit)

    moved = [p.visit, p.sliders, *w.choices]
    last: dict[str, Any] = {"trigger_mode": "always_last", **w.heavy}
    p.mix.input(weighed, moved, w.outputs, js=_WEIGHTS, **{**last, "show_progress": "hidden"})

    def balanced(visit: Visit, shares: object, *chosen: Any) -> list[Any]:
        return _updates(callbacks.rebalance(w.service, w.asked(visit, chosen), shares, w.options(chosen)), visit)

    p.inside.input(balanced, moved, w.outputs, js=_SHARES, **last)


def _refreshed(w: _Wires, visit: Visit, chosen: Sequence[Any]) -> list[Any]:
    return _updates(callbacks.refresh(w.service, w.asked(visit, chosen), w.options(chosen)), visit)


def _options(w: _Wires) -> None:
    """Ask again when an option is changed."""
    p = w.parts

    def refreshed(visit: Visit, *chosen: Any) -> list[Any]:
        return _refreshed(w, visit, chosen)

    changes = [one.release if isinstance(one, gr.Slider) else one.input for one in p.choices.values()]
    gr.on(changes, refreshed, [p.visit, *w.choices], w.outputs, trigger_mode="always_last", **w.heavy)


def _own_files(w: _Wires) -> None:
    """Let the visitor's own files join what is searched."""
    p = w.parts

    def kept(visit: Visit, *chosen: Any) -> list[Any]:
        shown = _refreshed(w, visit, chosen)
        return [value for one, value in zip(w.outputs, shown, strict=True) if one is not p.notice]

    def brought(mine: Any, uploads: Any, up: str, progress: gr.Progress = _PROGRESS) -> list[Any]:
        def tell(done: int, count: int) -> None:
            progress((done, count), desc="Reading", unit="files")

        now, notice = callbacks.add_mine(w.service, tuple(mine or ()), uploads or (), up, tell)
        return [now, own.listed(now), notice]

    def forgotten(event: gr.EventData, mine: Any) -> list[Any]:
        now = callbacks.forget(tuple(mine or ()), str(event._data.get("id")))
        return [now, own.listed(now)]

    own_heavy = {**w.heavy, "show_progress": "full", "show_progress_on": p.mine_list}
    added = p.mine_files.upload(brought, [p.mine, p.mine_files, p.up], [p.mine, p.mine_list, p.notice], **own_heavy)
    gone = p.mine_list.select(forgotten, p.mine, [p.mine, p.mine_list], **w.quiet)
    for event in (added, gone):  # what went wrong with a file stays to be read
        event.then(kept, [p.visit, *w.choices], [one for one in w.outputs if one is not p.notice], **w.heavy)


def _presets(w: _Wires) -> None:
    """Show the presets, and make another one ready."""
    p = w.parts

    def opened() -> str:
        return panels.presets(w.service.choices(), w.service.status().label)

    p.preset.expand(opened, None, p.presets, **w.quiet)

    def switched(event: gr.EventData, visit: Visit) -> list[Any]:
        view = callbacks.switch(w.service, visit, str(event._data.get("id")))
        return [panels.status(w.service.status()), gr.Timer(active=True), *_updates(view, visit)]

    p.presets.select(switched, p.visit, [p.status, p.pulse, *w.outputs], **w.quiet)


def _collections(w: _Wires) -> None:
    """Show the collections, and search in one more."""
    p = w.parts

    said_of = [p.choices[name] for name in ("licences", "concepts", "collections")]
    began = len(w.service.folders)

    def known() -> list[Any]:
        """Give what can be chosen, where that is more than when the page was laid out."""
        if len(w.service.folders) == began:
            return [gr.skip()] * len(said_of)
        found = facets(w.service, p.examples)
        several = len(found["collections"]) > 1
        return [
            gr.Dropdown(choices=found["licences"]),
            gr.Dropdown(choices=found["concepts"]),
            gr.CheckboxGroup(choices=found["collections"], visible=several),
        ]

    w.demo.load(known, None, said_of, **w.quiet)

    def listed() -> str:
        return panels.collections([one.name for one in w.service.folders], w.service.waiting())

    p.library.expand(listed, None, p.collections, **w.quiet)

    def taken_in(event: gr.EventData, visit: Visit, *chosen: Any) -> list[Any]:
        name = str(event._data.get("id"))
        view = callbacks.take_in(w.service, w.asked(visit, chosen), name, w.options(chosen))
        w.demo.allowed_paths[:] = w.service.shown()
        return [listed(), *known(), *_updates(view, visit)]

    p.collections.select(taken_in, [p.visit, *w.choices], [p.collections, *said_of, *w.outputs], **w.heavy)


def _share(w: _Wires) -> None:
    """Pack what was asked, to be taken along."""
    p = w.parts

    def packed(visit: Visit, *chosen: Any) -> str:
        return callbacks.take_away(w.service, w.asked(visit, chosen), w.options(chosen))

    p.take.expand(packed, [p.visit, *w.choices], p.taken, **w.quiet)
    p.taken.select(packed, [p.visit, *w.choices], p.taken, **w.quiet)
