"""Sentences run as far as they go give the vectors of all 77 places."""

import pytest
import torch

from omnibind_core.specialists._causal import cut, encode_text
from omnibind_core.specialists._imagebind import Towers
from tests.specialists.published import filled
from tests.specialists.test_imagebind import SMALL
from tests.specialists.test_open_clip_towers import network, small, state

TOKENS = torch.zeros(3, 77, dtype=torch.int64)
for row, length in enumerate((2, 12, 30)):
    TOKENS[row, :length] = torch.arange(7, 7 + length)
    TOKENS[row, length] = 49_407


def test_only_padding_is_cut():
    assert cut(TOKENS).shape == (3, 31)
    assert cut(TOKENS[:1]).tolist() == [[7, 8, 49_407]]
    full = torch.full((1, 77), 5)
    full[0, 76] = 49_407
    assert torch.equal(cut(full), full)


@pytest.mark.parametrize("name", ["eva02_e14_plus", "dfn_h14"])
def test_open_clip(name):
    from omnibind_core.specialists._strict import fill

    made = fill(network(small(name)), [dict(state(name))], name, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        assert (encode_text(made, cut(TOKENS)) - made.encode_text(TOKENS)).abs().max() < 1e-5
    state.cache_clear()


def test_imagebind():
    towers = Towers(SMALL)
    shapes = {name: (tuple(t.shape), "float32") for name, t in towers.state_dict().items()}
    towers.load_state_dict(filled(shapes))
    with torch.inference_mode():
        assert (towers("text", cut(TOKENS)) - towers("text", TOKENS)).abs().max() < 1e-5
