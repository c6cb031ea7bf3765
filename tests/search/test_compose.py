"""Composition: what each operator does with vectors whose answer is known."""

import numpy as np
import pytest

from omnibind_core.errors import QueryError
from omnibind_core.search.classify import classify
from omnibind_core.search.compose import OPERATORS, Term, centre, check_request, check_terms, check_weight

E = np.eye(4, dtype=np.float32)


def score(name, vectors, weights, candidates):
    return OPERATORS[name].scores(np.stack(vectors), np.array(weights, np.float32), np.stack(candidates))


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_ranks_what_has_both_terms_first(name):
    both = (E[0] + E[1]) / np.sqrt(2)
    scores = score(name, [E[0], E[1]], [1, 1], [E[2], E[0], both, E[1]])
    assert scores.argmax() == 2
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_keeps_the_order_of_a_single_term(name):
    candidates = [E[0], (E[0] + E[1]) / np.sqrt(2), E[1], -E[0]]
    assert list(np.argsort(-score(name, [E[0]], [1], candidates))) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", [n for n in OPERATORS if n != "slerp"])
def test_a_negative_term_pushes_its_like_down(name):
    with_it, without = (E[0] + E[1]) / np.sqrt(2), (E[0] + E[2]) / np.sqrt(2)
    wanted = (E[0] + 0.5 * E[1]) / np.sqrt(1.25)  # has something of what is subtracted
    alone = score(name, [wanted], [1], [with_it, without])
    scores = score(name, [wanted, E[1]], [1, -0.7], [with_it, without])
    assert scores[1] - scores[0] > alone[1] - alone[0]


@pytest.mark.parametrize("name", OPERATORS)
def test_queries_are_unit_rows_and_described(name):
    queries = OPERATORS[name].queries(E[:2], np.array([0.8, 0.3], np.float32))
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-6)
    assert OPERATORS[name].title
    assert OPERATORS[name].summary.endswith(".")


def test_slerp_at_one_half_is_the_sum_and_goes_along_the_sphere():
    a, b = E[0], (E[0] + E[1]) / np.float32(np.sqrt(2))
    vectors = np.stack([a, b])
    half = OPERATORS["slerp"].queries(vectors, np.array([0.5, 0.5], np.float32))
    np.testing.assert_allclose(half, OPERATORS["sum"].queries(vectors, np.array([1, 1], np.float32)), atol=1e-6)
    quarter = OPERATORS["slerp"].queries(vectors, np.array([0.75, 0.25], np.float32))[0]
    assert np.arccos(quarter @ a) == pytest.approx(np.pi / 16, abs=1e-3)


@pytest.mark.parametrize("weights", [[1, -1], [1, 1, 1]])
def test_slerp_says_what_it_cannot_do(weights):
    with pytest.raises(QueryError, match="two terms with positive weights"):
        OPERATORS["slerp"].queries(E[: len(weights)], np.array(weights, np.float32))


def test_projection_removes_only_what_is_shared():
    query = OPERATORS["projection"].queries(E[:2], np.array([1, -1], np.float32))[0]
    np.testing.assert_allclose(query, E[0], atol=1e-6)  # nothing in common, nothing removed


def test_terms_that_cancel_are_explained():
    with pytest.raises(QueryError, match="cancel"):
        OPERATORS["sum"].queries(np.stack([E[0], E[0]]), np.array([1, -1], np.float32))


@pytest.mark.parametrize("weight", ["heavy", None, float("nan"), float("inf"), 1.5, -2, True, [1]])
def test_weights_that_are_not_numbers_from_minus_one_to_one(weight):
    with pytest.raises(QueryError, match="a number from -1 to 1"):
        check_weight(weight)


def test_numbers_in_text_are_weights():
    assert check_weight("-0.5") == -0.5


@pytest.mark.parametrize("terms", [[], [Term(E[0], 0.0)]])
def test_no_terms(terms):
    with pytest.raises(QueryError, match="at least one term"):
        check_terms(terms)


def test_centring_removes_the_mean():
    rows = np.stack([E[3] + 0.1 * E[0], E[3] + 0.1 * E[1]])
    centred = centre(rows, rows.mean(axis=0))
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(centred[0], -centred[1], atol=1e-5)


WRONG_VECTORS = {
    "nan": [1, np.nan, 0, 0],
    "infinite": [1, np.inf, 0, 0],
    "short": [1, 0],
    "long": [0] * 9,
    "empty": [],
    "scalar": 3.0,
    "square": np.eye(4),
    "words": ["a", "b", "c", "d"],
    "ragged": [[1], [1, 2], 3, 4],
    "none": None,
}


@pytest.mark.parametrize("vector", WRONG_VECTORS.values(), ids=WRONG_VECTORS)
def test_a_vector_that_is_none_is_one_sentence(vector):
    for terms in ([Term(E[0]), Term(vector, label="odd")], [Term(vector), Term(E[0])]):
        with pytest.raises(QueryError, match="a vector"):
            check_terms(terms)


@pytest.mark.parametrize("vector", WRONG_VECTORS.values(), ids=WRONG_VECTORS)
def test_nothing_is_named_by_a_vector_that_is_none(mini, vector):
    with pytest.raises(QueryError, match="a vector"):
        classify(mini, vector, ["a dog", "a cat"])


@pytest.mark.parametrize("labels", ["dog", [1, 2], [None], [["dog"]]], ids=str)
def test_labels_that_are_no_words(mini, labels):
    with pytest.raises(QueryError, match="labels of another form"):
        classify(mini, np.ones(mini.width, np.float32), labels)


def test_labels_that_are_said_twice_count_once(mini):
    vector = mini.embed_texts(["a puppy"])[0]
    once, twice = classify(mini, vector, ["dog", "cat"]), classify(mini, vector, ["dog", "cat", " dog ", "cat"])
    assert [one.label for one in twice] == [one.label for one in once]
    assert sum(one.probability for one in twice) == pytest.approx(1)


@pytest.mark.parametrize("name", ["sum", "product", "projection"])
def test_a_term_without_itself_is_explained_by_every_operator(name):
    with pytest.raises(QueryError, match="cancel"):
        OPERATORS[name].queries(np.stack([E[0], E[0]]), np.array([1, -1], np.float32))


@pytest.mark.parametrize(
    "wrong", [{"operator": {"a": 1}}, {"operator": ["sum"]}, {"modalities": [{}]}, {"match": {}}], ids=str
)
def test_choices_of_a_wrong_type_are_explained(wrong):
    choices = {"k": 3, "modalities": ["text"], "operator": "sum", "match": "media", **wrong}
    with pytest.raises(QueryError):
        check_request(**choices)


def test_a_message_is_bounded_whatever_it_quotes():
    error = QueryError("the name " + "x" * 5_000 + "\n\x1b[31m.png", "another", "rename it")
    assert len(str(error)) < 1_100 and "\n" not in str(error) and "\x1b" not in str(error)
