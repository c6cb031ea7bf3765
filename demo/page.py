"""The page: built in one pass, wired in a second. A new tab is a file in ``tabs/`` and a line in `TABS`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from demo import api
from demo.guard import NoFetching
from demo.html import panels
from demo.service import Service
from demo.settings import CACHE_SECONDS, CLAIM, MAX_UPLOAD, QUEUE, SESSIONS, TITLE
from demo.shell.examples import Examples
from demo.shell.tab import Tab
from demo.shell.theme import HEAD, theme
from demo.tabs import about, classify, explore, results

__all__ = ["build_demo", "launch"]

TABS: Sequence[Tab] = (explore, classify, results, about)


def build_demo(service: Service) -> gr.Blocks:
    """Build the application around a service, which may still be asleep."""
    examples = Examples.read(service.folder.parent)
    with gr.Blocks(title=TITLE, fill_width=True, delete_cache=CACHE_SECONDS, analytics_enabled=False) as demo:
        gr.HTML(panels.header(TITLE, CLAIM), apply_default_css=False, js_on_load=None, elem_classes="ob-plain")
        with gr.Tabs(elem_classes="ob-tabs"):
            built = []
            for tab in TABS:
                with gr.Tab(tab.TITLE) as page:
                    built.append((tab, page, tab.build(service, examples)))
        for tab, page, parts in built:
            tab.wire(demo, page, service, parts)
        api.publish(service)
    demo.queue(max_size=QUEUE, default_concurrency_limit=4)
    return demo


def launch(demo: gr.Blocks, service: Service, **changes: Any) -> str:
    """Serve the application and come back at once.

    Parameters
    ----------
    **changes
        Replace options of ``Blocks.launch``; for tests.

    Returns
    -------
    str
        Where the page is.

    Raises
    ------
    SystemExit
        The port is taken; with what to do.
    """
    settings = service.settings
    options: dict[str, Any] = {
        "server_name": settings.host,
        "server_port": settings.port,
        "prevent_thread_lock": True,
        "quiet": True,
        "show_error": False,
        "theme": theme(),
        "head": HEAD,
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(service.folder.resolve())],
        "state_session_capacity": SESSIONS,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "app_kwargs": {"middleware": NoFetching.middleware()},
    }
    try:
        _, local, _ = demo.launch(**{**options, **changes})
    except OSError as error:
        port = settings.port or "7860 and those after it"
        raise SystemExit(f"Port {port} is taken: choose another one with --port.") from error
    return local
