"""Links hold items and sentences, never files; what a stranger changed is refused in three parts."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace

import pytest

from demo import links
from demo.service import Service
from demo.state import Visit
from demo.tabs.explore import callbacks
from omnibind_core.errors import QueryError
from omnibind_core.search.compose import Options

from .conftest import GALLERY, Put, example

OPTIONS = Options(operator="product", k=3)


def asked(service: Service) -> Visit:
    visit = callbacks.give_text(service, Visit(), "ein Hund & <b>", "new", OPTIONS).visit
    return callbacks.act(service, visit, "subtract", example("image").id, OPTIONS).visit


def test_a_link_brings_the_same_answers_in_another_visit(service: Service) -> None:
    visit = asked(service)
    part, link = links.pack(visit, OPTIONS)
    assert re.fullmatch(r"[\w-]+", part)
    assert link.left == 0
    there = callbacks.follow(service, Visit(), part)
    assert there.notice == ""
    assert [(one.label, one.weight) for one in there.visit.ingredients] == [
        (one.label, one.weight) for one in visit.ingredients
    ]
    assert links.unpack(part).options == OPTIONS
    assert there.answers == callbacks.refresh(service, visit, OPTIONS).answers


def test_files_of_ones_own_are_never_in_a_link(service: Service, upload: Put) -> None:
    sound = example("audio")
    file = upload(GALLERY / str(sound.file), "secret.ogg")
    visit = callbacks.give_file(service, asked(service), file, "audio", "y", "add", OPTIONS).visit
    part, link = links.pack(visit, OPTIONS)
    assert link.left == 1
    plain = base64.urlsafe_b64decode(part + "===").decode()
    assert "secret" not in plain and "/" not in plain.replace(example("image").id, "")
    drawn = callbacks.take_away(service, visit, OPTIONS)
    assert "1 of your own files" in drawn
    assert "?q=" not in callbacks.take_away(service, visit.drop("t1").drop("t2"), OPTIONS)


def test_answers_can_be_taken_away(service: Service) -> None:
    drawn = callbacks.take_away(service, asked(service), OPTIONS)
    found = {
        name: base64.b64decode(data).decode()
        for name, data in re.findall(r'download="([\w.]+)" href="data:[\w/]+;base64,([\w+/=]+)"', drawn)
    }
    answers = json.loads(found["answers.json"])
    assert len(answers["hits"]["audio"]) == OPTIONS.k
    assert "/" not in str(answers["hits"]["image"][0]["file"]), "nothing of this machine is told"
    rows = list(csv.DictReader(io.StringIO(found["answers.csv"])))
    assert len(rows) == 4 * OPTIONS.k
    assert all(row["licence"] and row["caption"] for row in rows)
    code = re.search(r"<pre[^>]*>(.*)</pre>", drawn, re.DOTALL)
    assert code and "&lt;b&gt;" in code[1] and "operator=&#x27;product&#x27;" in code[1]
    assert "Ask something first" in callbacks.take_away(service, Visit(), OPTIONS)


def forged(**changes: object) -> str:
    data = {"t": [[1.0, "s", "a dog"]], "o": {"operator": "sum", "match": "media", "k": 3, "centred": False}, **changes}
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "part",
    [
        "nonsense", "%%%", "é", "A" * 30_000, forged(t=[]), forged(t=[[1.0, "s", "a"]] * 9), forged(t=[[7, "s", "a"]]),
        forged(t=[[1.0, "f", "/etc/passwd"]]), forged(t=[[1.0, "s", "a" * 3_000]]),
        forged(t="abc"), forged(t=[[1.0, "s"]]), forged(o={}), forged(o={"k": 10**6}), forged(o={"evil": 1}),
        forged(o={"operator": "no", "match": "media", "k": 3, "centred": False}), forged(t=[[float("nan"), "s", "a"]]),
    ],
)  # fmt: skip
def test_forged_links_are_refused_and_nothing_is_lost(service: Service, part: str) -> None:
    if part == forged(o={}):
        assert links.unpack(part).options == Options()  # what is not said is as usual
        return
    with pytest.raises(QueryError, match="did not write"):
        links.unpack(part)
    view = callbacks.follow(service, Visit(), part)
    assert "What to do" in view.notice
    assert view.visit.ingredients == ()


def test_items_that_are_gone_are_named(service: Service) -> None:
    part = forged(t=[[1.0, "i", "image/gone-1"], [1.0, "s", "a dog"]])
    view = callbacks.follow(service, Visit(), part)
    assert "image/gone-1" in view.notice.lower()
    assert [one.label for one in view.visit.ingredients] == ["a dog"]
    only = callbacks.follow(service, Visit(), forged(t=[[1.0, "i", "image/gone-1"]]))
    assert "not here" in only.notice


def test_facets_travel_in_a_link_and_forged_ones_are_refused(service: Service) -> None:
    options = replace(Options(), kinds=("image", "audio"), licences=("MIT",), concepts=("dog", "cat"))
    view = callbacks.give_text(service, Visit(), "an animal", "new", options)
    part, _ = links.pack(view.visit, options)
    assert links.unpack(part).options == options
    followed = callbacks.follow(service, Visit(), part)
    assert "ob-column ob-point" not in str(followed.answers)
    taken = callbacks.take_away(service, view.visit, options)
    assert "kinds=(&#x27;image&#x27;, &#x27;audio&#x27;)" in taken
    for wrong in ({"kinds": ["smell"]}, {"licences": [3]}, {"concepts": ["x"] * 61}, {"licences": ["x" * 121]}):
        with pytest.raises(QueryError, match="did not write"):
            links.unpack(forged(o=wrong))


def test_options_of_a_link_are_what_the_page_offers() -> None:
    part = forged(o={"operator": "slerp", "match": "media", "k": 24, "centred": False})
    assert links.unpack(part).options == replace(Options(), operator="slerp", match="media", k=24)
