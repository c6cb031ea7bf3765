"""Sentences: any language, any script."""

from __future__ import annotations

import unicodedata

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import noticing
from omnibind_core.types import Text

__all__ = ["load_text"]


@noticing
def load_text(source: str | Text) -> Text:
    """Take a sentence as it is, without the white space around it.

    Parameters
    ----------
    source : str or Text
        Any Unicode, at most `limits.MAX_CHARACTERS` characters once trimmed.

    Raises
    ------
    MediaError
        Not a string, nothing visible in it, too long, or half a surrogate pair in it.
    """
    if isinstance(source, Text):
        source = source.text
    if not isinstance(source, str):
        raise MediaError(f"a {type(source).__name__} as a sentence", "a string", "type a sentence")
    text = source.strip()
    if len(text) > limits.MAX_CHARACTERS:
        raise MediaError(
            f"a sentence of {len(text):,} characters", f"at most {limits.MAX_CHARACTERS:,} characters", "shorten it"
        )
    # Control, format and separator characters show nothing: a lone zero-width space is no sentence.
    categories = {unicodedata.category(character) for character in text}
    if "Cs" in categories:
        raise MediaError(
            "a sentence with half of a surrogate pair", "valid Unicode", "type the damaged character again"
        )
    if all(category[0] in "CZ" for category in categories):
        raise MediaError(
            "an empty sentence", f"1 to {limits.MAX_CHARACTERS:,} characters", "type a few words, such as 'a dog barks'"
        )
    return Text(text)
