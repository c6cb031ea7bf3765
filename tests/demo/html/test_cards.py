"""HTML: escaped, complete, and able to show what it is told."""

from html.parser import HTMLParser

import numpy as np
import pytest

from demo.html import cards, panels
from demo.html.icons import ICONS, ORDER
from demo.state import Ingredient, Status, Visit
from omnibind_core.errors import MediaError
from omnibind_core.search.answers import Found, LabelScore
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
    visit = Visit().restart(terms)
    return {
        "answers": cards.answers(Found(hits), terms),  # type: ignore[arg-type]
        "mix": panels.mix(visit),
        "inside": panels.inside(visit.shown(), 0.001),
        "notice": panels.notice(MediaError(EVIL, EVIL, EVIL)),
        "unexpected": panels.notice(EVIL),
        "status": panels.status(Status("loading", EVIL, 0.4)),
        "scores": panels.scores([LabelScore(EVIL, 0.9, 0.2)], terms[0]),
        **{f"detail {m}": cards.detail_head(hit(m)) + cards.detail_tail(hit(m)) for m in MODALITIES},
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
    assert [cards.strength(z) for z in (-3, 0, 1.2, 2, 3, 3.5, 9)] == [0, 0, 1, 2, 3, 4, 5]


def test_bars_only_for_a_mix() -> None:
    one = cards.answers(Found({"image": [hit("image", terms=(0.5,))]}), [ingredient("a")])
    two = cards.answers(Found({"image": [hit("image", terms=(0.5, -0.5))]}), [ingredient("a"), ingredient("b", -0.5)])
    assert "ob-bars" not in one
    assert two.count("ob-bar ob-audio") == 2
    assert "unwanted" in two


@pytest.mark.parametrize("others", [1, 2])
def test_a_term_whose_slider_stands_at_0_keeps_its_bar_as_the_search_keeps_its_cosine(others: int) -> None:
    terms = [ingredient("a"), ingredient("b", 0.0), ingredient("c")][: 1 + others]
    html = cards.answers(Found({"image": [hit("image", terms=(0.5, 0.1, 0.3)[: 1 + others])]}), terms)
    assert html.count("ob-bar ob-audio") == len(terms)
    assert html.count("ob-bar ob-audio ob-off") == 1
    assert "b (not counted): cosine +0.10" in html


def test_sounds_play_in_place() -> None:
    html = cards.answers(Found({"audio": [hit("audio")]}), [ingredient("a")])
    assert 'preload="none"' in html
    assert "data-play" in html


def test_flat_weights_are_admitted() -> None:
    assert "the same for every input" in panels.inside(ingredient("a"), 0.0)


def test_every_modality_has_a_column_and_an_icon() -> None:
    assert set(ORDER) == set(MODALITIES) <= set(ICONS)
    for html in (cards.skeleton(), cards.answers(Found({m: [] for m in MODALITIES}), [])):
        assert html.count("ob-column") == 4


def test_a_column_without_anything_near_folds_its_answers():
    far = frozenset({"image", "audio"})
    html = cards.answers(Found({m: [hit(m)] for m in MODALITIES}, far=far), [ingredient("a")])  # type: ignore[arg-type]
    Checker(html)
    assert html.count("Nothing here is near") == 2
    assert html.count('<details class="ob-far">') == 1  # pictures
    assert html.count('<details class="ob-far" open>') == 1  # sounds: the query is one


def test_a_single_terms_score_is_a_share_in_words():
    one = cards.answers(Found({"image": [hit("image", share=0.99876)]}), [ingredient("a")])
    assert ">99.8 %<" in one and "Nearer than 99.8 % of all pairs of sound and picture here" in one
    mix = cards.answers(Found({"image": [hit("image", share=0.99876)]}), [ingredient("a"), ingredient("b")])
    assert ">+0.25<" in mix and "Nearer than" not in mix
