"""Presets: every one reads, agrees with itself, and names specialists that exist."""

import json

import pytest

from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import PresetError
from omnibind_core.presets.preset import Asset, load_preset, preset_names
from omnibind_core.specialists.registry import all_specs, find, required
from omnibind_core.types import MODALITIES


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_serves_all_four_modalities_with_specialists_that_exist(name):
    preset = load_preset(name)
    assert preset.name == name
    assert set(preset.members) == set(MODALITIES)
    for modality in MODALITIES:
        for space in preset.spaces_of(modality):
            spec, _ = find(preset.tower(modality, space))
            assert modality in spec.widths, f"{spec.name} does not embed {modality}"
            width = preset.spaces[space].width
            assert width in {0, spec.widths[modality]}, (
                f"{space} says {width}, {spec.name} gives {spec.widths[modality]}"
            )
    assert preset.licence
    assert preset.title


@pytest.mark.parametrize("name", preset_names())
def test_each_tower_is_listed_once_however_many_spaces_share_it(name):
    preset = load_preset(name)
    for modality in MODALITIES:
        towers = preset.towers_of(modality)
        assert len(towers) == len(set(towers))


def test_mini_needs_no_hub():
    preset = load_preset("mini")
    assert all(isinstance(source, Asset) and source.local().is_file() for source in preset.files.values())
    specs = all_specs()
    sources = [source for name in required(preset.specialists()) for source in specs[name].weights.values()]
    assert {type(source).__name__ for source in sources} == {"WheelMember", "CommittedFile"}  # nothing from a hub


def test_fingerprints_differ_and_stay():
    names = preset_names()
    prints = [fingerprint(load_preset(name)) for name in names]
    assert len(set(prints)) == len(names)
    assert prints == [fingerprint(load_preset(name)) for name in names]


def test_unknown_preset_names_the_known_ones():
    with pytest.raises(PresetError, match="mini"):
        load_preset("gigantic")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(dtype="int4"), "int4"),
        (lambda raw: raw["modalities"]["text"]["members"].append("NOWHERE"), "NOWHERE"),
        (lambda raw: raw["modalities"]["audio"]["router"].update(kind="flat", weights=[0.5]), "flat weights"),
        (lambda raw: raw["modalities"]["point"]["router"].update(inputs=[]), "no inputs"),
        (lambda raw: raw["files"].clear(), "not listed"),
        (lambda raw: raw.pop("width"), "width"),
        (lambda raw: raw["modalities"]["point"]["router"].update(colour="red"), "colour"),
    ],
)
def test_contradictions_are_named(tmp_path, change, message):
    raw = json.loads(load_preset("base").text)
    change(raw)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(PresetError, match=message):
        load_preset(path)


def test_a_specialist_that_does_not_exist():
    with pytest.raises(PresetError, match="specialist 'nobody'"):
        find("nobody")


@pytest.mark.parametrize("columns", [[0, 2000], [5, 5], [-1, 3], [3]])
def test_columns_that_do_not_fit_are_named(tmp_path, columns):
    raw = json.loads(load_preset("mini").text)
    raw["spaces"]["looks"]["heads"]["text"]["columns"] = columns
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(PresetError, match="columns"):
        load_preset(path)


def test_routers_that_are_only_a_choice_do_not_change_the_fingerprint(tmp_path):
    mini = load_preset("mini")
    raw = json.loads(mini.text)
    for body in raw["modalities"].values():
        del body["trained"]
    del raw["files"]["routers"]
    path = tmp_path / "mini.json"
    path.write_text(json.dumps(raw))
    plain = load_preset(path)
    assert fingerprint(plain) == fingerprint(mini)
    with pytest.raises(PresetError, match="trained routers"):
        plain.with_trained_routers()
    assert {spec.kind for spec in mini.with_trained_routers().routers.values()} == {"mlp"}
