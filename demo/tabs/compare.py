"""Compare: several things beside one another, how near each is to each, and which belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr

from demo.html import panels
from demo.html.icons import ORDER
from demo.html.matrix import matrix
from demo.service import Service
from demo.settings import MODEL_EVENTS
from demo.shell.examples import Examples
from demo.shell.notice import dismissible, notice_box
from demo.shell.theme import html
from demo.shell.uploads import embed_uploads
from demo.shell.view import attempt
from demo.state import Ingredient, Visit
from omnibind_core.errors import OmniBindError, QueryError
from omnibind_core.search.compare import MOST

__all__ = ["OPENING", "TITLE", "add", "build", "drop", "opened", "wire"]

TITLE = "Compare"

OPENING = (
    "audio/dog-1", "image/dog-1", "point/dog-1", "audio/car-1", "image/car-1", "point/car-1", "audio/guitar-1",
    "image/guitar-1",
)  # fmt: skip
"""Items of the gallery that the tab opens with."""
_WORDS = "a dog\na car\na guitar"
_LEAD = (
    "Put pictures, sounds, shapes and sentences beside one another. The table says how near each is to each, and what "
    "belongs together comes together, whatever kind of thing it is."
)
_EMPTY = '<p class="ob-note">The table appears here.</p>'

Items: TypeAlias = tuple[Ingredient, ...]
Answer: TypeAlias = tuple[Items, str, str]
"""What is in the table, its HTML (empty leaves what is there), and the notice."""


@dataclass
class Parts:
    """Components that the wiring needs."""

    files: gr.File
    text: gr.Textbox
    button: gr.Button
    clear: gr.Button
    chips: list[gr.HTML]
    table: gr.HTML
    notice: gr.HTML
    items: gr.State


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service
    html(f'<p class="ob-lead">{_LEAD}</p>', js=None)
    with gr.Row(elem_classes="ob-page ob-two"):
        with gr.Column(scale=2, min_width=300, elem_classes="ob-input"):
            files = gr.File(label="Shapes, sounds and pictures", file_count="multiple", height=150)
            text = gr.Textbox(label="Sentences, one a line", lines=3, max_lines=8, max_length=8000)
            with gr.Row():
                button = gr.Button("Add", variant="primary")
                clear = gr.Button("Start over")
            chips = [html(panels.example_chips(modality, examples.faces(modality))) for modality in ORDER]
        with gr.Column(scale=3, min_width=300, elem_classes="ob-found"):
            table = html(_EMPTY)
            notice = notice_box()
    return Parts(files, text, button, clear, chips, table, notice, gr.State(()))


def opened(service: Service, items: Items) -> Answer:
    """Give what the tab opens with, or, where something is in the table already, that."""
    if items:
        return items, "", ""

    def fill() -> Items:
        gallery = service.wait().gallery
        known = [service.item(one) for one in OPENING if gallery.has(one)]
        return (*known, *(service.embed(line, "text") for line in _WORDS.splitlines()))

    return _changed(service, items, fill)


def add(service: Service, items: Items, uploads: Sequence[Any] | None, text: str | None, item_id: str = "") -> Answer:
    """Add files, sentences (one a line) or an item of the gallery to the table.

    What cannot be read is told, and the rest is added.
    """
    left: list[OmniBindError] = []
    read: list[str] = []
    lines = [line for line in (text or "").splitlines() if line.strip()]

    def more() -> Items:
        _check_count(len(items) + len(lines))  # before time is spent on them
        new = [service.item(item_id)] if item_id else []
        if uploads:
            made, bad = embed_uploads(service, list(uploads), "auto")
            new += made
            left.extend(bad)
        new += [service.embed(line, "text") for line in lines]
        if not new:
            raise QueryError("nothing", "files, sentences or an example", "drop a file or write a sentence")
        read[:] = [text for one in new for text in one.notices]
        known = {one.item_id for one in items if one.item_id}
        return items + tuple(one for one in new if not one.item_id or one.item_id not in known)

    now, table, notice = _changed(service, items, more)
    unread = "".join(panels.notice(one, "The others were added.") for one in left)
    return now, table, notice or unread + panels.told(read)


def drop(service: Service, items: Items, row: str) -> Answer:
    """Take an item away by its number, counted from 0."""
    return _changed(service, items, lambda: tuple(one for i, one in enumerate(items) if str(i) != row))


def _changed(service: Service, items: Items, change: Callable[[], Items]) -> Answer:
    """Change what is in the table and draw it; where that fails everything stays as it is."""

    def make() -> tuple[Items, str]:
        now = change()
        _check_count(len(now))
        if service.is_outdated(visit := Visit().restart(now)):
            now = service.renewed(visit).ingredients
        made = service.wait().compare([one.term() for one in now]) if len(now) > 1 else None
        return now, matrix(now, made)

    made, notice = attempt("compare", lambda: service.steady(make))
    return (*made, notice) if made else (items, "", notice)


def _check_count(count: int) -> None:
    if count > MOST:
        raise QueryError(f"{count} items", f"at most {MOST}", "take some away first")


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Say what happens when the tab opens, or something is dropped, typed, clicked or taken away."""
    del demo
    p = parts
    heavy: dict[str, Any] = {
        "api_visibility": "private", "preprocess": False, "show_progress": "minimal", "show_progress_on": p.table,
        "concurrency_id": "model", "concurrency_limit": MODEL_EVENTS,
    }  # fmt: skip
    outputs = [p.items, p.table, p.notice]

    def shown(answer: Answer) -> list[Any]:
        items, table, notice = answer
        return [items, table or gr.skip(), notice]

    tab.select(lambda items: shown(opened(service, _kept(items))), p.items, outputs, **heavy)

    def brought(items: Any, files: Any) -> list[Any]:
        now, table, notice = add(service, _kept(items), files, "")
        return [*shown((now, table, notice)), None if table else gr.skip()]

    def said(items: Any, text: str) -> list[Any]:
        now, table, notice = add(service, _kept(items), None, text)
        return [*shown((now, table, notice)), "" if table else gr.skip()]

    # Apart: what is written while files are read stays.
    p.files.upload(brought, [p.items, p.files], [*outputs, p.files], **heavy)
    p.button.click(said, [p.items, p.text], [*outputs, p.text], **heavy)

    def tried(items: Any, event: gr.EventData) -> list[Any]:
        return shown(add(service, _kept(items), None, None, str(event._data.get("id"))))

    for chips in p.chips:
        chips.select(tried, p.items, outputs, **heavy)

    def dropped(items: Any, event: gr.EventData) -> list[Any]:
        return shown(drop(service, _kept(items), str(event._data.get("id"))))

    p.table.select(dropped, p.items, outputs, **heavy)
    p.clear.click(
        lambda: [(), matrix((), None), "", None, ""], None, [*outputs, p.files, p.text],
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    dismissible(p.notice)


def _kept(items: Any) -> Items:
    return tuple(items or ())
