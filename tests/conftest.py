"""Real media for all tests: those that gradio's wheel brings, used where they lie."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

# Two threads that wait for one another make small networks many times slower where other programs run too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder with images/, audio/ and models3d/ of the installed gradio."""
    spec = find_spec("gradio")
    if spec is None or spec.origin is None:
        pytest.skip("gradio is not installed")
    return Path(spec.origin).parent / "media_assets"


@pytest.fixture(scope="session")
def mini():
    """Load the offline preset once for all tests."""
    from omnibind_core.binder import OmniBind
    from omnibind_core.machine.runtime import tune_threads

    tune_threads()
    return OmniBind.from_pretrained("mini", dtype="float32")
