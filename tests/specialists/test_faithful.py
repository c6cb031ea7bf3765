"""Faithful sounds: what the published code does where it is deterministic, and what ours does otherwise."""

import numpy as np
import pytest
import soundfile
import torch

from omnibind_core import media
from omnibind_core.types import Audio
from tests.small_towers import MAKERS

RATE = 32_000


def tone(seconds, pitch):
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * pitch * times) * (1 + 0.3 * np.sin(9 * times))).astype(np.float32)


@pytest.fixture
def long_file(tmp_path):
    """15 s in stereo: another tone on each side, and a third one after 10 s."""
    left = np.concatenate([tone(10, 330), tone(5, 2000)])
    right = np.concatenate([tone(10, 700), tone(5, 2000)])
    soundfile.write(tmp_path / "long.wav", np.stack([left, right], axis=1), RATE, subtype="FLOAT")
    return tmp_path / "long.wav"


def test_a_faithful_sound_keeps_its_left_channel_across_the_pipe(long_file):
    sound = media.load(str(long_file), "audio", faithful=True)
    assert sound.faithful
    assert sound.left.shape == sound.samples.shape
    assert np.abs(sound.left[: 10 * RATE] - tone(10, 330)).max() < 1e-6
    again = media.load(sound, "audio")
    assert again.faithful
    assert np.array_equal(again.left, sound.left)
    plain = media.load(str(long_file), "audio")
    assert (plain.faithful, plain.left) == (False, None)


def test_wavcaps_hears_the_first_ten_seconds(tmp_path, long_file):
    tower = MAKERS["wavcaps"](tmp_path)
    whole, faithful = (media.load(str(long_file), "audio", faithful=one) for one in (False, True))
    first = Audio(faithful.samples[: 10 * RATE], RATE)
    rows = tower.embed("audio", [faithful, first, whole])
    assert torch.allclose(rows[0], rows[1], atol=1e-6)
    assert not torch.allclose(rows[0], rows[2], atol=1e-4)


def test_imagebind_hears_the_left_channel(tmp_path, long_file):
    tower = MAKERS["imagebind_huge"](tmp_path)
    faithful = media.load(str(long_file), "audio", faithful=True)
    rows = tower.embed("audio", [faithful, Audio(faithful.left, RATE), Audio(faithful.samples, RATE)])
    assert torch.allclose(rows[0], rows[1], atol=1e-6)
    assert not torch.allclose(rows[0], rows[2], atol=1e-4)
