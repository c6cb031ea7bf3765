"""Starts the HTTP interface: models load behind it, so that ``/readyz`` tells how far it is."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from omnibind_core.errors import QueryError
from omnibind_core.search.explorer import Explorer
from omnibind_core.serve.connections import Bounded
from omnibind_core.serve.gate import check_host, keys_of_environment
from omnibind_core.serve.http import api

__all__ = ["serve"]

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""From the signal to the end: what computes longer is not waited for."""


class _Server(uvicorn.Server):
    """Ends in time: threads that still compute would keep the process, and their answers reach nobody any more."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        overdue = threading.Timer(STOP_SECONDS, os._exit, [0])
        overdue.daemon = True
        overdue.start()


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
        No keys where other machines can call, an address or port that cannot be had, or the models cannot be loaded.
    Exception
        Whatever else `load` raises.
    """
    keys = keys_of_environment()
    check_host(host, keys)
    _check_port(host, port)
    done = threading.Event()
    found: list[Explorer] = []
    failed: list[Exception] = []

    def explorer() -> Explorer:
        done.wait()
        if failed:
            raise failed[0]
        return found[0]

    server = _Server(
        uvicorn.Config(
            api(explorer, lambda: bool(found), keys), host, port, http=Bounded, log_level="warning", server_header=False
        )
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
    if failed:
        raise failed[0]


def _check_port(host: str, port: int) -> None:
    if not 1 <= port <= 65_535:
        raise QueryError(f"port {port}", "a whole number from 1 to 65535", "choose another one with --port")
    name = host.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((name, port))
        except OSError as error:
            raise QueryError(
                f"{host} with port {port} ({error.strerror or error})", "an address of this machine and a free port",
                "choose others with --host and --port",
            ) from error  # fmt: skip
