"""Binding at the first start: for the preset `lite`, with towers that stand in for those of the Hub."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from omnibind_core.binding import first_start
from omnibind_core.binding.bridge import Recipe
from omnibind_core.binding.files import expected_names, fingerprint, load_files
from omnibind_core.binding.first_start import bind_spaces, made, some_media, target_of, with_made_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.errors import PresetError, WeightsError
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists import load
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.paths import assets_directory

LITE = load_preset("lite")
CPU = torch.device("cpu")
GALLERY = assets_directory() / "gallery"
QUICK = Recipe(heads=3, hidden=32, steps=3, batch=16)
SENTENCES = [f"sentence {i}" for i in range(200)]


class Tower:
    """Gives made-up unit rows that depend on what it is given; dies after `lasts` calls."""

    def __init__(self, name: str, lasts: int = 10_000) -> None:
        self.spec = find(name)[0]
        self.lasts, self.seen = lasts, 0

    def embed(self, modality, items):
        self.lasts -= 1
        if self.lasts < 0:
            raise KeyboardInterrupt
        self.seen += len(items)
        rows = []
        for item in items:
            said = item.text.encode() if modality == "text" else type(item).__name__.encode()
            seed = int.from_bytes(hashlib.sha256(self.spec.name.encode() + said).digest()[:4], "little")
            rows.append(np.random.default_rng(seed).standard_normal(self.spec.widths[modality]))
        return torch.nn.functional.normalize(torch.tensor(np.array(rows), dtype=torch.float32), dim=1)


def towers(lasts: int = 10_000) -> dict[str, Tower]:
    return {name: Tower(name, lasts) for name in LITE.specialists()}


@pytest.fixture(scope="module")
def items():
    """One item of each kind: decoding is not what is tested here."""
    chosen = some_media(GALLERY)
    return [next(item for item in chosen if item.modality == m) for m in ("image", "audio", "point")]


def bind(standing, items, folder, told=None):
    progress = (lambda label, share: told.append(share)) if told is not None else (lambda label, share: None)
    return bind_spaces(LITE, standing, SENTENCES, items, GALLERY, folder, progress, QUICK)


def test_what_is_made_is_what_the_preset_names(items, tmp_path):
    told: list[float] = []
    tensors = bind(towers(), items, tmp_path, told)
    names = {name for name in expected_names(LITE, "bridge") if "num_batches" not in name}
    assert set(tensors) == names
    assert told == sorted(told)
    assert told[-1] == 1.0
    heads = Projectors(LITE, {"bridge": tensors})
    said = [type("T", (), {"text": s}) for s in SENTENCES]
    rows, heard = (towers()[name].embed("text", said) for name in ("siglip2_b32_256", "clap_unfused"))
    centred = rows - rows.mean(0)
    out = heads("text", {"sight": rows, "sound": heard})
    assert (out["sight"] - torch.nn.functional.normalize(centred, dim=1)).abs().max() < 1e-5
    assert out["sound"].shape == (200, 768)
    assert heads("audio", {"sound": heard})["sound"].isfinite().all()


def test_a_killed_one_goes_on_where_it_was_and_ends_the_same(items, tmp_path):
    whole = bind(towers(), items, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        bind(towers(lasts=5), items, tmp_path / "killed")  # 160 of 200 sentences: one shard of 128 is finished
    again = towers()
    found = bind(again, items, tmp_path / "killed")
    assert again["siglip2_b32_256"].seen == 200 - 128 + 1  # and one picture
    assert all(torch.equal(found[name], whole[name]) for name in whole)


@pytest.fixture
def stand_ins(monkeypatch, tmp_path, items):
    """Let the towers of the Hub be built as stand-ins, and the list of sentences and media be short."""
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    built: list[tuple[str, str, torch.dtype]] = []

    def build(spec, _files, _shared, device, dtype):
        built.append((spec.name, device.type, dtype))
        return Tower(spec.name)

    monkeypatch.setattr(load, "find", lambda name: (find(name)[0], build))
    monkeypatch.setattr(load, "local_files", lambda *_args, **_options: {})
    monkeypatch.setattr("omnibind_core.binder.fetch", lambda *_args, **_options: None)
    monkeypatch.setattr(first_start, "shared_sentences", lambda _gallery: SENTENCES)
    monkeypatch.setattr(first_start, "some_media", lambda _gallery: items)
    monkeypatch.setattr(first_start, "Recipe", lambda **_: QUICK)
    return built


def test_it_is_made_once_and_kept(stand_ins, tmp_path):
    path = made(LITE, CPU, torch.float32)
    assert path.parent == tmp_path / "bound"
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing is left lying about
    first = path.read_bytes()
    assert sorted(name for name, *_ in stand_ins) == sorted(required(LITE.specialists()))
    stand_ins.clear()
    assert made(LITE, CPU, torch.float32) == path
    assert path.read_bytes() == first
    assert not stand_ins
    assert set(load_files(with_made_files(LITE, CPU, torch.float32))) == {"bridge"}
    with pytest.raises(WeightsError, match="which this machine makes"):
        load_files(LITE)


def test_vectors_of_other_heads_are_not_taken_for_its_own(stand_ins, monkeypatch):
    one, same = (fingerprint(with_made_files(LITE, CPU, torch.float32)) for _ in range(2))
    monkeypatch.setattr(first_start, "Recipe", lambda **_: replace(QUICK, steps=4))
    assert one == same != fingerprint(with_made_files(LITE, CPU, torch.float32))
    mini = load_preset("mini")
    assert with_made_files(mini, CPU, torch.float32) is mini


def test_other_sentences_make_another_one(stand_ins, monkeypatch):
    path = made(LITE, CPU, torch.float32)
    monkeypatch.setattr(first_start, "shared_sentences", lambda _gallery: SENTENCES[:150])
    assert made(LITE, CPU, torch.float32) != path


def test_another_device_type_or_recipe_makes_another_one(stand_ins, monkeypatch):
    meta = torch.device("meta")  # stands for another kind of device than this machine may have
    paths = [made(LITE, CPU, torch.float32), made(LITE, CPU, torch.bfloat16), made(LITE, meta, torch.float32)]
    monkeypatch.setattr(first_start, "Recipe", lambda **_: replace(QUICK, steps=4))
    paths.append(made(LITE, CPU, torch.float32))
    assert len(set(paths)) == 4
    assert {(device, dtype) for _, device, dtype in stand_ins} == {
        ("cpu", torch.float32),
        ("cpu", torch.bfloat16),
        ("meta", torch.float32),
    }


def test_every_field_of_the_recipe_is_stated():
    for field in fields(Recipe):
        changed = replace(Recipe(), **{field.name: getattr(Recipe(), field.name) + 1})
        assert changed.identity != Recipe().identity, field.name


@pytest.mark.parametrize("modalities", [None, ["text"]])
def test_what_is_asked_for_decides_where_and_each_tower_is_loaded_once(stand_ins, monkeypatch, modalities):
    from omnibind_core import binder
    from omnibind_core.machine import runtime

    def another_card(name="auto"):
        return torch.device("meta" if name == "auto" else name)

    for module in (binder, runtime):  # a machine with a card, which nobody asked for
        monkeypatch.setattr(module, "choose_device", another_card)
    model = binder.OmniBind.from_pretrained("lite", device="cpu", dtype="float32", modalities=modalities)
    assert sorted(stand_ins) == sorted((name, "cpu", torch.float32) for name in required(LITE.specialists()))
    assert len(model._towers) == (6 if modalities is None else 3)


def test_the_library_loads_lite_and_puts_sentences_pictures_and_sounds_into_one_space(stand_ins):
    from omnibind_core import binder

    told: list[tuple[str, float]] = []
    model = binder.OmniBind.from_pretrained(
        "lite", device="cpu", dtype="float32", progress=lambda label, share: told.append((label, share))
    )
    assert any(label == first_start.LABEL for label, _ in told)  # the application's page shows it
    bound = model.embed_texts(["a dog barks", "a piano"], explain=True)
    assert bound.vectors.shape == (2, 768)
    assert bound.weights_by_name() == {"sight": 0.5, "sound": 0.25, "points": 0.25}
    sound = model.embed_audio([(48_000, np.sin(np.arange(48_000, dtype=np.float32) / 20))])
    picture = model.embed_images([np.arange(192, dtype=np.uint8).reshape(8, 8, 3)])
    for rows in (bound.vectors, sound, picture):
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def test_a_preset_says_what_is_the_target():
    assert target_of(LITE) == "sight"
    with pytest.raises(PresetError, match="0 spaces of linear heads"):
        target_of(replace(LITE, spaces={"sound": LITE.spaces["sound"]}))


def test_another_space_that_has_sentences_is_bound_by_naming_it(items, tmp_path):
    raw = json.loads(LITE.text)
    heads = {m: {"kind": "mlp", "file": "bridge", "prefix": f"points.{m}.{{}}.", "count": 3} for m in ("text", "point")}
    heads = json.loads(json.dumps(heads).replace("points.", "views."))
    raw["spaces"]["views"] = {"towers": {"text": "minilm_l6", "point": "point_words"}, "heads": heads}
    raw["modalities"]["point"]["members"].append("views")
    (tmp_path / "more.json").write_text(json.dumps(raw))
    more = load_preset(tmp_path / "more.json")
    standing = {name: Tower(name) for name in more.specialists()} | {"minilm_l6": Tower("minilm_l6")}
    tensors = bind_spaces(more, standing, SENTENCES, items, GALLERY, tmp_path, lambda *_: None, QUICK)
    assert set(tensors) == {name for name in expected_names(more, "bridge") if "num_batches" not in name}
    assert any(name.startswith("views.point.2.") for name in tensors)


@pytest.mark.parametrize(
    ("load", "cores", "threads"), [(0.2, 2, 2), (1.1, 2, 2), (2.1, 2, 1), (16.0, 2, 1), (3.0, 16, 14)]
)
def test_it_takes_the_cores_that_others_leave_free(monkeypatch, load, cores, threads):
    monkeypatch.setattr(first_start.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(first_start.os, "getloadavg", lambda: (load, load, load))
    assert first_start._free_cores() == threads


def test_progress_is_as_even_as_the_work(items, tmp_path):
    told: list[float] = []
    bind(towers(), items, tmp_path, told)
    costs = {name: first_start._cost(name, "text") for name in ("siglip2_b32_256", "clap_unfused", "minilm_l6")}
    assert costs["siglip2_b32_256"] > 4 * costs["clap_unfused"] > 8 * costs["minilm_l6"]
    media = [("siglip2_b32_256", "image"), ("shape_views_siglip2", "point"), ("clap_unfused", "audio")]
    media += [("point_words", "point")]
    whole = 200 * sum(costs.values()) + sum(first_start._cost(*one) for one in media)
    first = next(share for share in told if share > 0)  # the first batch of 32 sentences
    assert first == pytest.approx((1 - first_start._TRAINING) * 32 * costs["siglip2_b32_256"] / whole, rel=1e-6)


def test_media_are_of_different_concepts_and_few():
    chosen = some_media(GALLERY)
    assert {item.modality for item in chosen} == {"image", "audio", "point"}
    assert len({(item.modality, item.concept) for item in chosen}) == len(chosen) <= 76
    assert all((GALLERY / item.file).is_file() for item in chosen)


def test_how_it_is_made_decides_the_fingerprint(tmp_path):
    raw = json.loads(LITE.text)
    raw["files"]["bridge"]["version"] += 1
    path = tmp_path / "lite.json"
    path.write_text(json.dumps(raw))
    assert fingerprint(load_preset(path)) != fingerprint(LITE)
