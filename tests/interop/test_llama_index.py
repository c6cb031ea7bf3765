"""LlamaIndex's embedding gives the binder's own vectors, and serves its indices."""

import asyncio
from io import BytesIO

import numpy as np
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.indices import MultiModalVectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import ImageNode, TextNode

from omnibind_core.binder import OmniBind
from omnibind_core.errors import MediaError
from omnibind_core.interop.llama_index import OmniBindEmbedding


@pytest.fixture(scope="module")
def embedding(mini):
    return OmniBindEmbedding(model=mini, embed_batch_size=2)


def alike(found, expected):
    assert isinstance(found[0], (float, list))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vectors_are_the_binders(embedding, mini, things):
    assert isinstance(embedding, MultiModalEmbedding)
    words, pictures = [*things["text"], "a dog barks"], [str(path) for path in things["image"]]
    alike(embedding.get_text_embedding_batch(words), mini.embed_texts(words))
    alike(embedding.get_text_embedding(words[0]), mini.embed_texts(words)[0])
    alike(embedding.get_query_embedding(words[1]), mini.embed_texts(words)[1])
    alike(embedding.get_image_embedding_batch(pictures), mini.embed_images(pictures))
    alike(embedding.get_image_embedding(pictures[0]), mini.embed_images(pictures)[0])
    alike(embedding.get_image_embedding(BytesIO(things["image"][0].read_bytes())), mini.embed_images(pictures)[0])


def test_the_asynchronous_ones_give_the_same(embedding, mini, things):
    words, pictures = things["text"], [str(path) for path in things["image"]]

    async def ask():
        return await asyncio.gather(
            embedding.aget_text_embedding_batch(words),
            embedding.aget_image_embedding_batch(pictures),
            embedding.aget_text_embedding(words[0]),
            embedding.aget_query_embedding(words[1]),
            embedding.aget_image_embedding(pictures[0]),
        )

    texts, images, text, query, image = asyncio.run(ask())
    alike(texts, mini.embed_texts(words))
    alike(images, mini.embed_images(pictures))
    alike([text, query], texts)
    alike(image, images[0])


def test_an_index_answers_sentences(embedding):
    nodes = [TextNode(text=text) for text in ("a dog barks", "a violin plays", "a car drives by")]
    index = VectorStoreIndex(nodes, embed_model=embedding)
    assert index.as_retriever(similarity_top_k=1).retrieve("a puppy")[0].text == "a dog barks"


def test_a_long_text_is_answered_from_its_parts(embedding):
    parts = ["Dogs bark at strangers and wag their tails. " * 60, "The violin has four strings and a bow. " * 60]
    splitter = SentenceSplitter(chunk_size=128, chunk_overlap=0)
    index = VectorStoreIndex.from_documents(
        [Document(text=" ".join(parts))], embed_model=embedding, transformations=[splitter]
    )
    found = index.as_retriever(similarity_top_k=1).retrieve("an instrument of the orchestra")[0]
    assert "violin" in found.text
    assert len(found.text) < 2_000


def test_an_index_of_pictures_is_asked_by_a_sentence(embedding, things):
    folder = things["image"][0].parent
    names = ("dog-1.jpg", "violin-1.jpg", "bus-1.jpg")  # LlamaIndex leaves out nodes without a text or metadata
    pictures = [ImageNode(image_path=str(folder / name), metadata={"file_name": name}) for name in names]
    index = MultiModalVectorStoreIndex(pictures, embed_model=embedding, image_embed_model=embedding)
    found = index.as_retriever(image_similarity_top_k=1).text_to_image_retrieve("a violin")
    assert [hit.node.metadata["file_name"] for hit in found] == ["violin-1.jpg"]
    found = index.as_retriever(image_similarity_top_k=1).image_to_image_retrieve(str(folder / "dog-1.jpg"))
    assert [hit.node.metadata["file_name"] for hit in found] == ["dog-1.jpg"]


def test_what_it_says_of_itself_makes_it_again(embedding, mini, monkeypatch):
    said = embedding.to_dict()
    assert said["model_name"] == "mini"
    named = []
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda name, **options: named.append((name, options)) or mini)
    again = OmniBindEmbedding.from_dict(said)
    assert named == [("mini", {})]
    assert again.embed_batch_size == embedding.embed_batch_size == 2
    alike(again.get_query_embedding("a dog"), mini.embed_texts(["a dog"])[0])


def test_what_cannot_be_embedded_is_explained(embedding, things):
    with pytest.raises(MediaError, match="2,000 characters"):
        embedding.get_text_embedding("a dog " * 400)
    with pytest.raises(MediaError, match="does not exist"):
        embedding.get_image_embedding("nowhere.jpg")
