"""What must not move when files move: the presets' fingerprints, and mini's vectors of ten items of each modality."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from omnibind_core.binding.files import fingerprint
from omnibind_core.presets.preset import load_preset, preset_names
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory

FINGERPRINTS = {
    "base": "bdf6c884f9cbbcaf",
    "full": "7ff13d63d572e40a",
    "large": "86c3a1156e8a3197",
    "lite": "bdac88ddd2efda32",
    "mini": "790ebf67b37cb243",
    "open": "002c434f6b9df287",
}
SAME = 1 - 1e-5  # cosine: another processor rounds otherwise, another program does not come near


def test_every_preset_is_pinned():
    assert set(FINGERPRINTS) == set(preset_names())


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_fingerprints_stay(name):
    assert fingerprint(load_preset(name)) == FINGERPRINTS[name]


def test_vectors_stay(mini, request):
    with safe_open(request.path.parent / "data" / "pinned.safetensors", "numpy") as stored:
        ids, rows = json.loads(stored.metadata()["ids"]), stored.get_tensor("vectors")
    gallery = assets_directory() / "gallery"
    items = {item.id: item for item in read_catalogue(gallery)}
    assert len(ids) == 40
    for item, row in zip((items[one] for one in ids), rows, strict=True):
        vector = (
            mini.embed_texts([item.caption])[0]
            if item.file is None
            else mini.embed(item.modality, [gallery / item.file]).vectors[0]
        )
        assert float(np.dot(vector, row)) > SAME, item.id
