"""Other sounds of the same thing, made from its spectrogram: what a head must not care about."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["VERSION", "augment"]

VERSION = 1
"""Of what :func:`augment` gives: whoever changes that raises it."""

_LONGEST, _SHORTEST, _BRIEF, _PAUSE = 5.0, 1.16, 1.86, 0.46  # seconds
_DULL = (0.47, 0.94)  # share of the bins that an old recording keeps


def _resized(mel: Tensor, frames: int, stretch: float, shift: float) -> Tensor:
    """Sample (frames, bins) powers on another grid: `stretch` times as long, `shift` bins higher."""
    bins = mel.shape[1]
    rows = torch.arange(frames) / stretch
    columns = torch.arange(bins) - shift
    grid_y = (2 * rows / max(len(mel) - 1, 1) - 1)[:, None].expand(frames, bins)
    grid_x = (2 * columns / (bins - 1) - 1)[None, :].expand(frames, bins)
    grid = torch.stack([grid_x, grid_y], -1)[None].float()
    out = torch.nn.functional.grid_sample(mel[None, None], grid, padding_mode="zeros", align_corners=True)
    return out[0, 0]


def _crop(mel: Tensor, rate: float, rng: np.random.Generator) -> Tensor:
    shortest = round(_SHORTEST * rate)
    if len(mel) <= shortest:
        return mel
    length = int(rng.integers(shortest, min(len(mel), round(_LONGEST * rate)) + 1))
    # Most sounds begin with what they are.
    start = 0 if rng.random() < 0.4 else int(rng.integers(0, len(mel) - length + 1))
    piece = mel[start : start + length]
    return piece if float(piece.mean()) > 0.05 * float(mel.mean()) else mel[:length]


def augment(mel: Tensor, others: list[Tensor], rng: np.random.Generator, rate: float) -> Tensor:
    """Change a sound's power spectrogram as another recording of the same thing might differ.

    Parameters
    ----------
    mel : Tensor, shape (frames, bins), float32
        Mel powers, not negative; some eighty bins over the whole range of hearing or of speech.
    others : list of Tensor
        Power spectrograms of other sounds, one of which may be heard faintly behind.
    rng : numpy.random.Generator
        Decides everything.
    rate : float
        Frames in a second.

    Returns
    -------
    Tensor, shape (frames', bins), float32
        Mel powers: cropped, stretched in time by 0.8 to 1.25, shifted by up to 4 bins, filtered by up to 8 dB, over
        noise and other sounds, repeated after a pause, and up to 6 dB louder or softer than before.
    """
    bins = mel.shape[1]
    level = float(mel.mean())
    out = _crop(mel, rate, rng)
    if rng.random() < 0.7:
        stretch = float(np.exp(rng.uniform(-0.22, 0.22)))
        out = _resized(out, max(2, round(len(out) * stretch)), stretch, float(rng.normal(0, 1.6)))
    if rng.random() < 0.7:
        knots = rng.uniform(-0.8, 0.8, 6)
        curve = np.interp(np.linspace(0, 5, bins), np.arange(6), knots)
        out = out * torch.from_numpy(10.0**curve).float()
    if rng.random() < 0.2:  # the bandwidth of an old recording
        out = out.clone()
        out[:, int(rng.uniform(*_DULL) * bins) :] *= 1e-4
    if len(out) < _BRIEF * rate and rng.random() < 0.4:
        pause = torch.zeros(int(rng.uniform(0, _PAUSE) * rate), bins)
        out = torch.cat([out, pause] * int(rng.integers(2, 5)))
    if others and rng.random() < 0.25:
        other = others[int(rng.integers(len(others)))]
        repeated = other.repeat(-(-len(out) // len(other)), 1)[: len(out)]
        share = 10.0 ** rng.uniform(-2.5, -1.0) * float(out.mean()) / max(float(repeated.mean()), 1e-12)
        out = out + share * repeated
    if rng.random() < 0.4:
        colour = np.exp(rng.uniform(-3, 1) * np.linspace(0, 1, bins))
        noise = torch.from_numpy(colour * rng.chisquare(4, (len(out), bins)) / 4).float()
        out = out + noise * (10.0 ** rng.uniform(-5, -2) * float(out.mean()) / float(noise.mean()))
    gain = 10.0 ** rng.uniform(-0.6, 0.6)
    loud: Tensor = out * (gain * level / max(float(out.mean()), 1e-12))
    return loud
