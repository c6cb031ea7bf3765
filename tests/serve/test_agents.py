"""The server for agents, called by the official client over a real process's standard streams."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from omnibind_core import cli
from omnibind_core.store.paths import assets_directory

ROOT = Path(__file__).parents[2]
GALLERY = assets_directory() / "gallery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("allowed")
    for name in ("images/dog-1.jpg", "sounds/dog-2.ogg"):
        shutil.copy(GALLERY / name, found)
    (found / "link.jpg").symlink_to(GALLERY / "images" / "dog-1.jpg")
    return found


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    """All that is asked in these tests, of one process: it loads its models once."""
    here = str(folder / "dog-1.jpg")
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "text": ("search", {"text": "a dog barks", "k": 2}),
        "file": ("search", {"file": here, "k": 3}),
        "item": ("search", {"item": "audio/piano-1", "k": 2}),
        "mix": ("mix", {"terms": [{"item": "image/lion-1"}, {"text": "stripes", "weight": 0.8}], "operator": "slerp"}),
        "classify": ("classify", {"labels": ["dog", "violin"], "file": str(folder / "dog-2.ogg")}),
        "similarity": ("similarity", {"items": [{"text": "a dog"}, {"file": here}]}),
        "compare": ("compare", {"items": [{"text": "a dog"}, {"file": here}, {"text": "a violin"}]}),
        "localise": ("localise", {"query": {"text": "a dog"}, "into": {"file": here}}),
        "collections": ("collections", {}),
        "outside": ("search", {"file": str(GALLERY / "images" / "dog-1.jpg")}),
        "link": ("search", {"file": str(folder / "link.jpg")}),
        "dots": ("search", {"file": f"{folder}/../{folder.name}/../../etc/passwd"}),
        "gone": ("search", {"file": str(folder / "gone.jpg")}),
        "nothing": ("search", {}),
        "both": ("search", {"text": "a dog", "item": "image/dog-1"}),
        "no item": ("search", {"item": "image/none"}),
        "no k": ("search", {"text": "a dog", "k": 9999}),
        "no term": ("mix", {"terms": [{"smell": "roses"}]}),
        "no operator": ("mix", {"terms": [{"text": "a dog"}], "operator": "division"}),
    }
    command = [sys.executable, "-m", "omnibind_core", "mcp", "--allow", str(folder)]

    async def ask() -> dict[str, Any]:
        async with Client(StdioServerParameters(command=command[0], args=command[1:], cwd=str(ROOT))) as client:
            found: dict[str, Any] = {"tools": await client.list_tools()}
            for name, (tool, arguments) in calls.items():
                found[name] = await client.call_tool(tool, arguments)
            return found

    return run(ask)


def run(ask: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    return asyncio.run(asyncio.wait_for(ask(), 240))


def form(result: Any) -> Any:
    assert not result.is_error, result.content[0].text
    return json.loads(result.content[0].text)


def test_the_tools_say_what_they_take(told: dict[str, Any]) -> None:
    tools = {one.name: one for one in told["tools"].tools}
    assert set(tools) == {"search", "mix", "classify", "similarity", "compare", "localise", "collections"}
    assert all(one.description for one in tools.values())
    assert "slerp" in json.dumps(tools["mix"].input_schema)


def test_words_files_and_items_find_the_same_as_elsewhere_and_show_pictures(told: dict[str, Any]) -> None:
    found = form(told["text"])
    assert found["preset"] == "mini"
    assert [hit["id"].rsplit("-")[0] for hit in found["hits"]["audio"]] == ["audio/dog", "audio/dog"]
    assert found["hits"]["image"][0]["file"].endswith(".jpg")
    pictures = [one for one in told["text"].content if one.type == "image"]
    assert 1 <= len(pictures) <= 4
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0].data))).width > 50
    assert form(told["file"])["hits"]["image"][0]["id"] == "image/dog-2"
    assert form(told["item"])["hits"]["audio"][0]["id"] == "audio/piano-2"
    assert form(told["mix"])["hits"]["image"][0]["id"].startswith(("image/tiger", "image/zebra"))


def test_naming_comparing_and_locating(told: dict[str, Any]) -> None:
    assert form(told["classify"])["scores"][0]["label"] == "dog"
    assert form(told["classify"])["fits"] is True
    assert len(form(told["similarity"])["matrix"]) == 2
    groups = form(told["compare"])["groups"]
    assert groups[0] == groups[1] != groups[2]
    assert set(form(told["localise"])["best"]) == {"left", "top", "right", "bottom"}
    assert form(told["collections"])["searched"]["image"] == 260


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("outside", "not inside an allowed folder"), ("link", "not inside an allowed folder"),
        ("dots", "not inside an allowed folder"), ("gone", "where no file is"), ("nothing", "set one"),
        ("both", "text and item"), ("no item", "image/none"), ("no k", "k = 9999"), ("no term", "terms.0.smell"),
        ("no operator", "operator"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(told: dict[str, Any], name: str, said: str) -> None:
    assert told[name].is_error
    assert said in told[name].content[0].text
    assert "Traceback" not in told[name].content[0].text


def test_a_store_answers_as_memory_does(told: dict[str, Any], tmp_path: Path) -> None:
    """Nothing that the store's client prints may come between the lines of the protocol."""
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    command = ["-m", "omnibind_core", "mcp", "--store", f"milvus:{tmp_path / 'store.db'}"]

    async def ask() -> dict[str, Any]:
        started = StdioServerParameters(command=sys.executable, args=command, cwd=str(ROOT), env=dict(os.environ))
        async with Client(started) as client:
            return {"text": await client.call_tool("search", {"text": "a dog barks", "k": 2})}

    found, right = (form(one["text"])["hits"] for one in (run(ask), told))
    assert {m: [hit["id"] for hit in hits] for m, hits in found.items()} == {
        m: [hit["id"] for hit in hits] for m, hits in right.items()
    }
    assert (tmp_path / "store.db").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mcp", "--allow", str(tmp_path / "gone")]) == 2
    assert "which is not there" in capsys.readouterr().err


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "omnibind_core.serve.agents", None)
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.delitem(sys.modules, "omnibind_core.serve.agents")
    for name in [one for one in sys.modules if one.startswith("mcp.")]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["mcp"]) == 2
    assert "omnibind-explorer[mcp]" in capsys.readouterr().err
