"""MiniLM: the vectors are the published model's, whatever the batch."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.specialists import registry
from omnibind_core.specialists.minilm import build
from omnibind_core.store.weights import local_files
from omnibind_core.types import Text

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files():
    return local_files(registry.find("minilm_l6")[0].weights)


@pytest.fixture(scope="module")
def minilm(files):
    return build(registry.find("minilm_l6")[0], files, {}, CPU, torch.float32)


def embed(tower, *sentences):
    return tower.embed("text", [Text(s) for s in sentences])


def test_the_vectors_are_those_of_the_published_model(minilm):
    # transformers 5.23.0, BertModel with this file, mean over the word pieces, scaled to unit length
    expected = torch.tensor([0.0803746, -0.0119870, 0.1152630, 0.0728099, -0.0021362, -0.0370274])
    assert torch.allclose(embed(minilm, "a dog barks at the moon")[0, :6], expected, atol=1e-5)


def test_rows_are_unit_and_float32(minilm):
    rows = embed(minilm, "rain", "a violin", "x")
    assert rows.shape == (3, 384)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-5)


def test_meaning_is_near(minilm):
    kitten, cat, lorry, truck = embed(minilm, "a kitten", "a young cat", "a lorry", "a truck")
    assert kitten @ cat > kitten @ lorry + 0.3
    assert lorry @ truck > cat @ truck + 0.3


def test_a_sentence_does_not_depend_on_its_company(minilm):
    sentences = [
        "hm",
        "the sound of rain on a tin roof while a dog barks far away",
        *(f"number {i}" for i in range(70)),
    ]
    together = embed(minilm, *sentences)
    alone = torch.cat([embed(minilm, s) for s in sentences[:5]])
    assert torch.allclose(together[:5], alone, atol=1e-5)


def test_long_sentences_are_cut_at_256_pieces(minilm):
    long = "sea " * 400
    assert torch.allclose(embed(minilm, long), embed(minilm, long + "volcano " * 100), atol=1e-6)


def test_bfloat16_is_close(minilm, files):
    half = build(minilm.spec, files, {}, CPU, torch.bfloat16)
    rows = embed(half, "a red bicycle", "thunder")
    assert rows.dtype == torch.float32
    assert (rows * embed(minilm, "a red bicycle", "thunder")).sum(1).min() > 0.999


def test_parameters_are_counted_right(minilm):
    assert sum(p.numel() for p in minilm._model.parameters()) == minilm.spec.parameters


def test_other_modalities_are_refused(minilm):
    with pytest.raises(OmniBindError, match="image"):
        minilm.embed("image", [Text("x")])


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_are_refused(minilm, files, tmp_path, change):
    state = load_file(files["model"])
    name = "encoder.layer.3.output.dense.bias"
    if change == "missing":
        del state[name]
    elif change == "extra":
        state["encoder.layer.6.output.dense.bias"] = state[name].clone()
    else:
        state[name] = state[name][:100].clone()
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit"):
        build(minilm.spec, {**files, "model": tmp_path / "model.safetensors"}, {}, CPU, torch.float32)
