"""A card whose memory does not suffice: fewer inputs at a time, then a tower off the card, then a sentence."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from omnibind_core.binder import OmniBind
from omnibind_core.errors import ExhaustedError
from omnibind_core.machine.exhaustion import in_parts, streamed
from omnibind_core.machine.memory import _example
from tests.small_towers import CPU, eva_clip


class Fills:
    """A tower with a network that takes only so many inputs at a time while it is whole on the card."""

    def __init__(self, most, name="uni3d_g_lvis"):
        self.spec = SimpleNamespace(title="Fills", name=name, shares=())
        self.most = most
        self.asked = []
        self.network = nn.Linear(2, 2)

    def embed(self, modality, items):
        self.asked.append(len(items))
        if len(items) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.tensor([[float(item)] for item in items])


def binder(tower):
    made = OmniBind.__new__(OmniBind)
    made._towers, made.device = {"one": tower}, CPU
    return made


def test_fewer_at_a_time_give_the_same_in_the_same_order(caplog):
    tower = Fills(2)
    assert in_parts(tower, "image", [1, 2, 3, 4, 5])[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert tower.asked == [5, 3, 2, 1, 2]
    assert "out of memory with 5 inputs" in caplog.text


def test_a_tower_goes_off_the_card_once_and_stays_there(monkeypatch, caplog):
    tower, off = Fills(0), Fills(9)
    monkeypatch.setattr("omnibind_core.binder.streamed", lambda one, _device: off if one is tower else None)
    model = binder(tower)
    assert model._run("one", "image", [1, 2]).tolist() == [[1], [2]]
    assert model._towers["one"] is off
    assert "taken off the card" in caplog.text
    assert model._run("one", "image", [3]).tolist() == [[3]]


@pytest.mark.parametrize("name", ["uni3d_g_lvis", "minilm_l6"])
def test_what_does_not_fit_at_all_is_a_sentence(monkeypatch, name):
    monkeypatch.setattr("omnibind_core.binder.streamed", lambda one, _device: one)
    tower = Fills(0, name)
    with pytest.raises(ExhaustedError, match=r"one input \(image\) for Fills.*--plan streamed"):
        binder(tower)._run("one", "image", [1])


def test_a_network_that_others_use_stays_where_it_is(monkeypatch):
    def never(*_):
        raise AssertionError("it would be taken from the others")

    monkeypatch.setattr("omnibind_core.binder.streamed", never)
    model = binder(Fills(0))
    other = Fills(9)
    other.spec.shares = ("one",)
    model._towers["two"] = other
    with pytest.raises(ExhaustedError):
        model._run("one", "image", [1])


def test_off_the_card_vectors_stay_the_same(tmp_path):
    tower = eva_clip(tmp_path, wide=(512, 64), heads=(4, 4))
    before = tower.embed("image", [_example("image")])
    after = streamed(tower, CPU).embed("image", [_example("image")])
    assert torch.equal(before, after)
