"""Other sounds of the same thing, made from its spectrogram: what a head must not care about."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["augment"]

_LONGEST = 215  # frames: 5 s
_SHORTEST = 50
_BINS = 96


def _resized(mel: Tensor, frames: int, stretch: float, shift: float) -> Tensor:
    """Sample (frames, 96) powers on another grid: `stretch` times as long, `shift` bins higher."""
    rows = torch.arange(frames) / stretch
    columns = torch.arange(_BINS) - shift
    grid_y = (2 * rows / max(len(mel) - 1, 1) - 1)[:, None].expand(frames, _BINS)
    grid_x = (2 * columns / (_BINS - 1) - 1)[None, :].expand(frames, _BINS)
    grid = torch.stack([grid_x, grid_y], -1)[None].float()
    out = torch.nn.functional.grid_sample(mel[None, None], grid, padding_mode="zeros", align_corners=True)
    return out[0, 0]


def _crop(mel: Tensor, rng: np.random.Generator) -> Tensor:
    if len(mel) <= _SHORTEST:
        return mel
    length = int(rng.integers(_SHORTEST, min(len(mel), _LONGEST) + 1))
    # Most sounds begin with what they are.
    start = 0 if rng.random() < 0.4 else int(rng.integers(0, len(mel) - length + 1))
    piece = mel[start : start + length]
    return piece if float(piece.mean()) > 0.05 * float(mel.mean()) else mel[:length]


def augment(mel: Tensor, others: list[Tensor], rng: np.random.Generator) -> Tensor:
    """Change a sound's power spectrogram as another recording of the same thing might differ.

    Parameters
    ----------
    mel : Tensor, shape (frames, 96), float32
        Mel powers, not negative.
    others : list of Tensor
        Power spectrograms of other sounds, one of which may be heard faintly behind.
    rng : numpy.random.Generator
        Decides everything.

    Returns
    -------
    Tensor, shape (frames', 96), float32
        Mel powers: cropped, stretched in time by 0.8 to 1.25, shifted by up to 4 bins, filtered by up to 8 dB, over
        noise and other sounds, repeated after a pause, and up to 6 dB louder or softer than before.
    """
    level = float(mel.mean())
    out = _crop(mel, rng)
    if rng.random() < 0.7:
        stretch = float(np.exp(rng.uniform(-0.22, 0.22)))
        out = _resized(out, max(2, round(len(out) * stretch)), stretch, float(rng.normal(0, 1.6)))
    if rng.random() < 0.7:
        knots = rng.uniform(-0.8, 0.8, 6)
        curve = np.interp(np.linspace(0, 5, _BINS), np.arange(6), knots)
        out = out * torch.from_numpy(10.0**curve).float()
    if rng.random() < 0.2:  # the bandwidth of an old recording
        out = out.clone()
        out[:, int(rng.integers(45, 90)) :] *= 1e-4
    if len(out) < 80 and rng.random() < 0.4:
        pause = torch.zeros(int(rng.integers(0, 20)), _BINS)
        out = torch.cat([out, pause] * int(rng.integers(2, 5)))
    if others and rng.random() < 0.25:
        other = others[int(rng.integers(len(others)))]
        repeated = other.repeat(-(-len(out) // len(other)), 1)[: len(out)]
        share = 10.0 ** rng.uniform(-2.5, -1.0) * float(out.mean()) / max(float(repeated.mean()), 1e-12)
        out = out + share * repeated
    if rng.random() < 0.4:
        colour = np.exp(rng.uniform(-3, 1) * np.linspace(0, 1, _BINS))
        noise = torch.from_numpy(colour * rng.chisquare(4, (len(out), _BINS)) / 4).float()
        out = out + noise * (10.0 ** rng.uniform(-5, -2) * float(out.mean()) / float(noise.mean()))
    gain = 10.0 ** rng.uniform(-0.6, 0.6)
    loud: Tensor = out * (gain * level / max(float(out.mean()), 1e-12))
    return loud
