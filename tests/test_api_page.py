"""docs/api.md is what the docstrings say, and every promised name has one."""

from pathlib import Path

import omnibind_core
from tools.api_page import page

PAGE = Path(__file__).parent.parent / "docs" / "api.md"


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tools.api_page --write`"


def test_every_promised_name_is_there_and_says_what_it_is():
    for name in omnibind_core.__all__:
        assert f"## {name}\n" in page()
        assert len(getattr(omnibind_core, name).__doc__ or "") > 20, name
