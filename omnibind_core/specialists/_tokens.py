"""Sentences to word pieces with a tokenizer's own file, checked: a wrong vocabulary would answer nonsense silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnibind_core.errors import WeightsError

__all__ = ["Pieces"]

_BATCH = 32


class Pieces:
    """A tokenizer that cuts and pads.

    Parameters
    ----------
    path : Path
        ``tokenizer.json``.
    vocabulary : int
        How many pieces it must know.
    longest : int
        Sentences are cut after so many pieces, marks of start and end included.
    padding : str
        The piece that fills up shorter sentences.

    Raises
    ------
    WeightsError
        The file is damaged, or of another vocabulary.
    """

    def __init__(self, path: Path, vocabulary: int, longest: int, padding: str) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise WeightsError(
                f"tokenizer {path.name} cannot be read ({str(error)[:200]})", "the published file", "fetch it again"
            ) from error
        found, pad = self._tokenizer.get_vocab_size(), self._tokenizer.token_to_id(padding)
        if found != vocabulary or pad is None:
            raise WeightsError(
                f"a tokenizer of {found:,} pieces", f"{vocabulary:,} pieces with {padding} among them", "fetch it again"
            )
        self._tokenizer.enable_truncation(longest)
        self._tokenizer.enable_padding(pad_id=pad, pad_token=padding)

    def batches(self, texts: Sequence[str], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Give up to 32 sentences at a time: pieces (n, t) int64, and (n, t) int64 with 1 where they are real."""
        for start in range(0, len(texts), _BATCH):
            coded = self._tokenizer.encode_batch(list(texts[start : start + _BATCH]))
            yield (
                torch.tensor([one.ids for one in coded], device=device),
                torch.tensor([one.attention_mask for one in coded], device=device),
            )
