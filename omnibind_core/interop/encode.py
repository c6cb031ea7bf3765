"""The model as sentence-transformers' models are called; that package is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnibind_core.binder import OmniBind
from omnibind_core.errors import QueryError
from omnibind_core.interop.batches import Batches
from omnibind_core.types import FloatArray, Modality

__all__ = ["OmniBindEncoder"]


class OmniBindEncoder:
    """Encodes sentences, pictures, sounds and shapes with the methods of a SentenceTransformer.

    Parameters
    ----------
    model : OmniBind, str or Path
        A loaded model, or the name of a preset, which is loaded.
    **options
        For :meth:`OmniBind.from_pretrained`, where the model is a name: ``device="cpu"``.

    Raises
    ------
    QueryError, PresetError, WeightsError
        Options for a model that is loaded already; or as loading raises.

    Examples
    --------
    >>> encoder = OmniBindEncoder("mini")  # doctest: +SKIP
    >>> encoder.encode(["a dog barks", "a cat meows"]).shape  # doctest: +SKIP
    (2, 1152)
    """

    def __init__(self, model: OmniBind | str | Path = "mini", **options: Any) -> None:
        self._batches = Batches(model, **options)

    def encode(
        self,
        inputs: Any,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = True,
        *,
        modality: Modality | None = None,
    ) -> FloatArray | Tensor | list[Tensor]:
        """Embed one input, or a list of them.

        Parameters
        ----------
        inputs : object, or list or ndarray of object
            Sentences (`str`), files (`Path`), PIL images, decoded media; kinds may be mixed. An array of numbers is one
            picture (uint8) or one shape.
        batch_size : int
            Inputs that are decoded and embedded together, 1 or more.
        show_progress_bar : bool
            Show a bar on standard error.
        convert_to_numpy : bool
            Give an array; without it, and without `convert_to_tensor`, a list of tensors.
        convert_to_tensor : bool
            Give a tensor, whatever `convert_to_numpy` says.
        normalize_embeddings : bool
            True or False: vectors of this space have length 1 either way.
        modality : Modality, optional
            What all inputs are: with "image", "audio" or "point" a `str` is a file.

        Returns
        -------
        ndarray, Tensor or list of Tensor, shape (D,) for one input, (n, D) for a list, float32
            Unit vectors; tensors lie in the processor's memory.

        Raises
        ------
        MediaError
            An input cannot be decoded, or it cannot be told what it is.
        QueryError
            A batch of no size, or a modality that the model lacks.
        """
        del normalize_embeddings
        several = isinstance(inputs, list) or (isinstance(inputs, np.ndarray) and inputs.dtype.kind in "OU")
        given = [str(one) if isinstance(one, np.str_) else one for one in inputs] if several else [inputs]
        rows = self._batches.rows(given, modality, batch_size=batch_size, progress=show_progress_bar)
        found = rows if several else rows[0]
        if convert_to_numpy and not convert_to_tensor:
            return found
        tensor = torch.from_numpy(found)
        return tensor if convert_to_tensor or not several else list(tensor)

    def get_sentence_embedding_dimension(self) -> int:
        """Width D of what :meth:`encode` gives."""
        return self._batches.model.width

    def similarity(self, a: FloatArray | Tensor | Sequence[Any], b: FloatArray | Tensor | Sequence[Any]) -> Tensor:
        """Give the cosine of each of `a` with each of `b`.

        Parameters
        ----------
        a, b : ndarray, Tensor or list, shape (n, D) or (D,)
            From :meth:`encode`.

        Returns
        -------
        Tensor, shape (rows of a, rows of b), float32
            -1..1.

        Raises
        ------
        QueryError
            Rows of another width.
        """
        ours, theirs = _rows(a), _rows(b)
        if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1]:
            raise QueryError(
                f"shapes {tuple(ours.shape)} and {tuple(theirs.shape)}", "rows of one width", "give what `encode` gave"
            )
        return torch.nn.functional.normalize(ours) @ torch.nn.functional.normalize(theirs).T


def _rows(given: FloatArray | Tensor | Sequence[Any]) -> Tensor:
    if isinstance(given, list) and given and isinstance(given[0], Tensor):
        given = torch.stack(given)
    found = given if isinstance(given, Tensor) else torch.from_numpy(np.asarray(given, np.float32))
    found = found.detach().to("cpu", torch.float32)
    return found[None] if found.ndim == 1 else found
