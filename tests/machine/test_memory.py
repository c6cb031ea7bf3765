"""Memory plans: small towers of the real classes give the same vectors from wherever their weights lie."""

import copy

import pytest
import torch

from omnibind_core.machine import memory
from omnibind_core.machine.memory import Budget, Quantised, _example, place
from tests.small_towers import MAKERS, eva_clip, uni3d

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=MAKERS)
def original(request, tmp_path_factory):
    """Load each small tower once."""
    from tests.specialists.test_open_clip_towers import state

    yield MAKERS[request.param](tmp_path_factory.mktemp(request.param))
    state.cache_clear()


@pytest.fixture
def tower(original, monkeypatch):
    """Give a copy to place, and let small towers have weights that travel and shrink."""
    monkeypatch.setattr(memory, "SMALL", 256)
    monkeypatch.setattr(memory, "GROUP", 8)
    made = copy.copy(original)
    for name, value in vars(made).items():
        if isinstance(value, torch.nn.Module):
            setattr(made, name, copy.deepcopy(value))
    return made


@pytest.fixture
def plain_attention():
    """Keep torch from its own fused attention layer, which it does not take either where weights are replaced."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def vectors(tower):
    return {modality: tower.embed(modality, [_example(modality)]) for modality in tower.spec.widths}


def networks(tower):
    inner = getattr(tower, "_inner", tower)
    return [value for value in vars(inner).values() if isinstance(value, torch.nn.Module)]


def bytes_there(tower):
    return sum(t.nbytes for network in networks(tower) for t in network.state_dict().values() if not t.is_meta)


def test_streamed_is_resident_to_the_last_bit(original, tower, plain_attention):
    # Both in memory that torch has laid out: sums of rows that lie otherwise in a mapped file differ in the last bit
    # on some processors.
    expected = vectors(tower)
    streamed = place(tower, "streamed", CPU, Budget(0))
    assert bytes_there(streamed) < bytes_there(original)
    for modality, found in vectors(streamed).items():
        assert torch.equal(found, expected[modality]), float((found - expected[modality]).abs().max())


def errors(found, expected):
    return [float(1 - (found[modality] * expected[modality]).sum(dim=1).min()) for modality in expected]


def test_int8_changes_vectors_by_less_than_a_hundredth(original, tower):
    small = place(tower, "int8", CPU, Budget(0))
    found = errors(vectors(small), vectors(original))
    assert 1e-7 < max(found) < memory.TOLERANCE


@pytest.mark.parametrize("name", ["eva_clip", "uni3d"])
def test_int8_at_its_real_group_size_in_wider_and_deeper_towers(name, tmp_path, caplog):
    if name == "eva_clip":
        sizes = {"wide": (512, 512), "layers": (3, 3), "heads": (8, 8), "inner": (2048, 2048)}
        tower = eva_clip(tmp_path, **sizes)
    else:
        tower = uni3d(tmp_path, embed_dim=512, depth=3, num_heads=8)
    before = vectors(tower)
    whole = bytes_there(tower)
    budget = Budget(whole)
    with caplog.at_level("INFO"):
        small = place(tower, "int8", CPU, budget)
    assert 1e-5 < max(errors(vectors(small), before)) < memory.TOLERANCE
    assert "in int8: its vectors change by 0." in caplog.text
    # float32 to 8 bits: the matrices take a quarter and a scale for each 64 numbers; tables of words stay as they are.
    matrices = sum(t.nbytes for n in networks(small) for t in n.state_dict().values() if t.is_meta and t.ndim == 2)
    assert whole - budget.left == pytest.approx(whole - matrices + matrices * (1 / 4 + 1 / 64), rel=0.02)


def test_a_tower_that_int8_changes_too_much_is_streamed(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(memory, "SMALL", 256)
    monkeypatch.setattr(memory, "GROUP", 8)
    monkeypatch.setattr(memory, "TOLERANCE", 0.0)
    tower = eva_clip(tmp_path)
    before = vectors(tower)
    streamed = place(tower, "int8", CPU, Budget(0))
    assert "is not kept in int8" in caplog.text
    for modality, found in vectors(streamed).items():
        assert torch.equal(found, before[modality])


def test_a_matrix_comes_back_within_half_a_step():
    matrix = torch.randn(6, 256, generator=torch.Generator().manual_seed(0))
    matrix[2, 5] = 100  # harms its own group only
    matrix[3] = 0
    for dtype in (torch.float32, torch.bfloat16):
        exact = matrix.to(dtype)
        found = Quantised.of(exact)
        assert found.numbers.dtype == torch.int8
        assert found.matrix().dtype == dtype
        step = exact.float().view(6, 4, 64).abs().amax(2, keepdim=True) / 127
        # bfloat16 keeps 8 bits of the scale (up to 127 steps away) and of the result.
        slack = 0.51 if dtype == torch.float32 else 1.1
        assert ((found.matrix().float() - exact.float()).view(6, 4, 64).abs() <= slack * step + 1e-9).all()


def test_what_fits_stays_on_the_card(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "SMALL", 256)
    tower = eva_clip(tmp_path)
    whole = bytes_there(tower)
    budget = Budget(whole)
    place(tower, "streamed", CPU, budget)
    assert budget.left == 0
    assert not Budget(10).take(11)


def test_resident_is_left_as_it_is(tmp_path):
    tower = uni3d(tmp_path)
    assert place(tower, "resident", CPU, Budget(0)) is tower


# Elsewhere the network looks at its numbers on the way, which the meta device has none of.
ON_META = {
    "wavcaps": ["audio"],
    "clap_general": [],
    "clap_music": ["audio"],
    "imagebind_huge": ["image", "audio", "text"],
    "eva02_e14_plus": ["image", "text"],
    "dfn_h14": ["image", "text"],
    "siglip_l_384": ["image", "text"],
    "siglip2_so400m_384": ["image", "text"],
    "uni3d_g": ["point"],
    "eva_clip_18b": ["image", "text"],
}


def test_all_that_an_input_needs_comes_to_the_card(request, original, tower):
    # The meta device stands for a card: it refuses to compute with what lies elsewhere.
    card = torch.device("meta")
    placed = place(tower, "streamed", card, Budget(0))
    modalities = ON_META[request.node.callspec.params["original"]]
    assert all(placed.embed(modality, [_example(modality)]).device == card for modality in modalities)


def test_the_meta_device_refuses_what_lies_elsewhere(tmp_path):
    tower = eva_clip(tmp_path)
    tower._device = torch.device("meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        tower.embed("image", [_example("image")])
