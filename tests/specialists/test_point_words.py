"""The point encoder with its head: the same as the preset's own way, near the words for what it shows."""

from __future__ import annotations

import pytest
import torch

from omnibind_core import media
from omnibind_core.binding.projectors import Projectors
from omnibind_core.errors import OmniBindError
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import Text

SHAPES = ["dog-1", "electric-guitar-1", "truck-1"]


@pytest.fixture(scope="module")
def clouds():
    return [media.load(assets_directory() / "gallery" / "shapes" / f"{name}.glb", "point") for name in SHAPES]


def test_it_is_the_presets_head_after_the_encoder(clouds):
    preset = load_preset("mini")
    files = {name: read_tensors(source.local()) for name, source in preset.files.items() if name != "routers"}
    rows = tower("point_encoder").embed("point", clouds)
    first, end = preset.spaces["names"].heads["point"].columns
    expected = unit(Projectors(preset, files)("point", {"names": rows})["names"][:, first:end])
    assert torch.allclose(tower("point_words").embed("point", clouds), expected, atol=1e-4)


def test_shapes_lie_near_their_names(clouds):
    names = tower("minilm_l6").embed("text", [Text(n) for n in ("dog", "electric guitar", "truck", "teapot", "tree")])
    found = tower("point_words").embed("point", clouds) @ names.T
    assert found.argmax(1).tolist() == [0, 1, 2]


def test_other_modalities_are_refused(clouds):
    with pytest.raises(OmniBindError, match="point"):
        tower("point_words").embed("text", [Text("a dog")])
