"""The real model and gallery, loaded once; files put where uploads go."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from demo.service import Service
from demo.settings import Settings
from demo.shell.examples import Examples
from omnibind_core.store.catalogue import Item
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Modality

GALLERY = assets_directory() / "gallery"
EXAMPLES = Examples.read(GALLERY.parent)
Put = Callable[..., dict[str, str]]


def example(modality: Modality) -> Item:
    """The first of what the page offers to try."""
    return EXAMPLES.of(modality)[0]


def free_port() -> int:
    """A port that nothing listens on; gradio's own search leaves sockets open where ports are taken."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings of gradio about its own dependencies are not ours to mend."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:.*no_silent_downcasting"))


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that gradio takes for the uploads, for this run alone."""
    folder = tmp_path_factory.mktemp("uploads")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture
def upload(uploads: Path) -> Callable[[Path], dict[str, str]]:
    """Put a file among the uploads and describe it as gradio does."""

    def put(path: Path, name: str = "") -> dict[str, str]:
        target = uploads / (name or path.name)
        shutil.copy(path, target)
        return {"path": str(target), "orig_name": target.name}

    return put


@pytest.fixture(scope="session")
def service(uploads: Path) -> Service:
    """The service of the offline preset, ready."""
    made = Service(Settings.read(["--device", "cpu"]))
    made.start()
    made.wait()
    end = time.monotonic() + 60
    while made.status().phase == "loading" and time.monotonic() < end:  # its first tries come after it can answer
        time.sleep(0.05)
    return made
