"""Stories: tours of what this can do, a sentence a step, there at once while the models still load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo import links
from demo.html import cards, story
from demo.service import Service
from demo.shell.drawer import Drawer
from demo.shell.examples import Examples
from demo.shell.notice import dismissible, notice_box
from demo.shell.stories import Step, Stories
from demo.shell.theme import html
from demo.shell.view import View, attempt
from demo.state import Visit
from omnibind_core.search.compose import Options

__all__ = ["TITLE", "build", "opened", "shelf", "stage", "wire"]

TITLE = "Stories"

_NONE = '<p class="ob-note">The tours tell of the gallery that comes with this page, and another one is shown.</p>'


@dataclass
class Parts:
    """Components that the wiring needs."""

    stories: Stories
    stage: gr.HTML
    notice: gr.HTML
    drawer: Drawer


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    stories = Stories.read(service.folder.parent, examples.folder)
    return Parts(stories, html(shelf(stories), "ob-results"), notice_box(), Drawer.build())


def shelf(stories: Stories) -> str:
    """Draw all tours."""
    covers = [(one.title, one.lead, len(one.steps), one.cover) for one in stories.all]
    return story.shelf(covers) if covers else _NONE


def stage(stories: Stories, place: str) -> str:
    """Draw the tour that is at a place, "tour:step", opened there; raises QueryError where there is none."""
    which, number = stories.step(place)
    told = stories.all[which]
    return story.tour(
        [
            story.stage(
                told.title,
                step.say,
                (which, len(stories.all), i, len(told.steps)),
                step.terms,
                step.found,
                _part(step),
                shown=i == number,
            )
            for i, step in enumerate(told.steps)
        ]
    )


def opened(stories: Stories, item_id: str) -> View:
    """Give the detail panel of something that a tour shows; raises QueryError where none does."""
    return View(Visit(), detail=stories.hit(item_id))


def _part(step: Step) -> str:
    said = tuple(links.Said(part.weight, part.item, part.text) for part in step.parts)
    return links.written(said, Options())


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when a tour or an answer is clicked; the steps of a tour are turned in the browser."""
    del demo, tab, service
    p = parts

    def clicked(event: gr.EventData) -> list[Any]:
        action, target = str(event._data.get("act")), str(event._data.get("id"))
        keep = gr.skip()
        if action == "shelf":
            return [shelf(p.stories), "", *Drawer.updates(View(Visit(), closed=True))]
        if action == "step":
            drawn, notice = attempt("stories", lambda: stage(p.stories, target))
            return [drawn or keep, notice, *Drawer.updates(View(Visit(), closed=True))]
        if action == "open":
            view, notice = attempt("stories", lambda: opened(p.stories, target))
            panel = Drawer.updates(view) if view else [keep] * len(p.drawer.outputs())
            if view is not None and view.detail is not None:
                hit = view.detail
                part = links.written((links.Said(1.0, hit.id),), Options())
                panel[-1] = story.tail(cards.credits_of(hit), part)
            return [keep, notice, *panel]
        return [keep, "", *Drawer.updates(View(Visit(), closed=action == "close"))]

    quiet: dict[str, Any] = {
        "api_visibility": "private", "show_progress": "hidden", "queue": False,
        # Another button counts while a tour is on its way; "always_last" would send that tour once more.
        "trigger_mode": "multiple",
    }  # fmt: skip
    for one in (p.stage, p.drawer.head, p.drawer.tail):
        one.select(clicked, None, [p.stage, p.notice, *p.drawer.outputs()], **quiet)
    dismissible(p.notice)
