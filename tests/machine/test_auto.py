"""The preset that a machine gets by itself, for machines that are not here."""

import pytest
import torch

from omnibind_core.machine import auto, plans
from omnibind_core.machine.auto import best_preset
from omnibind_core.machine.preflight import is_commercial, licences
from omnibind_core.presets.preset import ranked

GB = 10**9


@pytest.fixture
def machine(monkeypatch):
    """Make up a card, memory, a disk, and what is cached."""

    def make(card, memory, disk, cached=False):
        rows = auto.file_rows
        monkeypatch.setattr(auto, "choose_device", lambda _name: torch.device("cpu"))
        monkeypatch.setattr(plans, "choose_dtype", lambda _name, _device: torch.bfloat16)
        monkeypatch.setattr(auto, "free_on_card", lambda _device: card and card * GB)
        monkeypatch.setattr(auto, "free_in_machine", lambda: memory * GB)
        monkeypatch.setattr(auto, "free_on_disk", lambda: disk * GB)
        monkeypatch.setattr(auto, "file_rows", lambda preset: [] if cached else rows(preset))

    return make


@pytest.mark.parametrize(
    ("card", "memory", "disk", "online", "expected", "reason"),
    [
        (79, 64, 500, True, "full", "plan resident"),
        (23, 64, 500, True, "full", "plan streamed"),
        (23, 30, 500, True, "large", "not full: resident needs"),
        (23, 64, 100, True, "large", "not full: its files need 119.2 GB of disk (100.0 free)"),
        (15, 24, 30, True, "base", "plan int8"),  # which 22.9 GB of files leave room on
        (15, 24, 500, True, "large", "plan streamed"),
        (8, 16, 500, True, "base", "plan streamed"),
        (23, 64, 500, False, "mini", "the Hub cannot be reached"),
        (4, 8, 500, True, "lite", "not base: resident needs"),
        (None, 64, 500, True, "lite", "want a CUDA card"),
        (None, 64, 500, True, "lite", "2.1 GB to fetch"),
        (None, 64, 500, False, "mini", "open_clip_model.safetensors is not here and the Hub cannot be reached"),
        (None, 2, 500, True, "mini", "not lite: 5.4 GB of memory (2.0 free)"),
        (None, 64, 0.5, True, "mini", "its files need 2.1 GB of disk"),
    ],
)
def test_the_best_preset_that_runs_is_taken_and_the_log_says_why(
    machine, caplog, card, memory, disk, online, expected, reason
):
    machine(card, memory, disk)
    assert best_preset(offline=False, reachable=lambda: online) == expected
    assert reason in caplog.text
    assert f"preset {expected}" in caplog.text


def test_cached_files_need_no_network(machine):
    machine(23, 64, 500, cached=True)
    assert best_preset(offline=True) == "full"
    machine(None, 64, 500, cached=True)
    assert best_preset(offline=True) == "lite"


def test_the_hub_is_asked_once(machine):
    asked = []
    machine(23, 64, 500)
    assert best_preset(offline=False, reachable=lambda: bool(asked.append(1))) == "mini"
    assert len(asked) == 1


def test_offline_never_asks(machine):
    def forbidden():
        raise AssertionError

    machine(23, 64, 500)
    assert best_preset(offline=True, reachable=forbidden) == "mini"


def test_a_hub_that_is_not_there(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert not auto.hub_answers()
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert not auto.hub_answers()


def test_from_pretrained_auto_is_mini_without_a_network(monkeypatch, caplog):
    from omnibind_core.binder import OmniBind

    monkeypatch.setattr(auto, "is_offline", lambda: True)
    monkeypatch.setattr(auto, "free_on_card", lambda _device: None)
    model = OmniBind.from_pretrained("auto", device="cpu", modalities=["text"], dtype="float32")
    assert model.preset.name == "mini"
    assert "want a CUDA card" in caplog.text


def test_without_a_card_whatever_is_chosen_is_free_for_commercial_use():
    light = [preset for preset in ranked() if not preset.card]
    assert {preset.name for preset in light} == {"lite", "mini"}
    assert all(is_commercial(licence) for preset in light for licence in licences(preset))
