from __future__ import annotations

import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_text
from omnibind_core.types import Text


@pytest.mark.parametrize("text", ["a dog barks", "犬が吠える", "كلب ينبح", "🐕", "e\u0301", "a\nb\0c", "x" * 2_000])
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
