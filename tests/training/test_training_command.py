"""One command from pools to a preset: MiniLM reads real captions, mini's own gallery vectors stand for the media."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.binder import OmniBind
from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import PresetError
from omnibind_core.presets.preset import Asset, load_preset
from omnibind_core.store.shards import open_shards
from omnibind_core.store.weights import read_tensors
from omnibind_core.training import extraction, pipeline
from omnibind_core.training.__main__ import main
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.plan import read_plan
from omnibind_core.training.pseudo_pairs import read_pairs
from omnibind_core.training.train_projectors import MIXTURES
from omnibind_core.training.write_preset import PROJECTORS, SpacePlan, write_preset
from tests.training.small_plan import PLAN, lay_out

POINT = '{point = "shape_views", image = "eff'
POINTS = """[pools.point]
files = ["point/*.glb"]
vectors = {shape_views = "ready/point"}

[pools.text]"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pools")
    lay_out(folder)
    return folder


def test_one_command_makes_a_preset_that_binds(folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert main([str(folder / "small.toml"), "--device", "cpu"]) == 0
    out = folder / "trained"
    preset = load_preset(out / "small.json")
    assert preset.width == 384
    assert {m: [one.name for one in members] for m, members in preset.members.items()} == {
        "image": ["eyes"], "audio": ["ears"], "text": ["eyes", "ears"],
    }  # fmt: skip
    texts = open_shards(out / "work" / "pools" / "minilm_l6" / "text")
    assert {"dog", "a photo of a dog"} <= set(texts.keys)
    model = OmniBind.from_pretrained(out / "small.json", device="cpu", dtype="float32", modalities=["text"])
    bound = model.embed_texts(["a photo of a dog", "the sound of a dog", "dog"], explain=True)
    assert bound.vectors.shape == (3, 384)
    eyes = bound.weights[:, bound.members.index("eyes")]
    assert eyes[0] > 0.8
    assert eyes[1] < 0.2
    assert 0.2 < eyes[2] < 0.8
    pairs = read_pairs(out / "pairs.safetensors")
    assert (pairs.items["audio"][pairs.of(["image"])] >= 0).all()
    card = (out / "MODEL_CARD.md").read_text()
    for words in ("# Small & tested", "| image | 60 | see the gallery's catalogue |", "Apache-2.0", "ears, AT", "skew"):
        assert words in card
    assert "Small" not in (out / "curves.svg").read_text()
    assert (out / "curves.svg").read_text().count("<polyline") == 2 * 2 + 1

    moved = folder / "elsewhere"
    shutil.copytree(out, moved, ignore=shutil.ignore_patterns("work"))
    hidden = (out / "projectors.safetensors").rename(out / "hidden")
    assert fingerprint(load_preset(moved / "small.json"))
    other = OmniBind.from_pretrained(moved / "small.json", device="cpu", dtype="float32", modalities=["text"])
    assert (other.embed_texts(["a photo of a dog", "the sound of a dog", "dog"]) == bound.vectors).all()
    hidden.rename(out / "projectors.safetensors")

    before = read_tensors(out / "projectors.safetensors")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("done already")

    monkeypatch.setattr(pipeline, "pseudo_pairs", forbidden)
    monkeypatch.setattr(extraction, "load", forbidden)  # no tower is loaded
    assert main([str(folder / "small.toml"), "--device", "cpu"]) == 0
    again = read_tensors(out / "projectors.safetensors")
    assert all((value == again[name]).all() for name, value in before.items())


def test_a_preset_names_no_file_outside_its_folder(tmp_path: Path):
    spaces = {"eyes": SpacePlan("Eyes", {"image": "efficientnet_lite2"})}
    path = tmp_path / "small.json"
    write_preset(path, title="", licence="", note="", width=8, spaces=spaces, heads=1, router_inputs={})
    files = load_preset(path).files
    assert [source.local() for source in files.values() if isinstance(source, Asset)] == [tmp_path / PROJECTORS]
    path.write_text(path.read_text().replace(PROJECTORS, f"../{PROJECTORS}"))
    with pytest.raises(PresetError, match="not the name of a file beside"):
        load_preset(path)


def test_a_plan_with_points_can_use_every_mixture(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipeline, "_IN_MEMORY", 10)  # as with millions of rows
    plan = PLAN.replace('"trained"', '"wide"').replace('["all", "AT"]', json.dumps(list(MIXTURES)))
    plan = plan.replace("steps = 20", "steps = 2").replace("hidden = 64", "hidden = 16").replace('{image = "eff', POINT)
    plan = plan.replace("[pools.text]", POINTS)
    plan = plan.replace("[pairs.routes]", '[pairs.routes]\n"point>text" = ["eyes:text"]')
    (folder / "wide.toml").write_text(plan[: plan.index("[routers]")])
    assert main([str(folder / "wide.toml"), "--device", "cpu"]) == 0
    preset = load_preset(folder / "wide" / "small.json")
    assert preset.spaces["eyes"].heads["point"].count == len(MIXTURES) == 10
    heads = read_tensors(folder / "wide" / "projectors.safetensors")
    firsts = torch.stack([heads[f"ears.{number}.4.bias"] for number in range(10)])
    assert len(firsts.unique(dim=0)) == 10
    target = open_shards(folder / "wide" / "work" / "target" / "whole" / "text")
    assert (len(target), target.width) == (377, 384)
    np.testing.assert_allclose(np.linalg.norm(target.chunk(0, 377), axis=1), 1, atol=1e-3)
    card = (folder / "wide" / "MODEL_CARD.md").read_text()
    assert "Heads of each space: all, A, T, V, AT, AV, TV, P, PV, PT." in card
    assert "the plan asks for no validation" in card


def test_a_plan_says_what_is_used_and_the_rest_is_the_default(folder: Path):
    plan = read_plan(folder / "small.toml")
    assert plan.projectors.seed == plan.routers.seed == 3
    assert plan.projectors.scale == 20.0
    assert plan.routes["audio", "image"][1].space == "eyes"
    assert plan.towers("text") == ["minilm_l6"]
    assert plan.out == folder / "trained"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there tomlkit is the only reader")
def test_both_readers_of_toml_agree():
    import tomlkit
    import tomllib

    assert tomlkit.parse(PLAN).unwrap() == tomllib.loads(PLAN)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "small"', "", "no 'name'"),
        ("[pools.image]", "[pools.smell]", "smell"),
        ("steps = 20", "stepz = 20", "stepz"),
        ('"all", "AT"', '"all", "TA"', "mixture 'TA' is none of all, A"),
        ("[pairs]\n", "[pairs]\nvalidation = 1.0\n", "validation = 1.0"),
        ("seed = 3", "sead = 3", "the plan with sead. Allowed: only name, title"),
        ("decoupling = 4.0", "hidden = 64", r"\[routers\] with hidden. Allowed: only inputs, domains, steps"),
        ("decoupling = 4.0", "noise = 0.1", r"\[routers\] with noise"),
        ("hidden = 64", "decoupling = 2.0", r"\[projectors\] with decoupling. Allowed: only mixtures, steps"),
        ('inputs = {text = ["eyes"]}\ndomains', "domains", r"\[routers\] without inputs.* with domains, steps"),
        ('domains = {image = ["eyes"], audio = ["ears"]}\n', "", r"\[routers\] without domains with decoupling"),
        ('title = "Eyes"', 'titel = "Eyes"', r"\[spaces.eyes\] with titel. Allowed: only title, towers"),
        ("cosine = 0.9999", "cosine = 0.9999, sim = 1", r"duplicates of image with sim"),
        ("[target]\n", "[target]\nscale = 2\n", r"\[target\] with scale"),
        ('files = ["audio/*.ogg"]', 'files = ["audio/*.ogg"]\nlabels = 1', r"\[pools.audio\] with labels"),
        ('["eyes:text"]', '["nose:text"]', "space 'nose'"),
        ('lines = {image = ["seen.txt"], audio = ["heard.txt"]}', "", "needs lines"),
        ('{image = "efficientnet_lite2", text', '{point = "shape_views", text', "but no"),
        ('[{space = "eyes", share = 0.9}, ', "[", "a target without"),
        ("inputs = {text", "inputs = {image", "no router for text"),
        ("batch = 48\nhidden", "batch = 1\nhidden", "batch of 2"),
        ("[target]", "[target", "Expected|expected"),
    ],
)
def test_a_wrong_plan_is_explained(folder: Path, old: str, new: str, said: str):
    path = folder / "wrong.toml"
    assert old in PLAN
    path.write_text(PLAN.replace(old, new))
    with pytest.raises(TrainingError, match=said):
        read_plan(path)


def test_errors_of_the_command_are_for_people(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(folder / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
    (folder / "empty.toml").write_text(PLAN.replace("image/*.jpg", "image/*.png").replace('"trained"', '"other"'))
    assert main([str(folder / "empty.toml"), "--device", "cpu"]) == 2
    assert "empty pool of image" in capsys.readouterr().err
    (folder / "less.toml").write_text(PLAN.replace("image/*.jpg", "image/00*.jpg").replace('"trained"', '"other"'))
    assert main([str(folder / "less.toml"), "--device", "cpu"]) == 2
    assert "for 60 items of image" in capsys.readouterr().err
    few = PLAN.replace("[pairs]\n", "[pairs]\nvalidation = 0.999\n").replace("trained", "few")
    (folder / "few.toml").write_text(few)
    assert main([str(folder / "few.toml"), "--device", "cpu"]) == 2
    assert "two items at least on each side" in capsys.readouterr().err
