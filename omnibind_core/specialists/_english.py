"""Whether a sentence is English: by its letters, its words, and where these do not tell by pieces of them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

from omnibind_core.store.weights import take

__all__ = ["ROWS", "English", "grams", "number", "only_latin"]

ROWS = 1 << 14
"""Rows of the table that pieces of words are counted in."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SIZES = (2, 3, 4)  # letters of a piece
_LATIN = ((0x41, 0x250), (0x1E00, 0x1F00))


def only_latin(text: str) -> bool:
    """Whether all letters of a text are Latin ones, accents among them; a text without letters has none other."""
    return all(any(low <= ord(one) < high for low, high in _LATIN) for one in text if one.isalpha())


def number(word: str) -> int:
    """Give the number by which a word, in lower case, is kept in the list of English words."""
    return zlib.crc32(word.encode()) - (1 << 31)


def grams(text: str) -> list[int]:
    """Rows of a text's pieces in the table: its whole words, and their runs of two to four letters with their ends."""
    found = []
    for word in _WORD.findall(text.lower()):
        marked = f"<{word}>"
        pieces = [marked] + [marked[i : i + n] for n in _SIZES for i in range(len(marked) - n + 1)]
        found += [zlib.crc32(piece.encode()) % ROWS for piece in pieces]
    return found


class English:
    """Tells English from the rest; learned by `tools.mini.languages`."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._words = frozenset(take(tensors, "english.words").tolist())
        self._others = frozenset(take(tensors, "english.others").tolist())
        self._weight = take(tensors, "english.weight", (ROWS,)).float()
        self._bias = float(take(tensors, "english.bias", (1,)))

    def __call__(self, text: str) -> bool:
        """Whether `text` is taken for English; one without words is."""
        if not only_latin(text):
            return False
        words = [number(word) for word in _WORD.findall(text.lower())]
        if all(word in self._words for word in words):
            return True
        if 2 * sum(word in self._others for word in words) > len(words):
            return False
        return float(self._weight[torch.tensor(grams(text))].mean()) + self._bias <= 0.0
