"""The notebook says what running it says."""

import ast
import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np

from omnibind_core.binder import OmniBind

ROOT = Path(__file__).parent.parent
NOTEBOOK = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))
NUMBER = re.compile(r"-?\d+\.\d+")


def run(source, shared):
    """Give what a cell prints, and the value of its last line."""
    lines = ast.parse(source).body
    last = lines.pop() if lines and isinstance(lines[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(lines, []), "cell", "exec"), shared)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), shared) if last else None
    return printed.getvalue(), value


def test_every_cell_gives_what_stands_under_it(mini, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *args, **kwargs: mini)
    shared, pictures = {}, 0
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 7
    for cell in cells:
        printed, value = run("".join(cell["source"]), shared)
        assert printed == "".join("".join(out["text"]) for out in cell["outputs"] if out["output_type"] == "stream")
        for out in cell["outputs"]:
            if out["output_type"] == "stream":
                continue
            pictures += "image/png" in out["data"]
            if "image/png" not in out["data"]:
                said = "".join(out["data"]["text/plain"]).replace("\n", "")
                assert NUMBER.sub("#", said) == NUMBER.sub("#", repr(value))
                assert np.allclose(
                    *([float(n) for n in NUMBER.findall(text)] for text in (said, repr(value))), atol=0.02
                )
    assert pictures == 1
