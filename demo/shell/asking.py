"""What "Name it" and "Separate" share: one thing is asked with, by a file, in words or by an example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.html import panels
from demo.service import Service
from demo.shell.uploads import embed_upload
from demo.shell.view import attempt
from demo.state import Ingredient
from omnibind_core.media.upright import is_guess

__all__ = ["Answer", "Asking", "answered", "subject", "wire_asking"]

Answer = tuple[str, str]
"""HTML of an answer (empty where there is none) and of the notice."""


@dataclass
class Asking:
    """Components that one thing is asked with."""

    file: gr.File
    text: gr.Textbox
    button: gr.Button
    chips: list[gr.HTML]


def subject(service: Service, upload: Mapping[str, Any] | None, text: str | None, up: str = "auto") -> Ingredient:
    """Embed a file, or a sentence where there is none; raises as embedding does.

    Parameters
    ----------
    upload : mapping or None
        ``{"path": ..., "orig_name": ...}`` as gradio gives it; its modality is told from its content.
    text : str or None
    up : str
        The axis that points up in a shape's file.
    """
    return embed_upload(service, upload, up=up) if upload else service.embed(text or "", "text")


def answered(service: Service, what: str, asked: Callable[[], Ingredient], draw: Callable[[Ingredient], str]) -> Answer:
    """Draw the answer to one thing, and tell how it was read: what was guessed can be turned.

    Parameters
    ----------
    what : str
        What is done, for the log.
    asked : callable
        Embeds the thing.
    draw : callable
        Gives HTML of what it is answered with.
    """

    def run() -> Answer:
        made = asked()
        return draw(made), panels.told(made.notices, made.up == "auto" and any(map(is_guess, made.notices)))

    answer, notice = attempt(what, lambda: service.steady(run))
    return answer or ("", notice)


def wire_asking(
    asking: Asking,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    answer: Callable[..., Answer],
    answer_item: Callable[..., Answer],
    heavy: Mapping[str, Any],
    also: Sequence[Any] = (),
) -> None:
    """Say what happens when something is dropped, written or clicked.

    Parameters
    ----------
    inputs : sequence of component
        Whose values both callbacks get last.
    outputs : sequence of component
        The answer and the notice.
    answer : callable
        Called with a file or None, words, the axis that points up, and the values of `inputs`.
    answer_item : callable
        Called with the identifier of an example, and these values.
    heavy : mapping
        Options of the events.
    also : sequence of event
        What asks too, besides the button and the return key.
    """
    a, (shown, notice) = asking, outputs

    def told(made: Answer) -> list[Any]:
        return [made[0] or gr.skip(), made[1]]

    # Of words and a file the later one counts; the other no longer stands there.
    def asked(file: Any, text: str, *values: Any) -> list[Any]:
        by_words = bool(text.strip())
        made = answer(None if by_words else file, text, "auto", *values)
        return [*told(made), None if by_words else gr.skip()]

    def filed(file: Any, *values: Any) -> list[Any]:
        return [*told(answer(file, "", "auto", *values)), ""]

    # `event` stands first: gradio hands it over by its annotation.
    def tried(event: gr.EventData, *values: Any) -> list[Any]:
        return told(answer_item(str(event._data.get("id")), *values))

    def turned(event: gr.EventData, file: Any, *values: Any) -> list[Any]:
        if event._data.get("act") == "turn" and file:
            return told(answer(file, "", str(event._data.get("id")), *values))
        return [gr.skip(), ""]

    gr.on([a.button.click, a.text.submit, *also], asked, [a.file, a.text, *inputs], [shown, notice, a.file], **heavy)
    a.file.upload(filed, [a.file, *inputs], [shown, notice, a.text], **heavy)
    for chips in a.chips:
        chips.select(tried, [*inputs], [shown, notice], **heavy)
    notice.select(turned, [a.file, *inputs], [shown, notice], **{**heavy, "show_progress": "hidden"})
