"""EVA-CLIP-18B: names and sizes of the published weights, and vectors of two reference implementations.

Key list: state dict of EvaCLIPModel, of the published config.json's sizes, on the meta device; the modelling code was
Cornstarch's copy of the Hub's (cornstarch-org/Cornstarch, commit baf9614). It has 1,051 names, as many as the published
pytorch_model.bin.index.json, and in half precision the bytes of the published EVA_CLIP_18B_psz14_s6B.fp16.pt.
Goldens: made-up weights with 2 layers of 64, run once from files to vectors by that code, with CLIPImageProcessorPil
and CLIPTokenizer of transformers 5.20.2 as the published OmniBind calls them (its transformers 4.37 puts sentences
through ftfy first; "image", "text"), and by the authors' own eva_clip (baaivision/EVA, commit 5623d08,
EVA-CLIP-18B/shinji, with plain attention in place of xformers'; "their_...").
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists._eva_clip import Size, network
from omnibind_core.specialists.eva_clip_18b import SPECS, EvaClip, build, square
from omnibind_core.types import Image, Text
from tests.specialists.published import DATA, empty, filled, read_keys

SPEC = SPECS[0]
SMALL = Size(side=56, wide=(64, 48), layers=(2, 2), heads=(4, 3), inner=(320, 192), out=32)
PICTURES = ("cheetah1.jpg", "lion.jpg", "tower.jpg")
SENTENCES = ("a photo of a cheetah", "Two dogs, running!  Fast &amp; far.", "word " * 100, "Ünïcode_and 12345")


@cache
def state() -> dict[str, torch.Tensor]:
    return filled({name: (tuple(t.shape), "float32") for name, t in network(SMALL).state_dict().items()})


def write_parts(folder: Path, tensors: dict[str, torch.Tensor]) -> dict[str, Path]:
    """Write a state dict in eight parts, as published (torch's format), but for one in safetensors'."""
    from safetensors.torch import save_file

    names = sorted(tensors)
    files = {}
    for i, role in enumerate(SPEC.weights):
        part = {name: tensors[name] for name in names[i::8]}
        files[role] = folder / f"{role}.{'safetensors' if i == 3 else 'bin'}"
        save_file(part, files[role]) if i == 3 else torch.save(part, files[role])
    return files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_parts(tmp_path_factory.mktemp("eva_clip"), state())


@pytest.fixture(scope="module")
def towers(files: dict[str, Path]) -> EvaClip:
    return EvaClip(SPEC, files, torch.device("cpu"), torch.float32, SMALL)


def test_names_shapes_and_count_are_the_published_ones():
    made = network()
    keys = read_keys("eva_clip_18b")
    assert {name: tuple(t.shape) for name, t in made.state_dict().items()} == {
        n: shape for n, (shape, _) in keys.items()
    }
    assert sum(parameter.numel() for parameter in made.parameters()) == SPEC.parameters
    assert len(keys) == 1051
    assert abs(2 * SPEC.parameters - 36_651_249_988) < 1e-4 * 36_651_249_988


def test_published_parts_fit_in_half_precision_without_memory():
    from omnibind_core.specialists._strict import fill

    tensors = empty(read_keys("eva_clip_18b"))
    names = sorted(tensors)
    parts = ({name: tensors[name] for name in names[i::8]} for i in range(8))
    filled_up = fill(network(), parts, SPEC.title, torch.device("meta"), torch.bfloat16)
    assert {t.dtype for t in filled_up.state_dict().values()} == {torch.bfloat16}


def test_vectors_are_the_references(towers: EvaClip, assets: Path):
    golden = np.load(DATA / "goldens" / "eva_clip_18b.npz", allow_pickle=False)
    images = towers.embed("image", [load(assets / "images" / file, "image") for file in PICTURES]).numpy()
    texts = towers.embed("text", [Text(text) for text in SENTENCES]).numpy()
    assert np.abs(images - golden["image"]).max() < 1e-5
    assert np.abs(texts - golden["text"]).max() < 1e-5
    # The authors cut long sentences elsewhere, after 77 pieces, and may cut pictures a pixel aside.
    assert np.abs(texts[[0, 1, 3]] - golden["their_text"][[0, 1, 3]]).max() < 1e-5
    assert (images * golden["their_image"]).sum(axis=1).min() > 0.99


def test_towers_are_the_authors(towers: EvaClip):
    golden = np.load(DATA / "goldens" / "eva_clip_18b.npz", allow_pickle=False)
    made = towers._network
    pixels = torch.linspace(-2, 2, 2 * 3 * 56 * 56).reshape(2, 3, 56, 56).sin()
    with torch.inference_mode():
        features = made.visual_projection(made.vision_model(pixels))
    assert np.abs(features.numpy() - golden["their_features"]).max() < 1e-5


def test_unit_rows_and_batches(towers: EvaClip):
    rng = np.random.default_rng(0)
    pictures = [Image(rng.integers(0, 256, (60 + i, 90, 3), np.uint8)) for i in range(5)]
    rows = towers.embed("image", pictures)
    assert rows.shape == (5, 32)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(5), atol=1e-5)
    assert torch.allclose(rows[4], towers.embed("image", pictures[4:])[0], atol=1e-5)
    texts = [Text("a dog"), Text("a much longer sentence about a dog that runs")]
    assert torch.allclose(towers.embed("text", texts)[0], towers.embed("text", texts[:1])[0], atol=1e-5)


def test_half_precision_agrees(towers: EvaClip, files: dict[str, Path]):
    half = EvaClip(SPEC, files, torch.device("cpu"), torch.bfloat16, SMALL)
    for text in SENTENCES:
        assert half.embed("text", [Text(text)])[0] @ towers.embed("text", [Text(text)])[0] > 0.999


def test_sentences_are_cut_after_42_pieces(towers: EvaClip):
    rows = towers.embed("text", [Text("word " * 40), Text("word " * 41), Text("word " * 39)])
    assert torch.equal(rows[0], rows[1])
    assert not torch.allclose(rows[0], rows[2])


@pytest.mark.parametrize("size", [(56, 56), (57, 56), (56, 115), (300, 61), (20, 20)])
def test_pictures_of_any_shape_become_square(size: tuple[int, int]):
    prepared = square(np.full((*size, 3), 255, np.uint8), 56)
    assert prepared.shape == (3, 56, 56)
    assert prepared.dtype == np.float32
    assert prepared[0, 0, 0] == pytest.approx((1 - 0.48145466) / 0.26862954, abs=1e-5)


def test_other_weights_are_refused_by_name(tmp_path: Path):
    tensors = dict(state())
    del tensors["vision_model.post_layernorm.weight"]
    tensors["surprise"] = torch.zeros(1)
    with pytest.raises(
        WeightsError, match=r"1 missing tensors \['vision_model\.post_layernorm.*1 unknown \['surprise'"
    ):
        EvaClip(SPEC, write_parts(tmp_path, tensors), torch.device("cpu"), torch.float32, SMALL)
    with pytest.raises(WeightsError, match=r"of another shape \["):
        build(SPEC, write_parts(tmp_path, state()), {}, torch.device("cpu"), torch.float32)


def test_other_modalities_are_refused(towers: EvaClip):
    with pytest.raises(OmniBindError, match="modality 'point'"):
        towers.embed("point", [None])
