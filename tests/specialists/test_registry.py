"""Contract that every specialist keeps, walked over the registry: a new one is tested without writing a test for it."""

import subprocess
import sys

import pytest

from omnibind_core.specialists.registry import all_specs, find, required
from omnibind_core.store.weights import CommittedFile, HubFile, WheelMember
from omnibind_core.types import MODALITIES

SPECS = all_specs()


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


def test_looking_up_specialists_imports_no_heavy_library():
    code = (
        "import sys; from omnibind_core.specialists.registry import all_specs; all_specs();"
        "heavy = {'timm', 'open_clip', 'transformers', 'laion_clap', 'librosa', 'gradio', 'trimesh'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
