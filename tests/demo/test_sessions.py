"""What is kept of a visit: its state works as gradio's does, and no description of the page is made for it."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest
from gradio import route_utils, state_holder

from demo.sessions import Session, take_over


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> gr.Blocks:
    async def make() -> gr.Blocks:  # where no loop runs, gradio makes a few and never closes them
        with gr.Blocks() as made:
            gr.State([1])
            gr.Textbox("words")
        return made

    made = asyncio.run(make())
    for module in (state_holder, route_utils):  # another test may have had them taken over
        monkeypatch.setattr(module, "SessionState", Session.__base__)
    return made


def test_a_visit_has_a_state_of_its_own_and_no_description(page: gr.Blocks) -> None:
    take_over()
    state = next(key for key, block in page.blocks.items() if isinstance(block, gr.State))
    words = next(key for key, block in page.blocks.items() if isinstance(block, gr.Textbox))
    holder = state_holder.StateHolder()
    holder.set_blocks(page)
    one, other = holder["one"], holder["other"]
    assert isinstance(one, Session)
    assert one.config_values == {}
    one[state] = [2]
    assert (one[state], other[state]) == ([2], [1])
    assert words in one
    one._update_value_in_config(words, "others")
    assert one.config_values[words]["props"]["value"] == "others"
    assert words not in other.config_values


def test_nothing_else_is_asked_of_the_page_for_it(page: gr.Blocks) -> None:
    """Whether gradio still makes a session of what is given to it, and only that."""
    ours, theirs = vars(Session(page)), vars(Session.__base__(page))
    assert ours.keys() == theirs.keys()
    assert ours["blocks_config"].blocks == theirs["blocks_config"].blocks
    assert [name for name in ours if ours[name] != theirs[name]] == ["blocks_config", "config_values"]
