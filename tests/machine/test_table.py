"""The table of presets, as a command prints it and the README shows it; what `lite` needs and costs."""

from pathlib import Path

import pytest

from omnibind_core.cli import main
from omnibind_core.machine import cost, doctor
from omnibind_core.presets.preset import load_preset, preset_names
from omnibind_core.specialists.registry import all_specs

README = Path(__file__).parents[2] / "README.md"
GB = 10**9


def test_the_readme_shows_what_the_command_prints(capsys):
    assert main(["doctor", "--table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(preset_names())
    assert "\n".join(lines) in README.read_text(encoding="utf-8")


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def test_doctor_says_what_lite_needs_before_anything_is_fetched(empty_cache, monkeypatch):
    monkeypatch.setattr(doctor, "free_in_machine", lambda: 8 * GB)
    found = doctor.examine("lite")
    text = "\n".join(doctor.describe(found))
    assert not found["ready"]
    assert found["commercial"]
    assert found["made_here"] == ["bridge"]
    assert "laion/clap-htsat-unfused/pytorch_model.bin:   0.615 GB, to be fetched" in text
    assert "2.2 GB to fetch (2 sizes estimated)" in text
    assert "memory     5.4 GB, 8.0 GB free; no card needed" in text
    assert "verdict    this machine can run it" in text
    assert "bound on this machine at the first start" in text
    assert "not for commercial use" not in text
    assert "doctor --preset lite --fetch" in text
    monkeypatch.setattr(doctor, "free_in_machine", lambda: 2 * GB)
    assert "verdict    this machine cannot run it" in "\n".join(doctor.describe(doctor.examine("lite")))


def test_doctor_says_no_more_about_mini_than_before(empty_cache):
    text = "\n".join(doctor.describe(doctor.examine("mini")))
    assert "file  " not in text
    assert "make setup --fetch" in text


def test_lites_towers_are_counted_at_their_stated_sizes():
    for name in ("siglip2_b32_256", "clap_unfused"):
        assert cost.parameters(name) == all_specs()[name].parameters
    lite = load_preset("lite")
    assert sum(all_specs()[name].parameters for name in lite.specialists()) == 553_245_468
    assert not any(cost.is_published(name) for name in lite.specialists())


def test_a_sentence_of_siglip_is_counted_with_its_padding():
    # 12 layers: four 768 x 768 products and two 768 x 3072 at 64 places, and attention among them all.
    places, width = 64, 768
    layer = 2 * places * (4 * width * width + 2 * width * 4 * width) + 4 * places * places * width
    assert cost.work("siglip2_b32_256", "text").operations == 12 * layer + 2 * width * width


def test_a_shape_costs_its_views():
    lite = load_preset("lite")
    seen, drawn = (cost.ours(lite, modality) for modality in ("image", "point"))
    points = cost.work("point_words", "point")
    heads = 3 * 2048 * (384 + 768)  # of the space of points
    assert drawn.operations == 4 * seen.operations + points.operations + 2 * heads
    assert drawn.weights == seen.weights + points.weights + heads


def test_what_ships_in_wheels_is_counted_too():
    sentence = cost.ours(load_preset("mini"), "text")
    layer = 4 * 384 * 384 + 2 * 384 * 1536  # weights of one of MiniLM's six
    attention = 2 * 2 * cost.PIECES**2 * 384
    assert sentence.operations == 6 * (2 * cost.PIECES * layer + attention)
