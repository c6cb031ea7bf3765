"""What mini finds when it is asked in other languages: 120 things in 14 languages, written before any run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.bench import Bench, Pool
from omnibind_core.evaluation.report import Cell, Chart, Section
from omnibind_core.evaluation.retrieval import figure
from omnibind_core.search.compose import DEFAULT_MATCH
from omnibind_core.search.gallery import Gallery
from omnibind_core.specialists.any_language import lead
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import MODALITIES, FloatArray, Text
from tools.mini.languages.lists import ASKED_IN, asked
from tools.mini.languages.train import FILE

__all__ = ["NAMES", "languages_section"]

NAMES: Mapping[str, str] = {
    "en": "English", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "es": "Spanish", "pt": "Portuguese",
    "fr": "French", "de": "German", "it": "Italian", "ru": "Russian", "ar": "Arabic", "hi": "Hindi", "tr": "Turkish",
    "vi": "Vietnamese", "th": "Thai",
}  # fmt: skip
_K = 5
_TEXT = """\
120 things of the gallery, asked for by their bare name in 15 languages among its captions, pictures, sounds and shapes:
how often one that shows the thing is among the first five of its kind, in percent, with the 95 % bootstrap interval
over questions. The names (`tools/mini/languages/asked.tsv`) were written and committed before any run; half of them
served for development, and the table shows the other half, which was asked once. Free lists of words that ship with
mini hold many of these names, as they hold most everyday things; *unnamed* does without the lists, by E5 and a head of
the same kind that learned from no pair that names one of the 120 things (their English names alone it read): what to
expect of a word that no list has. *Before* is MiniLM, which reads English alone. English takes the way it always took.
Chance is the mean over questions of a right one among five drawn.
"""


def languages_section(model: OmniBind, half: str = "test") -> Section:
    """Ask for every thing of one half ("development", "test") in every language; raises WeightsError."""
    things = [row for row in asked() if row["half"] == half]
    gallery, bench = Gallery.load(model), Bench(model.preset)
    names = [row["en"] for row in things]
    rows: list[list[Cell]] = []
    english = 0.0
    shares: dict[str, list[float]] = {"now": [], "unnamed": [], "before": []}
    for language in ("en", *ASKED_IN):
        words = [row[language] for row in things]
        hits, chance = _hits(gallery, names, model.embed_texts(words))
        found = figure(hits)
        english = english or found.value
        others = {
            name: float(100 * _hits(gallery, names, _bound(bench, words, vectors))[0].mean())
            for name, vectors in (("unnamed", _unnamed(words)), ("before", _before(words)))
        }
        if language != "en":
            for name, value in {"now": found.value, **others}.items():
                shares[name].append(value / english)
        said: list[Cell] = ["" if language == "en" else f"{others['unnamed']:.1f}", f"{others['before']:.1f}"]
        rows.append([
            NAMES[language], len(hits), round(chance, 1), round(found.value, 1), round(found.low, 1),
            round(found.high, 1), round(100 * found.value / english), *said,
        ])  # fmt: skip
    told = {name: 100 * np.array(values) for name, values in shares.items()}
    summary = (
        f"Of English's own figure the other languages reach {told['now'].mean():.0f} % in the mean and "
        f"{told['now'].min():.0f} % in the lowest; unnamed {told['unnamed'].mean():.0f} and "
        f"{told['unnamed'].min():.0f} %; before {told['before'].mean():.0f} and {told['before'].min():.0f} %."
    )
    columns = ["language", "n", "chance", "hit@5", "from", "to", "% of English", "unnamed", "before"]
    chart = Chart("language", "hit@5", "from", "to", "chance")
    return Section("Any language", f"{_TEXT}\n{summary}", columns, rows, chart)


def _hits(gallery: Gallery, things: list[str], queries: FloatArray) -> tuple[NDArray[np.bool_], float]:
    """Say for each thing and kind that shows it whether it was found, and how often it would be by chance."""
    found, chance = [], []
    for modality in MODALITIES:
        candidates, shown = gallery.rows(modality, DEFAULT_MATCH), np.array(gallery.concepts(modality))
        for thing, query in zip(things, queries, strict=True):
            right = shown == thing
            if right.any():
                first = np.argsort(-(candidates @ query), kind="stable")[:_K]
                found.append(bool(right[first].any()))
                n, count = len(shown), int(right.sum())
                chance.append(1 - float(np.prod([(n - count - i) / (n - i) for i in range(_K)])))
    return np.array(found), 100 * float(np.mean(chance))


def _bound(bench: Bench, words: Sequence[str], vectors: FloatArray) -> FloatArray:
    """Bind sentences by other vectors than the preset's tower would give: (n, 384) -> (n, D)."""
    return bench.bound(Pool("text", tuple(words), lambda _: vectors, np.ones(len(words), bool)))


def _unnamed(words: Sequence[str]) -> FloatArray:
    """Lead words to MiniLM's space by the head that was told of none of the asked things: (n, 384)."""
    head = {name: value.float() for name, value in read_tensors(assets_directory() / "mini" / "eval" / FILE).items()}
    vectors: FloatArray = lead(head, tower("e5_small").embed("text", [Text(word) for word in words])).numpy()
    return vectors


def _before(words: Sequence[str]) -> FloatArray:
    vectors: FloatArray = tower("minilm_l6").embed("text", [Text(word) for word in words]).numpy()
    return vectors
