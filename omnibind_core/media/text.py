"""Sentences: any language, any script."""

from __future__ import annotations

import re
import unicodedata

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note, noticing
from omnibind_core.types import Text

__all__ = ["load_text"]


# What keyboards and word processors put for the plain characters that towers were trained on.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4\u2039\u203a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2028\u2029\x0b\x0c\x85", " "),
        # What shows nothing: spaces of no width, marks of direction, characters that are none, controls, tags.
        **dict.fromkeys("\u200b\ufeff\u2060\u00ad\u034f\u180e\u200e\u200f\u061c\ufffe\uffff", None),
        **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)], None),
        **dict.fromkeys([*range(9), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)], None),
    }
)
# Joiners mean something within emoji and several scripts, nothing between letters of ours.
_JOINERS = re.compile(r"(?<=[A-Za-z])[\u200c\u200d]+(?=[A-Za-z])")
# Word pieces that towers read, two of their places being taken by marks: CLIP's and its kin, and MiniLM.
_OFTEN, _MOST = 75, 254
_SHOWN = 30  # characters of what is not read
_PIECE = re.compile(r"[^\W\d_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\d+|\S")


@noticing
def load_text(source: str | Text) -> Text:
    """Take a sentence: its characters in their plain form, without the white space around it.

    Full-width letters, ligatures and the like become the letters they stand for (NFKC), curly quotes and dashes
    straight ones, and what shows nothing goes. ASCII stays as it is.

    Parameters
    ----------
    source : str or Text
        Any Unicode, at most `limits.MAX_CHARACTERS` characters once trimmed.

    Returns
    -------
    Text
        With a notice where it has more words than text towers read.

    Raises
    ------
    MediaError
        Not a string, nothing visible in it, too long, or half a surrogate pair in it.
    """
    notices: tuple[str, ...] = ()
    if isinstance(source, Text):
        notices = source.notices
        source = source.text
    if not isinstance(source, str):
        raise MediaError(f"a {type(source).__name__} as a sentence", "a string", "type a sentence")
    text = source.strip()
    if len(text) <= limits.MAX_CHARACTERS:  # one character may become eighteen
        text = unicodedata.normalize("NFKC", _JOINERS.sub("", text.translate(_PLAIN))).strip()
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
    pieces = [found.start() for found in _PIECE.finditer(text)]
    if len(pieces) > _OFTEN:  # of each word or sign, towers make one word piece or more
        unread = text[pieces[_OFTEN] :][:_SHOWN].strip()
        note(
            f"of the {len(pieces)} words and signs many towers read about the first {_OFTEN}"
            f"{f', none more than {_MOST}' if len(pieces) > _MOST else ''}: "
            f"what follows from '{unread}…' on may not be read"
        )
    return Text(text, notices)
