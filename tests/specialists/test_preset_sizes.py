"""The published presets' sizes are the sums of their specialists' records, of their projectors and of their routers."""

import pytest

from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.types import MODALITIES


@pytest.mark.parametrize(
    ("name", "stated", "billions"), [("base", 7, 7.556), ("large", 12, 12.454), ("full", 30, 30.780)]
)
def test_size_is_the_stated_one(name: str, stated: int, billions: float):
    preset = load_preset(name)
    towers = [tower for modality in MODALITIES for tower in preset.towers_of(modality)]
    found = sum(all_specs()[tower].parameters for tower in required(list(dict.fromkeys(towers)))) / 1e9
    assert int(found) == stated
    assert found == pytest.approx(billions, abs=0.02)


@pytest.mark.parametrize("name", ["base", "large", "full"])
def test_spaces_are_as_wide_as_their_towers(name: str):
    for space in load_preset(name).spaces.values():
        for modality, tower in space.towers.items():
            assert all_specs()[tower].widths[modality] == space.width
