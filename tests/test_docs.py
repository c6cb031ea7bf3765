"""The README is held to what the project does: its snippets run, its figures of the package are the package's."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.cli import main
from omnibind_core.presets.preset import preset_names
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REQUIREMENTS = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.M))
BLOCKS = re.findall(r"```(\w+)\n(.*?)```(?:\n+```text\n(.*?)```)?", README, re.S)
PYTHON = [(code, output) for language, code, output in BLOCKS if language == "python"]
COMMANDS = [
    (line, output)
    for language, code, output in BLOCKS
    if language == "sh"
    for line in code.splitlines()
    if line.startswith("python -m omnibind_core ")
]


NUMBER = re.compile(r"[+-]?\d+\.\d+")


def assert_alike(printed, expected):
    """The same words; numbers may differ in the second place, and lines that tie may change places."""
    both = (printed, expected)
    words = [sorted(" ".join(NUMBER.sub("#", line).split()) for line in said.splitlines()) for said in both]
    numbers = [sorted(map(float, NUMBER.findall(said))) for said in both]
    assert words[0] == words[1]
    assert np.allclose(*numbers, atol=0.02)


def front_matter():
    lines = README.split("---\n")[1].splitlines()
    return {key: value.strip().strip('"') for key, value in (line.split(":", 1) for line in lines)}


def test_front_matter_is_what_a_space_needs():
    found = front_matter()
    assert found["sdk"] == "gradio"
    assert found["sdk_version"] == REQUIREMENTS["gradio"]
    assert found["license"] == "apache-2.0"
    assert (ROOT / found["app_file"]).is_file()
    assert found["python_version"] in {"3.10", "3.11", "3.12"}
    assert len(found["short_description"]) <= 60


def test_every_file_and_make_target_that_it_names_exists():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) - {"are"} <= targets


def test_it_names_every_preset_and_the_size_of_the_gallery():
    for name in preset_names():
        assert f"`{name}`" in README
    assert f"{len(read_catalogue(assets_directory() / 'gallery'))} freely licensed items" in README


def test_python_snippets_print_what_it_says(mini, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *args, **kwargs: mini)
    shared = {}
    assert len(PYTHON) >= 3
    for code, expected in PYTHON:
        if "gradio_client" in code:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, shared)
        assert_alike(printed.getvalue(), expected)


@pytest.mark.parametrize(("line", "expected"), COMMANDS)
def test_commands_print_what_it_says(mini, monkeypatch, capsys, line, expected):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *args, **kwargs: mini)
    assert main(shlex.split(line)[3:]) == 0
    assert_alike(capsys.readouterr().out, expected)


def test_version_is_said_once():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_examples_name_what_the_gallery_has():
    examples = json.loads((assets_directory() / "examples.json").read_text())
    ids = {item.id for item in read_catalogue(assets_directory() / "gallery")}
    named = {term["item"] for mix in examples["mixes"] for term in mix["terms"] if "item" in term}
    assert named
    assert named <= ids
