"""A run: its places, its share of the work, and the rows it opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from omnibind_core.store.shards import ArrayRows
from omnibind_core.training.run import Run


def test_a_run_alone_is_the_first_and_does_everything(tmp_path: Path):
    run = Run(tmp_path)
    assert run.first
    assert (run.device, run.rank, run.world, len(run.pairs)) == ("cpu", 0, 1, 0)
    assert list(run.mine("abc")) == ["a", "b", "c"]
    assert run.work("pools", "text") == tmp_path / "work" / "pools" / "text"
    run.wait()  # for nobody


def test_several_share_what_can_be_done_apart(tmp_path: Path):
    runs = [Run(tmp_path, rank=rank, world=3) for rank in range(3)]
    assert sorted(job for run in runs for job in run.mine("abcde")) == list("abcde")
    assert [run.first for run in runs] == [True, False, False]


def test_rows_of_a_space_are_those_that_were_opened(tmp_path: Path):
    rows, other = ArrayRows(np.eye(2, dtype=np.float32)), ArrayRows(np.eye(3, dtype=np.float32))
    run = Run(tmp_path, vectors={"text": {"eyes": rows, "ears": other}, "image": {"eyes": other}})
    assert run.space("eyes") == {"text": rows, "image": other}
    assert run.space("ears") == {"text": other}
    assert run.space("nose") == {}
