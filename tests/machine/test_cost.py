"""What the published presets cost, counted on the meta device: without weights, and the same on every machine."""

from pathlib import Path

import pytest

from omnibind_core.machine import cost
from omnibind_core.presets.preset import load_preset, ranked
from omnibind_core.specialists.registry import all_specs, required
from tools.bench import presets

ROOT = Path(__file__).parents[2]
PRESETS = [preset.name for preset in ranked() if preset.published]
TOWERS = [(name, modality) for name, spec in all_specs().items() for modality in spec.widths]


@pytest.mark.parametrize(("name", "low", "high"), [("base", 7e9, 8e9), ("large", 12e9, 13e9), ("full", 30e9, 31e9)])
def test_presets_have_the_stated_sizes(name, low, high):
    counted = {tower: cost.parameters(tower) for tower in required(load_preset(name).specialists())}
    assert counted == {tower: all_specs()[tower].parameters for tower in counted}
    assert low < sum(counted.values()) < high


@pytest.mark.parametrize(("name", "modality"), TOWERS)
def test_every_specialist_says_what_an_input_runs(name, modality):
    assert cost.is_counted(name)
    assert cost.work(name, modality).operations > 0


@pytest.mark.parametrize("name", [name for name, spec in all_specs().items() if not spec.borrows])
def test_every_network_has_the_stated_size(name):
    # Batch norms that are folded into their convolutions are stated, and not in the network.
    assert cost.parameters(name) == pytest.approx(all_specs()[name].parameters, rel=1e-3)


def share(name, modality):
    preset = load_preset(name)
    return cost.ours(preset, modality).operations / cost.published(preset, modality).operations


def test_a_sentence_costs_less_than_a_quarter_and_a_picture_less_than_two_fifths_of_published():
    assert max(share(name, "text") for name in PRESETS) < 0.25
    assert share("large", "image") < 0.40  # base has one EVA02-E run to save, full EVA-CLIP-18B to pay


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_costs_more_than_published(name):
    preset = load_preset(name)
    for modality, (theirs, ours) in cost.table(preset).items():
        assert 0 < ours.operations <= theirs.operations, modality
        assert 0 < ours.weights <= theirs.weights, modality


def test_the_count_is_the_one_by_hand():
    # EVA-CLIP-18B's picture tower: 257 places, 48 layers of four 5120 x 5120 and two 5120 x 25600 products, attention.
    places, width, inner = 257, 5120, 25_600
    layer = 2 * places * (4 * width * width + 2 * width * inner) + 4 * places * places * width
    patches, out = 2 * 256 * 3 * 14 * 14 * width, 2 * width * 1536
    assert cost.work("eva_clip_18b", "image").operations == 48 * layer + patches + out
    # and it reads every weight of that tower: the layers', and little else.
    weights = 48 * (4 * width * width + 2 * width * inner)
    assert weights < cost.work("eva_clip_18b", "image").weights < 1.001 * weights


def test_published_runs_eva02_once_for_each_uni3d_member_too():
    preset = load_preset("base")
    again = cost.published(preset, "image").operations - cost.ours(preset, "image").operations
    assert again == cost.work("eva02_e14_plus", "image").operations


def test_the_page_is_what_the_tool_prints():
    assert presets.page() == (ROOT / "docs" / "presets.md").read_text()
