"""CLAP's front end: sounds to the spectrograms that its two sound towers were trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from omnibind_core.specialists._htsat import FFT
from omnibind_core.types import FloatArray

__all__ = [
    "FRAMES",
    "HOP",
    "RATE",
    "SECONDS",
    "WHOLE",
    "closer_looks",
    "fill",
    "htk_filters",
    "sixteen_bits",
    "slaney_filters",
]

RATE = 48_000  # Hz
SECONDS = 10.0  # what the network was trained on
WHOLE = round(RATE * SECONDS)  # samples
HOP = 480  # samples
FRAMES = WHOLE // HOP + 1
_BINS, _LOWEST, _HIGHEST = 64, 50.0, 14_000.0  # mel bins, from and to Hz


def htk_filters() -> Tensor:
    """Triangular filters on HTK's mel scale, each of unit height: (513, 64) float32, 50 to 14000 Hz.

    The fused network was trained on these (torchaudio's default); only the other one on those in its checkpoint.
    """
    return _filters(htk=True, norm=None)


def slaney_filters() -> Tensor:
    """Mel filters of the networks without fusion: (513, 64) float32, 50 to 14000 Hz, Slaney's scale and norm."""
    return _filters(htk=False, norm="slaney")


def _filters(*, htk: bool, norm: str | None) -> Tensor:
    from librosa.filters import mel  # here, for it takes most of a second

    filters: FloatArray = mel(sr=RATE, n_fft=FFT, n_mels=_BINS, fmin=_LOWEST, fmax=_HIGHEST, htk=htk, norm=norm)
    return torch.from_numpy(filters).mT.contiguous()


def fill(samples: FloatArray) -> FloatArray:
    """Repeat a short sound as often as it goes into 10 s, then silence: (n up to 480000,) -> (480000,) float32."""
    repeated: FloatArray = np.tile(samples, WHOLE // len(samples))
    return np.concatenate([repeated, np.zeros(WHOLE - len(repeated), np.float32)])


def closer_looks(mel: Tensor) -> Tensor:
    """Sum a long spectrogram up as the fused network wants it.

    Training took the three looks from random places, one in each third. Here it is the middle of each third, so that
    a sound has one embedding.

    Parameters
    ----------
    mel : Tensor, shape (frames, 64), float32
        Over 1001 frames.

    Returns
    -------
    Tensor, shape (4, 1001, 64), float32
        The whole, squeezed in time; then 10 s from the first, second and last third.
    """
    whole = interpolate(mel[None, None], size=(FRAMES, mel.shape[1]), mode="bilinear", align_corners=False)[0]
    thirds = np.array_split(np.arange(len(mel) - FRAMES + 1), 3)
    starts = [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
    return torch.cat([whole, *(mel[None, start : start + FRAMES] for start in starts)])


def sixteen_bits(samples: FloatArray) -> FloatArray:
    """Round to 16 bits towards zero, as training did."""
    rounded: FloatArray = np.trunc(np.clip(samples, -1.0, 1.0) * np.float32(32767)) / np.float32(32767)
    return rounded
