"""Sentences of any language in MiniLM's space.

English by MiniLM itself, words of free lists by their English names, all else by E5 and a head of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from omnibind_core.specialists._emoji import EmojiNames
from omnibind_core.specialists._english import English
from omnibind_core.specialists.base import Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import CommittedFile, read_tensors, take
from omnibind_core.types import Modality, Text

__all__ = ["SPECS", "AnyLanguage", "build", "lead"]

_WIDTH, _HIDDEN = 384, 1024

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="any_language",
        title="MiniLM or E5",
        widths={"text": _WIDTH},
        weights={
            "head": CommittedFile("mini/languages.safetensors"),
            "emoji": CommittedFile("mini/emoji.json"),
            "book": CommittedFile("mini/book.json"),
        },
        licence="CC-BY-4.0",
        paper="Ours; the towers' are Reimers and Gurevych, arXiv 1908.10084, and Wang et al., arXiv 2402.05672",
        source="trained by `python -m tools.mini languages`, committed in assets/mini",
        parameters=951_681,
        shares=("minilm_l6", "e5_small"),
        borrows={"text": ("text", 1)},
    ),
)


def lead(tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Lead E5's unit rows to MiniLM's.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        "up.weight" (1024, 384), "up.bias", "down.weight" (384, 1024), "down.bias", "skip.weight" (384, 384).
    x : Tensor, shape (n, 384), float32
        From :class:`~omnibind_core.specialists.e5_small.E5Small`.

    Returns
    -------
    Tensor, shape (n, 384), float32
        Unit rows.
    """
    hidden = functional.gelu(functional.linear(x, tensors["up.weight"], tensors["up.bias"]))
    found = functional.linear(hidden, tensors["down.weight"], tensors["down.bias"])
    return unit(found + functional.linear(x, tensors["skip.weight"]))


_SHAPES = {
    "up.weight": (_HIDDEN, _WIDTH),
    "up.bias": (_HIDDEN,),
    "down.weight": (_WIDTH, _HIDDEN),
    "down.bias": (_WIDTH,),
    "skip.weight": (_WIDTH, _WIDTH),
}


class AnyLanguage(Tower):
    """Sentences -> unit rows of width 384 in MiniLM's space, whatever their language."""

    def __init__(
        self,
        spec: SpecialistSpec,
        english: Specialist,
        others: Specialist,
        tensors: Mapping[str, Tensor],
        emoji: EmojiNames,
        book: Path,
        device: torch.device,
    ) -> None:
        self.spec = spec
        self._named, self._book_path = emoji, book
        self._english, self._others = english, others
        self._is_english = English(tensors)
        self._head = {name: take(tensors, name, shape).float().to(device) for name, shape in _SHAPES.items()}

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sentences.

        Parameters
        ----------
        modality : Modality
            ``"text"``.
        items : sequence of Text
            At least one. Emoji become their names; English ones get MiniLM's own vectors, words of the lists the mean
            of those of their English names, and only the others pay for E5.

        Returns
        -------
        Tensor, shape (n, 384), float32
            Unit rows.
        """
        items = [Text(self._named(item.text)) for item in items]
        english = [self._is_english(item.text) for item in items]
        if all(english):
            return self._english.embed(modality, items)
        names = [None if one else self._book.get(item.text.lower()) for one, item in zip(english, items, strict=True)]
        others = [i for i, one in enumerate(english) if not one and not names[i]]
        rows = next(iter(self._head.values())).new_empty(len(items), _WIDTH)
        if others:
            rows[others] = lead(self._head, self._others.embed(modality, [items[i] for i in others]))
        if kept := [i for i, one in enumerate(english) if one]:
            rows[kept] = self._english.embed(modality, [items[i] for i in kept]).to(rows.device)
        for i, meant in enumerate(names):
            if meant:
                rows[i] = unit(self._english.embed(modality, [Text(name) for name in meant]).mean(0)).to(rows.device)
        return rows

    @cached_property
    def _book(self) -> Mapping[str, Sequence[str]]:
        """English names of the words of the lists, read with the first sentence that is not English."""
        found: dict[str, list[str]] = {}
        for english, words in json.loads(self._book_path.read_text("utf-8")).items():
            for word in words:
                found.setdefault(word, []).append(english)
        return found


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> AnyLanguage:
    """Put the committed head and detector, names of emoji and word lists around the two shared towers.

    Raises
    ------
    WeightsError
        A tensor is missing or has another shape.
    """
    tensors, emoji = read_tensors(files["head"]), EmojiNames(files["emoji"])
    return AnyLanguage(spec, shared["minilm_l6"], shared["e5_small"], tensors, emoji, files["book"], device)
