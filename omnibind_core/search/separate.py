"""Pull out of a sound what a picture, a shape, a sentence or another sound names. Nothing is trained for it.

The spectrogram is taken apart into a few parts (non-negative matrix factorisation, Lee and Seung, Nature 401, 1999),
each part is heard by the preset's own ears, and each time and frequency goes to what was asked for as far as the parts
that sound there are near it (a soft Wiener mask, Févotte et al., Neural Computation 21, 2009). What is found and what
is left add up to the sound.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import QueryError
from omnibind_core.media.audio import resample
from omnibind_core.search.compose import centre, unit_rows
from omnibind_core.types import Audio, FloatArray, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.search.compose import Term
    from omnibind_core.search.gallery import Gallery

__all__ = ["LEAST", "MAX_SECONDS", "Part", "Parts", "Separated", "levelled", "select", "take_apart"]

MAX_SECONDS: Final = 60.0
"""Longest sound that is taken apart: the work grows with it, and twelve parts no longer suffice."""
PARTS: Final = 12
_STEPS = 100  # of the factorisation; more change SI-SDR by less than 0.1 dB
_WINDOW = 0.046  # seconds, rounded to a power of two samples: 2048 at 44.1 kHz
_FAINT = 1e-3  # of the loudest part's level (-60 dB): not worth hearing, and silence cannot be heard
_LEVEL = 0.1  # at which each part is heard
_TINY = 1e-10
# Chosen on the development half of omnibind_core.evaluation.separating, before its test half was looked at.
_SOFT = 0.25  # standard deviations: how far apart what is taken and what is left are
_SPREAD = 0.7  # of a part's score, from parts that are like it
_SHARP = 6.0  # how much more than others the most alike count
_TIMES = 0.5  # how much it counts when a part sounds, beside how it is heard
LEAST: Final[Mapping[Modality, float]] = {"image": 0.65, "audio": 0.65, "point": 0.4, "text": 0.5}
"""How far what was asked for must stand out to be there, by the query's modality: in standard deviations."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A sound taken apart, and how each part is heard. Any number of queries can be asked of it.

    Attributes
    ----------
    sound : Audio
        What was taken apart.
    spectrogram : ndarray, shape (bins, frames), complex64
        Its short-time Fourier transform.
    spectra : ndarray, shape (bins, k), float32
        Each part's spectrum, >= 0.
    gains : ndarray, shape (k, frames), float32
        How loud each part is over time, >= 0.
    vectors : ndarray, shape (k, D), float32
        Unit rows: each part in the shared space.
    whole : ndarray, shape (D,), float32
        The sound itself, likewise.
    levels : ndarray, shape (k,), float32
        Each part's share of the energy of all, 0..1.
    """

    sound: Audio
    spectrogram: NDArray[np.complex64]
    spectra: FloatArray
    gains: FloatArray
    vectors: FloatArray
    whole: FloatArray
    levels: FloatArray

    def mixed(self, weights: FloatArray) -> FloatArray:
        """Give the parts' sum as a sound of the same length: weights (k,) in 0..1 -> samples (n,)."""
        all_of_it = self.spectra @ self.gains + _TINY
        mask = (self.spectra * weights) @ self.gains / all_of_it
        return _samples(self.spectrogram * mask, self.sound)


@dataclass(frozen=True)
class Part:
    """How one part of a sound was judged.

    Attributes
    ----------
    score : float
        How far its nearness to the query stands out, in standard deviations.
    weight : float
        The share of it that was taken, 0..1.
    level : float
        Its share of the sound's energy, 0..1.
    """

    score: float
    weight: float
    level: float


@dataclass(frozen=True, eq=False)
class Separated:
    """What a query pulled out of a sound.

    Attributes
    ----------
    found, rest : ndarray, shape (n,), float32
        What was asked for and what is left; they add up to the sound within 1e-4 of full scale.
    rate : int
        Sampling rate in Hz: the sound's own.
    parts : tuple of Part
        The parts that the sound was taken apart into, by rising pitch.
    score : float
        How far what was asked for stands out, in standard deviations of the gallery's answers.
    present : bool
        False where it is not in the sound, as far as the ears can tell; what is found is then the nearest there is.
    """

    found: FloatArray
    rest: FloatArray
    rate: int
    parts: tuple[Part, ...]
    score: float
    present: bool


def levelled(sound: Audio, rate: int, seconds: float, level: float = 0.05) -> FloatArray:
    """Make a sound ready for a mixture: repeated or cut to a length, at a level that all others have.

    Parameters
    ----------
    sound : Audio
    rate : int
        Of what is given, in Hz.
    seconds : float
        Length of what is given.
    level : float
        Root mean square; a sum of two at 0.05 stays within full scale unless they are very spiky.

    Returns
    -------
    ndarray, shape (rate * seconds,), float32
    """
    samples = np.resize(resample(sound, rate), round(seconds * rate))
    scaled: FloatArray = (samples * (level / max(float(np.sqrt(np.square(samples).mean())), _TINY))).astype(np.float32)
    return scaled


def take_apart(model: OmniBind, sound: Audio, parts: int = PARTS) -> Parts:
    """Take a sound apart and hear each part, in one batch.

    Parameters
    ----------
    model : OmniBind
        Whose preset embeds sounds.
    sound : Audio
        At most :data:`MAX_SECONDS` long.
    parts : int
        How many; a short sound has fewer.

    Raises
    ------
    QueryError
        It is too long, or the preset hears nothing.
    """
    if sound.seconds > MAX_SECONDS:
        raise QueryError(f"a sound of {sound.seconds:.0f} s", f"at most {MAX_SECONDS:.0f} s", "cut out what matters")
    spectrogram = _spectrogram(sound)
    spectra, gains = _factors(np.abs(spectrogram), parts)
    apart = Parts(sound, spectrogram, spectra, gains, *[np.zeros(0, np.float32)] * 3)
    pieces = [apart.mixed(row) for row in np.eye(len(gains), dtype=np.float32)]
    levels = np.array([float(np.sqrt(np.square(piece).mean())) for piece in pieces], np.float32)
    heard = np.flatnonzero(levels > _FAINT * levels.max())
    batch = [Audio((pieces[i] * (_LEVEL / levels[i])).clip(-1, 1), sound.rate) for i in heard]
    vectors = model.embed("audio", [*batch, Audio(sound.samples, sound.rate)]).vectors
    energy = np.square(levels[heard])
    kept = spectra[:, heard], gains[heard]
    return Parts(sound, spectrogram, *kept, vectors[:-1], vectors[-1], energy / energy.sum())


def select(apart: Parts, query: Term, gallery: Gallery) -> Separated:
    """Pull out what a query names.

    Parameters
    ----------
    apart : Parts
        From :func:`take_apart`, by the gallery's preset.
    query : Term
        Of any modality; its weight is not looked at.
    gallery : Gallery
        What nearness is measured by: its means are subtracted, and a score says how far the query stands out among
        the gallery's things of its modality.
    """
    *parts, whole = _standing(np.vstack([apart.vectors, apart.whole]), query, gallery)
    scores = np.array(parts, np.float32)
    weights = _weights(scores, apart.levels, _alike(apart, gallery))
    found = apart.mixed(weights)
    rest: FloatArray = apart.sound.samples - found
    told = tuple(Part(*map(float, row)) for row in zip(scores, weights, apart.levels, strict=True))
    score = _presence(scores, float(whole))
    return Separated(found, rest, apart.sound.rate, told, score, score >= LEAST[query.modality])


def _standing(heard: FloatArray, query: Term, gallery: Gallery) -> FloatArray:
    """Say how far a query stands out as an answer to each sound, among the gallery's things of its modality.

    Parameters
    ----------
    heard : ndarray, shape (n, D), float32
        Unit rows: sounds.
    query : Term
    gallery : Gallery

    Returns
    -------
    ndarray, shape (n,), float32
        Standard deviations above the mean of their cosines, modalities centred.
    """
    sounds = centre(heard, gallery.mean("audio"))
    others = gallery.rows(query.modality)
    mean = gallery.mean(query.modality)
    cosines = sounds @ centre(others, mean).T
    asked = sounds @ centre(query.vector[None], mean)[0]
    scores: FloatArray = (asked - cosines.mean(axis=1)) / np.maximum(cosines.std(axis=1), 1e-6)
    return scores


def _presence(scores: FloatArray, whole: float) -> float:
    """Say by one number whether a query is there: the mean of the best part's score and the whole's."""
    return (float(scores.max()) + whole) / 2


def _alike(apart: Parts, gallery: Gallery) -> FloatArray:
    """Say how near each part is to each other one, by what is heard and by when it sounds: (k, k), rows sum to 1."""
    heard = centre(apart.vectors, gallery.mean("audio"))
    times = unit_rows(apart.gains - apart.gains.mean(axis=1, keepdims=True))
    near = np.exp(_SHARP * (heard @ heard.T + _TIMES * times @ times.T))
    np.fill_diagonal(near, 0)
    alike: FloatArray = near / np.maximum(near.sum(axis=1, keepdims=True), _TINY)
    return alike


def _weights(scores: FloatArray, levels: FloatArray, alike: FloatArray) -> FloatArray:
    """Say how much of each part is taken: more where its score, and those of parts like it, are above the middle.

    One sound falls into several parts, and some of them alone sound like nothing: scores are spread among parts that
    are alike (Zhou et al., Learning with local and global consistency, NIPS 2003), and keep their deviation.
    """
    share = np.sqrt(levels) / np.sqrt(levels).sum()
    own = scores - share @ scores
    spread = np.linalg.solve(np.eye(len(own)) - _SPREAD * alike, own)
    spread *= own.std() / max(float(spread.std()), _TINY)
    weights: FloatArray = (1 / (1 + np.exp(-(spread - share @ spread) / _SOFT))).astype(np.float32)
    return weights


def _factors(magnitude: FloatArray, parts: int) -> tuple[FloatArray, FloatArray]:
    """Take a spectrogram of magnitudes (bins, frames) >= 0 apart: spectra (bins, k), gains (k, frames), low to high."""
    from librosa.decompose import decompose  # seconds of imports
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    count = max(1, min(parts, *magnitude.shape))
    how: dict[str, Any] = {"beta_loss": "kullback-leibler", "solver": "mu", "init": "nndsvda", "tol": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred steps are what was measured
        machine = NMF(count, max_iter=_STEPS, random_state=0, **how)
        spectra, gains = decompose(magnitude, transformer=machine, sort=True)
    return spectra.astype(np.float32), gains.astype(np.float32)


def _frame(rate: int) -> int:
    """Give the samples in one window of the transform."""
    return int(2 ** round(np.log2(_WINDOW * rate)))


def _spectrogram(sound: Audio) -> NDArray[np.complex64]:
    import librosa

    size = _frame(sound.rate)
    samples = np.pad(sound.samples, (0, max(0, size - len(sound.samples))))
    made: NDArray[np.complex64] = librosa.stft(samples, n_fft=size, hop_length=size // 4)
    return made


def _samples(spectrogram: NDArray[Any], sound: Audio) -> FloatArray:
    import librosa

    count, hop = len(sound.samples), _frame(sound.rate) // 4
    made = librosa.istft(spectrogram, hop_length=hop, length=max(count, 4 * hop))
    samples: FloatArray = made[:count].astype(np.float32)
    return samples
