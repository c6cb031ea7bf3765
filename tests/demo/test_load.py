"""Many visitors at once: what they ask is what the decoders read, and all are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import gradio as gr
import pytest

from demo.page import build_demo, launch
from demo.service import Service
from omnibind_core import media
from omnibind_core.types import MODALITIES
from tools.load import Answer, Queries, Run, changed, main, table

from .conftest import free_port


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    async def start() -> tuple[gr.Blocks, str]:
        demo = build_demo(service)
        return demo, launch(demo, service, server_name="127.0.0.1", server_port=free_port())

    demo, local = asyncio.run(start())
    yield local
    demo.close(verbose=False)


def test_a_changed_query_is_another_file_of_the_same_modality() -> None:
    queries = Queries(0.0, 1)
    seen = set()
    while seen != set(MODALITIES):
        query = queries.draw()
        seen.add(query.modality)
        one, two = changed(query, 1), changed(query, 2)
        assert (one.text, one.data) != (two.text, two.data)
        if query.modality != "text":
            assert type(media.load(one.data, query.modality)) is type(media.load(query.data, query.modality))


def test_many_visitors_are_all_answered(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", address, "--visitors", "6", "--seconds", "4", "--warm", "1"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    cells = [cell.strip() for cell in said[2].strip("|").split("|")]
    assert cells[0] == "6"
    assert int(cells[1]) > 0
    assert cells[2] == "0"


def test_failures_are_told() -> None:
    run = Run(2, 10.0, [Answer("text", 1.0), Answer("text", 3.0), Answer("image", 1.0, "join: 503")])
    said = table([run]).splitlines()
    assert said[2].startswith("| 2 | 2 | 1 | 0.20 | - | 2.00 / 3.00 | - | - | - | 2.00 / 3.00 |")
    assert said[3] == "1 x join: 503"


@pytest.mark.parametrize("wrong", [["--visitors", "0"], ["--fresh", "2"], ["--url", "ftp://x"], ["--seconds", "0"]])
def test_a_setting_that_cannot_be_right_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)
