"""Sentences for the text router: what is taught is not judged, and targets say where a sentence belongs."""

from __future__ import annotations

import pytest

from tools.mini import routing_sentences
from tools.mini.pools.vectors import in_development
from tools.mini.routing_sentences import DOMAINS, judged, taught

NOUNS = {
    "image": tuple(sorted({"red kangaroo", "banana", "teapot", "orca", "dog", "armchair", "piano", "tulip"})),
    "audio": tuple(sorted({"dog", "dial tone", "piano", "thunder", "siren"})),
    "point": tuple(sorted({"armchair", "piano", "lamp", "wardrobe", "dog"})),
}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(routing_sentences, "nouns", lambda: NOUNS)
    taught.cache_clear()
    yield
    taught.cache_clear()


def test_what_is_judged_was_never_taught(few):
    learned = set(taught().texts)
    for kind, sentences in judged().items():
        assert len(sentences), kind
        assert not learned & set(sentences.texts), kind


def test_nouns_of_the_other_half_are_not_said_in_any_form(few):
    kept = {name for names in NOUNS.values() for name in names if not in_development(name)}
    named = [text for text in taught().texts if any(text.endswith(f" {name}") or text == name for name in kept)]
    # A caption stands there too without its article and full stop.
    captions = " | ".join(c.lower() for found in routing_sentences._captions(development=True).values() for c in found)
    assert kept
    assert [text for text in named if text.lower() not in captions] == []


def test_a_bare_noun_belongs_to_every_domain_that_calls_something_so(few):
    sentences = judged()["bare nouns"]
    targets = dict(zip(sentences.texts, sentences.targets.tolist(), strict=True))
    for name, wanted in targets.items():
        assert wanted == [name in NOUNS[domain] for domain in DOMAINS]
    learned = dict(zip(taught().texts, taught().targets.tolist(), strict=True))
    both = [name for name in learned if sum(name in NOUNS[d] for d in DOMAINS) > 1]
    for name in both:
        assert learned[name] == [name in NOUNS[domain] for domain in DOMAINS]


def test_a_template_belongs_to_one_domain(few):
    sentences = judged()["templates"]
    assert (sentences.targets.sum(1) == 1).all()
    heard = dict(zip(sentences.texts, sentences.targets.tolist(), strict=True))
    assert all(wanted == [False, True, False] for text, wanted in heard.items() if text.startswith("listen to"))
