"""Real things of the gallery, two of each kind."""

import pytest

from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES


@pytest.fixture(scope="session")
def things():
    folder = assets_directory() / "gallery"
    items = read_catalogue(folder)
    files = {m: [folder / one.file for one in items if one.modality == m and one.file][:2] for m in MODALITIES}
    return {**files, "text": [one.caption for one in items if one.modality == "text"][:2]}
