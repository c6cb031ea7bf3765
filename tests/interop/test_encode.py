"""The encoder gives the binder's own vectors, in the forms that sentence-transformers gives."""

import logging

import numpy as np
import PIL.Image
import pytest
import torch

from omnibind_core import media
from omnibind_core.errors import MediaError, QueryError
from omnibind_core.interop.batches import Batches
from omnibind_core.interop.encode import OmniBindEncoder
from omnibind_core.types import MODALITIES


@pytest.fixture(scope="module")
def encoder(mini):
    return OmniBindEncoder(mini)


def alike(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("modality", MODALITIES)
def test_vectors_are_the_binders(encoder, mini, things, modality):
    expected = mini.embed(modality, things[modality]).vectors
    found = encoder.encode(things[modality])
    assert found.shape == (2, mini.width) == (2, encoder.get_sentence_embedding_dimension())
    assert found.dtype == np.float32
    alike(found, expected)
    one = encoder.encode(things[modality][0])
    assert one.shape == (mini.width,)
    alike(one, expected[0])
    alike(encoder.encode([str(one) for one in things[modality]], modality=modality), expected)


def test_kinds_may_be_mixed_and_keep_their_order_in_batches_of_any_size(encoder, mini, things):
    mixed = [things[m][n] for n in (0, 1) for m in MODALITIES]
    expected = np.stack([mini.embed(m, [things[m][n]]).vectors[0] for n in (0, 1) for m in MODALITIES])
    for size in (1, 3, 32):
        alike(encoder.encode(mixed, batch_size=size), expected)


def test_pictures_and_decoded_media_are_taken(encoder, mini, things):
    path = things["image"][0]
    expected = mini.embed_images([path])[0]
    with PIL.Image.open(path) as picture:
        alike(encoder.encode(picture), expected)
        alike(encoder.encode([picture, "a dog"])[0], expected)
        alike(encoder.encode(np.asarray(picture.convert("RGB"))), expected)
    shape = media.load(things["point"][0], "point", up="z")
    alike(encoder.encode(shape), mini.embed_points([things["point"][0]], up="z")[0])


def test_forms_of_the_answer(encoder, things):
    words = things["text"]
    rows = encoder.encode(words)
    tensor = encoder.encode(words, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    alike(tensor.numpy(), rows)
    listed = encoder.encode(words, convert_to_numpy=False)
    assert [type(one) for one in listed] == [torch.Tensor, torch.Tensor]
    alike(torch.stack(listed).numpy(), rows)
    assert encoder.encode(words[0], convert_to_numpy=False).shape == rows[0].shape
    alike(encoder.encode(np.array(words)), rows)
    alike(encoder.encode(words, normalize_embeddings=False), rows)
    assert encoder.encode([]).shape == (0, rows.shape[1])


def test_similarity_is_the_cosine(encoder, things):
    words, pictures = encoder.encode(things["text"]), encoder.encode(things["image"])
    found = encoder.similarity(words, pictures)
    assert isinstance(found, torch.Tensor)
    alike(found.numpy(), words @ pictures.T)
    alike(encoder.similarity(3 * words[0], torch.from_numpy(pictures)).numpy(), words[:1] @ pictures.T)
    alike(encoder.similarity(encoder.encode(things["text"], convert_to_numpy=False), pictures).numpy(), found.numpy())
    with pytest.raises(QueryError, match="one width"):
        encoder.similarity(words, pictures[:, :7])


def test_a_string_is_a_sentence_even_where_it_names_a_file(encoder, mini, things, caplog):
    name = str(things["image"][0])
    with caplog.at_level(logging.WARNING, "omnibind_core"):
        alike(encoder.encode(name), mini.embed_texts([name])[0])
    assert "read as a sentence" in caplog.text


def test_a_bar_is_shown_only_when_asked_for(encoder, things, capsys):
    encoder.encode(things["text"])
    assert capsys.readouterr().err == ""
    encoder.encode(things["text"], show_progress_bar=True)
    assert "2/2" in capsys.readouterr().err


def test_what_cannot_be_encoded_is_explained(encoder, mini, things):
    with pytest.raises(QueryError, match="1 or more"):
        encoder.encode(things["text"], batch_size=0)
    with pytest.raises(MediaError, match="empty sentence"):
        encoder.encode(["a dog", ""])
    with pytest.raises(MediaError, match="does not exist"):
        encoder.encode(things["image"][0].with_name("nowhere.jpg"))
    with pytest.raises(MediaError, match="int"):
        encoder.encode(7)
    with pytest.raises(MediaError, match="smell"):
        encoder.encode("a rose", modality="smell")
    with pytest.raises(QueryError, match="device"):
        Batches(mini, device="cpu")


def test_a_name_is_loaded():
    assert OmniBindEncoder("mini", device="cpu", modalities=["text"]).encode("a dog").shape == (1152,)
