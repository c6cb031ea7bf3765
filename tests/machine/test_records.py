"""A new specialist is one file and a new preset one JSON: no table about machines has to know them."""

import json
import shutil

import pytest
import torch

from omnibind_core import specialists
from omnibind_core.errors import PresetError
from omnibind_core.machine import auto, cost, plans, preflight, table
from omnibind_core.presets import preset as presets
from omnibind_core.presets.preset import load_preset, preset_names, ranked
from omnibind_core.specialists import registry
from omnibind_core.specialists.registry import all_specs, find
from omnibind_core.store.weights import HubFile

MODULE = """
from omnibind_core.specialists.base import SpecialistSpec
from omnibind_core.store.weights import HubFile

SPECS = (
    SpecialistSpec(
        name="newcomer",
        title="Newcomer",
        widths={"image": 1280},
        weights={"model": HubFile("owner/newcomer", "model.safetensors", "0" * 40)},
        licence="MIT",
        paper="Nobody",
        source="nowhere",
        parameters=1_000_000,
        bytes_per_parameter=2.0,
    ),
)


def build(spec, files, shared, device, dtype):
    raise NotImplementedError
"""
COUNTED = """

def runs(name):
    import torch

    from omnibind_core.specialists._meta import empty
    from omnibind_core.specialists.base import Runs

    with torch.device("meta"):
        net = torch.nn.Linear(1000, 1000, bias=False)
    return Runs(net, {"image": lambda _: net(empty(1, 1000))})
"""


def forget():
    registry._table.cache_clear()
    cost._published.cache_clear()
    plans._numbers.cache_clear()


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    """Add a specialist's file beside the others, in a folder of its own, and a preset that looks with it."""

    def add(program, **about):
        folder = tmp_path / "more"
        folder.mkdir()
        name = f"newcomer_{tmp_path.name.replace('-', '_')}"
        (folder / f"{name}.py").write_text(program)
        monkeypatch.setattr(specialists, "__path__", [*specialists.__path__, str(folder)])
        shutil.copytree(presets._FOLDER, tmp_path / "presets", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        raw = json.loads(load_preset("mini").text) | {"name": "new", "rank": 9} | about
        for space in raw["spaces"].values():
            space["towers"] = {m: "newcomer" if m == "image" else tower for m, tower in space["towers"].items()}
        (tmp_path / "presets" / "new.json").write_text(json.dumps(raw))
        monkeypatch.setattr(presets, "_FOLDER", tmp_path / "presets")
        forget()
        return load_preset("new")

    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    yield add
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize("published", [False, True])
def test_a_record_and_a_build_are_enough(newcomer, monkeypatch, published):
    preset = newcomer(MODULE, published=published)
    assert "newcomer" in all_specs()
    assert not cost.is_counted("newcomer")
    with pytest.raises(PresetError, match="write a function `runs`"):
        cost.work("newcomer", "image")
    assert table._row(preset).endswith("| not counted: see the measured times |")
    row = next(row for row in preflight.file_rows(preset) if row.owner == "Newcomer")
    assert (row.bytes, row.about) == (None, 2_000_000)
    assert cost.is_published("newcomer") == published
    assert [one.plan for one in plans.needs(preset)] == ["resident", "int8", "streamed"]
    assert plans.light_needs(preset) > 8 * find("newcomer")[0].parameters
    assert plans.Placement("auto", preset, ["image"], torch.device("cpu"), torch.float32).plan == "resident"


def test_one_that_says_what_it_runs_is_counted(newcomer):
    preset = newcomer(MODULE + COUNTED)
    assert cost.parameters("newcomer") == 1_000_000
    assert cost.work("newcomer", "image") == cost.Work(2_000_000, 1_000_000)
    assert "not counted" not in table._row(preset)


def test_the_automatic_choice_takes_the_highest_rank_that_fits(newcomer, caplog):
    newcomer(MODULE)
    assert ranked()[0].name == "new"
    assert auto.best_preset("cpu", offline=False, reachable=lambda: True) == "new"
    assert auto.best_preset("cpu", offline=True) == "mini"
    assert "not new: owner/newcomer/model.safetensors is not here" in caplog.text


def test_a_preset_without_a_rank_is_never_chosen_by_itself(newcomer):
    newcomer(MODULE, rank=None)
    assert "new" not in [preset.name for preset in ranked()]


def test_every_preset_that_ships_has_a_rank_of_its_own_and_the_last_needs_no_hub():
    assert sorted(preset.name for preset in ranked()) == preset_names()
    assert len({preset.rank for preset in ranked()}) == len(preset_names())
    last = ranked()[-1]
    assert not any(isinstance(w, HubFile) for name in last.specialists() for w in all_specs()[name].weights.values())


@pytest.mark.parametrize("name", preset_names())
def test_every_file_has_a_size_or_an_estimate(name):
    assert all(row.about > 0 for row in preflight.file_rows(load_preset(name)))
