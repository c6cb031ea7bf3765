"""Sentences that two spaces read alike, so that they can be bound by text alone."""

from __future__ import annotations

import csv
from pathlib import Path

from omnibind_core.config import assets_directory
from omnibind_core.gallery import read_catalogue

__all__ = ["shared_sentences"]

_DATA = Path(__file__).parent / "data"


def shared_sentences(gallery: Path | None = None) -> list[str]:
    """Give the gallery's captions, the labels of the sounds' pool as sentences, and our own list, each once.

    Parameters
    ----------
    gallery : Path, optional
        A folder with ``catalogue.json``; None takes the committed one.

    Returns
    -------
    list of str
        About 1,300: more would not be read in a minute on two cores.
    """
    captions = [item.caption for item in read_catalogue(gallery or assets_directory() / "gallery")]
    with (_DATA / "sounds.csv").open(encoding="utf-8", newline="") as stream:
        labels = sorted({row["label"] for row in csv.DictReader(stream)})
    lines = (_DATA / "sentences.txt").read_text(encoding="utf-8").splitlines()
    own = [line for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys([*captions, *(f"the sound of a {label}" for label in labels), *own]))
