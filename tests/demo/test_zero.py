"""Cards that are lent by the call, with a stand-in of the library that lends them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from demo.service import Service
from demo.settings import Settings
from demo.zero import SECONDS, is_lent, on_card


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run on a lent card, by name."""
    ran: list[str] = []

    def gpu(function: Callable[..., Any], duration: int) -> Callable[..., Any]:
        assert duration == SECONDS

        def run(*args: Any, **kwargs: Any) -> Any:
            ran.append(function.__name__)
            return function(*args, **kwargs)

        return run

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    return ran


def test_elsewhere_functions_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert not is_lent()
    assert on_card(len) is len


def test_what_visitors_bring_is_read_on_a_lent_card(lent: list[str], service: Service) -> None:
    made = Service(Settings(device="cpu"))
    made._explorer, made._done = service.wait(), service._done
    made._status = service._status
    assert made.embed("a dog barks", "text").label == "a dog barks"
    made.item(service.wait().gallery.items[0].id)
    assert lent == ["_read", "_read_item"]


def test_no_card_is_asked_for_before_somebody_comes(lent: list[str], service: Service) -> None:
    made = Service(Settings(device="cpu"))
    made._warm(service.wait())
    assert lent == []
