"""ImageBind against Meta's network: github.com/facebookresearch/ImageBind at 53680b0, with torchaudio 2.11's Kaldi.

The goldens are its answers (timm 1.0.31's layers, pytorchvideo's sampler of clips at its last commit) for made-up
weights in a narrower network (`SMALL`), for sounds that the tests write as files and for pictures in gradio's wheel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists._fbank import RATE, fbank, mel_banks
from omnibind_core.specialists._imagebind import ImageBindSize, Towers, TrunkSize, names_to_read
from omnibind_core.specialists.imagebind import SPECS, ImageBind, clips, pixels
from omnibind_core.types import Audio
from tests.specialists.published import DATA, empty, filled, read_keys, sound, write_sound
from tests.specialists.words import SENTENCES

SMALL = ImageBindSize(TrunkSize(32, 2, 2), TrunkSize(24, 2, 2), TrunkSize(16, 2, 2), 16)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(DATA / "goldens" / "imagebind.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a file of the published kind, with the towers that we do not read."""
    path = tmp_path_factory.mktemp("imagebind") / "model.safetensors"
    save_file(filled(read_keys("imagebind_small")), path)
    return {"model": path}


@pytest.fixture(scope="module")
def small(files: dict[str, Path]) -> ImageBind:
    return ImageBind(SPECS[0], files, CPU, torch.float32, SMALL)


@pytest.fixture(scope="module")
def full() -> Towers:
    with torch.device("meta"):
        return Towers(ImageBindSize())


def close(ours: torch.Tensor, theirs: np.ndarray, tolerance: float = 1e-4) -> bool:
    return ours.shape == theirs.shape and float((ours - torch.from_numpy(theirs)).abs().max()) < tolerance


def test_the_published_tensors_are_ours(full: Towers):
    published = empty(read_keys("imagebind"))
    ours = full.state_dict()
    assert names_to_read(list(published), full) == sorted(ours)
    assert all(published[name].shape == value.shape for name, value in ours.items())
    skipped = sorted({".".join(name.split(".")[:2]) for name in set(published) - set(ours)})
    senses = ("depth", "imu", "thermal")
    assert skipped == [
        *(f"modality_heads.{sense}" for sense in senses),
        *(f"modality_postprocessors.{sense}" for sense in ("audio", "depth", "imu", "text", "thermal")),
        *(f"modality_preprocessors.{sense}" for sense in ("depth", "imu", "text", "thermal")),  # text: the causal mask
        *(f"modality_trunks.{sense}" for sense in senses),
    ]


def test_parameters_are_as_stated(full: Towers):
    assert sum(p.numel() for p in full.parameters()) == SPECS[0].parameters


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [("vision", (2, 3, 224, 224), "float32"), ("audio", (2, 1, 128, 204), "float32"), ("text", (2, 77), "int64")],
)
def test_the_published_size_fits_together(name: str, shape: tuple[int, ...], dtype: str, full: Towers):
    with torch.inference_mode():
        rows = full(name, torch.empty(shape, dtype=getattr(torch, dtype), device="meta"))
    assert rows.shape == (2, dict(SPECS[0].widths)["image"])


def test_the_licence_is_plain_about_commerce():
    assert SPECS[0].licence == "CC-BY-NC-SA-4.0"
    assert "not for commercial use" in SPECS[0].source


@pytest.mark.parametrize(("name", "seconds", "seed"), [("audio", 3.3, 1), ("audio_short", 1.0, 2)])
def test_filter_bank_energies_are_theirs(
    name: str, seconds: float, seed: int, goldens: dict[str, np.ndarray], tmp_path: Path
):
    item = load(write_sound(tmp_path, seconds, RATE, seed), "audio")
    ours = clips(torch.from_numpy(item.samples))
    assert ours.shape == (3 if seconds > 2 else 1, 1, 128, 204)
    assert close(ours[:, 0, ::16, ::10].expand(3, -1, -1), goldens[f"fbank_{name}"])


@pytest.mark.parametrize(
    ("name", "seconds", "seed"), [("audio", 3.3, 1), ("audio_short", 1.0, 2), ("audio_long", 13.7, 3)]
)
def test_files_of_sound_are_theirs(
    name: str, seconds: float, seed: int, small: ImageBind, goldens: dict[str, np.ndarray], tmp_path: Path
):
    item = load(write_sound(tmp_path, seconds, RATE, seed), "audio")
    assert close(small.embed("audio", [item]), goldens[name])


def test_pictures_are_theirs(small: ImageBind, goldens: dict[str, np.ndarray], assets: Path):
    items = [load(assets / "images" / name, "image") for name in ("cheetah1.jpg", "tower.jpg")]
    for item, theirs in zip(items, goldens["pixels"], strict=True):
        assert close(pixels(item.rgb)[:, ::37, ::37], theirs)
    assert close(small.embed("image", items), goldens["image"])


def test_sentences_are_theirs(small: ImageBind, goldens: dict[str, np.ndarray]):
    texts = [*SENTENCES, "word " * 100]
    ids = small.pieces(texts).numpy()
    assert np.array_equal(ids, goldens["ids"][:, : ids.shape[1]])
    assert not goldens["ids"][:, ids.shape[1] :].any()
    assert close(small.embed("text", [load(text, "text") for text in texts]), goldens["text"])


def test_banks_are_triangles_between_20_and_8000_hertz():
    banks = mel_banks()
    assert banks.shape == (257, 128)
    assert not banks[0].any()
    assert not banks[256].any()
    assert float(banks.max()) <= 1.0


def test_frames_fit_whole():
    assert fbank(torch.randn(400)).shape == (1, 128)
    assert fbank(torch.randn(32_000)).shape == (198, 128)
    assert torch.allclose(fbank(torch.zeros(400)), torch.tensor(-15.942385))


def test_a_constant_offset_is_not_heard():
    samples = torch.from_numpy(sound(1.0, RATE, 5))
    assert torch.allclose(fbank(samples + 0.05), fbank(samples), atol=0.05)


def test_other_rates_and_shortest_sounds(small: ImageBind):
    rows = small.embed("audio", [Audio(sound(0.05, 8_000, 6), 8_000), Audio(sound(4.0, 48_000, 7), 48_000)])
    assert rows.shape == (2, 16)
    assert torch.allclose(rows.norm(dim=1), torch.ones(2), atol=1e-5)


def test_half_precision_agrees(files: dict[str, Path], small: ImageBind, assets: Path):
    half = ImageBind(SPECS[0], files, CPU, torch.bfloat16, SMALL)
    items = {
        "audio": Audio(sound(4.0, RATE, 8), RATE),
        "image": load(assets / "images" / "tower.jpg", "image"),
        "text": load(SENTENCES[0], "text"),
    }
    for modality, item in items.items():
        ours = half.embed(modality, [item])
        assert ours.dtype == torch.float32
        assert float(ours @ small.embed(modality, [item]).T) > 0.999


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("modality_heads.audio.2.weight"), "1 missing tensors"),
        (lambda state: state.update({"modality_heads.smell.2.weight": torch.ones(2)}), "1 unknown"),
        (lambda state: state.update({"modality_heads.audio.2.weight": torch.ones(2)}), "do not fit"),
    ],
)
def test_other_files_are_refused(spoil, message: str, tmp_path: Path):
    state = filled(read_keys("imagebind_small"))
    spoil(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        ImageBind(SPECS[0], {"model": tmp_path / "model.safetensors"}, CPU, torch.float32, SMALL)


def test_damaged_files_are_refused(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(WeightsError, match="cannot be read"):
        ImageBind(SPECS[0], {"model": tmp_path / "model.safetensors"}, CPU, torch.float32, SMALL)


def test_other_modalities_are_refused(small: ImageBind):
    with pytest.raises(OmniBindError, match="'point'"):
        small.embed("point", [None])
