"""The preset `open`: small towers of its own classes, loaded from files, bound at the first start and asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from omnibind_core.binder import OmniBind
from omnibind_core.binding import first_start
from omnibind_core.binding.bridge import Recipe
from omnibind_core.binding.files import expected_names, load_files
from omnibind_core.binding.first_start import is_made, some_media, target_of
from omnibind_core.errors import PresetError
from omnibind_core.machine import doctor
from omnibind_core.machine.plans import choose_plan, needs
from omnibind_core.machine.preflight import is_commercial, licences
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists import load
from omnibind_core.specialists.open_clip_towers import OpenClipTower, network
from omnibind_core.specialists.registry import find
from omnibind_core.store.paths import assets_directory
from tests.small_towers import MAKERS
from tests.specialists import test_open_clip_towers
from tests.specialists.published import filled

OPEN = load_preset("open")
CPU = torch.device("cpu")
GB = 10**9
GALLERY = assets_directory() / "gallery"
SENTENCES = [f"sentence {i} about a dog" for i in range(40)]


def eva(folder):
    """Make EVA02-E small, but as wide at its end as Uni3D is."""
    config = test_open_clip_towers.small("eva02_e14_plus") | {"embed_dim": 1024}
    keys = {name: (tuple(t.shape), "float32") for name, t in network(config).state_dict().items()}
    save_file(filled(keys), folder / "eva.safetensors")
    return OpenClipTower(find("eva02_e14_plus")[0], {"model": folder / "eva.safetensors"}, CPU, torch.float32, config)


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    def folder():
        return tmp_path_factory.mktemp("open")

    made = {name: MAKERS[name](folder()) for name in ("siglip2_so400m_384", "clap_general", "clap_music")}
    made["eva02_e14_plus"] = eva(folder())
    made |= {name: MAKERS["uni3d_g"](folder()) for name in OPEN.specialists() if name.startswith("uni3d")}
    return made


@pytest.fixture(scope="module")
def items():
    chosen = some_media(GALLERY)
    return [[i for i in chosen if i.modality == m][k] for m in ("image", "audio", "point") for k in (0, 1)]


@pytest.fixture
def built(towers, items, monkeypatch, tmp_path):
    """Let small towers be built in place of the published, and count which."""
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    names: list[str] = []

    def build(spec, _files, _shared, _device, _dtype):
        names.append(spec.name)
        return towers[spec.name]

    monkeypatch.setattr(load, "find", lambda name: (find(name)[0], build))
    monkeypatch.setattr(load, "local_files", lambda *_args, **_options: {})
    monkeypatch.setattr("omnibind_core.binder.fetch", lambda *_args, **_options: None)
    monkeypatch.setattr(first_start, "shared_sentences", lambda _gallery: SENTENCES)
    monkeypatch.setattr(first_start, "some_media", lambda _gallery: items)
    monkeypatch.setattr(first_start, "Recipe", lambda **_: Recipe(heads=3, hidden=32, steps=3, batch=16))
    return names


def test_it_binds_at_the_first_start_and_answers_for_all_modalities(built):
    assert not is_made(OPEN, CPU, torch.float32)
    model = OmniBind.from_pretrained("open", device="cpu", dtype="float32", plan="resident")
    assert sorted(built) == sorted(OPEN.specialists())  # each once
    assert is_made(OPEN, CPU, torch.float32)
    text = model.embed_texts(["a dog barks", "deux chiens"], explain=True)
    assert text.weights_by_name() == pytest.approx({"sight": 0.3, "languages": 0.3, "sound": 0.2, "music": 0.2})
    sound = model.embed_audio([(48_000, np.sin(np.arange(48_000, dtype=np.float32) / 20))], explain=True)
    picture = model.embed_images([np.arange(192, dtype=np.uint8).reshape(8, 8, 3)], explain=True)
    shape = model.embed_points([np.random.default_rng(0).random((500, 3), dtype=np.float32)], explain=True)
    assert [one.members for one in (sound, picture, shape)] == [
        ("sound", "music"), ("sight", "languages"), ("sight", "models", "scans"),
    ]  # fmt: skip
    for bound in (text, sound, picture, shape):
        assert bound.vectors.shape[1] == 1024
        assert np.allclose(np.linalg.norm(bound.vectors, axis=1), 1, atol=1e-4)


def test_what_was_trained_into_one_space_is_only_centred(built, towers, items):
    model = OmniBind.from_pretrained("open", device="cpu", dtype="float32", plan="resident")
    tensors = load_files(model.preset)["bridge"]
    assert set(tensors) == {name for name in expected_names(OPEN, "bridge") if "num_batches" not in name}
    for name in ("sight.text.", "sight.image.", "sight.point.", "models.point.", "scans.point."):
        assert torch.equal(tensors[f"{name}W"], torch.eye(1024))
        assert tensors[f"{name}b"].abs().max() > 0
    shapes = [first_start.media.load(GALLERY / item.file, "point") for item in items if item.modality == "point"]
    mean = towers["uni3d_g_modelnet40"].embed("point", shapes).mean(0)
    assert (tensors["models.point.b"] + mean).abs().max() < 1e-5


def test_one_modality_is_bound_with_all_towers_and_then_loaded_alone(built):
    OmniBind.from_pretrained("open", device="cpu", dtype="float32", plan="resident", modalities=["audio"])
    assert sorted(built) == sorted(OPEN.specialists())
    built.clear()
    OmniBind.from_pretrained("open", device="cpu", dtype="float32", plan="resident", modalities=["audio"])
    assert sorted(built) == ["clap_general", "clap_music"]


def test_the_plan_counts_what_binding_loads(built, monkeypatch):
    monkeypatch.setattr("omnibind_core.machine.plans.free_in_machine", lambda: 8 * GB)
    with pytest.raises(PresetError, match="preset 'open' on this machine"):
        OmniBind.from_pretrained("open", device="cpu", dtype="bfloat16", modalities=["audio"])


def test_every_tower_may_be_used_commercially():
    assert all(is_commercial(licence) for licence in [OPEN.licence, *licences(OPEN)])
    found = doctor.examine("open")
    assert found["commercial"]
    assert found["made_here"] == ["bridge"]
    assert "not for commercial use" not in "\n".join(doctor.describe(found))


@pytest.mark.parametrize(
    ("card", "machine", "plan"), [(39, 32, "resident"), (15.5, 24, "int8"), (8, 32, "streamed"), (None, 8, None)]
)
def test_each_machine_gets_a_plan_for_it(card, machine, plan):
    card = card and int(card * GB)
    assert choose_plan(needs(OPEN, card=card), card, machine * GB)[0] == plan


def test_another_text_tower_beside_the_target_is_refused(tmp_path):
    raw = json.loads(OPEN.text)
    raw["spaces"]["models"]["towers"]["text"] = "siglip2_so400m_384"
    raw["spaces"]["models"]["heads"]["text"] = {"kind": "linear", "file": "bridge", "prefix": "models.text."}
    (tmp_path / "two.json").write_text(json.dumps(raw))
    with pytest.raises(PresetError, match="2 spaces of linear heads that read sentences"):
        target_of(load_preset(tmp_path / "two.json"))
    assert target_of(OPEN) == "sight"
