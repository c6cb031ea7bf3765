"""CLAP against LAION's network: github.com/LAION-AI/CLAP at 1fd4c37, with torchlibrosa 0.1.0 and torchaudio 2.11.

The goldens are its answers, made with transformers 5.23's RobertaModel and librosa 0.11's loader, for made-up weights
in a narrower network (`SMALL`) and for sounds that the tests write as files themselves. Its random choices were
replaced by the middle of what it chooses from, and its resizing was run without antialiasing, as when it was trained.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.media.audio import resample
from omnibind_core.specialists._clap_sounds import RATE, closer_looks, fill, htk_filters
from omnibind_core.specialists._htsat import HtsatSize
from omnibind_core.specialists.clap import SIZES, SPECS, Clap, ClapSize, _Towers, translate
from omnibind_core.specialists.registry import find
from omnibind_core.types import Audio
from tests.specialists.published import DATA, empty, filled, read_keys, sound, write_sound
from tests.specialists.words import SENTENCES, size_of, write_byte_level

SMALL = ClapSize(HtsatSize(16, (2, 2, 2, 2)), text_width=32, text_layers=2, text_heads=4, text_inner=64, width=24)
CPU = torch.device("cpu")
MELS = "audio_branch.logmel_extractor.melW"


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(DATA / "goldens" / "clap.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clap")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Path:
    return write_byte_level(folder / "tokenizer.json")


def make(name: str, folder: Path, tokenizer: Path, dtype: torch.dtype = torch.float32) -> Clap:
    """Load from a file of the published kind, with names and numbers as distributed training saved them."""
    from librosa.filters import mel

    state = filled(read_keys(f"{name}_small"))
    state[MELS] = torch.from_numpy(mel(sr=RATE, n_fft=1024, n_mels=64, fmin=50, fmax=14_000).T.copy())
    path = folder / f"{name}.pt"
    outer = {"epoch": 15, "name": name, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save({**outer, "optimizer": {}, "best": np.float64(0.9)}, path)
    fused = replace(SMALL, audio=replace(SMALL.audio, fusion=name == "clap_general"))
    return Clap(find(name)[0], {"model": path, "tokenizer": tokenizer}, CPU, dtype, fused)


@pytest.fixture(scope="module")
def general(folder: Path, tokenizer: Path) -> Clap:
    return make("clap_general", folder, tokenizer)


@pytest.fixture(scope="module")
def music(folder: Path, tokenizer: Path) -> Clap:
    return make("clap_music", folder, tokenizer)


def close(ours: torch.Tensor, theirs: np.ndarray, tolerance: float = 1e-4) -> bool:
    return ours.shape == theirs.shape and float((ours - torch.from_numpy(theirs)).abs().max()) < tolerance


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_published_tensors_are_ours(spec):
    with torch.device("meta"):
        full = _Towers(SIZES[spec.name])
    assert sum(p.numel() for p in full.parameters()) == spec.parameters
    state, filters = translate(empty(read_keys(spec.name)), full)
    assert filters.shape == (513, 64)
    ours = full.state_dict()
    assert set(state) == set(ours)
    assert all(state[name].shape == ours[name].shape for name in ours)


def test_general_hears_a_short_file_as_they_do(general: Clap, goldens: dict[str, np.ndarray], tmp_path: Path):
    item = load(write_sound(tmp_path, 3.0, RATE, 1), "audio")
    assert close(general.embed("audio", [item]), goldens["general_short"])


def test_general_hears_a_long_file_as_they_do(general: Clap, goldens: dict[str, np.ndarray], tmp_path: Path):
    item = load(write_sound(tmp_path, 12.0, 44_100, 2), "audio")
    mels = general.log_mel(resample(item, RATE))
    assert mels.shape == (1, 4, 1001, 64)
    assert close(mels[0, :, ::97], goldens["general_mel"], 2e-3)  # decibels
    assert close(general.embed("audio", [item]), goldens["general_long"])


def test_general_takes_a_file_that_is_longer_by_less_than_a_frame_whole(
    general: Clap, goldens: dict[str, np.ndarray], tmp_path: Path
):
    item = load(write_sound(tmp_path, 10.005, RATE, 3), "audio")
    assert close(general.embed("audio", [item]), goldens["general_edge"])


def test_music_hears_a_short_file_as_they_do(music: Clap, goldens: dict[str, np.ndarray], tmp_path: Path):
    item = load(write_sound(tmp_path, 3.0, RATE, 1), "audio")
    assert close(music.log_mel(item.samples)[0, 0, ::97], goldens["music_mel"], 2e-3)  # decibels
    assert close(music.embed("audio", [item]), goldens["music_short"])


def test_music_averages_windows(music: Clap, goldens: dict[str, np.ndarray], tmp_path: Path):
    item = load(write_sound(tmp_path, 12.0, 44_100, 2), "audio")
    assert close(music.embed("audio", [item]), goldens["music_windows"])
    cut = Audio(resample(item, RATE)[: 10 * RATE], RATE)
    assert close(music.embed("audio", [cut]), goldens["music_cut"])


@pytest.mark.parametrize("which", ["general", "music"])
def test_sentences_are_theirs(which: str, goldens: dict[str, np.ndarray], request: pytest.FixtureRequest):
    towers: Clap = request.getfixturevalue(which)
    items = [load(sentence, "text") for sentence in SENTENCES]
    ids, mask = next(towers._pieces.batches([item.text for item in items], CPU))
    assert np.array_equal(ids.numpy(), goldens["ids"][:, : ids.shape[1]])
    assert (goldens["ids"][:, ids.shape[1] :] == 1).all()
    assert int(mask.sum()) == int((goldens["ids"] != 1).sum())
    assert close(towers.embed("text", items), goldens[f"{which}_text"])


def test_half_precision_agrees(general: Clap, folder: Path, tokenizer: Path):
    half = make("clap_general", folder, tokenizer, torch.bfloat16)
    items = {"audio": Audio(sound(11.0, RATE, 4), RATE), "text": load(SENTENCES[0], "text")}
    for modality, item in items.items():
        assert float(half.embed(modality, [item]) @ general.embed(modality, [item]).T) > 0.999


def test_short_sounds_are_repeated_and_then_silent():
    filled_up = fill(np.ones(200_000, np.float32))
    assert len(filled_up) == 480_000
    assert filled_up[399_999] == 1.0
    assert not filled_up[400_000:].any()


@pytest.mark.parametrize(("frames", "starts"), [(1002, [0, 1, 0]), (1003, [0, 1, 2]), (1500, [83, 250, 417])])
def test_closer_looks_come_from_the_middles_of_thirds(frames: int, starts: list[int]):
    looks = closer_looks(torch.arange(frames).float()[:, None].expand(-1, 64))
    assert looks.shape == (4, 1001, 64)
    assert looks[1:, 0, 0].tolist() == starts


def test_filters_are_triangles_of_height_one():
    filters = htk_filters()
    assert filters.shape == (513, 64)
    assert float(filters.max()) <= 1.0
    assert not filters[:1].any()  # below 50 Hz
    assert not filters[300:].any()  # above 14 kHz


def test_a_tokenizer_of_five_pieces_is_refused(folder: Path, tmp_path: Path):
    from tokenizers import Tokenizer, models

    pieces = {name: i for i, name in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])}
    Tokenizer(models.BPE(pieces, [], unk_token="<unk>")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(WeightsError, match="50,265 pieces"):
        make("clap_general", folder, tmp_path / "tokenizer.json")


def test_the_stand_in_tokenizer_has_the_real_size(tokenizer: Path):
    assert size_of(tokenizer) == 50_265


def test_the_two_do_not_mix(folder: Path, tokenizer: Path, music: Clap):
    path = folder / "clap_music.pt"
    with pytest.raises(WeightsError, match="fusion_model"):
        Clap(
            SPECS[0],
            {"model": path, "tokenizer": tokenizer},
            CPU,
            torch.float32,
            replace(SMALL, audio=SIZES["clap_general"].audio),
        )


def test_other_modalities_are_refused(music: Clap):
    with pytest.raises(OmniBindError, match="'point'"):
        music.embed("point", [None])
