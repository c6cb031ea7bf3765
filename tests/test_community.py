"""The project's papers: what they call exists, what they list is complete, what two of them say is the same."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAPERS = ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "docs/contributing.md", "docs/dependencies.md")
PULL_REQUEST = ".github/pull_request_template.md"
WORKFLOW = ".github/workflows/ci.yml"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.M))
PYTHONS = {"3.10", "3.11", "3.12"}


def words(name):
    return (ROOT / name).read_text(encoding="utf-8")


def read_yaml(name):
    found = yaml.safe_load(words(name))
    assert isinstance(found, dict)
    return found


def distribution(name):
    """One spelling for a distribution, however it is written."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(name):
    return {distribution(line) for line in re.findall(r"^([\w.-]+)==", words(name), re.M)}


def version():
    return re.search(r'^version = "(.+)"', words("pyproject.toml"), re.M)[1]


@pytest.mark.parametrize("name", [*PAPERS, PULL_REQUEST])
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#\s]+)", words(name))
    for link in links:
        assert "://" in link or ((ROOT / name).parent / link).exists(), link


@pytest.mark.parametrize("name", PAPERS)
def test_rooms_and_modules_that_they_name_exist(name):
    for path in re.findall(r"`(\w+(?:/\w+)*(?:/|/\w+\.py))`", words(name)):
        assert (ROOT / path).exists() or (ROOT / "omnibind_core" / path).exists(), path


@pytest.mark.parametrize("name", [*PAPERS, PULL_REQUEST, WORKFLOW])
def test_make_targets_exist(name):
    named = set(re.findall(r"`make ([a-z][\w-]*)|^make ([a-z][\w-]*)|run: make ([a-z][\w-]*)", words(name), re.M))
    assert {target for targets in named for target in targets if target} <= TARGETS


@pytest.mark.parametrize("name", [*PAPERS, PULL_REQUEST])
def test_tests_that_are_named_exist(name):
    """By their names alone, so that a test may change its folder."""
    there = {path.name for path in (ROOT / "tests").rglob("*.py")}
    assert set(re.findall(r"`((?:test_|makers)\w*\.py)`", words(name))) <= there
    for path in re.findall(r"\btests/[\w./-]+", words(name)):
        assert (ROOT / path).exists(), path


def test_the_workflow_runs_what_everyone_runs_on_every_python():
    jobs = read_yaml(WORKFLOW)["jobs"]
    assert set(jobs["test"]["strategy"]["matrix"]["python"]) == PYTHONS
    made = {line["run"] for job in jobs.values() for line in job["steps"] if line.get("run", "").startswith("make ")}
    assert "make test PYTHON=python${{ matrix.python }}" in made
    assert any(line.startswith("make lint ") for line in made)
    assert 'requires-python = ">=3.10,<3.13"' in words("pyproject.toml")
    # Whatever else it runs only prepares: a check that is in no make target could not be repeated on a laptop.
    for job in jobs.values():
        for step in job["steps"]:
            assert not re.search(r"pytest|ruff|mypy", step.get("run", ""))


def test_the_workflow_looks_for_the_browsers_that_ci_run_looks_for():
    looked = re.compile(r"command -v ([\w-]+)")
    assert set(looked.findall(words(WORKFLOW))) == set(looked.findall(words(".ci/run"))) - {"apt-get"}


def test_pre_commit_checks_what_make_lint_checks():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)[1]
    wanted = [line.strip().lstrip("@").replace("$(PY)", ".venv/bin/python") for line in recipe.splitlines()]
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == wanted
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False  # mypy needs all files, and ruff is fast enough


def test_issue_forms_are_forms():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 2
    for path in forms:
        form = read_yaml(path.relative_to(ROOT))
        assert form["name"]
        assert form["description"]
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        assert all(field["attributes"]["label"] for field in fields)
    assert "python -m omnibind_core doctor --json" in words(".github/ISSUE_TEMPLATE/bug.yml")


def test_the_citation_is_of_this_version_and_names_the_paper():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == re.search(r"^title: (.+)$", words("README.md"), re.M)[1]
    assert citation["version"] == version()
    assert citation["license"] == "Apache-2.0"
    assert all(citation[key] for key in ("message", "authors"))
    (paper,) = citation["references"]
    assert paper["authors"][0] == {"family-names": "Wang", "given-names": "Zehan"}
    number = paper["url"].rsplit("/", 1)[-1]
    assert paper["identifiers"][0]["value"] == f"arXiv:{number}"
    assert number in words("README.md")


def tables():
    """Packages of docs/dependencies.md by the heading above their table."""
    found = {}
    for part in re.split(r"^## ", words("docs/dependencies.md"), flags=re.M)[1:]:
        heading = part.partition("\n")[0]
        if "\n| `" not in part:  # prose about one of them
            continue
        found[heading] = [distribution(name) for name in re.findall(r"^\| `([\w.-]+)` \|", part, re.M)]
        assert len(found[heading]) == len(set(found[heading]))
    return found


def test_every_requirement_is_explained_and_nothing_else():
    product, development, extras, others, _ = tables().values()
    assert set(product) == required("requirements.txt")
    assert set(development) | set(extras) == required("requirements-dev.txt")
    said = re.search(r"optional-dependencies\]\n(.*?)\n\n", words("pyproject.toml"), re.S)[1]
    assert set(extras) | set(others) == {distribution(one) for one in re.findall(r'"([\w-]+)(?:\[[\w,]+\])?==', said)}


def test_every_row_of_the_dependencies_is_complete():
    rows = [line for line in words("docs/dependencies.md").splitlines() if line.startswith("| `")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) in {4, 5}, row
        assert all(cells), row


def imported(folder):
    """Top names of the packages that a folder's modules import, wherever in the file, but for the library's own."""
    own = {"omnibind_core", "demo", "tools", "tests"} | {path.stem for path in (ROOT / "tools").rglob("*.py")}
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - own


@pytest.mark.parametrize("folder", ["omnibind_core", "demo", "tools", "tests"])
def test_what_is_imported_is_explained(folder):
    product, development, extras, others, brought = map(set, tables().values())
    allowed = product | extras | others | brought | (development if folder in {"tests", "tools"} else set())
    known = {"llama_index": ["llama-index-core"], "grpc": ["grpcio"], **packages_distributions()}  # need not be there
    for name in imported(ROOT / folder):
        assert {distribution(one) for one in known.get(name, [name])} & allowed, name


def test_what_comes_with_others_is_not_pinned_and_says_with_whom():
    product, _, _, _, brought = tables().values()
    assert not set(brought) & set(product)
    rows = re.findall(r"^\| `[\w.-]+` \| ((?:`[\w.-]+`(?:, )?)+) \|", words("docs/dependencies.md"), re.M)
    assert len(rows) == len(brought)
    for row in rows:
        assert {distribution(name) for name in re.findall(r"`([\w.-]+)`", row)} <= set(product)
