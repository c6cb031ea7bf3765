"""Contract that every specialist keeps, walked over the registry: a new one is tested without writing a test for it."""

import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import torch

from omnibind_core.errors import QueryError
from omnibind_core.specialists import load
from omnibind_core.specialists.base import Tower
from omnibind_core.specialists.load import tower
from omnibind_core.specialists.registry import all_specs, find, required
from omnibind_core.store.weights import CommittedFile, HubFile, WheelMember
from omnibind_core.types import MODALITIES

SPECS = all_specs()
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SPECS)
def test_record_is_complete(name):
    spec = SPECS[name]
    assert spec.name == name == name.lower()
    assert spec.title
    assert spec.licence
    assert spec.paper
    assert spec.source
    assert spec.widths
    assert set(spec.widths) <= set(MODALITIES)
    assert all(width > 0 for width in spec.widths.values())
    assert spec.parameters > 0 or spec.shares
    assert spec.weights or spec.shares
    assert callable(find(name)[1])


@pytest.mark.parametrize("name", SPECS)
def test_weights_are_pinned(name):
    for role, source in SPECS[name].weights.items():
        assert role
        if isinstance(source, WheelMember):
            assert len(source.sha256) == 64
            assert source.size > 0
            assert source.version
        elif isinstance(source, CommittedFile):
            assert source.local().is_file()
        else:
            assert isinstance(source, HubFile)
            assert "/" in source.repo
            assert source.revision
            assert source.filename.rsplit(".", 1)[-1] in {"safetensors", "pt", "pth", "bin", "json", "model", "txt"}


@pytest.mark.parametrize("name", SPECS)
def test_what_it_shares_comes_before_it(name):
    order = required([name])
    assert order[-1] == name
    assert set(SPECS[name].shares) <= set(order)


@pytest.mark.parametrize("name", SPECS)
def test_there_is_one_way_in_and_it_looks_at_what_is_asked(name):
    spec, build = find(name)
    made = get_type_hints(build)["return"]
    assert issubclass(made, Tower)
    assert made.embed is Tower.embed
    bare = object.__new__(made)  # no weights: what is wrong is said before anything is computed
    bare.spec = spec
    for modality in ("smell", *(m for m in MODALITIES if m not in spec.widths)):
        with pytest.raises(QueryError) as raised:
            bare.embed(modality, ["something"])
        assert f"modality '{modality}' for {spec.title}" in raised.value.given
        assert all(f"'{known}'" in raised.value.allowed for known in spec.widths)
    for modality in spec.widths:
        with pytest.raises(QueryError, match="no items"):
            bare.embed(modality, [])


@pytest.mark.parametrize("name", SPECS)
def test_it_borrows_only_what_it_shares(name):
    spec = SPECS[name]
    assert set(spec.borrows) <= set(spec.widths)
    for modality, times in spec.borrows.values():
        assert modality in SPECS[spec.shares[0]].widths
        assert times > 0


class Built:
    def __init__(self, spec, shared, device, dtype):
        self.spec, self.shared, self.where = spec, shared, (device.type, dtype)


@pytest.fixture
def built(monkeypatch):
    """Let everything be built without weights, and count it."""
    made = []

    def build(spec, files, shared, device, dtype):
        made.append(spec.name)
        return Built(spec, shared, device, dtype)

    monkeypatch.setattr(load, "find", lambda name: (find(name)[0], build))
    monkeypatch.setattr(load, "local_files", lambda *_args, **_options: {})
    load._tower.cache_clear()
    yield made
    load._tower.cache_clear()


def test_each_is_loaded_once_with_what_it_shares(built):
    told = []
    loaded = load.load(["shape_views", "efficientnet_lite2", "minilm_l6"], progress=lambda *what: told.append(what))
    assert list(loaded) == built == ["efficientnet_lite2", "shape_views", "minilm_l6"]
    assert loaded["shape_views"].shared == {"efficientnet_lite2": loaded["efficientnet_lite2"]}
    assert [label for label, _ in told] == [SPECS[name].title for name in built]
    again = load.load(["shape_views", "aisfx"], torch.device("meta"), torch.bfloat16, have=loaded)
    assert list(again) == ["efficientnet_lite2", "shape_views", "aisfx"]
    assert again["shape_views"] is loaded["shape_views"]
    assert built[3:] == ["aisfx"]
    assert again["aisfx"].where == ("meta", torch.bfloat16)


def test_a_place_builds_in_its_own_way(built):
    placed = load.load(["aisfx"], place=lambda build, spec, files, shared: (spec.name, dict(files), dict(shared)))
    assert placed == {"aisfx": ("aisfx", {}, {})}
    assert not built


def test_one_tower_is_kept_and_serves_those_that_share_it(built):
    assert tower("shape_views") is tower("shape_views")
    assert tower("shape_views").shared["efficientnet_lite2"] is tower("efficientnet_lite2")
    assert built == ["efficientnet_lite2", "shape_views"]
    assert tower("aisfx", torch.bfloat16) is not tower("aisfx")


def test_weights_become_towers_in_one_place():
    programs = [path for folder in ("omnibind_core", "tools", "demo") for path in (ROOT / folder).rglob("*.py")]
    users = {path.relative_to(ROOT).as_posix() for path in programs if "local_files(" in path.read_text("utf-8")}
    assert users == {
        "omnibind_core/specialists/load.py",
        "omnibind_core/store/weights.py",  # which defines it
        "omnibind_core/binding/files.py",  # heads and routers
        "omnibind_core/machine/fetching.py",  # which only fetches
        "tools/rehearsal/__main__.py",  # which compares bytes
    }


def test_looking_up_specialists_imports_no_heavy_library():
    code = (
        "import sys; from omnibind_core.specialists.registry import all_specs; all_specs();"
        "heavy = {'timm', 'open_clip', 'transformers', 'laion_clap', 'librosa', 'gradio', 'trimesh'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
