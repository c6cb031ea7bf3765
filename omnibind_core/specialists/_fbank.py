"""Kaldi's log filter bank energies, as ImageBind's sound tower was trained on them (torchaudio is no dependency)."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["FRAME", "RATE", "SHIFT", "fbank", "mel_banks"]

RATE = 16_000  # Hz
FRAME, SHIFT = 400, 160  # samples: 25 ms every 10 ms
_FFT = 512  # the power of two above the frame
_BANKS, _LOWEST = 128, 20.0  # Kaldi's default lowest frequency in Hz; the highest is half the rate
_EMPHASIS = 0.97  # Kaldi's default
_FLOOR = torch.finfo(torch.float32).eps


@cache
def mel_banks() -> Tensor:
    """Triangles on Kaldi's mel scale, straight over mel: (257, 128) float32 over the FFT's bins, none at half the rate.

    mel = 1127 ln(1 + Hz / 700). librosa's are straight over Hz.
    """
    lowest, highest = (1127.0 * np.log(1.0 + hertz / 700.0) for hertz in (_LOWEST, RATE / 2))
    edges = np.linspace(lowest, highest, _BANKS + 2)
    mel = 1127.0 * np.log(1.0 + np.arange(_FFT // 2)[:, None] * (RATE / _FFT) / 700.0)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((mel - low) / (middle - low), (high - mel) / (high - middle)))
    return torch.from_numpy(np.vstack([triangles, np.zeros((1, _BANKS))]).astype(np.float32))


def fbank(samples: Tensor) -> Tensor:
    """Give log filter bank energies.

    Each frame loses its mean, gets its treble raised (0.97) and a symmetric Hann window, and is filled up to 512
    samples. No dither, no energy, frames only where a whole one fits.

    Parameters
    ----------
    samples : Tensor, shape (n,), float32
        At 16 kHz, at least 400 samples.

    Returns
    -------
    Tensor, shape (1 + (n - 400) // 160, 128), float32
        Natural logarithms of power, at least -15.95.
    """
    frames = samples.unfold(0, FRAME, SHIFT)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    frames = (frames - _EMPHASIS * before) * torch.hann_window(FRAME, periodic=False, device=samples.device)
    power = torch.view_as_real(torch.fft.rfft(frames, n=_FFT)).square().sum(-1)
    return (power @ mel_banks().to(samples.device)).clamp(min=_FLOOR).log()
