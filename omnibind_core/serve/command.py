"""Starts the HTTP interface: models load behind it, so that ``/readyz`` tells how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import uvicorn

from omnibind_core.errors import OmniBindError
from omnibind_core.search.explorer import Explorer
from omnibind_core.serve.gate import check_host, keys_of_environment
from omnibind_core.serve.http import api

__all__ = ["serve"]

log = logging.getLogger(__name__)


def serve(load: Callable[[], Explorer], host: str, port: int) -> None:
    """Serve until the process is told to end.

    Parameters
    ----------
    load : callable
        Gives who answers, with a gallery; runs in a thread while the server listens already.
    host, port : str, int
        Where to listen.

    Raises
    ------
    OmniBindError
        No keys where other machines can call, or the models cannot be loaded.
    """
    keys = keys_of_environment()
    check_host(host, keys)
    done = threading.Event()
    found: list[Explorer] = []
    failed: list[Exception] = []

    def explorer() -> Explorer:
        done.wait()
        if failed:
            raise failed[0]
        return found[0]

    server = uvicorn.Server(
        uvicorn.Config(api(explorer, lambda: bool(found), keys), host, port, log_level="warning", server_header=False)
    )

    def loading() -> None:
        try:
            found.append(load())
            log.info("ready: http://%s:%d/v1/docs", host, port)
        except Exception as error:
            failed.append(error)
            server.should_exit = True
        finally:
            done.set()

    threading.Thread(target=loading, name="loading", daemon=True).start()
    server.run()
    if failed and isinstance(failed[0], OmniBindError):
        raise failed[0]
