"""One command from pools to a preset: MiniLM reads real captions, mini's own gallery vectors stand for the media."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.binding import extraction, pipeline
from omnibind_core.binding.__main__ import main
from omnibind_core.binding.plan import read_plan
from omnibind_core.binding.pools import open_shards
from omnibind_core.binding.pseudo_pairs import read_pairs
from omnibind_core.binding.training import TrainingError
from omnibind_core.config import load_preset
from omnibind_core.weights import read_tensors
from tests.binding.small_plan import PLAN, lay_out


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

    before = read_tensors(out / "projectors.safetensors")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("done already")

    monkeypatch.setattr(pipeline, "pseudo_pairs", forbidden)
    monkeypatch.setattr(extraction.registry, "required", forbidden)
    assert main([str(folder / "small.toml"), "--device", "cpu"]) == 0
    again = read_tensors(out / "projectors.safetensors")
    assert all((value == again[name]).all() for name, value in before.items())


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
        ("seed = 3", "sead = 3", "unknown entries sead"),
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
