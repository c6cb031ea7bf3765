"""A stand-in Hub, an empty cache, and little patience."""

import pytest

from omnibind_core.store import hub as fetching
from omnibind_core.store import hub_errors
from tools.rehearsal.hub import Hub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("OMNIBIND_CACHE", str(folder))
    for name in ("OMNIBIND_OFFLINE", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def hasty(monkeypatch):
    """Give up soon."""
    monkeypatch.setattr(fetching, "PATIENCE", 0.4)
    monkeypatch.setattr(hub_errors, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def hub_of(cache, hasty, monkeypatch, tmp_path):
    """Serve files: {owner/name/path: content}."""
    running = []

    def serve(contents, **options):
        paths = {}
        for name, content in contents.items():
            path = tmp_path / "published" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths[name] = path
        hub = Hub(paths, **options).__enter__()
        running.append(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        return hub

    yield serve
    for hub in running:
        hub.__exit__(None, None, None)
