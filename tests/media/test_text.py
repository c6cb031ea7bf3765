from __future__ import annotations

import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_text
from omnibind_core.types import Text


@pytest.mark.parametrize("text", ["a dog barks", "犬が吠える", "كلب ينبح", "🐕", "👩\u200d🚒", "a\nb\0c", "x" * 2_000])
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
