"""The second ears: CTranslate2's file format, the front end and encoder against transformers', and the contract."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.errors import WeightsError
from omnibind_core.media.audio import load_audio, resample
from omnibind_core.specialists import registry
from omnibind_core.specialists._ctranslate2 import read_variables
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.whisper_tiny import (
    RATE,
    Encoder,
    WhisperTiny,
    build,
    compress,
    fit,
    mel_filters,
    mel_power,
)
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import local_files
from omnibind_core.types import Audio, FloatArray


def beats(seconds: float, rate: int = RATE, hertz: float = 440.0) -> Audio:
    """Give a plucked tone, twice a second."""
    t = np.arange(round(seconds * rate)) / rate
    return Audio((0.5 * np.sin(2 * np.pi * hertz * t) * np.exp(-3 * (t % 0.5))).astype(np.float32), rate)


def load(dtype: torch.dtype) -> WhisperTiny:
    spec, _ = registry.find("whisper_tiny")
    return build(spec, local_files(spec.weights), {}, torch.device("cpu"), dtype)


@pytest.fixture(scope="module")
def ears() -> WhisperTiny:
    return load(torch.float32)


@pytest.fixture(scope="module")
def bark() -> FloatArray:
    return resample(load_audio(assets_directory() / "gallery" / "sounds" / "dog-2.ogg"), RATE)


def model_file(variables: list[tuple[str, int, np.ndarray]], version: int = 6, name: str = "WhisperSpec") -> bytes:
    """Write a model as CTranslate2 does: (name, number of the type, values) for each variable, and one alias."""

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    data = struct.pack("<I", version) + string(name) + struct.pack("<II", 3, len(variables))
    for title, kind, values in variables:
        data += string(title) + struct.pack("<B", values.ndim) + struct.pack(f"<{values.ndim}I", *values.shape)
        data += struct.pack("<BI", kind, values.nbytes) + values.tobytes()
    return data + struct.pack("<I", 1) + string("other/weight") + string("a/weight")


VARIABLES = [
    ("a/weight", 4, np.arange(6, dtype=np.float16).reshape(2, 3)),
    ("a/heads", 2, np.array(6, np.int16)),
    ("b/weight", 0, np.array([1.5], np.float32)),
]


def test_reading_a_model_file(tmp_path: Path):
    path = tmp_path / "model.bin"
    path.write_bytes(model_file(VARIABLES))
    found = read_variables(path, "WhisperSpec", lambda name: name.startswith("a/"))
    assert list(found) == ["a/weight", "a/heads"]
    assert torch.equal(found["a/weight"], torch.arange(6, dtype=torch.float16).view(2, 3))
    assert found["a/heads"].dtype == torch.int16
    assert int(found["a/heads"]) == 6


def test_damaged_model_files_are_refused(tmp_path: Path):
    whole = model_file(VARIABLES)
    path = tmp_path / "model.bin"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsError, match="cannot be read"):
            read_variables(path, "WhisperSpec", lambda _: True)
    wrong_size = bytearray(whole)
    wrong_size[whole.index(struct.pack("<BI", 4, 12)) + 1] = 13
    many = whole[:18] + b"\xff" * 8 + whole[26:]
    for damaged in (whole + b"x", bytes(wrong_size), many, model_file([], 5), model_file([], 6, "BertSpec")):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match="cannot be read"):
            read_variables(path, "WhisperSpec", lambda _: True)


def test_mel_filters_are_librosas():
    from librosa.filters import mel

    assert np.allclose(mel_filters(), mel(sr=RATE, n_fft=400, n_mels=80), atol=1e-6)


def test_spectrogram_is_transformers(bark: FloatArray):
    from transformers import WhisperFeatureExtractor

    theirs = WhisperFeatureExtractor(feature_size=80)(bark, sampling_rate=RATE, return_tensors="np").input_features[0]
    padded = np.zeros(30 * RATE, np.float32)
    padded[: len(bark)] = bark
    assert np.allclose(compress(mel_power(padded)).T.numpy(), theirs, atol=1e-4)


def test_encoder_is_transformers(bark: FloatArray):
    """The same weights in transformers' encoder, over its 30 s: all layers' outputs agree."""
    import_torchvision()
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    spec, _ = registry.find("whisper_tiny")
    path = local_files(spec.weights)["model"]
    variables = read_variables(path, "WhisperSpec", lambda name: name.startswith("encoder/"))
    ours = Encoder(4)
    ours.load(variables)
    theirs = WhisperEncoder(
        WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, num_mel_bins=80)
    )
    parts = {"norm1": "self_attn_layer_norm", "norm2": "final_layer_norm", "up": "fc1", "down": "fc2"}
    parts["out"] = "self_attn.out_proj"
    state = {
        "embed_positions.weight": ours.places,
        "layer_norm.weight": variables["encoder/layer_norm/gamma"].float(),
        "layer_norm.bias": variables["encoder/layer_norm/beta"].float(),
    }
    for name, value in ours.state_dict().items():
        stem, _, kind = name.rpartition(".")
        if stem.startswith("conv"):
            state[name] = value
        elif stem.endswith("qkv"):
            layer = stem.split(".")[1]
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                state[f"layers.{layer}.self_attn.{letter}_proj.{kind}"] = third
        elif stem:
            _, layer, part = stem.split(".")
            state[f"layers.{layer}.{parts[part]}.{kind}"] = value
    for layer in range(4):
        assert not state.pop(f"layers.{layer}.self_attn.k_proj.bias").any()  # Whisper's keys have no bias
    theirs.load_state_dict(state, strict=True)
    theirs.eval()
    padded = np.zeros(30 * RATE, np.float32)
    padded[: len(bark)] = bark
    mel = compress(mel_power(padded)).mT[None]
    with torch.inference_mode():
        reference = theirs(mel, output_hidden_states=True)
        layers = ours.eval()(mel)
        last = torch.nn.functional.layer_norm(layers[-1], (384,), state["layer_norm.weight"], state["layer_norm.bias"])
    for layer, expected in zip(layers[:-1], reference.hidden_states[1:-1], strict=True):
        assert torch.allclose(layer, expected, atol=1e-4)
    assert torch.allclose(last, reference.last_hidden_state, atol=1e-4)


def test_unit_rows_for_all_lengths_and_rates(ears: WhisperTiny):
    sounds = [beats(0.003), beats(1.0, 8_000), beats(3.0, 48_000), beats(25.0, 22_050)]
    rows = ears.embed("audio", sounds)
    assert rows.shape == (4, ears.spec.widths["audio"])
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(4), atol=1e-5)


def test_silence_has_a_vector(ears: WhisperTiny):
    assert torch.isfinite(ears.embed("audio", [Audio(np.zeros(RATE, np.float32), RATE)])).all()


def test_loudness_and_rate_hardly_matter(ears: WhisperTiny):
    loud = beats(3.0)
    quiet = Audio(loud.samples * np.float32(0.01), loud.rate)
    rows = ears.embed("audio", [loud, quiet, beats(3.0, 48_000), beats(3.0, hertz=2000.0)])
    assert torch.allclose(rows[0], rows[1], atol=1e-4)
    assert rows[0] @ rows[2] > 0.99
    assert rows[0] @ rows[3] < 0.98


def test_a_batch_is_its_items(ears: WhisperTiny):
    sounds = [beats(1.0), beats(2.0, hertz=1000.0)]
    together = ears.embed("audio", sounds)
    assert torch.equal(together, torch.cat([ears.embed("audio", [sound]) for sound in sounds]))


def test_a_long_sound_is_the_mean_of_its_windows(ears: WhisperTiny):
    sound = beats(20.0)
    halves = ears.embed("audio", [Audio(part, RATE) for part in np.split(sound.samples, 2)])
    expected = halves.mean(0)
    assert torch.allclose(ears.embed("audio", [sound])[0], expected / expected.norm(), atol=1e-5)


def test_half_precision_agrees(ears: WhisperTiny):
    sound = beats(3.0)
    assert load(torch.bfloat16).embed("audio", [sound])[0] @ ears.embed("audio", [sound])[0] > 0.999


@pytest.mark.parametrize("frames", [2, 40, 299, 300, 301])
def test_short_sounds_are_repeated_after_a_pause(frames: int):
    power = torch.rand(frames, 80) + 0.1
    filled = fit(power)
    assert len(filled) == max(frames, 300)
    assert torch.equal(filled[:frames], power)
    if frames < 200:
        assert not filled[frames : frames + 25].any()
        assert torch.equal(filled[frames + 25 : 2 * frames + 25], power)


def test_other_weights_are_refused(ears: WhisperTiny):
    spec, _ = registry.find("whisper_tiny")
    variables = read_variables(
        local_files(spec.weights)["model"], "WhisperSpec", lambda name: name.startswith("encoder/")
    )
    with pytest.raises(WeightsError, match="heads"):
        Encoder(2).load({**variables, "encoder/num_heads": torch.tensor(8)})
    del variables["encoder/conv1/bias"]
    with pytest.raises(WeightsError, match="does not fit"):
        Encoder(2).load(variables)


def test_parameters_are_as_stated(ears: WhisperTiny):
    assert sum(p.numel() for p in ears._encoder.parameters()) == ears.spec.parameters
