"""The one writer writes what is committed: the same bytes for the same tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

from omnibind_core.binding.forms import write_heads
from omnibind_core.store.kept import read_about, write_tensors
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors

MINI = assets_directory() / "mini"
FILES = sorted(path.relative_to(MINI).as_posix() for path in MINI.rglob("*.safetensors"))
FILES = [name for name in FILES if not name.startswith("plane-")]  # places of the gallery, not heads


@pytest.mark.parametrize("name", FILES)
def test_committed_files_are_written_again_to_the_byte(name: str, tmp_path: Path):
    path, again = MINI / name, tmp_path / "again.safetensors"
    tensors = {key: value.clone() for key, value in reversed(read_tensors(path).items())}
    with safe_open(path, "pt") as stored:
        entry = next(iter(stored.metadata() or {}), None)
    if entry is None:
        write_tensors(again, tensors, {})
    else:
        wide = {key: value.float() for key, value in tensors.items()}  # as they were trained
        write_heads(again, wide, read_about(path, entry), entry=entry, sort="/raw_" not in name)
    assert again.read_bytes() == path.read_bytes()


def test_there_are_files_of_every_kind():
    assert len(FILES) > 30
    assert {"words.safetensors", "points.safetensors", "routers.safetensors", "eval/raw_words.safetensors"} <= {*FILES}
