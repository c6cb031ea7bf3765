"""The model as LlamaIndex's embedding; needs llama-index-core, which the extra ``[llama-index]`` brings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from omnibind_core.binder import OmniBind
from omnibind_core.errors import needing
from omnibind_core.interop.batches import Batches
from omnibind_core.types import Modality

with needing("llama_index", "llama-index"):
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.embeddings import MultiModalEmbedding

__all__ = ["OmniBindEmbedding"]


class OmniBindEmbedding(MultiModalEmbedding):  # type: ignore[misc]  # untyped where llama-index-core is not installed
    """Embeds texts, queries and pictures into one space.

    Parameters
    ----------
    model_name : str
        The preset; of a model that is handed over, its own.
    model : OmniBind, optional
        A loaded model; None loads the preset.
    embed_batch_size : int
        Inputs that are decoded and embedded together, 1 to 2,048.
    **options
        Other fields of LlamaIndex's embeddings, such as `callback_manager`.

    Raises
    ------
    PresetError, WeightsError
        As loading raises.

    Examples
    --------
    >>> embedding = OmniBindEmbedding("mini")  # doctest: +SKIP
    >>> len(embedding.get_image_embedding("dog.jpg"))  # doctest: +SKIP
    1152
    """

    _batches: Batches = PrivateAttr()

    def __init__(
        self, model_name: str = "mini", *, model: OmniBind | None = None, embed_batch_size: int = 32, **options: Any
    ) -> None:
        name = model_name if model is None else model.preset.name
        super().__init__(model_name=name, embed_batch_size=embed_batch_size, **options)
        self._batches = Batches(model_name if model is None else model)

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex keeps what it is."""
        return "OmniBindEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._lists([query], "text")[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._lists([text], "text")[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._lists(texts, "text")

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    def _get_image_embedding(self, img_file_path: str | Path | BytesIO) -> list[float]:
        return self._get_image_embeddings([img_file_path])[0]

    async def _aget_image_embedding(self, img_file_path: str | Path | BytesIO) -> list[float]:
        return await asyncio.to_thread(self._get_image_embedding, img_file_path)

    def _get_image_embeddings(self, img_file_paths: Sequence[str | Path | BytesIO]) -> list[list[float]]:
        return self._lists([one.getvalue() if isinstance(one, BytesIO) else one for one in img_file_paths], "image")

    async def _aget_image_embeddings(self, img_file_paths: Sequence[str | Path | BytesIO]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_image_embeddings, img_file_paths)

    def _lists(self, inputs: Sequence[Any], modality: Modality) -> list[list[float]]:
        found: list[list[float]] = self._batches.rows(inputs, modality, batch_size=self.embed_batch_size).tolist()
        return found
