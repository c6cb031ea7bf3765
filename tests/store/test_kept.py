"""Identities are made of stated fields and of data, and what is kept goes by them."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.store.kept import digest, file_digest, identity, kept, read_about, write_tensors
from omnibind_core.store.shards import ArrayRows, extract, kept_rows, open_shards


@dataclass(frozen=True)
class Recipe:
    """How."""

    steps: int = 3
    rates: tuple[float, ...] = (0.1, 0.2)


def test_fields_decide_and_nothing_else():
    same = make_dataclass("Other", [("rates", tuple), ("steps", int)])  # another name, place and order
    assert identity({"a": Recipe(), "b": 1}) == identity({"b": 1, "a": same((0.1, 0.2), 3)})
    assert identity({"a": Recipe()}) == identity({"a": {"steps": 3, "rates": [0.1, 0.2]}})
    assert len({identity({"a": one}) for one in (Recipe(), Recipe(4), Recipe(rates=()), None, 3)}) == 5
    with pytest.raises(TypeError):
        identity({"a": object()})  # its repr would be an address


def test_digests_are_of_content(tmp_path: Path):
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digest(rows) == digest(torch.from_numpy(rows)) == digest(np.asfortranarray(rows)) != digest(rows.T)
    assert ArrayRows(rows).identity == digest(rows)
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")


def test_what_is_kept_is_made_once_for_an_identity(tmp_path: Path):
    made = []

    def make():
        made.append(1)
        return {"x": torch.arange(3.0)}, {"names": ["a", "b"]}

    first, about = kept(tmp_path / "deep", "rows", {"version": 1}, make)
    again, told = kept(tmp_path / "deep", "rows", {"version": 1}, make)
    assert torch.equal(first["x"], again["x"])
    assert about == told == {"names": ["a", "b"]}
    kept(tmp_path / "deep", "rows", {"version": 2}, make)
    assert len(made) == 2


def test_files_repeat_to_the_byte_and_say_what_they_are(tmp_path: Path):
    tensors = {"b": torch.ones(2, 2).T, "a": torch.zeros(1)}
    write_tensors(tmp_path / "one", tensors, {"said": {"z": 1, "a": (2, 3)}})
    write_tensors(tmp_path / "two", dict(reversed(tensors.items())), {"said": {"a": [2, 3], "z": 1}})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_about(tmp_path / "one", "said") == {"z": 1, "a": [2, 3]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_shards_know_their_content(tmp_path: Path):
    eye = np.eye(9, dtype=np.float32)

    def shards(name: str, rows: np.ndarray, keys: str = "abcdefghi") -> str:
        extract(tmp_path / name, range(9), list(keys), lambda i: rows[list(i)], specialist="eye", shard_rows=4)
        return open_shards(tmp_path / name).identity

    changed = eye.copy()
    changed[8] = changed[0]  # a row of the last shard
    assert shards("one", eye) == shards("two", eye)
    assert len({shards("one", eye), shards("three", changed), shards("four", eye, "ihgfedcba")}) == 3


def test_rows_may_be_kept_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    rows = 3 * np.arange(8, dtype=np.float32).reshape(4, 2)  # neither unit rows nor all different from zero
    found = kept_rows("some", {"version": 1}, list("abcd"), lambda i: rows[list(i)], piece=3)
    np.testing.assert_array_equal(found.chunk(0, 4), rows)
