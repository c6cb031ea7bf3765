"""Training the ears' heads on made-up vectors; what is written is what the projectors read; the committed heads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from omnibind_core.binding import ears, evaluate_ears
from omnibind_core.binding.ears import Recipe, distil_heads, train_heads
from omnibind_core.binding.evaluate_ears import Learned, evaluate_sounds, head_embedder, learned
from omnibind_core.binding.hearing import Hearing
from omnibind_core.binding.pools_sounds import TEST, Clip
from omnibind_core.binding.sound_heads import TEMPLATES, kinship, label_vectors, write_heads
from omnibind_core.config import assets_directory
from omnibind_core.specialists.base import unit
from omnibind_core.types import FloatArray

MINI = assets_directory() / "mini"
LABELS = [f"thing {i}" for i in range(12)]
QUICK = Recipe(hidden=64, steps=60, batch=64)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def heard() -> Hearing:
    """Give twelve labels, each a direction; one package in three is held out."""
    torch.manual_seed(0)
    centres = unit(torch.randn(len(LABELS), 512))
    clips, rows = [], []
    for i, label in enumerate(LABELS):
        for source in ("one", "two", "three"):
            clips.append(Clip(label, source, f"{i}.wav"))
            rows.append(unit(centres[i] + 0.03 * torch.randn(512)))
    clean = torch.stack(rows)
    origin = torch.arange(len(clips)).repeat_interleave(4)
    return Hearing(tuple(clips), clean, unit(clean[origin] + 0.02 * torch.randn(len(origin), 512)), origin)


@pytest.fixture(scope="module")
def targets() -> torch.Tensor:
    torch.manual_seed(1)
    return unit(torch.randn(1, len(LABELS), 384) + 0.01 * torch.randn(2, len(LABELS), 384))


def train(heard: Hearing, targets: torch.Tensor) -> list[torch.nn.Sequential]:
    return train_heads(heard, targets, kinship(targets[0]), LABELS, ("three",), QUICK)


def test_heads_learn_and_say_the_same_each_time(heard: Hearing, targets: torch.Tensor, tmp_path: Path):
    heads = train(heard, targets)
    again = train(heard, targets)
    assert len(heads) == ears.HEADS
    for head, other in zip(heads, again, strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(head.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert not torch.equal(heads[0][0].weight, heads[1][0].weight)
    held = torch.tensor([clip.source == "three" for clip in heard.clips])
    right = torch.tensor([LABELS.index(clip.label) for clip in heard.clips])[held]
    with torch.inference_mode():
        bound = torch.stack([unit(head(heard.clean[held])) for head in heads]).mean(0)
    assert (bound @ targets[0].T).argmax(1).eq(right).float().mean() > 0.8

    write_heads(tmp_path / "aisfx_words.safetensors", heads, "words", {"note": "test"})
    written = torch.from_numpy(head_embedder(tmp_path, ["words"])(heard.clean[held]))
    assert written.shape == (12, 640)
    assert (written[:, 384:] == 0).all()
    assert torch.allclose(written[:, :384], unit(bound), atol=5e-3)


def test_what_is_held_out_is_not_heard(heard: Hearing, targets: torch.Tensor):
    spoiled = heard.copies.clone()
    spoiled[torch.tensor([heard.clips[i].source == "three" for i in heard.origin])] = torch.nan
    other = Hearing(heard.clips, heard.clean, spoiled, heard.origin)
    for head, same in zip(train(heard, targets), train(other, targets), strict=True):
        assert torch.equal(head[0].weight, same[0].weight)


def test_looks_follow_the_words(heard: Hearing, targets: torch.Tensor):
    torch.manual_seed(2)
    looks = unit(torch.randn(len(LABELS), 256))
    first = train(heard, targets)
    second = distil_heads(heard, first, targets[0], looks, ("three",), QUICK)
    held = torch.tensor([clip.source == "three" for clip in heard.clips])
    right = torch.tensor([LABELS.index(clip.label) for clip in heard.clips])[held]
    with torch.inference_mode():
        seen = torch.stack([unit(head(heard.clean[held])) for head in second]).mean(0)
    assert (seen @ looks.T).argmax(1).eq(right).float().mean() > 0.7


@pytest.mark.parametrize(("block", "width"), [("words", 384), ("looks", 256)])
def test_label_vectors(block: str, width: int):
    vectors = label_vectors(["dog", "cat", "violin"], MINI, block)
    assert vectors.shape == (len(TEMPLATES), 3, width)
    assert torch.allclose(vectors.norm(dim=2), torch.ones(len(TEMPLATES), 3), atol=1e-5)
    dog, cat, violin = vectors[0]
    assert dog @ cat > dog @ violin


def test_kin_are_of_a_kind():
    words = label_vectors(["dog", "wolf", "violin"], MINI, "words")[0]
    kin = kinship(words)
    assert torch.allclose(kin.sum(1), torch.ones(3))
    assert kin[0, 1] > kin[0, 2]


@pytest.mark.parametrize("folder", [MINI, MINI / "eval"])
@pytest.mark.parametrize(("block", "inside"), [("words", slice(0, 384)), ("looks", slice(384, 640))])
def test_committed_heads(folder: Path, block: str, inside: slice):
    path = folder / f"aisfx_{block}.safetensors"
    tensors = load_file(path)
    assert len(tensors) == ears.HEADS * 12
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert tensors["audio.0.0.weight"].shape == (768, 512)
    assert tensors["audio.0.3.weight"].shape == (640, 768)
    outside = torch.ones(640, dtype=torch.bool)
    outside[inside] = False
    for name in ("3.weight", "3.bias", "4.weight", "4.bias", "4.running_mean"):
        assert (tensors[f"audio.0.{name}"][outside] == 0).all()
    assert (tensors["audio.0.4.running_var"] > 0).all()
    with safe_open(path, "pt") as stored:
        about = json.loads(stored.metadata()["heads"])
    assert "A. B. Ma and A. Lerch, CC-BY-4.0" in about["sources"]
    assert about["held_out"] == (list(TEST) if folder.name == "eval" else [])


def test_held_out_heads_know_most_labels():
    known = learned(MINI / "eval")
    assert known.held_out == set(TEST)
    assert known.taught < set(known.labels)
    assert len(known.taught) > 200


def test_figures_of_sounds(heard: Hearing, targets: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    """A perfect ear names all; a deaf one (equal vectors) names none; untaught labels are counted apart."""
    monkeypatch.setattr(evaluate_ears, "hear_recordings", lambda _sources: heard)
    words = targets[0].numpy()

    def read(sentences: Sequence[str]) -> FloatArray:
        return words[[LABELS.index(sentence.removeprefix("the sound of a ")) for sentence in sentences]]

    def perfect(rows: torch.Tensor) -> FloatArray:
        return words[[LABELS.index(clip.label) for clip in heard.clips]]

    def deaf(rows: torch.Tensor) -> FloatArray:
        return np.tile(words.mean(0), (len(rows), 1)) * 0

    known = Learned(LABELS, set(LABELS[:10]), {"three"})
    rows = {row.task: row for row in evaluate_sounds(read, perfect, known)}
    assert rows["held-out sounds -> label"].n == 36
    assert rows["held-out sounds of taught labels -> label"].n == 30
    assert rows["label -> held-out sound"].n == 12
    assert all(row.r1.value == 100 for row in rows.values())
    assert all(row.r5.value == 0 for row in evaluate_sounds(read, deaf, known))
