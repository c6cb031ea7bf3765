"""The page: built in one pass, wired in a second. A new tab is a file in ``tabs/`` and a line in `TABS`."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio import http_server, queueing, route_utils, routes
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from uvicorn import Config

from demo import api, sessions
from demo.guard.door import allowed_hosts, malformed
from demo.guard.layers import layers
from demo.html import panels
from demo.logs import Told, take_over
from demo.programs import Beside, interface
from demo.service import Service
from demo.settings import CACHE_SECONDS, CLAIM, MAX_UPLOAD, SESSIONS, STOP_SECONDS, TITLE
from demo.shell.examples import Examples
from demo.shell.tab import Tab
from demo.shell.theme import HEAD, theme
from demo.shell.words import languages
from demo.tabs import about, classify, compare, explore, map, results, separate, stories, where
from demo.turns import Turns
from demo.uploads import Uploads
from omnibind_core import media
from omnibind_core.serve.connections import Bounded

__all__ = ["build_demo", "launch", "stop"]

TABS: Sequence[Tab] = (explore, stories, where, separate, map, compare, classify, results, about)


def build_demo(service: Service, uploads: Uploads | None = None) -> gr.Blocks:
    """Build the application around a service, which may still be asleep.

    Parameters
    ----------
    uploads : Uploads, optional
        Where visitors' files lie; None takes the folder that gradio was told of before.
    """
    uploads = uploads or Uploads(Path(get_upload_folder()))
    examples = Examples.read(service.folder.parent, service.folder)
    with gr.Blocks(title=TITLE, fill_width=True, delete_cache=CACHE_SECONDS, analytics_enabled=False) as demo:
        gr.HTML(
            panels.header(TITLE, CLAIM, languages()), apply_default_css=False, js_on_load=None, elem_classes="ob-plain"
        )
        with gr.Tabs(elem_classes="ob-tabs"):
            built = []
            for tab in TABS:
                with gr.Tab(tab.TITLE) as page:
                    built.append((tab, page, tab.build(service, examples)))
        for tab, page, parts in built:
            tab.wire(demo, page, service, parts)
        api.publish(service)
    demo.queue(api_open=False)
    demo._queue = Turns(demo, uploads)
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
        The port is taken, or programs would be served without keys where others can call; with what to do.
    """
    settings, turns = service.settings, demo._queue

    def ready() -> tuple[bool, str]:
        now = service.status()
        return now.phase == "ready", now.phase

    for module in (queueing, route_utils, routes):
        module.traceback = Told()
    http_server.Config = partial(Config, http=Bounded)
    sessions.take_over()
    around = layers(
        hosts=allowed_hosts(settings.host, settings.hosts, os.environ.get("SPACE_HOST")),
        uploads=turns.uploads if isinstance(turns, Turns) else Uploads(Path(get_upload_folder())),
        galleries=service.folders,
        ready=ready,
        retry=turns.retry_seconds if isinstance(turns, Turns) else lambda: 1,
    )
    if settings.api == "on":
        around.insert(0, Middleware(Beside, programs=interface(service)))
    options: dict[str, Any] = {
        "server_name": settings.host,
        "server_port": settings.port,
        "prevent_thread_lock": True,
        "quiet": True,
        "show_error": False,
        "theme": theme(),
        "head": HEAD,
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": service.shown(),
        "state_session_capacity": SESSIONS,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "app_kwargs": {"middleware": around, "exception_handlers": {RequestValidationError: malformed}},
    }
    try:
        _, local, _ = demo.launch(**{**options, **changes})
    except OSError as error:
        port = settings.port or "7860 and those after it"
        raise SystemExit(f"Port {port} is taken: choose another one with --port.") from error
    take_over()
    return local


def stop(demo: gr.Blocks, seconds: float = STOP_SECONDS) -> None:
    """End the service: take nothing more in, let queries in flight end, tell those that cannot, and free the port.

    Parameters
    ----------
    seconds : float
        All the time there is for it.
    """
    end = time.monotonic() + seconds
    turns = demo._queue
    if isinstance(turns, Turns):
        turns.refuse()
        while turns.is_busy() and time.monotonic() < end - 0.4 * seconds:
            time.sleep(0.02)
        if turns.is_busy():
            turns.tell_all()
            time.sleep(0.1 * seconds)  # for the words to arrive
    media.close()  # first: whoever waits for a decoder would keep the server
    if demo.server is not None:
        demo.server.should_exit = demo.server.force_exit = True  # connections of pages stay open else
    # The server waits for threads that still compute, and nobody waits for their answers any more.
    closing = threading.Thread(target=demo.close, kwargs={"verbose": False}, name="closing", daemon=True)
    closing.start()
    closing.join(max(0.1, end - time.monotonic()))
