import numpy as np
import pytest

from demo.settings import MAX_TERMS
from demo.state import Ingredient, Visit
from omnibind_core.errors import QueryError


def ingredient(label: str = "dog", **more: object) -> Ingredient:
    return Ingredient("text", label, np.eye(4, dtype=np.float32)[0], **more)  # type: ignore[arg-type]


def test_a_new_search_replaces_and_adding_keeps() -> None:
    visit = (
        Visit().take(ingredient("dog"), "new").take(ingredient("beach"), "add").take(ingredient("grass"), "subtract")
    )
    assert [one.label for one in visit.ingredients] == ["dog", "beach", "grass"]
    assert [one.weight > 0 for one in visit.ingredients] == [True, True, False]
    assert len({one.key for one in visit.ingredients}) == 3
    assert visit.shown() is visit.ingredients[-1]
    assert [one.label for one in visit.take(ingredient("cat"), "new").ingredients] == ["cat"]


def test_a_visit_never_changes() -> None:
    first = Visit().take(ingredient(), "new")
    first.take(ingredient(), "add")
    first.reweigh(first.ingredients[0].key, -0.5)
    assert len(first.ingredients) == 1
    assert first.ingredients[0].weight == 1.0


def test_weights_and_keys_are_checked() -> None:
    visit = Visit().take(ingredient(), "new")
    key = visit.ingredients[0].key
    assert visit.reweigh(key, -0.25).ingredients[0].weight == -0.25
    for wrong in (2, "x", None, float("nan"), True):
        with pytest.raises(QueryError, match="from -1 to 1"):
            visit.reweigh(key, wrong)
    for call in (visit.drop, visit.inspect, visit.find):
        with pytest.raises(QueryError, match="no longer in the mix"):
            call("t99")


def test_dropping_the_inspected_term_inspects_another() -> None:
    visit = Visit().take(ingredient("a"), "new").take(ingredient("b"), "add")
    left = visit.drop(visit.ingredients[1].key)
    assert left.shown() is left.ingredients[0]
    assert left.drop(left.ingredients[0].key).shown() is None


def test_a_mix_is_bounded() -> None:
    visit = Visit()
    for i in range(MAX_TERMS):
        visit = visit.take(ingredient(str(i)), "add")
    with pytest.raises(QueryError, match=f"at most {MAX_TERMS}"):
        visit.take(ingredient(), "add")
    assert len(visit.take(ingredient(), "new").ingredients) == 1


def test_what_stands_in_an_input_came_through_it_last() -> None:
    visit = Visit().take(ingredient("chair", upload="point"), "new").take(ingredient("red"), "add")
    visit = visit.take(ingredient("table", upload="point"), "add")
    standing = visit.standing("point")
    assert standing is not None
    assert standing.label == "table"
    left = visit.drop(standing.key).standing("point")
    assert left is not None
    assert left.label == "chair"
    assert visit.standing("audio") is None


def test_keys_are_not_used_twice() -> None:
    visit = Visit().take(ingredient("a"), "new")
    gone = visit.ingredients[0].key
    assert visit.drop(gone).take(ingredient("b"), "new").ingredients[0].key != gone
