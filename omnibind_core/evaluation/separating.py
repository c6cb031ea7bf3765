"""Pulling one sound out of a mixture of two, asked for by what is no sound: how much better it is than the mixture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.report import Cell, Chart, Section
from omnibind_core.evaluation.retrieval import figure
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.separate import LEAST, Parts, levelled, select, take_apart
from omnibind_core.store.catalogue import Item
from omnibind_core.types import Audio, FloatArray, Modality

__all__ = ["Outcome", "measure_separation", "pairs", "separation_section", "si_sdr", "threshold"]

RATE: Final = 32_000
SECONDS: Final = 4
ASKED: Mapping[Modality, str] = {"image": "picture", "point": "shape", "text": "sentence"}
_RESAMPLES = 2000
_SWEEPS = 3


@dataclass(frozen=True)
class Outcome:
    """What one query did with one mixture.

    Attributes
    ----------
    modality : Modality
        Of the query.
    present : bool
        Whether it names one of the two sounds.
    gain, oracle : float
        By how many dB the SI-SDR is better than the mixture's: of what was found, and of the choice of the same parts
        that is best where the truth is known. For a query that names neither sound, of what it finds of the first one.
    score : float
        By which the query's presence is judged.
    told : bool
        Whether it is said to be there.
    """

    modality: Modality
    present: bool
    gain: float
    oracle: float
    score: float
    told: bool


def si_sdr(estimate: FloatArray, truth: FloatArray) -> float:
    """Give the scale-invariant ratio of signal to distortion in dB (Le Roux et al., ICASSP 2019): (n,), (n,)."""
    part = (estimate @ truth) / (truth @ truth) * truth
    return float(10 * np.log10((part @ part) / max(float(np.square(estimate - part).sum()), 1e-12)))


def in_test(concept: str) -> bool:
    """Whether a concept is of the test half: by its name, so that no choice can move it."""
    return sha256(concept.encode()).digest()[0] % 2 == 1


def pairs(
    items: Sequence[Item], n: int, seed: int, test: bool, sources: Collection[str] = ()
) -> list[tuple[Item, Item]]:
    """Draw pairs of sounds of different concepts, both of one half.

    Parameters
    ----------
    items : sequence of Item
        Of a gallery.
    n : int
    seed : int
    test : bool
        Whether of the test half.
    sources : collection of str
        Packages that both sounds must be of; none takes all.
    """
    sounds = [
        item
        for item in items
        if item.modality == "audio" and in_test(item.concept) == test and (not sources or item.package in sources)
    ]
    draw = np.random.default_rng(seed)
    found: list[tuple[Item, Item]] = []
    while len(found) < n:
        one, other = (sounds[i] for i in draw.choice(len(sounds), 2, replace=False))
        if one.concept != other.concept:
            found.append((one, other))
    return found


def measure_separation(
    model: OmniBind, gallery: Gallery, mixtures: Sequence[tuple[Item, Item]], seed: int = 0
) -> list[Outcome]:
    """Mix two sounds at 0 dB, and ask for each of them, and for one thing that is in neither, in each modality.

    Parameters
    ----------
    model : OmniBind
    gallery : Gallery
        Of its preset; the first item of a concept is what asks for it.
    mixtures : sequence of (Item, Item)
        From :func:`pairs`.
    seed : int
        Of what is asked for and not there.
    """
    asks: dict[tuple[str, Modality], str] = {}
    for item in gallery.items:
        asks.setdefault((item.concept, item.modality), item.id)
    heard = sorted({item.concept for item in gallery.items if item.modality == "audio"})
    draw = np.random.default_rng(seed)
    outcomes: list[Outcome] = []
    for pair in mixtures:
        truths = [_sound(gallery, item) for item in pair]
        apart = take_apart(model, Audio(truths[0] + truths[1], RATE))
        best = [_oracle(apart, truth) - si_sdr(apart.sound.samples, truth) for truth in truths]
        concepts = [item.concept for item in pair]
        half = [one for one in heard if one not in concepts and in_test(one) == in_test(concepts[0])]
        for modality in ASKED:
            known = [one for one in half if (one, modality) in asks]
            absent = known[int(draw.integers(len(known)))]
            for concept, truth, oracle in ((concepts[0], truths[0], best[0]), (concepts[1], truths[1], best[1]),
                                           (absent, truths[0], best[0])):  # fmt: skip
                if (concept, modality) not in asks:
                    continue
                made = select(apart, gallery.term(asks[concept, modality]), gallery)
                gain = si_sdr(made.found, truth) - si_sdr(apart.sound.samples, truth)
                outcomes.append(Outcome(modality, concept in concepts, gain, oracle, made.score, made.present))
    return outcomes


def threshold(outcomes: Sequence[Outcome], modality: Modality, alarms: float = 0.1) -> float:
    """Give the score below which that share of what is there would be called absent."""
    return float(np.quantile([o.score for o in outcomes if o.modality == modality and o.present], alarms))


def separation_section(groups: Mapping[str, Sequence[Outcome]]) -> Section:
    """Lay the figures out: title of a group of mixtures -> its outcomes."""
    columns = ["task", "n", "chance", "gain", "low", "high", "oracle", "better", "absent and told so", "false alarms"]
    rows: list[list[Cell]] = []
    for title, outcomes in groups.items():
        for modality, name in ASKED.items():
            there = [o for o in outcomes if o.modality == modality and o.present]
            absent = [o for o in outcomes if o.modality == modality and not o.present]
            if not there:
                continue
            gains = np.array([o.gain for o in there])
            low, high = _interval(gains)
            rows.append([
                f"{title}, by a {name}", len(there), float(np.median([o.gain for o in absent])),
                float(np.median(gains)), low, high, float(np.median([o.oracle for o in there])),
                str(figure(gains > 0)), str(figure(np.array([not o.told for o in absent]))),
                str(figure(np.array([not o.told for o in there]))),
            ])  # fmt: skip
    least = ", ".join(f"{LEAST[modality]} for a {name}" for modality, name in ASKED.items())
    return Section("Pulling one sound out of two", _TEXT.format(least=least), columns, rows, _CHART)


_CHART = Chart("task", "gain", "low", "high", "chance")
_TEXT = """\
Two sounds of the gallery, of different concepts, 4 s, mixed at 0 dB; each is asked for by a picture, a shape or a
sentence of the gallery that shows the same concept. **Gain**: by how many dB the SI-SDR of what was found is better
than the mixture's, the median over queries with its 95 % bootstrap interval; **chance** is the same for a query that
names neither sound; **oracle** is the best choice of the very same parts, found with the truth at hand; **better** is
the share of queries that gained, percent. **Absent and told so** is the share of queries for what is in neither sound
that are told so, **false alarms** of those for what is there (percent, 95 % interval; thresholds: {least} standard
deviations). Concepts fall into halves by a hash of their names: these are the test half's, all choices were made on the
other one. Where no head heard the packages, both sounds are from packages that were left out of the training of the
heads that are measured; the gallery's other sounds were heard in training, though never in a mixture.
"""


def _sound(gallery: Gallery, item: Item) -> FloatArray:
    """Read a sound at one rate, repeated or cut to one length, at one level."""
    read = media.load(gallery.path(item), "audio")
    if not isinstance(read, Audio):
        raise TypeError(f"decoded a sound into {type(read).__name__}")
    return levelled(read, RATE, SECONDS)


def _oracle(apart: Parts, truth: FloatArray) -> float:
    """Give the SI-SDR of the best choice of whole parts: from those nearer to the truth, one switched at a time."""
    pieces = np.stack([apart.mixed(row) for row in np.eye(len(apart.levels), dtype=np.float32)])
    taken = (pieces @ truth) > (pieces @ (apart.sound.samples - truth))
    if not taken.any():
        taken[int((pieces @ truth).argmax())] = True
    best = si_sdr(pieces[taken].sum(axis=0), truth)
    for _ in range(_SWEEPS):
        for i in range(len(taken)):
            taken[i] = not taken[i]
            now = si_sdr(pieces[taken].sum(axis=0), truth) if taken.any() else -np.inf
            if now > best:
                best = now
            else:
                taken[i] = not taken[i]
    return best


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of the median."""
    draw = np.random.default_rng(0)
    medians = np.median(draw.choice(values, (_RESAMPLES, len(values))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)
