"""Where a page says what went wrong, without taking away what is there."""

from __future__ import annotations

import gradio as gr

from demo.shell.theme import html

__all__ = ["dismissible", "notice_box"]


def notice_box() -> gr.HTML:
    """Lay out the place for a notice, empty."""
    return html("", "ob-notice-box")


def dismissible(box: gr.HTML) -> None:
    """Let a click on a notice take it away; for tabs whose events do nothing else with their notice."""

    def dismissed() -> str:
        return ""

    box.select(dismissed, None, box, api_visibility="private", show_progress="hidden")
