"""The map: all items, what is asked, what is chosen, and what goes wrong."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from demo.service import Service
from demo.settings import Settings
from demo.tabs import map as tab

from ..conftest import example


def data(drawn: str) -> Any:
    found = re.search(r'<pre class="ob-data" hidden>(.*?)</pre>', drawn, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


def test_all_items_are_drawn_and_neighbourhoods_are_named(service: Service) -> None:
    drawn, notice = tab.open_map(service)
    assert notice == ""
    shown = data(drawn)
    assert [one[0] for one in shown["items"]] == [item.id for item in service.wait().gallery.items]
    assert {one[1] for one in shown["items"]} == {0, 1, 2, 3}
    assert all(max(abs(place) for place in one[4:8]) <= 1 for one in shown["items"])
    assert any(word == "dog" for word, *_ in shown["labels"][0])
    assert "/" not in shown["items"][0][3].removeprefix("gallery/thumbnails/"), "nothing of this machine is told"
    assert len(drawn) < 250_000


def test_a_sentence_is_placed_and_answered(service: Service) -> None:
    marks, answers, notice = tab.ask(service, "a dog barks <b>")
    assert notice == ""
    (mark,) = data(marks)["marks"]
    assert mark["label"] == "a dog barks <b>"
    assert "<b>" not in marks
    assert len(mark["closed"]) == len(mark["apart"]) == 2
    assert "ob-card" in answers


def test_an_item_is_chosen_and_does_not_answer_itself(service: Service) -> None:
    item = example("audio")
    marks, answers, notice = tab.choose(service, item.id)
    assert notice == ""
    assert data(marks) == {"marks": [], "chosen": item.id}
    assert f'data-id="{item.id}"' not in answers


def test_what_makes_no_sense_is_said_and_the_map_stays(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (tab.ask(service, " "), tab.choose(service, "image/nothing")):
        assert given[:2] == ("", "")
        assert "What to do" in given[2]
    broken = Service(Settings(preset="no-such-preset", device="cpu"))
    drawn, notice = tab.open_map(broken)
    assert drawn == ""
    assert "no-such-preset" in notice


def test_a_loop_says_what_it_was_drawn_around(service: Service) -> None:
    names = "image/dog-1 audio/dog-1 audio/dog-2 image/gone image/dog-1 text/dog-1"
    marks, told, notice = tab.loop(service, names)
    assert (marks, notice) == ("", "")
    assert "4 inside the loop: 2 sounds, 1 picture, 1 sentence" in told
    assert "dog 4" in told
    assert told.count('data-act="open"') == 4
    many = " ".join(item.id for item in service.wait().gallery.items[:100])
    _, told, _ = tab.loop(service, many)
    assert "and 40 more" in told
    assert "0 inside" in tab.loop(service, "x <script>")[1]
