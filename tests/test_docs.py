"""README and docs are held to what the project does: snippets run, and nothing that can be used is left unsaid."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from demo.api import Api
from omnibind_core.binder import OmniBind
from omnibind_core.cli import main
from omnibind_core.media import formats, limits
from omnibind_core.presets.preset import preset_names
from omnibind_core.search.compose import MATCHES, OPERATORS
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES

ROOT = Path(__file__).parent.parent
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
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


WORDS = {"image": "picture", "audio": "sound", "point": "shape", "text": "sentence"}
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


@pytest.mark.parametrize("readme", [README, CHINESE], ids=["en", "zh"])
def test_every_file_and_make_target_that_it_names_exists(readme):
    for link in re.findall(r"\]\(([^)#:]+)[)#]", readme):
        assert (ROOT / link).exists(), link
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`?make ([a-z-]+)", readme)) - {"are"} <= targets


@pytest.mark.parametrize(
    ("readme", "said"), [(README, "{} freely licensed items"), (CHINESE, "{} 件自由许可的东西")], ids=["en", "zh"]
)
def test_it_names_every_preset_and_the_size_of_the_gallery(readme, said):
    for name in preset_names():
        assert f"`{name}`" in readme
    assert said.format(len(read_catalogue(assets_directory() / "gallery"))) in readme


def test_the_chinese_one_has_the_same_code_pictures_and_figures():
    assert re.findall(r"```\w+\n.*?```", CHINESE, re.S) == re.findall(r"```\w+\n.*?```", README, re.S)
    pictures = [re.findall(r"!\[[^]]+\]\((\S+)\)", one) for one in (CHINESE, README)]
    assert pictures[0] == pictures[1]
    figures = [
        re.findall(r"(\|(?: [\d.]+ \|){3}(?: [\d.]+ \([\d.]+-[\d.]+\) \|){2})$", one, re.M) for one in (CHINESE, README)
    ]
    assert len(figures[0]) == 9
    assert figures[0] == figures[1]
    sizes = [
        {(name, size) for name, size in re.findall(r"^\| `(\w+)` \|.*?([\d.]+ [MG]B)\b", one, re.M)}
        for one in (CHINESE, README)
    ]
    assert sizes[0] == sizes[1]


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


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_format_and_its_limit_is_documented(modality):
    row = next(line for line in USAGE.splitlines() if line.startswith(f"| {WORDS[modality]} |"))
    _, _, formats_said, largest, _, _ = (cell.strip() for cell in row.split("|"))
    if modality != "text":
        assert formats_said.split(", ") == list(formats()[modality])
    size = limits.MAX_BYTES[modality]
    assert largest == (f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size // 1000} kB")


def test_every_operator_is_documented():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", USAGE, re.M)
    assert rows == [(name, operator.title) for name, operator in OPERATORS.items()]
    for match in MATCHES:
        assert f"`{match}`" in USAGE


def test_every_endpoint_and_preset_is_documented():
    for endpoint in vars(Api):
        if not endpoint.startswith("_"):
            assert f"`/{endpoint}`" in USAGE, endpoint
    for name in preset_names():
        assert f"`{name}`" in USAGE, name


def test_every_make_target_is_documented():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    assert set(re.findall(r"`make ([a-z-]+)`", USAGE)) == targets
    assert targets == set(re.findall(r"^([a-z-]+):", makefile, re.M))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_of_the_docs_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link
