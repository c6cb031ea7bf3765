"""The model as LangChain's embeddings; needs langchain-core, which the extra ``[langchain]`` brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnibind_core.binder import OmniBind
from omnibind_core.errors import needing
from omnibind_core.interop.batches import Batches
from omnibind_core.types import Modality

with needing("langchain_core", "langchain"):
    from langchain_core.embeddings import Embeddings

__all__ = ["OmniBindEmbeddings"]


class OmniBindEmbeddings(Embeddings):  # type: ignore[misc]  # untyped where langchain-core is not installed
    """Embeds documents and queries, and files of three kinds into the same space.

    The asynchronous methods are LangChain's own, which call these in threads.

    Parameters
    ----------
    model : OmniBind, str or Path
        A loaded model, or the name of a preset, which is loaded.
    batch_size : int
        Inputs that are decoded and embedded together, 1 or more.
    **options
        For :meth:`OmniBind.from_pretrained`, where the model is a name: ``device="cpu"``.

    Raises
    ------
    QueryError, PresetError, WeightsError
        Options for a model that is loaded already; or as loading raises.

    Examples
    --------
    >>> embeddings = OmniBindEmbeddings("mini")  # doctest: +SKIP
    >>> len(embeddings.embed_query("a dog barks"))  # doctest: +SKIP
    1152
    """

    def __init__(self, model: OmniBind | str | Path = "mini", *, batch_size: int = 32, **options: Any) -> None:
        self.batch_size = batch_size
        self._batches = Batches(model, **options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed sentences of 1 to 2,000 characters -> a vector of length 1 for each. Raises :class:`MediaError`."""
        return self._lists(texts, "text")

    def embed_query(self, text: str) -> list[float]:
        """Embed a sentence as :meth:`embed_documents` does -> its vector. Raises :class:`MediaError`."""
        return self._lists([text], "text")[0]

    def embed_image(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed pictures by their paths -> a vector of length 1 for each. Raises :class:`MediaError`."""
        return self._lists(uris, "image")

    def embed_audio(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed sounds by their paths -> a vector of length 1 for each. Raises :class:`MediaError`."""
        return self._lists(uris, "audio")

    def embed_shape(self, uris: Sequence[str | Path]) -> list[list[float]]:
        """Embed shapes by their paths, Y up -> a vector of length 1 for each. Raises :class:`MediaError`."""
        return self._lists(uris, "point")

    def _lists(self, inputs: Sequence[Any], modality: Modality) -> list[list[float]]:
        found: list[list[float]] = self._batches.rows(inputs, modality, batch_size=self.batch_size).tolist()
        return found
