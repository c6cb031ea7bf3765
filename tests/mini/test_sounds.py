"""Training the ears' heads on made-up vectors; what is written is what is read; figures; the committed heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from omnibind_core.binding.forms import apply_heads, head_tensors, kinds_of, read_about, read_head, write_heads
from omnibind_core.errors import WeightsError
from omnibind_core.evaluation.bench import Pool
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists.base import unit
from omnibind_core.store.paths import assets_directory
from omnibind_core.training import loop as training
from omnibind_core.training.loop import Recipe
from tools.mini import labels as label_rows
from tools.mini.blocks import BLOCKS, width_of
from tools.mini.labels import kinship, label_vectors
from tools.mini.measure import sounds as evaluate_ears
from tools.mini.measure.sounds import Learned, learned
from tools.mini.naming import NamingRecipe
from tools.mini.pools.sounds import TEST, Clip
from tools.mini.sounds import train as ears
from tools.mini.sounds.axes import conse_tensors, discriminant_axes, heard_tensors
from tools.mini.sounds.hearing import Hearing
from tools.mini.sounds.train import TEMPLATES, SoundLessons, build, train_heads, twins

MINI = assets_directory() / "mini"
LABELS = sorted(
    (
        "dog",
        "violin",
        "rain",
        "car horn",
        "church bell",
        "applause",
        "typewriter",
        "frog",
        "siren",
        "train",
        "glass",
        "owl",
    )
)
QUICK = NamingRecipe(Recipe(steps=60, batch=64, rate=2e-3, decay=0.05, checkpoint=20), hidden=64)
WIDTHS = {"aisfx": 48, "whisper_tiny": 64}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write(path: Path, tensors: dict[str, torch.Tensor], **about: object) -> None:
    write_heads(path, tensors, {"kinds": kinds_of(tensors), **about})


def made_up(width: int, seed: int) -> Hearing:
    """Give twelve labels, each a direction; one package in three is held out."""
    rng = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(len(LABELS), width, generator=rng))
    clips, rows = [], []
    for i, label in enumerate(LABELS):
        for source in ("one", "two", "three"):
            clips.append(Clip(label, source, f"{i}.wav"))
            rows.append(unit(centres[i] + 0.05 * torch.randn(width, generator=rng)))
    clean = torch.stack(rows)
    origin = torch.arange(len(clips)).repeat_interleave(4)
    copies = unit(clean[origin] + 0.02 * torch.randn(len(origin), width, generator=rng))
    return Hearing(tuple(clips), clean, copies, origin)


@pytest.fixture(scope="module")
def pool() -> SoundLessons:
    towers = {name: made_up(width, i) for i, (name, width) in enumerate(WIDTHS.items())}
    return SoundLessons(towers, LABELS, torch.tensor([clip.source != "three" for clip in towers["aisfx"].clips]))


@pytest.fixture(scope="module")
def targets() -> torch.Tensor:
    rng = torch.Generator().manual_seed(7)
    spread = 0.01 * torch.randn(2, len(LABELS), 384, generator=rng)
    return unit(torch.randn(1, len(LABELS), 384, generator=rng) + spread)


def held(pool: SoundLessons) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Give the vectors of what was not taught, and the numbers of its labels."""
    return {name: one.clean[~pool.taught] for name, one in pool.towers.items()}, pool.label[~pool.taught]


def test_heads_learn_and_say_the_same_each_time(pool: SoundLessons, targets: torch.Tensor, tmp_path: Path):
    kin = kinship(targets[0])
    heads = train_heads(pool, "whisper_tiny", targets, kin, QUICK, tmp_path / "first")
    again = train_heads(pool, "whisper_tiny", targets, kin, QUICK, tmp_path / "second")
    assert len(heads) == QUICK.heads
    for head, other in zip(heads, again, strict=True):
        for name, value in head.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
    assert not torch.equal(heads[0][0].weight, heads[1][0].weight)
    rows, right = held(pool)
    with torch.inference_mode():
        bound = apply_heads(heads, rows["whisper_tiny"])
    assert (bound @ targets[0].T).argmax(1).eq(right).float().mean() > 0.8

    path = tmp_path / "words.safetensors"
    write(path, head_tensors({"audio": heads}))
    assert load_file(path)["audio.0.3.weight"].shape == (384, 64)
    written = read_head(path, "audio")(rows["whisper_tiny"])
    assert torch.allclose(written, bound, atol=5e-3)


def test_what_is_held_out_is_not_heard(pool: SoundLessons, targets: torch.Tensor, tmp_path: Path):
    heard = pool.towers["aisfx"]
    spoiled = heard.copies.clone()
    spoiled[~pool.taught[heard.origin]] = 9.0
    other = replace(pool, towers={**pool.towers, "aisfx": replace(heard, copies=spoiled)})
    first, second = (train_heads(p, "aisfx", targets, kinship(targets[0]), QUICK, tmp_path) for p in (pool, other))
    assert torch.equal(first[0][0].weight, second[0][0].weight)
    axes = [
        discriminant_axes(p.towers["aisfx"].copies, p.label[heard.origin], p.weights("aisfx", 0.5), 12)
        for p in (pool, other)
    ]
    assert torch.equal(axes[0].weight, axes[1].weight)


def test_axes_whiten_and_tell_labels_apart(pool: SoundLessons):
    heard = pool.towers["aisfx"]
    label, weights = pool.label[heard.origin], pool.weights("aisfx", 0.5)
    axes = discriminant_axes(heard.copies, label, weights, 13, shrink=1e-6)
    assert axes.taught.tolist() == [True] * 12 + [False]
    used = weights > 0
    places = heard.copies[used].double() @ axes.weight.T + axes.bias
    w = (weights / weights.sum())[used]
    assert torch.allclose(w @ places, torch.zeros(48, dtype=torch.float64), atol=1e-6)
    means = torch.stack([(w[label[used] == i][:, None] * places[label[used] == i]).sum(0) for i in range(12)])
    means = means / torch.stack([w[label[used] == i].sum() for i in range(12)])[:, None]
    apart = (places - means[label[used]]) * w.sqrt()[:, None]
    assert torch.allclose(apart.T @ apart, torch.eye(48, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(unit(means), axes.centres[:12].float(), atol=1e-5)


def test_closed_form_heads_find_the_label(pool: SoundLessons, tmp_path: Path):
    rng = torch.Generator().manual_seed(3)
    meanings, looks = (unit(torch.randn(12, width, generator=rng)) for width in (384, 256))
    axes = {
        name: discriminant_axes(one.copies, pool.label[one.origin], pool.weights(name, 0.5), 12)
        for name, one in pool.towers.items()
    }
    rows, right = held(pool)
    tensors = {f"audio.{name}": value for name, value in conse_tensors(axes["aisfx"], looks).items()}
    path = tmp_path / "looks.safetensors"
    write(path, tensors, top_k={"audio": 10})
    seen = read_head(path, "audio")(rows["aisfx"])
    assert (seen @ looks.T).argmax(1).eq(right).float().mean() > 0.9

    path = tmp_path / "heard.safetensors"
    write(path, heard_tensors(axes, meanings))
    assert read_about(path)["kinds"] == {"text": "anchors", "aisfx": "linear", "whisper_tiny": "linear"}
    texts = read_head(path, "text")(meanings)
    assert texts.shape == (12, width_of("heard"))
    for name in WIDTHS:
        assert (read_head(path, name)(rows[name]) @ texts.T).argmax(1).eq(right).float().mean() > 0.9
    apart = read_head(path, "aisfx")(rows["aisfx"]) * read_head(path, "whisper_tiny")(rows["whisper_tiny"])
    assert not apart.any()  # each tower has columns of its own


def test_twins_are_found(pool: SoundLessons):
    heard = pool.towers["aisfx"]
    clean = heard.clean.clone()
    clean[0] = unit(clean[2] + 0.001)  # package "one" has a recording of package "three"
    found = twins(replace(heard, clean=clean), ["three"])
    assert found[0]
    assert not found[torch.tensor([clip.source == "three" for clip in heard.clips])].any()
    assert not twins(heard, []).any()


def fake_meanings(labels: Sequence[str], _templates: Sequence[str] = TEMPLATES) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return unit(torch.randn(len(TEMPLATES), len(labels), 384, generator=rng))


def eyes_folder(folder: Path) -> Path:
    """Write small heads for sentences: words as they are, looks by three anchors; there is no block of sights."""
    rng = torch.Generator().manual_seed(6)
    write(folder / "words.safetensors", {"text.W": torch.eye(384), "text.b": torch.zeros(384)})
    shapes = {"A": (3, 384), "a": (3,), "B": (3, 256), "m": (256,)}
    looks = {f"text.{name}": torch.randn(*shape, generator=rng) for name, shape in shapes.items()}
    write(folder / "looks.safetensors", looks, top_k={"text": 2})
    return folder


def test_all_heads_are_built(pool: SoundLessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (ears, label_rows):
        monkeypatch.setattr(module, "meanings", fake_meanings)
    eyes = eyes_folder(tmp_path / "eyes")
    about = {"labels": LABELS, "taught": LABELS, "held_out": ["three"]}
    for out in ("first", "second"):
        written = build(pool, eyes, tmp_path / out, replace(QUICK, heads=1), about, tmp_path / f"{out}-work")
        assert [path.stem for path in written] == ["aisfx_words", "aisfx_looks", "whisper_tiny_words", "heard"]
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
    assert learned(tmp_path / "first") == Learned(LABELS, set(LABELS), {"three"})
    assert "CC-BY-4.0" in read_about(tmp_path / "first" / "aisfx_words.safetensors")["sources"]
    rows, right = held(pool)
    heard = sum(read_head(tmp_path / "first" / "heard.safetensors", name)(rows[name]) for name in WIDTHS)
    texts = read_head(tmp_path / "first" / "heard.safetensors", "text")(fake_meanings(LABELS)[0])
    assert (unit(heard) @ texts.T).argmax(1).eq(right).float().mean() > 0.9


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_stopped_training_ends_in_the_same_file(
    pool: SoundLessons, targets: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
):
    """Stopped right after a checkpoint, in the first, second or third head; a part of a file is never left behind."""

    def train(work: str) -> bytes:
        heads = train_heads(pool, "aisfx", targets, kinship(targets[0]), QUICK, tmp_path / work)
        write(tmp_path / f"{work}.safetensors", head_tensors({"audio": heads}))
        return (tmp_path / f"{work}.safetensors").read_bytes()

    whole, save, saved = train("whole"), training._save, []

    def stop(*arguments: Any) -> None:
        save(*arguments)
        saved.append(arguments)
        if len(saved) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train("stopped")
    assert not (tmp_path / "stopped.safetensors").exists()
    assert train("stopped") == whole


@pytest.mark.parametrize(("block", "width"), [("words", 384), ("looks", 256)])
def test_label_vectors(block: str, width: int):
    vectors = label_vectors(["dog", "cat", "violin"], block, TEMPLATES)
    assert vectors.shape == (len(TEMPLATES), 3, width)
    assert torch.allclose(vectors.norm(dim=2), torch.ones(len(TEMPLATES), 3), atol=1e-5)
    dog, cat, violin = vectors[0]
    assert dog @ cat > dog @ violin


def test_kin_are_of_a_kind():
    words = label_vectors(["dog", "wolf", "violin"], "words")[0]
    kin = kinship(words)
    assert torch.allclose(kin.sum(1), torch.ones(3))
    assert kin[0, 1] > kin[0, 2]


def test_heads_that_are_not_there_are_named():
    with pytest.raises(WeightsError, match="without a head 'point'"):
        read_head(MINI / "heard.safetensors", "point")


@pytest.mark.parametrize("folder", [MINI, MINI / "eval"])
@pytest.mark.parametrize("name", ["aisfx_words", "whisper_tiny_words", "aisfx_looks", "whisper_tiny_sights", "heard"])
def test_committed_heads(folder: Path, name: str):
    path = folder / f"{name}.safetensors"
    tensors = load_file(path)
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    about = read_about(path)
    block = "heard" if name == "heard" else name.rpartition("_")[2]
    assert about["block"] == list(BLOCKS[block])
    assert about["held_out"] == (list(TEST) if folder.name == "eval" else [])
    if not name.startswith("whisper"):
        assert "A. B. Ma and A. Lerch, CC-BY-4.0" in about["sources"]
    if name != "aisfx_words" and not name.startswith("aisfx"):
        assert "OpenAI, MIT" in about["sources"]
    widths = {"aisfx": 512, "whisper_tiny": 1536}
    for prefix, kind in about["kinds"].items():
        tower = name.rpartition("_")[0] if prefix == "audio" else prefix
        outputs = tensors[{"linear": f"{prefix}.W", "anchors": f"{prefix}.B", "mlp": f"{prefix}.0.3.weight"}[kind]]
        assert outputs.shape[1 if kind == "anchors" else 0] == width_of(block)
        row = unit(torch.ones(1, widths.get(tower, 384)))
        assert read_head(path, prefix)(row).isfinite().all()


def test_held_out_heads_know_most_labels():
    known = learned(MINI / "eval")
    assert known.held_out == set(TEST)
    assert known.taught < set(known.labels)
    assert len(known.taught) > 200


def test_ways_weigh_spaces_of_sounds():
    spaces = {*load_preset("mini").spaces_of("audio"), "both"}
    assert all(set(weights) <= spaces for weights in evaluate_ears.WAYS.values())


def test_development_holds_each_group_out(pool: SoundLessons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each group is named by heads that never heard it, nor the test packages; pictures match where blocks have any."""
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(evaluate_ears, "hear", lambda name: pool.towers[name])
    monkeypatch.setattr(evaluate_ears, "TEST", ("three",))
    monkeypatch.setattr(evaluate_ears, "DEVELOPMENT", (("one",), ("two",)))
    words, looks = (label_vectors(LABELS, block)[0].numpy() for block in ("words", "looks"))
    pictures = Pool("image", tuple(LABELS), lambda _tower: words, np.zeros(12, bool), {"words": words, "looks": looks})
    monkeypatch.setattr(evaluate_ears, "pictures", lambda: pictures)
    ways = {"words": {"words": 1.0}, "heard": {"heard": 1.0}, "all": evaluate_ears.WAYS["both, flat"]}
    rows = {row.task: row for row in evaluate_ears.development(load_preset("mini"), replace(QUICK, heads=3), ways)}
    assert rows["words: sounds -> label"].n == 24
    assert set(rows) == {
        *(f"{way}: sounds{some} -> label" for way in ways for some in ("", " of taught labels")),
        "words: sounds -> picture",
        "all: sounds -> picture",
    }
    assert rows["heard: sounds -> label"].r5.value > 80
    assert rows["words: sounds -> label"].r5.value > 60
    assert rows["words: sounds -> picture"].r5.value > 60
    assert rows["all: sounds -> label"].r5.value > 80
    for number, group in enumerate(("one", "two")):
        folder = tmp_path / "cache" / "ears" / "development" / str(number)
        assert read_about(folder / "heard.safetensors")["taught"] == LABELS
        assert (folder / "aisfx_words.safetensors").is_file(), group
