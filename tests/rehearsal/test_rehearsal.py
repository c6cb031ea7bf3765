"""The rehearsal in its reduced form: stand-ins of every published preset, fetched across a kill, read, compared."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnibind_core.errors import WeightsError
from omnibind_core.presets.preset import load_preset, preset_names
from omnibind_core.specialists._training_file import read_training_file
from omnibind_core.specialists.open_clip_towers import SIGLIP_2, siglip_tokenizer
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.entries import Entry, entries_of_file
from omnibind_core.store.weights import HubFile, local_files
from omnibind_core.types import MODALITIES
from tools.rehearsal.__main__ import Step, started, table
from tools.rehearsal.hub import Hub
from tools.rehearsal.page import EACH, small_gallery
from tools.rehearsal.standins import (
    FORMS,
    keys_of_heads,
    pinned_to,
    pins,
    read_keys,
    shrunk,
    stand_ins,
    write_safetensors,
    write_torch,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["base", pytest.param("full", marks=pytest.mark.slow)])
def test_fetched_across_a_kill_read_and_compared(tmp_path, name):
    preset = load_preset(name)
    files = stand_ins(preset, tmp_path / "published", small=True)
    total = sum(path.stat().st_size for path in files.values())
    with Hub(files, rate=2 * total) as hub, started(preset, tmp_path, hub, True) as run:
        killed = run("killed", ["fetch", name], kill=total // 3)
        assert killed.code == -signal.SIGKILL
        on = run("goes on", ["fetch", name])
        assert on.code == 0, on.output
        # Whoever is killed loses what was on its way to it, at most what two sockets hold.
        assert sum(sent.count for sent in hub.sent) < total * (2 if name == "full" else 1) + 3_000_000
        again = run("nothing to fetch", ["fetch", name])
        assert (again.code, again.fetched) == (0, 0), again.output
        read = run("read", ["read", name])
        assert read.code == 0, read.output
    assert ("lacks ib_projs.*" in on.output) == (name == "full")
    assert not list((tmp_path / "cache" / "hub").rglob("*.part"))
    assert read.peak > 0
    assert read.processor > 0


def test_stand_ins_have_the_published_names_shapes_and_types(tmp_path):
    keys = read_keys("wavcaps")
    small = shrunk(keys)
    assert list(small) == list(keys)
    assert max(side for shape, _ in small.values() for side in shape) == 8
    write_torch(tmp_path / "a.pt", small, "model", states=2)
    write_torch(tmp_path / "b.pt", small)
    write_safetensors(tmp_path / "a.safetensors", {name: one for name, one in small.items() if one[1] != "int64"})
    state = read_training_file(tmp_path / "a.pt", "model")
    assert {name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in state.items()} == small
    assert entries_of_file(tmp_path / "b.pt") == {name: Entry(*one) for name, one in small.items()}
    for name, tensor in load_file(tmp_path / "a.safetensors").items():
        assert torch.equal(tensor, state[name])
    numbers = torch.cat([tensor.flatten().float() for tensor in state.values()])
    assert numbers.isfinite().all()
    assert numbers.count_nonzero() > 0.5 * len(numbers)


def test_a_large_stand_in_takes_little_of_the_disk(tmp_path):
    write_torch(tmp_path / "a.pt", {"w": ((8000, 8000), "float32")})
    write_safetensors(tmp_path / "a.safetensors", {"w": ((8000, 8000), "bfloat16")})
    for name, size in (("a.pt", 256e6), ("a.safetensors", 128e6)):
        found = (tmp_path / name).stat()
        assert found.st_size == pytest.approx(size, rel=0.01)
        assert found.st_blocks * 512 < 2e6


def test_sizes_are_the_published_ones():
    def count(keys):
        sizes = [torch.Size(shape).numel() * getattr(torch, dtype).itemsize for shape, dtype in keys.values()]
        return sum(sizes)

    published = {"base": 897e6, "large": 1.88e9, "full": 1.73e9}
    for name, size in published.items():
        assert count(keys_of_heads(load_preset(name), "checkpoint")) == pytest.approx(size, rel=0.005)
    assert count(read_keys("eva02_e14_plus")) / 2 == pytest.approx(10.1e9, rel=0.01)
    assert count(read_keys("uni3d_g")) / 2 == pytest.approx(2_034_909_361, rel=0.001)


def test_records_name_the_stand_ins_for_as_long_as_it_lasts(tmp_path):
    preset = load_preset("base")
    files = stand_ins(preset, tmp_path, small=True)
    source = find("uni3d_g_lvis")[0].weights["model"]
    known = pins(preset, files)
    assert list(known) == [source.label]
    with pinned_to(known):
        pinned = find("uni3d_g_lvis")[0].weights["model"]
        assert pinned.size == files[source.label].stat().st_size
        assert pinned.sha256 != source.sha256
    assert find("uni3d_g_lvis")[0].weights["model"] == source


def test_without_that_a_stand_in_is_refused(hub_of, tmp_path):
    source = find("uni3d_g_lvis")[0].weights["model"]
    assert isinstance(source, HubFile)
    hub = hub_of({source.label: bytes(100_000)})
    with pytest.raises(WeightsError, match="sha256"):
        local_files({"model": source})
    assert hub.sent == []


def test_the_table_says_what_failed():
    steps = [Step("one", 0, 1.0, 0.5, 10**9, 2 * 10**9, ""), Step("two", 2, 1.0, 0.5, 10**9, 0, ""),
             Step("three", -9, 1.0, 0.5, 10**9, 0, "")]  # fmt: skip
    assert table(steps)[2:] == [
        "| one | 1.0 | 0.5 | 1.00 | 2.000 |",
        "| two: FAILED (2) | 1.0 | 0.5 | 1.00 | 0.000 |",
        "| three | 1.0 | 0.5 | 1.00 | 0.000 |",
    ]


def test_tokenizers_have_the_published_number_of_pieces(tmp_path):
    from tokenizers import Tokenizer

    files = stand_ins(load_preset("full"), tmp_path, small=True)
    sizes = {
        label: Tokenizer.from_file(str(path)).get_vocab_size() for label, path in files.items() if "token" in label
    }
    assert sizes["google-bert/bert-base-uncased/tokenizer.json"] == 30_522
    assert sizes["FacebookAI/roberta-base/tokenizer.json"] == 50_265


@pytest.mark.parametrize("name", preset_names())
def test_every_file_that_a_preset_takes_from_the_hub_has_a_stand_in(name):
    preset = load_preset(name)
    for specialist in required(preset.specialists()):
        sources = find(specialist)[0].weights
        hub = [role for role, source in sources.items() if isinstance(source, HubFile) and role != "tokenizer"]
        assert not hub or specialist in FORMS, f"{specialist} has no form: rehearsals would leave {hub} out"


def test_tokenizers_of_siglip_are_read_as_the_published_are(tmp_path):
    files = stand_ins(load_preset("lite"), tmp_path, small=True)
    label = find("siglip2_b32_256")[0].weights["tokenizer"].label
    pieces = siglip_tokenizer(files[label], 256_000, SIGLIP_2)(["a dog", ""])
    assert pieces.shape == (2, 64)
    assert pieces[1].tolist() == [1] + [0] * 63


@pytest.mark.slow
def test_the_page_of_a_rehearsal_answers(tmp_path):
    folder = small_gallery(tmp_path / "gallery")
    items = read_catalogue(folder)
    assert [sum(item.modality == m for item in items) for m in MODALITIES] == [EACH] * 4
    code = (
        "import sys, pathlib as p; from tools.rehearsal.page import visit; sys.exit(visit('mini', p.Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split("s  ")[1].startswith("mini answers: image/")
