"""What a tab is: a module with a title, a function that lays it out and one that connects it."""

from __future__ import annotations

from typing import Any, Protocol

import gradio as gr

from demo.service import Service
from demo.shell.examples import Examples

__all__ = ["Tab"]


class Tab(Protocol):
    """A module of ``demo/tabs/``; a line in ``TABS`` of :mod:`demo.page` puts it on the page.

    Attributes
    ----------
    TITLE : str
        What people read on the tab.
    """

    TITLE: str

    def build(self, service: Service, examples: Examples) -> Any:
        """Lay the tab out, and give the components that :meth:`wire` needs. The service may still be asleep."""
        ...

    def wire(self, demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Any) -> None:
        """Say what happens; every event is private (``api_visibility="private"``)."""
        ...
