"""LangChain's embeddings give the binder's own vectors, and serve one of its stores."""

import asyncio

import numpy as np
import pytest

pytest.importorskip("langchain_core")

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from omnibind_core.errors import MediaError, QueryError
from omnibind_core.interop.langchain import OmniBindEmbeddings


@pytest.fixture(scope="module")
def embeddings(mini):
    return OmniBindEmbeddings(mini, batch_size=2)


def alike(found, expected):
    assert isinstance(found[0], (float, list))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vectors_are_the_binders(embeddings, mini, things):
    assert isinstance(embeddings, Embeddings)
    words = [*things["text"], "a dog barks"]
    alike(embeddings.embed_documents(words), mini.embed_texts(words))
    alike(embeddings.embed_query(words[2]), mini.embed_texts(words)[2])
    for embed, modality in (
        (embeddings.embed_image, "image"),
        (embeddings.embed_audio, "audio"),
        (embeddings.embed_shape, "point"),
    ):
        alike(embed([str(path) for path in things[modality]]), mini.embed(modality, things[modality]).vectors)
    assert embeddings.embed_documents([]) == []


def test_the_asynchronous_ones_give_the_same(embeddings, mini, things):
    async def ask():
        return await asyncio.gather(
            embeddings.aembed_documents(things["text"]), *map(embeddings.aembed_query, things["text"])
        )

    documents, *queries = asyncio.run(ask())
    alike(documents, mini.embed_texts(things["text"]))
    alike(queries, documents)


def test_a_store_finds_sentences_by_a_sound(embeddings, things):
    store = InMemoryVectorStore(embeddings)
    store.add_texts(["a dog barks", "a violin plays", "a car drives by"])
    assert store.similarity_search("a puppy", k=1)[0].page_content == "a dog barks"
    sound = things["image"][0].parents[1] / "sounds" / "violin-1.ogg"
    found = store.similarity_search_by_vector(embeddings.embed_audio([sound])[0], k=1)
    assert found[0].page_content == "a violin plays"


def test_what_cannot_be_embedded_is_explained(embeddings, mini, things):
    with pytest.raises(MediaError, match="2,000 characters"):
        embeddings.embed_query("a dog " * 400)
    with pytest.raises(MediaError, match="does not exist"):
        embeddings.embed_image(["nowhere.jpg"])
    with pytest.raises(MediaError):
        embeddings.embed_image([str(things["audio"][0])])
    with pytest.raises(QueryError, match="1 or more"):
        OmniBindEmbeddings(mini, batch_size=0).embed_query("a dog")
