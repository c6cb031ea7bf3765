"""Fingerprints: what decides vectors counts, and nothing else does."""

from dataclasses import field, make_dataclass, replace

import pytest

from omnibind_core.binding import files
from omnibind_core.binding.files import fingerprint, load_files
from omnibind_core.errors import WeightsError
from omnibind_core.presets.preset import MadeHere, load_preset
from omnibind_core.specialists.registry import all_specs, required
from omnibind_core.store.weights import CommittedFile, HubFile, WheelMember

SOURCES = [
    HubFile("owner/name", "a.pt", "0" * 40, "ab" * 32, 7),
    WheelMember("package", "1.0", "package/a.npz", "cd" * 32, 7),
    CommittedFile("mini/points.safetensors"),
    MadeHere("first_start", 1),
]


def grown(source):
    """The same record, of a kind that has come to say one thing more."""
    kind = make_dataclass(
        type(source).__name__, [("mirror", str, field(default=""))], bases=(type(source),), frozen=True
    )
    return kind(**vars(source))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_a_new_field_of_a_record_is_no_new_identity(source):
    assert repr(grown(source)) != repr(source)
    assert grown(source).identity == source.identity


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_every_stated_field_counts(source):
    for name, value in vars(source).items():
        other = replace(source, **{name: value + 1 if isinstance(value, int) else f"{value}x"})
        assert other.identity != source.identity, name


def test_a_new_field_somewhere_else_does_not_touch_a_fingerprint(monkeypatch):
    before = {name: fingerprint(load_preset(name)) for name in ("mini", "base")}
    specs = {
        name: replace(spec, weights={role: grown(source) for role, source in spec.weights.items()})
        for name, spec in all_specs().items()
    }
    monkeypatch.setattr(files, "all_specs", lambda: specs)
    assert {name: fingerprint(load_preset(name)) for name in before} == before


def test_other_weights_of_a_tower_are_another_fingerprint(monkeypatch):
    preset = load_preset("mini")
    before = fingerprint(preset)
    name = required(preset.specialists())[0]
    spec = all_specs()[name]
    role, source = next((role, one) for role, one in spec.weights.items() if isinstance(one, WheelMember))
    changed = replace(spec, weights={**spec.weights, role: replace(source, sha256="0" * 64)})
    monkeypatch.setattr(files, "all_specs", lambda: {**all_specs(), name: changed})
    assert fingerprint(preset) != before


def test_a_file_that_is_made_here_needs_somebody_who_makes_it():
    with pytest.raises(WeightsError, match="which this machine makes"):
        load_files(load_preset("lite"))
