"""An engine beside torch: the same vectors from every tower that it takes, chosen once, and never a failure."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
import torch
from torch import nn

from omnibind_core.errors import PresetError
from omnibind_core.machine import engine
from omnibind_core.machine.engine import Engine, difference
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists import registry
from omnibind_core.specialists.base import PortableTower, SpecialistSpec
from omnibind_core.specialists.load import load
from omnibind_core.store.kept import write_tensors
from omnibind_core.store.weights import WheelMember
from omnibind_core.types import Audio, Image, PointCloud, Text

pytest.importorskip("openvino")

CPU = torch.device("cpu")
DRAW = np.random.default_rng(0)
ITEMS = {
    "image": [Image(DRAW.integers(0, 256, size, dtype=np.uint8)) for size in ((300, 300, 3), (200, 350, 3))],
    "audio": [Audio(DRAW.standard_normal(count).astype(np.float32) * 0.1, 44_100) for count in (9_000, 150_000)],
    "point": [
        PointCloud(DRAW.standard_normal((count, 3)).astype(np.float32), DRAW.random((count, 3)).astype(np.float32))
        for count in (40, 2_000)
    ],
    "text": [Text("a dog barks"), Text("the postman runs away from a small dog, and its owner laughs")],
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty place for what engines keep; the weights stay where they are."""
    monkeypatch.setattr(engine, "cache_directory", lambda: tmp_path)
    return tmp_path / "engine"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A place that several towers share, so that what they share is converted once."""
    return tmp_path_factory.mktemp("cache")


class Small(PortableTower):
    """A tower of one layer."""

    spec = SpecialistSpec("small", "Small", {"text": 4}, {}, "MIT", "none", "made up", 20)

    def __init__(self, network=None):
        self.network = network or nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.own = self.network

    def examples(self):
        return [(torch.ones(1, 4),), (torch.linspace(0, 1, 8).view(2, 4),)]

    def _embed(self, modality, items):
        return self.network(torch.ones(len(items), 4))


@pytest.mark.parametrize("name", load_preset("mini").specialists())
def test_vectors_are_those_of_torch(name, kept, monkeypatch):
    """Every tower of mini, whichever an engine takes: what it gives is within 1e-4, and again the same to the bit."""
    monkeypatch.setattr(engine, "cache_directory", lambda: kept)
    engines, number = Engine("openvino", CPU), torch.float32
    towers = load([name], place=lambda build, *what: engines.take(build(*what, CPU, number), number))
    plain = load([name])
    for modality in registry.find(name)[0].widths:
        expected = plain[name].embed(modality, ITEMS[modality])
        found = towers[name].embed(modality, ITEMS[modality])
        assert (found - expected).abs().max() < 1e-4
        towers[name].embed(modality, ITEMS[modality][:1])
        assert torch.equal(towers[name].embed(modality, ITEMS[modality]), found)


def test_a_machine_is_measured_once(cache, monkeypatch):
    times = iter([{"torch": 2.0, "openvino": 1.0}])
    monkeypatch.setattr(engine, "_measured", lambda *_: next(times))
    first, second = Small(), Small()
    second.own.load_state_dict(first.own.state_dict())
    told = []
    for tower in (first, second):
        Engine("auto", CPU, told.append).take(tower, torch.float32)
        assert tower.network is not tower.own
        assert torch.allclose(tower.embed("text", ["a"]), tower.own(torch.ones(1, 4)), atol=1e-5)
    assert told == ["Small, for this machine, once"]
    (kept,) = cache.glob("*.json")
    assert json.loads(kept.read_bytes())["seconds"] == {"torch": 2.0, "openvino": 1.0}


def test_torch_stays_where_towers_compute_in_half_precision(cache):
    tower = Small()
    assert Engine("openvino", CPU).take(tower, torch.bfloat16).network is tower.own
    assert not cache.exists()


def test_torch_stays_where_it_is_as_fast_and_nothing_is_converted_again(cache, monkeypatch):
    monkeypatch.setattr(engine, "_measured", lambda *_: {"torch": 1.0, "openvino": 1.0})
    told = []
    for _ in range(2):
        tower = Engine("auto", CPU, told.append).take(Small(), torch.float32)
        assert tower.network is tower.own
    assert len(told) == 1


class Other(Small):
    """A tower of the same name with weights from another file."""

    def __init__(self, sha256):
        super().__init__()
        source = WheelMember("made", "1.0", "up.bin", sha256, 20)
        self.spec = replace(Small.spec, weights={"model": source})


def test_other_weights_under_the_same_name_are_converted_anew(cache):
    for sha256 in ("0" * 64, "1" * 64):
        tower = Engine("openvino", CPU).take(Other(sha256), torch.float32)
        (example,) = tower.examples()[1]
        with torch.inference_mode():
            assert difference(tower.own(example), tower.network(example)) < 1e-5


class Unbuilt(Small):
    """A tower whose network must not be built."""

    def __init__(self):
        pass

    @cached_property
    def network(self):
        raise AssertionError("torch's network was built")


def test_a_later_start_does_not_build_torchs_network(cache, monkeypatch):
    monkeypatch.setattr(engine, "_measured", lambda *_: {"torch": 2.0, "openvino": 1.0})
    first = Engine("auto", CPU).take(Small(), torch.float32)
    later = Engine("auto", CPU).take(Unbuilt(), torch.float32)
    assert torch.equal(later.embed("text", ["a"]), first.embed("text", ["a"]))


def test_what_was_converted_and_answers_otherwise_is_converted_anew(cache):
    own = Engine("openvino", CPU).take(Small(), torch.float32)
    (answer,) = cache.glob("*.safetensors")
    write_tensors(answer, {"0": torch.full((1, 4), 5.0)}, {})
    told = []
    tower = Engine("openvino", CPU, told.append).take(Small(own.own), torch.float32)
    assert told == ["Small, for this machine, once"]
    assert torch.allclose(tower.embed("text", ["a"]), own.own(torch.ones(1, 4)), atol=1e-5)


class Refused(nn.Module):
    """What the converter has no rule for."""

    def forward(self, x):
        return torch.linalg.eigvals(x[:, :, None] * x[:, None]).real.contiguous()


class Constant(nn.Module):
    """A network that the tracer misreads: a size becomes a constant."""

    def forward(self, x):
        return x * int(x.shape[0])


@pytest.mark.parametrize("network", [Refused(), Constant(), lambda x: x])
def test_what_cannot_be_converted_stays_with_torch(network, cache, caplog):
    tower = Small(network)
    with caplog.at_level(logging.WARNING):
        Engine("openvino", CPU).take(tower, torch.float32)
    assert tower.network is network
    assert "Small stays with torch" in caplog.text


def test_damaged_files_and_a_cache_that_cannot_be_written(cache, tmp_path, monkeypatch, caplog):
    own = Small()
    Engine("openvino", CPU).take(own, torch.float32)
    for path in cache.iterdir():
        path.write_bytes(b"nonsense")
    tower = Engine("openvino", CPU).take(Small(own.own), torch.float32)
    assert torch.allclose(tower.embed("text", ["a"]), own.own(torch.ones(1, 4)), atol=1e-5)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(engine, "cache_directory", lambda: tmp_path / "file")
    tower = Engine("auto", CPU).take(Small(), torch.float32)
    assert torch.allclose(tower.embed("text", ["a"]), tower.own(torch.ones(1, 4)), atol=1e-5)


def test_torch_is_all_there_is_on_a_card_where_it_is_absent_and_where_it_is_asked_for(monkeypatch):
    tower = Small()
    assert Engine("torch", CPU).take(tower, torch.float32).network is tower.own
    assert Engine("auto", torch.device("cuda")).take(tower, torch.float32).network is tower.own
    monkeypatch.setattr(engine, "_version", lambda: "")
    assert Engine("auto", CPU).take(tower, torch.float32).network is tower.own


@pytest.mark.parametrize(
    ("name", "device", "says"), [("onnx", "cpu", "auto, torch, openvino"), ("openvino", "cuda", "on cuda")]
)
def test_what_cannot_be_asked_for(name, device, says):
    with pytest.raises(PresetError, match=says):
        Engine(name, torch.device(device))


def test_absent_and_insisted_on(monkeypatch):
    monkeypatch.setattr(engine, "_version", lambda: "")
    with pytest.raises(PresetError, match="not installed"):
        Engine("openvino", CPU)


def test_nobody_is_told_that_the_engine_is_used():
    """OpenVINO tells its makers of each import through a package of its own, which stays unread."""
    code = (
        "import sys; from omnibind_core.machine.openvino import _library; _library();"
        "import openvino.tools.ovc as tool; print(type(tool.telemetry).__module__, sys.modules['openvino_telemetry'])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["openvino.tools.ovc.telemetry_stub", "None"]
