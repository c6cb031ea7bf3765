"""The other way of resampling, which the published code takes."""

import numpy as np
import pytest

from omnibind_core.media.audio import resample
from omnibind_core.types import Audio
from tools.bench.differences import windowed_sinc


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (16_000, 48_000)])
def test_both_ways_of_resampling_keep_a_tone(old, new):
    def tone(rate):
        return (0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype(np.float32)

    made, ours = windowed_sinc(tone(old), old, new), resample(Audio(tone(old), old), new)
    assert len(made) == len(ours) == new
    inner = slice(new // 10, -new // 10)
    assert np.abs(made[inner] - tone(new)[inner]).max() < 3e-3
    assert np.abs(made[inner] - ours[inner]).max() < 3e-3
