from __future__ import annotations

import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_text
from omnibind_core.types import Text


@pytest.mark.parametrize("text", ["a dog barks", "犬が吠える", "كلب ينبح", "🐕", "👩\u200d🚒", "a\nbc", "x" * 2_000])
def test_any_script_is_kept_as_it_is(text: str) -> None:
    assert load_text(f"  {text}\n") == Text(text)
    assert load_text(Text(text)) == Text(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty sentence"),
        (" \t\n\u3000", "an empty sentence"),
        ("\u200b\ufeff", "an empty sentence"),
        ("x" * 100_000, "100,000 characters. Allowed: at most 2,000 characters"),
        ("\ud800 dog", "surrogate"),
        (7, "a int as a sentence"),
    ],
)
def test_bad_sentences(text: str, words: str) -> None:
    with pytest.raises(MediaError) as caught:
        load_text(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("ａ ｄｏｇ", "a dog"),
        ("e\u0301", "\u00e9"),
        ("a \ufb01sh\u00a0swims\u2026", "a fish swims..."),
        ("a dog\u2019s \u201cbark\u201d", 'a dog\'s "bark"'),
        ("\u201ea\u201c well\u2011known dog\ufeff", '"a" well-known dog'),
        ("ba\u00adrking\u200b", "barking"),
        ("ｶﾞ", "ガ"),
    ],
)
def test_characters_come_in_their_plain_form(typed: str, read: str) -> None:
    assert load_text(typed) == Text(read)
    assert load_text(read) == Text(read)


def test_plain_text_stays_as_it_is() -> None:
    text = "".join(map(chr, range(33, 127)))
    assert load_text(text) == Text(text)


def test_what_grows_beyond_the_limit_is_refused() -> None:
    with pytest.raises(MediaError, match="18,000 characters"):
        load_text("\ufdfa" * 1_000)


_READ, _NOT = "words and signs many towers read about the first 75", "on may not be read"


@pytest.mark.parametrize(
    ("text", "notices"),
    [
        ("dog " * 75, ()),
        ("dog " * 76, (f"of the 76 {_READ}: what follows from 'dog…' {_NOT}",)),
        ("犬" * 80, (f"of the 80 {_READ}: what follows from '犬犬犬犬犬…' {_NOT}",)),
        (
            "dog, " * 130,
            (f"of the 260 {_READ}, none more than 254: what follows from ', dog, dog, dog, dog, dog, dog…' {_NOT}",),
        ),
    ],
)
def test_the_end_of_long_sentences_is_not_read_by_all(text: str, notices: tuple[str, ...]) -> None:
    assert load_text(text).notices == notices
    assert load_text(Text(text, ("kept",))).notices == ("kept", *notices)


SILENT = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u200e\u200f\u061c\u202a\u202e\u2066\u2069"
SILENT += "\ufffe\x00\x07\x1b\x7f\U000e0041"


@pytest.mark.parametrize("character", SILENT, ids=lambda one: f"{ord(one):x}")
def test_what_shows_nothing_goes_within_words(character: str) -> None:
    assert load_text(f"a do{character}g ba{character}{character}rks").text == "a dog barks"


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("the dog\u00b4s bark", "the dog's bark"),
        ("\u00aba dog\u00bb", '"a dog"'),
        ("\u2039a dog\u203a", "'a dog'"),
        ("a dog \u2014 barking \u2013 twice", "a dog - barking - twice"),
        ("a dog\u2028barks\u2029twice", "a dog barks twice"),
        ("\U0001d41a \U0001d41d\U0001d428\U0001d420", "a dog"),
    ],
)
def test_marks_of_word_processors_become_plain(typed: str, plain: str) -> None:
    assert load_text(typed).text == plain


@pytest.mark.parametrize(
    "kept", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]
)
def test_joiners_that_mean_something_stay(kept: str) -> None:
    assert load_text(kept).text == kept
