"""LAION CLAP without fusion, against transformers' ClapModel and ClapFeatureExtractor.

The key list is the state dict of ClapModel of transformers 4.30.2, of the time at which the file was published; its
tensors take 614,373,520 bytes, and the published file, which says a few hundred bytes about each of its 447 tensors,
has 614,525,833. Vectors are compared with today's transformers run beside ours with the same made-up weights in a
narrower network, from a sound's file to the vector.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists import clap_unfused
from omnibind_core.specialists._clap_sounds import RATE, slaney_filters
from omnibind_core.specialists._htsat import HtsatSize
from omnibind_core.specialists.clap import ClapSize
from omnibind_core.specialists.clap_unfused import SPECS, ClapUnfused, network
from omnibind_core.types import Audio, Text
from tests.specialists.published import filled, read_keys, sound, write_sound
from tests.specialists.words import SENTENCES, write_byte_level

SPEC = SPECS[0]
SMALL = ClapSize(HtsatSize(16, (2, 2, 2, 2)), text_width=32, text_layers=2, text_heads=4, text_inner=64, width=24)
CPU = torch.device("cpu")
COUNTED = ("text_model.embeddings.position_ids", "text_model.embeddings.token_type_ids")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Made-up weights, and the real tables of places, as a published file holds them."""
    keys = {name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in network(SMALL).state_dict().items()}
    tables = _on_the_cpu().state_dict()
    return {name: tables[name] if not t.is_floating_point() else t for name, t in filled(keys).items()}


def _on_the_cpu():
    from transformers import ClapModel

    return ClapModel(network(SMALL).config).eval()


@pytest.fixture(scope="module")
def files(state, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clap")
    torch.save({name: t for name, t in state.items() if name not in COUNTED}, folder / "pytorch_model.bin")
    return {"model": folder / "pytorch_model.bin", "tokenizer": write_byte_level(folder / "tokenizer.json")}


@pytest.fixture(scope="module")
def ours(files) -> ClapUnfused:
    return ClapUnfused(SPEC, files, CPU, torch.float32, SMALL)


@pytest.fixture(scope="module")
def theirs(state):
    model = _on_the_cpu()
    model.load_state_dict(state)
    return model


@pytest.fixture(scope="module")
def extractor():
    from transformers import ClapFeatureExtractor

    # As laion/clap-htsat-unfused has it in preprocessor_config.json.
    return ClapFeatureExtractor(frequency_min=50, frequency_max=14_000, truncation="rand_trunc", padding="repeatpad")


def test_the_published_tensors_are_ours():
    made, keys = network(), read_keys(SPEC.name)
    assert {name: tuple(t.shape) for name, t in made.state_dict().items()} == {
        n: shape for n, (shape, _) in keys.items()
    }
    assert sum(parameter.numel() for parameter in made.parameters()) == SPEC.parameters
    size = sum(prod(shape) * (8 if dtype == "int64" else 4) for shape, dtype in keys.values())
    assert 0 < SPEC.weights["model"].size - size < 1000 * len(keys)


def test_filters_are_those_of_the_feature_extractor(extractor):
    assert np.abs(slaney_filters().numpy() - extractor.mel_filters_slaney).max() < 1e-7


@pytest.mark.parametrize("seconds", [3.0, 10.0])
def test_sounds_from_their_files_are_theirs(ours, theirs, extractor, tmp_path: Path, seconds: float):
    item = load(write_sound(tmp_path, seconds, RATE, 1), "audio")
    read = extractor(item.samples, sampling_rate=RATE, return_tensors="pt")
    # Training rounded to 16 bits, and transformers does not: hundredths of a decibel in the quietest places.
    assert (ours.log_mel(item.samples) - read["input_features"]).abs().mean() < 0.02
    with torch.inference_mode():
        expected = theirs.get_audio_features(**read).pooler_output
        exact = theirs.get_audio_features(ours.log_mel(item.samples), is_longer=read["is_longer"]).pooler_output
    found = ours.embed("audio", [item])
    assert (found - exact).abs().max() < 1e-5
    assert (found * expected).sum() > 0.999


def test_long_sounds_are_averaged_over_windows(ours):
    whole = Audio(sound(20.0, RATE, 2), RATE)
    halves = [Audio(half, RATE) for half in np.split(whole.samples, 2)]
    assert (ours.embed("audio", [whole])[0] - normalize(ours.embed("audio", halves).mean(0), dim=0)).abs().max() < 1e-5


def test_sentences_are_theirs(ours, theirs, files):
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(tokenizer_file=str(files["tokenizer"]), pad_token="<pad>", padding_side="right")
    read = fast(SENTENCES, padding=True, truncation=True, max_length=77, return_tensors="pt")
    with torch.inference_mode():
        expected = theirs.get_text_features(read["input_ids"], read["attention_mask"]).pooler_output
    found = ours.embed("text", [Text(text) for text in SENTENCES])
    assert (found - expected).abs().max() < 1e-5
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_a_file_that_holds_what_is_counted_is_read_too(state, files, ours, tmp_path: Path):
    torch.save(state, tmp_path / "model.bin")
    other = ClapUnfused(SPEC, {**files, "model": tmp_path / "model.bin"}, CPU, torch.float32, SMALL)
    assert torch.equal(other.embed("text", [Text("a dog")]), ours.embed("text", [Text("a dog")]))


def test_other_weights_are_refused_by_name(state, files, tmp_path: Path):
    torch.save({n: t for n, t in state.items() if n != "audio_projection.linear1.bias"}, tmp_path / "model.bin")
    with pytest.raises(WeightsError, match=r"audio_projection\.linear1\.bias"):
        ClapUnfused(SPEC, {**files, "model": tmp_path / "model.bin"}, CPU, torch.float32, SMALL)


def test_build_wants_the_published_network(files):
    with pytest.raises(WeightsError, match="of another shape"):
        clap_unfused.build(SPEC, files, {}, CPU, torch.float32)


def test_other_modalities_are_refused(ours):
    with pytest.raises(OmniBindError, match="'image'"):
        ours.embed("image", [None])
