"""HTML: escaped, complete, and able to show what it is told."""

from html.parser import HTMLParser

import numpy as np
import pytest

from demo import panels, render
from demo.icons import ICONS, ORDER
from demo.service import Answers, Status
from demo.state import Ingredient, Visit
from omnibind_core.errors import MediaError
from omnibind_core.types import MODALITIES, Hit

EVIL = "<img src=x onerror=alert(1)>\"'`${alert(1)}{{value}}"
VOID = {"img", "input", "path", "circle", "rect", "br"}


class Checker(HTMLParser):
    """Fails on tags that do not match, and collects attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag


def ingredient(label: str, weight: float = 1.0) -> Ingredient:
    vector = np.eye(4, dtype=np.float32)[0]
    return Ingredient("audio", label, vector, weight, shares={EVIL: 0.7, "b": 0.3}, timings={"decode": 0.01, EVIL: 0.2})


def hit(modality: str, **more: object) -> Hit:
    values = {"caption": EVIL, "score": 0.25, "z": 2.6, "file": f"/x/{EVIL}.ogg", "thumbnail": "/x/t.webp", **more}
    return Hit(f"{modality}/{EVIL}", modality, details={"creator": EVIL, "source": "javascript:alert(1)"}, **values)  # type: ignore[arg-type]


def pages() -> dict[str, str]:
    terms = (ingredient(EVIL), ingredient("b", -0.5))
    hits = {m: [hit(m, terms=(0.5, -0.5)), hit(m, terms=(0.1, 0.2), thumbnail=None)] for m in MODALITIES}
    visit = Visit.of(terms)
    return {
        "answers": render.answers(Answers(hits), terms),  # type: ignore[arg-type]
        "mix": panels.mix(visit),
        "inside": panels.inside(visit.shown(), 0.001),
        "notice": panels.notice(MediaError(EVIL, EVIL, EVIL)),
        "unexpected": panels.notice(EVIL),
        "status": panels.status(Status("loading", EVIL, 0.4)),
        "scores": panels.scores([(EVIL, 0.9, 0.2)], terms[0]),
        **{f"detail {m}": render.detail_head(hit(m)) + render.detail_tail(hit(m)) for m in MODALITIES},
    }


@pytest.mark.parametrize("name", list(pages()))
def test_nothing_from_outside_becomes_markup(name: str) -> None:
    html = pages()[name]
    assert "<img src=x" not in html
    found = Checker(html)
    assert not [a for a in found.attributes if a[1].startswith("on")]
    assert not [a for a in found.attributes if a[1] in {"href", "src"} and a[2].startswith("javascript:")]


def test_pictures_have_alt_texts_and_buttons_have_names() -> None:
    for html in pages().values():
        tags: dict[tuple[str, int], set[str]] = {}
        for number, (tag, _, _) in enumerate(Checker(html).attributes):
            tags.setdefault((tag, number), set())
        assert html.count("<img ") == html.count("alt=")


def test_dots_follow_z() -> None:
    assert [render.strength(z) for z in (-3, 0, 1.2, 2, 3, 3.5, 9)] == [0, 0, 1, 2, 3, 4, 5]


def test_bars_only_for_a_mix() -> None:
    one = render.answers(Answers({"image": [hit("image", terms=(0.5,))]}), [ingredient("a")])
    two = render.answers(
        Answers({"image": [hit("image", terms=(0.5, -0.5))]}), [ingredient("a"), ingredient("b", -0.5)]
    )
    assert "ob-bars" not in one
    assert two.count("ob-bar ob-audio") == 2
    assert "unwanted" in two


def test_a_term_without_weight_has_no_bar() -> None:
    terms = [ingredient("a"), ingredient("b", 0.0), ingredient("c")]
    html = render.answers(Answers({"image": [hit("image", terms=(0.5, 0.1))]}), terms)
    assert html.count("ob-bar ob-audio") == 2


def test_sounds_play_in_place() -> None:
    html = render.answers(Answers({"audio": [hit("audio")]}), [ingredient("a")])
    assert 'preload="none"' in html
    assert "data-play" in html


def test_flat_weights_are_admitted() -> None:
    assert "the same for every input" in panels.inside(ingredient("a"), 0.0)


def test_every_modality_has_a_column_and_an_icon() -> None:
    assert set(ORDER) == set(MODALITIES) <= set(ICONS)
    for html in (render.skeleton(), render.answers(Answers({}), [])):
        assert html.count("ob-column") == 4
