"""aiSFX: its own front end against librosa's, its vectors against the published network's, and the contract."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from omnibind_core.errors import WeightsError
from omnibind_core.specialists import registry
from omnibind_core.specialists.aisfx import RATE, AiSfx, Network, build, fit, log_mel, mel_filters, summarise
from omnibind_core.store.weights import local_files
from omnibind_core.types import Audio


def beats(seconds: float, rate: int = RATE, hertz: float = 440.0) -> Audio:
    """Give a plucked tone, twice a second."""
    t = np.arange(round(seconds * rate)) / rate
    return Audio((0.5 * np.sin(2 * np.pi * hertz * t) * np.exp(-3 * (t % 0.5))).astype(np.float32), rate)


def load(dtype: torch.dtype) -> AiSfx:
    spec, _ = registry.find("aisfx")
    return build(spec, local_files(spec.weights), {}, torch.device("cpu"), dtype)


@pytest.fixture(scope="module")
def ears() -> AiSfx:
    return load(torch.float32)


def test_mel_filters_are_librosas():
    from librosa.filters import mel

    assert np.allclose(mel_filters(), mel(sr=RATE, n_fft=2048, n_mels=96, htk=True, norm=1), atol=1e-6)


def test_log_mel_is_librosas():
    from librosa.feature import melspectrogram

    samples = beats(1.0).samples
    level = samples * np.float32(1e-3 / np.sqrt(np.mean(samples**2)))
    theirs = melspectrogram(
        y=level, sr=RATE, n_fft=2048, hop_length=1024, n_mels=96, htk=True, norm=1, power=2.0, pad_mode="constant"
    )
    assert torch.allclose(
        log_mel(samples), torch.from_numpy(np.log10(1 + 10_000 * theirs).T) / 9.457798957824707, atol=1e-5
    )


def test_loudness_does_not_matter(ears: AiSfx):
    loud = beats(2.0)
    quiet = Audio(loud.samples * np.float32(0.01), loud.rate)
    rows = ears.embed("audio", [loud, quiet])
    assert torch.allclose(rows[0], rows[1], atol=1e-4)


def test_golden(ears: AiSfx):
    """Numbers of the published network, run once on one block; ours folds its batch norms."""
    row = ears.embed("audio", [beats(3.0)])[0]
    picked = row[[3, 17, 64, 101, 200, 255, 300, 411, 490, 511]]
    golden = [0.0, 0.04593, 0.02028, 0.10642, 0.05146, 0.07216, 0.03766, 0.00064, 0.13174, 0.00386]
    assert torch.allclose(picked, torch.tensor(golden), atol=2e-4)
    assert int(row.argmax()) == 236


def test_unit_rows_for_all_lengths_and_rates(ears: AiSfx):
    sounds = [beats(0.05), beats(1.0, 8_000), beats(3.0, 48_000), beats(25.0, 22_050)]
    rows = ears.embed("audio", sounds)
    assert rows.shape == (4, 512)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(4), atol=1e-5)
    assert torch.isfinite(rows).all()


def test_rate_hardly_matters(ears: AiSfx):
    rows = ears.embed("audio", [beats(3.0), beats(3.0, 48_000), beats(3.0, hertz=2000.0)])
    assert rows[0] @ rows[1] > 0.999
    assert rows[0] @ rows[2] < 0.95


def test_a_batch_is_its_items(ears: AiSfx):
    sounds = [beats(1.0), beats(2.0, hertz=1000.0)]
    together = ears.embed("audio", sounds)
    apart = torch.cat([ears.embed("audio", [sound]) for sound in sounds])
    assert torch.equal(together, apart)


def test_a_long_sound_is_the_mean_of_its_windows(ears: AiSfx):
    rng = np.random.default_rng(0)
    sound = Audio(rng.normal(0, 0.1, 20 * RATE).astype(np.float32), RATE)
    halves = [ears.features(log_mel(part)) for part in np.split(sound.samples, 2)]
    expected = torch.stack(halves).mean(0)
    assert torch.allclose(ears.embed("audio", [sound])[0], expected / expected.norm(), atol=1e-5)


def test_half_precision_agrees(ears: AiSfx):
    sound = beats(3.0)
    assert load(torch.bfloat16).embed("audio", [sound])[0] @ ears.embed("audio", [sound])[0] > 0.995


def test_ten_seconds_take_a_quarter_second_at_most(ears: AiSfx):
    sound = beats(10.0)
    ears.embed("audio", [sound])
    times = []
    for _ in range(3):
        start = time.process_time()
        ears.embed("audio", [sound])
        times.append(time.process_time() - start)
    assert min(times) / torch.get_num_threads() < 0.4  # 0.14 s on one idle thread


@pytest.mark.parametrize("frames", [1, 16, 99, 100, 101, 431])
def test_short_spectrograms_are_repeated(frames: int):
    mel = torch.rand(frames, 96)
    filled = fit(mel)
    assert len(filled) == max(frames, 100)
    assert torch.equal(filled[:frames], mel)
    assert torch.equal(filled[-1], mel[(len(filled) - 1) % frames])


def test_blocks_cover_a_sound_to_its_end():
    line = torch.zeros(1, 2, 53, 12)
    line[0, 1, -1] = 1.0
    blocks = summarise(line)
    assert len(blocks) == math.ceil((53 - 12) / 6) + 1
    assert blocks[-1].tolist() == [0.0, 1.0]


def test_other_checkpoints_are_refused():
    with pytest.raises(WeightsError, match="does not fit"):
        Network().load({"embedding_net.conv_block1.bn1.weight": torch.ones(64)})


def test_parameters_are_as_stated(ears: AiSfx):
    folded = sum(p.numel() for p in ears._network.parameters())
    norms = sum(2 * width for width in (64, 128, 256, 512))
    assert folded + norms == ears.spec.parameters
