"""Emoji become their names: towers learned from words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

__all__ = ["EmojiNames", "bare"]

_LOOKS = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")  # drawn in colour or not, tones of skin


def bare(sign: str) -> str:
    """Leave out what says only how an emoji looks: its skin, and whether it is drawn in colour."""
    return _LOOKS.sub("", sign)


class EmojiNames:
    """Puts Unicode CLDR's English short names in the place of emoji.

    Parameters
    ----------
    path : Path
        JSON of bare emoji to name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, text: str) -> str:
        """Give `text` with names for emoji, spaces around them; a text without emoji as it is."""
        if text.isascii():
            return text
        named = self._pattern.sub(lambda found: f" {self._names[found[0]]} ", bare(text))
        return text if named == bare(text) else " ".join(named.split())

    @cached_property
    def _names(self) -> Mapping[str, str]:
        names: Mapping[str, str] = json.loads(self._path.read_text("utf-8"))
        return names

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # The longest first: a family is one sign made of several.
        return re.compile("|".join(re.escape(sign) for sign in sorted(self._names, key=len, reverse=True)))
