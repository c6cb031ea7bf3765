"""One application over the real preset and gallery; one server of it that clients call."""

import socket
import threading
import time

import pytest
import uvicorn

from omnibind_core.search.explorer import Explorer
from omnibind_core.serve.http import api


@pytest.fixture(scope="session")
def explorer(mini):
    made = Explorer(mini)
    assert len(made.gallery) > 0
    return made


@pytest.fixture(scope="session")
def address(explorer):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(api(lambda: explorer, lambda: True), "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(5)
