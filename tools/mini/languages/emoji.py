"""The table of emoji's names that ships with mini, out of Unicode CLDR."""

from __future__ import annotations

import json

from omnibind_core.specialists._emoji import bare
from tools.mini.languages.lists import emoji_names

__all__ = ["table"]

_SIGNS = ((0x2300, 0x2400), (0x2600, 0x27C0), (0x2B00, 0x2C00), (0x1F000, 0x1FB00))  # blocks that hold emoji


def table() -> str:
    """JSON of bare emoji to English name, in the order of code points."""
    found = {}
    for derived in (True, False):
        for sign, name in emoji_names("en", derived=derived).items():
            if any(low <= ord(one) < high for one in sign for low, high in _SIGNS) and "skin tone" not in name:
                found[bare(sign)] = name.removeprefix("flag: ")
    return json.dumps({sign: found[sign] for sign in sorted(found) if sign}, ensure_ascii=False, indent=0) + "\n"
