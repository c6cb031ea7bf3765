"""English takes the way it always took; other languages land beside it; emoji are read as their names."""

import pytest
import torch

from omnibind_core.specialists._english import only_latin
from omnibind_core.specialists.load import tower
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Text

ENGLISH = ["a dog barks", "the sea", "Police sirens, far away!", "a low-poly car", "1234", "a dog in a café"]
OTHERS = ["собака лает", "狗在叫", "der Hund bellt", "el perro ladra", "con chó", "un chien qui aboie", "köpek", "犬"]


@pytest.fixture(scope="module")
def any_language():
    return tower("any_language")


def embed(specialist, *sentences):
    return specialist.embed("text", [Text(s) for s in sentences])


def test_english_is_minilms_own_and_loads_nothing_else(any_language):
    rows = embed(any_language, *ENGLISH)
    assert torch.equal(rows, embed(tower("minilm_l6"), *ENGLISH))


def test_every_caption_of_the_gallery_is_english(any_language):
    captions = [item.caption for item in read_catalogue(assets_directory() / "gallery")]
    assert len(captions) > 800
    assert [one for one in captions if not any_language._is_english(one)] == []


@pytest.mark.parametrize("sentence", OTHERS)
def test_other_languages_are_told_from_english(any_language, sentence):
    assert not any_language._is_english(sentence)


def test_other_languages_land_beside_their_english(any_language):
    things = ["a dog", "rain", "an old castle", "a violin"]
    english = embed(any_language, *things)
    for said in (
        ["собака", "дождь", "старый замок", "скрипка"],
        ["狗", "下雨", "古老的城堡", "小提琴"],
        ["ein Hund", "der Regen", "eine alte Burg", "eine Geige"],
        ["كلب", "مطر", "قلعة قديمة", "كمان"],
    ):
        rows = embed(any_language, *said)
        assert torch.allclose(rows.norm(dim=1), torch.ones(4), atol=1e-5)
        assert (rows @ english.T).argmax(1).tolist() == [0, 1, 2, 3], said


def test_a_batch_of_both_keeps_the_order(any_language):
    mixed = embed(any_language, "собака", "the sea", "狗", "a violin")
    assert torch.allclose(mixed[[1, 3]], embed(any_language, "the sea", "a violin"), atol=1e-5)
    assert torch.allclose(mixed[[0]], embed(any_language, "собака"), atol=1e-5)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("🐕", "dog"),
        ("a 🚒 in the street", "a fire engine in the street"),
        ("👍🏽", "thumbs up"),
        ("🇮🇹", "Italy"),
        ("❤️", "red heart"),
        ("猫🐈", "猫 cat"),
        ("a  café", "a  café"),
    ],
)
def test_emoji_become_their_names(any_language, said, named):
    assert any_language._named(said) == named


def test_an_emoji_is_what_its_name_is(any_language):
    assert torch.equal(embed(any_language, "🐕"), embed(any_language, "dog"))


def test_parameters_are_counted_right(any_language):
    numbers = sum(one.numel() for one in any_language._head.values()) + any_language._is_english._weight.numel() + 1
    assert numbers == any_language.spec.parameters


def test_letters_of_other_scripts_are_not_latin():
    assert only_latin("déjà vu, 123!")
    assert only_latin("con mèo ngủ")
    assert not only_latin("the кот")


def test_words_of_the_lists_mean_their_english_names(any_language):
    assert any_language._book["perro"] == ["dog"]
    assert torch.allclose(embed(any_language, "Perro"), embed(any_language, "dog"), atol=1e-5)
    assert not any(any_language._is_english(word) for word in ("perro", "köpek", "犬"))
