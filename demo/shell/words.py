"""The words of the page in other languages: a file of ``assets/words`` for each, ``words.js`` puts them in.

English stands in the code, as what words are looked up by. A file is
``{"name": the language in its own words, "words": {English: other}}``; ``python -m tools.words`` says what one lacks.
"""

from __future__ import annotations

import json
import logging
from html import escape
from pathlib import Path
from typing import Any

from omnibind_core.store.paths import assets_directory

__all__ = ["languages", "script", "tables"]

log = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("words.js")


def tables() -> dict[str, dict[str, Any]]:
    """Read every table: by its language's code, as the file is named. A damaged one is left out, and logged."""
    found = {path.stem: _table(path) for path in sorted((assets_directory() / "words").glob("*.json"))}
    return {code: table for code, table in found.items() if table}


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {"name": str(table["name"]), "words": dict(table["words"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the page has no words of %s: %s", path.name, error)
        return {}


def script() -> str:
    """Give the script, with the tables in it, as it stands in the page's head."""
    data = json.dumps(tables(), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script>globalThis.obTables={data};\n{_SCRIPT.read_text(encoding='utf-8')}</script>"


def languages() -> str:
    """Draw the switch between them; nothing where there is English alone."""
    names = {"en": "English"} | {code: table["name"] for code, table in tables().items()}
    if len(names) == 1:
        return ""
    options = "".join(f'<option value="{escape(c)}" lang="{escape(c)}">{escape(n)}</option>' for c, n in names.items())
    return f'<label class="ob-languages"><select aria-label="Language, 语言">{options}</select></label>'
