"""The detail panel: one item of the gallery, the real thing, and whose work it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.html import cards
from demo.shell.theme import html
from demo.shell.view import View

__all__ = ["Drawer"]

# The panel is closed by style, not by `visible`: a Model3D that is mounted together with its value stays empty.
_CLOSED, _OPEN = ["ob-drawer"], ["ob-drawer", "ob-open-drawer"]


@dataclass
class Drawer:
    """The components of the detail panel."""

    panel: gr.Column
    head: gr.HTML
    model: gr.Model3D
    tail: gr.HTML

    @classmethod
    def build(cls) -> Drawer:
        """Lay it out, closed."""
        with gr.Column(elem_classes=_CLOSED) as panel:
            head = html()
            model = gr.Model3D(
                interactive=False, show_label=False, height=320, visible="hidden", elem_classes="ob-model"
            )
            tail = html()
        return cls(panel, head, model, tail)

    def outputs(self) -> list[Any]:
        """Give what :meth:`updates` has values for, in their order."""
        return [self.panel, self.head, self.model, self.tail]

    @staticmethod
    def updates(view: View) -> list[Any]:
        """Give a view as values for :meth:`outputs`."""
        keep = gr.skip()
        if view.detail is not None:
            hit = view.detail
            shape = hit.modality == "point" and hit.file
            model = gr.Model3D(value=hit.file if shape else None, visible=True if shape else "hidden")
            return [gr.Column(elem_classes=_OPEN), cards.detail_head(hit), model, cards.detail_tail(hit, view.why)]
        if view.closed:
            # Its head goes, so that opening the same item again is news, and takes the focus again.
            return [gr.Column(elem_classes=_CLOSED), "", gr.Model3D(value=None, visible="hidden"), ""]
        return [keep] * 4
