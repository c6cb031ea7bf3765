"""The committed vectors of the five folds fit together and the preset."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omnibind_core.presets.preset import load_preset
from omnibind_core.store.paths import assets_directory
from tools.mini.shapes.kept import KEPT, kept_vectors
from tools.mini.shapes.targets import FOLDS

FOLDER = assets_directory() / "mini" / "eval"


def test_every_mesh_lies_in_one_fold():
    rows = np.concatenate([kept_vectors(FOLDER, fold)["rows"].numpy() for fold in range(FOLDS)])
    assert sorted(rows.tolist()) == list(range(len(rows)))


@pytest.mark.parametrize("space", KEPT)
def test_rows_are_as_wide_as_the_columns_of_their_space(space):
    head = load_preset("mini").spaces[space].heads["point"]
    found = kept_vectors(FOLDER, 0)
    rows = found[KEPT[space]]
    assert rows.shape == (len(found["rows"]), head.width(load_preset("mini").width))
    assert torch.allclose(rows.norm(dim=1), torch.ones(len(rows)), atol=2e-3)
    assert len(found["shaped.centres"]) == len(found["shaped.classes"])
