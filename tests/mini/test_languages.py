"""What mini learns other languages from: pairs that belong together, and none too many where some are withheld."""

import pytest
import torch

from omnibind_core.specialists.any_language import lead
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from tools.mini.languages.head import Lessons, learn
from tools.mini.languages.lists import ASKED_IN, asked, names_an_asked_thing, sentences


def test_things_are_asked_in_all_languages_in_two_halves():
    rows = asked()
    assert len(rows) == len({row["en"] for row in rows}) == 120
    assert [row["half"] for row in rows] == ["development"] * 60 + ["test"] * 60
    assert all(row[language].strip() for row in rows for language in ASKED_IN)


def test_sentences_of_ours_are_in_all_languages():
    assert len(sentences()) == 17
    assert all(row[language].strip() for row in sentences() for language in ("en", *ASKED_IN))


@pytest.mark.parametrize(
    ("english", "other"), [("dog face", "tête de chien"), ("Fire Engines", "x"), ("a thing", "eine Katze"), ("TV", "")]
)
def test_pairs_that_name_an_asked_thing_are_found(english, other):
    assert names_an_asked_thing(english, other)


def test_other_pairs_are_not(english="volcano", other="вулкан"):
    assert not names_an_asked_thing(english, other)


def test_the_head_learns_to_turn_back_and_its_file_computes_as_it_did():
    torch.manual_seed(1)
    meant = torch.nn.functional.normalize(torch.randn(400, 384), dim=1)
    turn = torch.linalg.qr(torch.randn(384, 384))[0]
    english = meant @ turn
    between = 0.02 * torch.randn(400, 384)
    other = torch.nn.functional.normalize(english + between, dim=1)
    head = learn(Lessons(other, between, meant, english, meant), steps=40)
    assert {value.dtype for value in head.values()} == {torch.float16}
    found = lead({name: value.float() for name, value in head.items()}, other)
    assert ((found @ meant.T).argmax(1) == torch.arange(400)).float().mean() > 0.9


def test_the_head_that_was_told_of_no_asked_thing_is_another_one():
    folder = assets_directory() / "mini"
    ships, withheld = (read_tensors(path / "languages.safetensors") for path in (folder, folder / "eval"))
    assert {"english.words", "english.others"} <= set(ships) - set(withheld)
    assert not torch.equal(ships["up.weight"], withheld["up.weight"])
