"""Losses against sums written out by hand, and what they ask of a router."""

from __future__ import annotations

import math

import pytest
import torch

from omnibind_core.binding.forms import Temperature, info_nce
from omnibind_core.errors import PresetError
from omnibind_core.specialists.base import unit
from omnibind_core.training.losses import bare_noun, cross_modal, decoupling, domain_shares, domain_targets, same_items
from omnibind_core.types import MODALITIES, Modality

DOMAINS: tuple[Modality, ...] = ("image", "audio", "point")


def rows(n: int, seed: int) -> torch.Tensor:
    return unit(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)))


def test_info_nce_is_the_sum_written_out():
    a, b, scale = rows(4, 0), rows(4, 1), 7.0
    positives = torch.eye(4, dtype=torch.bool)
    positives[0, 2] = True
    positives[3] = False
    expected = 0.0
    for left, right, wanted in ((a, b, positives), (b, a, positives.T)):
        parts = []
        for i in range(4):
            mine = [j for j in range(4) if wanted[i, j]]
            total = sum(math.exp(scale * float(left[i] @ right[m])) for m in range(4))
            if mine:
                logs = [scale * float(left[i] @ right[j]) - math.log(total) for j in mine]
                parts.append(-sum(logs) / len(logs))
        expected += sum(parts) / len(parts) / 2
    assert info_nce(a, b, scale, positives).item() == pytest.approx(expected, rel=1e-5)
    plain = (torch.nn.functional.cross_entropy(scale * a @ b.T, torch.arange(4)),)
    plain += (torch.nn.functional.cross_entropy(scale * b @ a.T, torch.arange(4)),)
    torch.testing.assert_close(info_nce(a, b, scale), sum(plain) / 2)
    assert info_nce(a, b, scale, torch.zeros(4, 4, dtype=torch.bool)).item() == 0
    assert info_nce(a[:2], b, scale, torch.ones(2, 4, dtype=torch.bool)).isfinite()


def test_a_repeated_item_is_no_foe():
    shared = same_items({"text": torch.tensor([5, 6, 7, 5])}, {"text": torch.tensor([5, 6, 7, 5])})
    assert shared.int().tolist() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    # Tuples 0 and 1 share their picture, 1 and 2 their sound: 1 is at home with both, 0 and 2 are strangers.
    vectors: dict[Modality, torch.Tensor] = {"image": rows(3, 1), "audio": rows(3, 2)}
    items: dict[Modality, torch.Tensor] = {"image": torch.tensor([4, 4, 9]), "audio": torch.tensor([1, 2, 2])}
    chain = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=torch.bool)
    loss = cross_modal(vectors, 5.0, items)
    torch.testing.assert_close(loss, info_nce(vectors["image"], vectors["audio"], 5.0, chain))
    assert not torch.isclose(loss, cross_modal(vectors, 5.0))
    missing = torch.tensor([-1, -1])
    assert not same_items({"text": missing}, {"text": missing}).any()


def test_cross_modal_is_the_mean_of_six_pairs_and_skips_what_is_missing():
    vectors = {m: rows(6, i) for i, m in enumerate(MODALITIES)}
    pairs = [info_nce(vectors[a], vectors[b], 10.0) for i, a in enumerate(MODALITIES) for b in MODALITIES[i + 1 :]]
    assert len(pairs) == 6
    torch.testing.assert_close(cross_modal(vectors, 10.0), torch.stack(pairs).mean())
    items = {m: torch.arange(6) for m in MODALITIES}
    torch.testing.assert_close(cross_modal(vectors, 10.0, items), cross_modal(vectors, 10.0))
    two: dict[Modality, torch.Tensor] = {m: vectors[m] for m in ("image", "audio")}
    there = {"image": torch.arange(6), "audio": torch.tensor([0, 1, 2, 3, -1, -1])}
    expected = info_nce(two["image"][:4], two["audio"][:4], 10.0)
    torch.testing.assert_close(cross_modal(two, 10.0, {m: there[m] for m in two}), expected)
    with pytest.raises(PresetError, match="at least two"):
        cross_modal({"image": rows(2, 0)}, 1.0)


def test_the_scale_is_learned_only_where_asked_and_bounded():
    fixed, learned = Temperature(20.0), Temperature(20.0, learnable=True)
    assert list(fixed.parameters()) == []
    assert fixed().item() == pytest.approx(20.0)
    info_nce(rows(4, 0), rows(4, 1), learned()).backward()
    assert [p.grad is not None and p.grad.item() != 0 for p in learned.parameters()] == [True]
    assert Temperature(1e6)().item() == 100.0


def test_decoupling_sends_captions_home_and_splits_bare_nouns():
    members = ("clip", "clap", "wavcaps", "uni3d", "imagebind")
    domains = {"image": ["clip", "imagebind"], "audio": ["clap", "wavcaps", "imagebind"], "point": ["uni3d"]}
    shares = domain_shares(members, domains, DOMAINS)
    torch.testing.assert_close(shares.sum(1), torch.ones(5))
    assert shares[4].tolist() == [0.5, 0.5, 0.0]
    targets = torch.tensor([[0, 1, 0], [1, 1, 0]], dtype=torch.bool)
    home = torch.tensor([[0.0, 0.3, 0.7, 0.0, 0.0], [0.4, 0.2, 0.2, 0.0, 0.2]])
    assert decoupling(home, shares, targets).item() == pytest.approx(0, abs=1e-6)
    one_sided = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    assert decoupling(one_sided, shares, targets) > 1
    flat = torch.full((2, 5), 0.2)
    p = torch.tensor([0.3, 0.5, 0.2])
    expected = (-p[1].log() + 0.5 * (torch.tensor([0.5, 0.5]) / p[:2]).log().sum()) / 2
    torch.testing.assert_close(decoupling(flat, shares, targets), expected)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert decoupling(flat, shares, nothing).item() == 0
    with pytest.raises(PresetError, match="uni3d"):
        domain_shares(members, {**domains, "point": []}, DOMAINS)


def test_a_router_on_logits_learns_the_targets():
    shares = domain_shares(("v", "a", "p"), {"image": ["v"], "audio": ["a"], "point": ["p"]}, DOMAINS)
    targets = torch.tensor([[1, 0, 0], [0, 1, 1]], dtype=torch.bool)
    logits = torch.zeros(2, 3, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        decoupling(logits.softmax(1), shares, targets).backward()
        optimiser.step()
    weights = logits.detach().softmax(1)
    assert weights[0, 0] > 0.98
    assert weights[1, 1:].min() > 0.48


def test_nouns_are_multi_hot_captions_are_not():
    sentences: dict[Modality, list[str]] = {
        "image": ["a photo of a dog", "a dog", "a man rides a horse."],
        "audio": ["the sound of a dog", "rain"],
        "point": ["a 3d model of a chair"],
    }
    targets = {s: "".join("VAP"[i] for i in range(3) if t[i]) for s, t in domain_targets(sentences, DOMAINS).items()}
    assert targets["a photo of a dog"] == "V"
    assert targets["the sound of a dog"] == "A"
    assert targets["dog"] == targets["a dog"] == "VA"
    assert targets["a man rides a horse."] == "V"
    assert targets["rain"] == "A"
    assert targets["chair"] == targets["a 3d model of a chair"] == "P"


@pytest.mark.parametrize(
    ("sentence", "noun"),
    [
        ("A photo of the Dog.", "dog"),
        ("you can hear a church organ", "church organ"),
        ("an apple", "apple"),
        ("a recording of rain", "rain"),
        ("two dogs run", "two dogs run"),
        ("another dog", "another dog"),
    ],
)
def test_bare_noun(sentence: str, noun: str):
    assert bare_noun(sentence) == noun
