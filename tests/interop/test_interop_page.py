"""docs/interop.md prints what it says; a section whose package is not here is left out."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from omnibind_core.binder import OmniBind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "interop.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
PACKAGES = ("langchain_core", "llama_index.core")


@pytest.mark.parametrize("title", SECTIONS)
def test_examples_print_what_it_says(title, mini, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", SECTIONS[title], re.S)
    assert len(blocks) == SECTIONS[title].count("```python") >= 1
    for package in PACKAGES:
        if any(f"from {package}" in code for code, _ in blocks):
            pytest.importorskip(package)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *args, **kwargs: mini)
    shared = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, shared)
        assert printed.getvalue() == expected
