"""What every tab promises, found by walking `TABS`: a new one is tested without a new test."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from demo.page import TABS, build_demo
from demo.service import Service
from demo.settings import Settings
from demo.shell.tab import Tab
from demo.tabs.explore.boxes import UPS
from omnibind_core.search.compose import MATCHES, OPERATORS, Options
from omnibind_core.store.catalogue import Item

from .conftest import EXAMPLES, GALLERY


def laid_out(tab: Tab) -> gr.Blocks:
    """Build and wire one tab alone, around a service that is asleep."""
    service = Service(Settings(device="cpu"))

    async def make() -> gr.Blocks:  # where no loop runs, gradio makes a few and never closes them
        with gr.Blocks() as page, gr.Tabs(), gr.Tab(tab.TITLE) as own:
            parts = tab.build(service, EXAMPLES)
            tab.wire(page, own, service, parts)
        return page

    page = asyncio.run(make())
    assert service.status().phase == "asleep", "laying out waits for nothing"
    return page


def test_the_page_comes_before_what_computes():
    """A visitor sees the page while torch, FAISS and the like, seconds of imports, are still on their way."""
    heavy = "torch", "faiss", "librosa", "numba", "sklearn", "scipy", "trimesh", "openvino", "transformers"
    told = f"import sys, demo.page; print(*(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == []


@pytest.fixture(scope="module", params=TABS, ids=lambda tab: tab.TITLE)
def tab(request: pytest.FixtureRequest) -> Tab:
    return request.param


def test_a_tab_has_a_title_and_the_two_functions(tab: Tab) -> None:
    assert tab.TITLE and tab.TITLE.strip() == tab.TITLE
    assert Counter(one.TITLE for one in TABS)[tab.TITLE] == 1
    assert list(inspect.signature(tab.build).parameters) == ["service", "examples"]
    assert list(inspect.signature(tab.wire).parameters) == ["demo", "tab", "service", "parts"]
    assert tab.build.__doc__ and tab.wire.__doc__


def test_a_tab_stands_alone_and_all_that_it_listens_to_is_private(tab: Tab) -> None:
    page = laid_out(tab)
    assert len(page.blocks) > 3
    assert [one.api_name for one in page.fns.values() if one.api_visibility != "private"] == []


def choices(page: gr.Blocks, label: str) -> Any:
    return next(one for one in page.blocks.values() if getattr(one, "label", None) == label)


def test_the_page_offers_what_the_registries_hold() -> None:
    page = laid_out(TABS[0])
    operators, matches = choices(page, "How terms are mixed"), choices(page, "Compare with")
    assert [value for _, value in operators.choices] == list(OPERATORS)
    assert {value for _, value in matches.choices} == set(MATCHES)
    assert (operators.value, matches.value) == (Options().operator, Options().match)
    button = next(one for one in page.blocks.values() if isinstance(one, gr.UploadButton))
    assert button.file_count == "multiple"
    assert button.file_types is None  # a shape's pictures and buffers come along


def test_of_several_collections_a_visitor_chooses_where_to_look(tmp_path: Path) -> None:
    item = {"id": "text/one", "modality": "text", "caption": "one", "concept": "a thing of mine", "licence": "own-1.0"}
    row = {**dict.fromkeys(Item.__dataclass_fields__, ""), **item, "file": None, "thumbnail": None, "sha256": None}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "catalogue.json").write_text(json.dumps({"items": [row]}))

    async def make(*folders: Path) -> gr.Blocks:
        return build_demo(Service(Settings(device="cpu", collections=folders)))

    both = asyncio.run(make(GALLERY, tmp_path / "mine"))
    assert [value for _, value in choices(both, "Search in").choices] == ["gallery", "mine"]
    assert choices(both, "Search in").visible
    assert "own-1.0" in [value for _, value in choices(both, "Under these licences").choices]
    assert "a thing of mine" in [value for _, value in choices(both, "That show").choices]
    assert not choices(asyncio.run(make(GALLERY)), "Search in").visible


@pytest.mark.parametrize("switch", ["on", "off"])
def test_collections_are_taken_in_where_visitors_may_choose(switch: str) -> None:
    async def make() -> gr.Blocks:
        return build_demo(Service(Settings(device="cpu", switch=switch)))

    assert choices(asyncio.run(make()), "Collections").visible == (switch == "on")


def test_the_whole_page_builds_around_a_service_that_is_asleep() -> None:
    async def make() -> gr.Blocks:
        return build_demo(Service(Settings(device="cpu")))

    titles = [one.label for one in asyncio.run(make()).blocks.values() if isinstance(one, gr.Tab)]
    assert titles == [tab.TITLE for tab in TABS]


def test_which_way_is_up_is_guessed_unless_an_axis_is_chosen() -> None:
    assert [value for _, value in UPS] == ["auto", "y", "z", "x"]
