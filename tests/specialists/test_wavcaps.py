"""WavCaps against the authors' network: github.com/XinhaoMei/WavCaps at a5a9649, with torchlibrosa 0.1.0.

The goldens are its answers, made with transformers 5.23's BertModel and librosa 0.11's loader, for made-up weights in
a narrower network (`SMALL`) and for sounds that the tests write as files themselves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists._htsat import HtsatSize
from omnibind_core.specialists.registry import find
from omnibind_core.specialists.wavcaps import RATE, SPECS, WavCaps, WavCapsSize, _Towers, translate
from omnibind_core.types import Audio
from tests.specialists.published import DATA, empty, filled, read_keys, write_sound
from tests.specialists.words import SENTENCES, write_wordpiece

SMALL = WavCapsSize(HtsatSize(16, (2, 2, 2, 2)), text_width=32, text_layers=2, text_heads=4, text_inner=64, width=24)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(DATA / "goldens" / "wavcaps.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a checkpoint of the published kind, with an optimizer's state and a loss beside the weights."""
    from librosa.filters import mel

    folder = tmp_path_factory.mktemp("wavcaps")
    state = filled(read_keys("wavcaps_small"))
    filters = mel(sr=RATE, n_fft=1024, n_mels=64, fmin=50, fmax=14_000).T
    state["audio_encoder.audio_enc.audio_feats_extractor.log_trans.melW"] = torch.from_numpy(filters.copy())
    torch.save({"model": state, "optimizer": {"state": {}}, "epoch": 3, "loss": np.float64(0.5)}, folder / "model.pt")
    return {"model": folder / "model.pt", "tokenizer": write_wordpiece(folder / "tokenizer.json")}


def make(files: dict[str, Path], dtype: torch.dtype = torch.float32) -> WavCaps:
    return WavCaps(SPECS[0], files, CPU, dtype, SMALL)


@pytest.fixture(scope="module")
def ears(files: dict[str, Path]) -> WavCaps:
    return make(files)


def close(ours: torch.Tensor, theirs: np.ndarray, tolerance: float = 1e-4) -> bool:
    return ours.shape == theirs.shape and float((ours - torch.from_numpy(theirs)).abs().max()) < tolerance


@pytest.fixture(scope="module")
def full() -> torch.nn.Module:
    with torch.device("meta"):
        return _Towers(WavCapsSize())


@pytest.mark.parametrize("old_transformers", [True, False])
def test_the_published_tensors_are_ours(full: torch.nn.Module, old_transformers: bool):
    published = empty(read_keys("wavcaps"))
    if not old_transformers:  # since 4.31 it saves no numbers of places
        del published["text_encoder.text_encoder.embeddings.position_ids"]
    state, filters = translate({**published, "audio_encoder.audio_enc.bn0.weight": torch.ones(64)}, full)
    assert filters.shape == (513, 64)
    ours = full.state_dict()
    assert set(state) == set(ours)
    assert all(state[name].shape == ours[name].shape for name in ours)


def test_parameters_are_as_stated(full: torch.nn.Module):
    assert {spec.parameters for spec in SPECS} == {sum(p.numel() for p in full.parameters())}


def test_records():
    assert [spec.name for spec in SPECS] == ["wavcaps_pt", "wavcaps_ft_audiocaps", "wavcaps_ft_clotho"]
    assert len({spec.weights["model"] for spec in SPECS}) == 3
    assert all(find(spec.name)[0] is spec and dict(spec.widths) == {"audio": 1024, "text": 1024} for spec in SPECS)


def test_spectrogram_is_theirs(ears: WavCaps, goldens: dict[str, np.ndarray], tmp_path: Path):
    sound = load(write_sound(tmp_path, 3.0, RATE, 1), "audio")
    ours = ears.log_mel(torch.from_numpy(sound.samples)[None])
    assert ours.shape == (1, 1, 1001, 64)
    assert close(ours[0, 0, ::50], goldens["log_mel"], 2e-3)  # decibels


def test_a_short_file_is_theirs(ears: WavCaps, goldens: dict[str, np.ndarray], tmp_path: Path):
    sound = load(write_sound(tmp_path, 3.0, RATE, 1), "audio")
    assert close(ears.embed("audio", [sound]), goldens["audio_short"])


def test_a_long_file_at_another_rate_is_the_mean_of_their_windows(
    ears: WavCaps, goldens: dict[str, np.ndarray], tmp_path: Path
):
    sound = load(write_sound(tmp_path, 12.0, 44_100, 2), "audio")
    assert close(ears.embed("audio", [sound]), goldens["audio_windows"])


def test_ten_seconds_of_it_are_what_they_cut(ears: WavCaps, goldens: dict[str, np.ndarray], tmp_path: Path):
    from omnibind_core.media.audio import resample

    sound = load(write_sound(tmp_path, 12.0, 44_100, 2), "audio")
    assert close(ears.embed("audio", [Audio(resample(sound, RATE)[: 10 * RATE], RATE)]), goldens["audio_cut"])


def test_sentences_are_theirs(ears: WavCaps, goldens: dict[str, np.ndarray]):
    items = [load(sentence, "text") for sentence in SENTENCES]
    ids, _ = next(ears._pieces.batches([item.text for item in items], CPU))
    assert np.array_equal(ids.numpy(), goldens["ids"])
    assert ids.shape[1] == 30
    assert close(ears.embed("text", items), goldens["text"])


def test_a_batch_is_its_items(ears: WavCaps):
    items = [load(sentence, "text") for sentence in SENTENCES]
    apart = torch.cat([ears.embed("text", [item]) for item in items])
    assert torch.allclose(ears.embed("text", items), apart, atol=1e-5)


def test_half_precision_agrees(files: dict[str, Path], ears: WavCaps, tmp_path: Path):
    half = make(files, torch.bfloat16)
    items = {"audio": load(write_sound(tmp_path, 3.0, RATE, 1), "audio"), "text": load(SENTENCES[0], "text")}
    for modality, item in items.items():
        ours = half.embed(modality, [item])
        assert ours.dtype == torch.float32
        assert float(ours @ ears.embed(modality, [item]).T) > 0.999


def test_other_checkpoints_are_refused(files: dict[str, Path], tmp_path: Path):
    for spoil, message in (("audio_proj.0.bias", "audio_proj.0.bias"), (None, "without a state dict")):
        state = filled(read_keys("wavcaps_small"))
        state.pop(spoil, None)
        torch.save({"model": state} if spoil else state, tmp_path / "model.pt")
        with pytest.raises(WeightsError, match=message):
            make({**files, "model": tmp_path / "model.pt"})


def test_other_tokenizers_are_refused(files: dict[str, Path], tmp_path: Path):
    from tokenizers import BertWordPieceTokenizer

    BertWordPieceTokenizer({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4}).save(str(tmp_path / "five.json"))
    with pytest.raises(WeightsError, match="30,522 pieces"):
        make({**files, "tokenizer": tmp_path / "five.json"})


def test_other_modalities_are_refused(ears: WavCaps):
    with pytest.raises(OmniBindError, match="'image'"):
        ears.embed("image", [None])
