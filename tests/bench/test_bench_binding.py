"""The dry run at published sizes runs the code that trains, here with few and narrow made-up vectors."""

import re
from itertools import pairwise
from pathlib import Path

from omnibind_core.training.plan import read_plan
from tools.bench import binding

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def table_heads(page):
    lines = re.sub(r"\d+: hours", "#: hours", page).splitlines()
    return [line for line, below in pairwise(lines) if "|---" in below]


def test_it_measures_every_stage_and_the_docs_show_its_tables(tmp_path, capsys):
    small = ["--rows", "600", "--queries", "50", "--batch", "16", "--router-batch", "8", "--hidden", "8"]
    binding.main([*small, "--steps", "1", "--device", "cpu", "--folder", str(tmp_path)])
    page = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert "embeddings of nothing" in page
    assert "on one thread of a CPU" in page
    assert "| 3 | 1024 -> 8 -> 1536 | image, point, text |" in page
    assert "All 91 heads" in page
    assert all(float(cell) > 0 for cell in re.findall(r"-> 1536 \| [a-z, ]+ \| ([\d.]+) \|", page))
    shown = table_heads(PAGE)
    assert len(table_heads(page)) == 4
    assert set(table_heads(page)) <= set(shown)


def test_the_plan_in_the_docs_is_one(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", PAGE, re.S)[1])
    plan = read_plan(path)
    assert plan.validation == 0.1
    assert len(plan.mixtures) == 7
    assert plan.inputs == {"text": ("eyes", "ears")}


def test_files_that_the_docs_name_exist():
    named = re.findall(r"[` ]((?:omnibind_core|tests|tools)/[\w/]+\.py)`", PAGE)
    assert len(named) >= 4
    assert all((ROOT / name).is_file() for name in named)
