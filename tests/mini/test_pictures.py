"""Heads for sentences, pictures and shapes: blocks stay apart, files are reproducible, pictures find their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors import safe_open

from omnibind_core.binding.projectors import Projectors, _build
from omnibind_core.presets.preset import HeadSpec, load_preset
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import Image, Text
from tools.mini.blocks import BLOCKS, WIDTH
from tools.mini.pictures import EYES, class_descriptions, eye_heads, text_heads, write_eyes
from tools.mini.pools.vectors import in_development

HEADS = {
    ("words", "text"): HeadSpec("linear", "words", "text."),
    ("words", "image"): HeadSpec("anchors", "words", "image.", top_k=10),
    ("names", "image"): HeadSpec("anchors", "names", "image.", top_k=10),
    ("looks", "text"): HeadSpec("anchors", "looks", "text.", top_k=20),
    ("looks", "image"): HeadSpec("linear", "looks", "image."),
    ("sights", "text"): HeadSpec("anchors", "sights", "text.", top_k=20),
    ("sights", "image"): HeadSpec("linear", "sights", "image."),
}
SPACES = list(dict.fromkeys(space for space, _ in HEADS))
TOWERS = {space: eye.pictures for eye in EYES for space in (eye.words, eye.looks)}


def apply(space, modality, tensors, x):
    return _build(HEADS[space, modality], tensors, torch.device("cpu"), torch.float32)(x)


@pytest.fixture(scope="module")
def committed():
    return {space: read_tensors(assets_directory() / "mini" / f"{space}.safetensors") for space in SPACES}


@pytest.fixture(scope="module")
def built():
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        return torch.randn(size, generator=generator)

    texts = unit(draw(1000, 384))
    words, looks = eye_heads(texts, draw(1000, 1280) / 20, draw(1000) / 10, unit(draw(1280)))
    return {"words": {**words, **text_heads(texts)}, "looks": looks}


@pytest.mark.parametrize(("space", "modality"), HEADS)
def test_a_head_fills_its_columns_with_unit_rows_and_leaves_the_others_empty(committed, space, modality):
    preset = load_preset("mini")
    spec = preset.spaces[space].heads[modality]
    block = BLOCKS.get(space, BLOCKS["words"])
    assert (spec.kind, spec.top_k, spec.columns) == (*_kind(space, modality), block)
    files = {name: read_tensors(source.local()) for name, source in preset.files.items()}
    x = unit(torch.randn(5, 384 if modality == "text" else 1280, generator=torch.Generator().manual_seed(1)))
    y = Projectors(preset, files)(modality, {space: x})[space]
    assert y.shape == (5, WIDTH)
    assert torch.allclose(y[:, slice(*block)].norm(dim=1), torch.ones(5), atol=1e-3)
    assert torch.allclose(y[:, slice(*block)], apply(space, modality, committed[space], x), atol=1e-6)
    assert torch.allclose(y.norm(dim=1), torch.ones(5), atol=1e-3)


def _kind(space, modality):
    head = HEADS[space, modality]
    return head.kind, head.top_k


def test_blocks_follow_one_another_and_fill_the_width():
    edges = [edge for block in BLOCKS.values() for edge in block]
    assert edges[0] == 0
    assert edges[-1] == WIDTH
    assert edges[1:-1:2] == edges[2::2]


def test_words_of_a_sentence_keep_minilms_geometry(built):
    x = unit(torch.randn(4, 384, generator=torch.Generator().manual_seed(2)))
    y = apply("words", "text", built["words"], x)
    assert torch.allclose(y, unit(x + built["words"]["text.b"]), atol=1e-5)


def test_a_feature_row_like_a_class_means_that_class(built):
    weight = built["words"]["image.A"] / 10
    y = apply("words", "image", built["words"], unit(weight[[3, 500]] * 100))
    expected = built["words"]["image.B"] - built["words"]["image.m"]
    assert (y @ unit(expected).T).argmax(1).tolist() == [3, 500]


def test_a_class_name_looks_like_its_row(built):
    texts = built["looks"]["text.A"] * 0.07
    y = apply("looks", "text", built["looks"], texts[[7, 77]])
    assert (y @ unit(built["looks"]["text.B"]).T).argmax(1).tolist() == [7, 77]


def test_files_are_the_same_bytes_every_time(built, tmp_path):
    first, second = (write_eyes(tmp_path / name, built) for name in ("a", "b"))
    assert [p.name for p in first] == ["words.safetensors", "looks.safetensors"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_axes_do_not_depend_on_the_sign_that_svd_happens_to_give(built):
    axes = built["looks"]["image.W"]
    assert (axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.allclose(axes @ axes.T, torch.eye(256), atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_committed_files_say_what_they_are(space):
    with safe_open(assets_directory() / "mini" / f"{space}.safetensors", "pt") as file:
        about = json.loads(file.metadata()["heads"])
    assert about["block"] == list(BLOCKS.get(space, BLOCKS["words"]))
    assert about["kinds"] == {m: HEADS[s, m].kind for s, m in HEADS if s == space}
    assert about["top_k"] == {m: h.top_k for (s, m), h in HEADS.items() if s == space and h.top_k}


def test_committed_heads_belong_to_these_towers(committed):
    descriptions = class_descriptions()
    assert descriptions[291].startswith("lion, king of beasts")
    rows = tower("minilm_l6").embed("text", [Text(descriptions[i]) for i in (0, 291, 999)])
    for eye in EYES:
        assert torch.allclose(committed[eye.words]["image.B"][[0, 291, 999]].float(), rows, atol=1e-3)
        weight, _ = tower(eye.pictures).classifier
        assert torch.allclose(committed[eye.words]["image.A"].float(), 10 * weight, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("space", SPACES)
def test_photographs_find_their_names(committed, assets: Path, space):
    photographs = [
        Image(np.array(Pillow.open(assets / "images" / f"{n}.jpg").convert("RGB"))) for n in ("lion", "cheetah1")
    ]
    names = ["a lion", "a cheetah", "a teapot", "a violin", "an ambulance", "a mushroom"]
    said = "words" if space == "names" else space  # both lead into the block of words
    texts = apply(said, "text", committed[said], tower("minilm_l6").embed("text", [Text(n) for n in names]))
    images = apply(space, "image", committed[space], tower(TOWERS[space]).embed("image", photographs))
    assert (images @ texts.T).argmax(1).tolist() == [0, 1]


def test_halves_are_halves_and_stay_the_same():
    keys = [f"item {i}" for i in range(1000)]
    assert sum(map(in_development, keys)) == pytest.approx(500, abs=60)
    assert [in_development(k) for k in ("red kangaroo", "banana", "teapot", "orca")] == [True, True, False, True]
