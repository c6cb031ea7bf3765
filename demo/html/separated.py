"""A sound, what was pulled out of it and what is left, as HTML: players with their spectrograms, and the parts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import soundfile

from demo.html.pictures import webp
from omnibind_core.search.separate import Part, Separated
from omnibind_core.types import Audio, FloatArray

__all__ = ["alone", "answer", "player", "spectrogram"]

_DECIBELS = 70.0  # below the mixture's loudest, which is black
_WIDTH, _HEIGHT = 360, 120
_PEAK = 0.98
# Black, violet, coral, pale yellow: rising in lightness, so that it reads without colour too.
_STOPS = np.array([[12, 10, 28], [74, 38, 140], [190, 60, 120], [248, 140, 90], [252, 240, 190]], np.float32)


def answer(sound: Audio, made: Separated, label: str) -> str:
    """Draw the mixture, what was found and what is left side by side, and the parts below.

    Parameters
    ----------
    sound : Audio
        What was taken apart.
    made : Separated
    label : str
        What was asked for, in words; not escaped.
    """
    loudest = float(np.abs(np.stack([sound.samples, made.found, made.rest])).max())
    scale = min(1.0, _PEAK / max(loudest, 1e-6))  # one for all three, so that they can be compared
    there = (
        f"<b>{escape(label)}</b> is in this sound."
        if made.present
        else f"<b>{escape(label)}</b> does not seem to be in this sound. Below is what comes nearest."
    )
    head = (
        f'<p class="ob-note ob-there" role="status">{"✓" if made.present else "✗"} {there} '
        f"<small>It stands out by {made.score:+.1f} standard deviations.</small></p>"
    )
    cards = [
        player("The sound", sound.samples, sound.rate, scale),
        player("Found" if made.present else "Nearest", made.found, made.rate, scale),
        player("What is left", made.rest, made.rate, scale),
    ]
    return f'{head}<div class="ob-sounds">{"".join(cards)}</div>{_parts(made.parts)}'


def alone(sound: Audio) -> str:
    """Draw a sound that nothing was pulled out of yet."""
    scale = min(1.0, _PEAK / max(float(np.abs(sound.samples).max(initial=0.0)), 1e-6))
    return f'<div class="ob-sounds">{player("The sound", sound.samples, sound.rate, scale)}</div>'


def player(title: str, samples: FloatArray, rate: int, scale: float = 1.0) -> str:
    """Draw one sound: its spectrogram, and a player that holds it, so that nothing is written to disk for it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples * scale, -1, 1), rate, format="FLAC", subtype="PCM_16")
    address = "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
    name = escape(title)
    return (
        f'<figure class="ob-sound"><figcaption>{name}</figcaption>'
        f'<img src="{spectrogram(samples * scale, rate)}" alt="Spectrogram: {name}">'
        f'<audio controls preload="metadata" src="{address}" aria-label="{name}"></audio></figure>'
    )


def spectrogram(samples: FloatArray, rate: int) -> str:
    """Draw how loud each pitch is over time, low at the bottom: a ``data:`` address of a picture."""
    import librosa

    bands = librosa.feature.melspectrogram(y=samples, sr=rate, n_mels=96, n_fft=2048, hop_length=512)
    level = 10 * np.log10(np.maximum(bands, 1e-10))
    height = np.clip(1 + (level - 15) / _DECIBELS, 0, 1) * (len(_STOPS) - 1)  # one scale for all, so that they compare
    low = np.minimum(height.astype(int), len(_STOPS) - 2)
    share = (height - low)[..., None]
    rgb = (_STOPS[low] * (1 - share) + _STOPS[low + 1] * share).astype(np.uint8)[::-1]
    return webp(np.ascontiguousarray(rgb), (_WIDTH, _HEIGHT))


def _parts(parts: Sequence[Part]) -> str:
    rows = "".join(
        f'<li><span>Part {i} <small>({part.level:.0%} of the sound)</small></span><span class="ob-taken">'
        f'<b style="width:{100 * part.weight:.0f}%"></b></span><em>{part.weight:.0%}</em>'
        f"<small>{part.score:+.1f}</small></li>"
        for i, part in enumerate(parts, 1)
    )
    return (
        '<details class="ob-parts"><summary>How each part was judged</summary><p class="ob-note">The sound is taken '
        "apart into these parts, low to high. The bar says how much of a part was taken; the number, how far what was "
        f"asked for stands out in it.</p><ul>{rows}</ul></details>"
    )
