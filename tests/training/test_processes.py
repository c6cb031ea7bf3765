"""Two processes train what one trains, and go on with what one began: real processes, a real plan."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.store.weights import read_tensors
from omnibind_core.training import train_projectors
from omnibind_core.training.__main__ import main
from omnibind_core.training.loop import batch_rows
from omnibind_core.training.processes import BatchNorm, ProcessError, average_gradients, gather, join, own, rank, size
from tests.training.small_plan import PLAN, lay_out


class StopError(Exception):
    """Raised in the middle of a training."""


def test_two_processes_go_on_with_what_one_began_and_end_with_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lay_out(tmp_path)
    for name in ("one", "two"):  # 47 tuples are no equal shares for two
        text = PLAN.replace("batch = 48", "batch = 47\ncheckpoint = 4").replace('"trained"', f'"{name}"')
        (tmp_path / f"{name}.toml").write_text(text.replace("[pairs]", "[pairs]\nvalidation = 0.2"))
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([str(tmp_path / "one.toml"), "--device", "cpu"]) == 0

    def stopping(seed: int, step: int, n: int, batch: int) -> np.ndarray:
        if (seed, step) == (4, 10):  # the second head
            raise StopError
        return batch_rows(seed, step, n, batch)

    with monkeypatch.context() as patch:
        patch.setattr(train_projectors, "batch_rows", stopping)
        with pytest.raises(StopError):
            main([str(tmp_path / "two.toml"), "--device", "cpu"])
    begun = read_tensors(two / "work" / "projectors" / "first" / "ears" / "AT" / "state.safetensors")["curve"]
    assert (begun != 0).sum() == 8
    shutil.rmtree(two / "work" / "pools")  # so that they share this out too
    command = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    command += ["-m", "omnibind_core.training", str(tmp_path / "two.toml"), "--device", "cpu"]
    ran = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("written:") == 1

    states = sorted(path.relative_to(one) for path in one.rglob("state.safetensors"))
    assert len(states) == 2 * 2 + 1
    for path in states:
        alone, together = read_tensors(one / path), read_tensors(two / path)
        torch.testing.assert_close(together["curve"], alone["curve"], atol=1e-4, rtol=0)
        assert alone["curve"][-10:].mean() < alone["curve"][:10].mean()
    for file in ("projectors.safetensors", "routers.safetensors"):
        alone, together = read_tensors(one / file), read_tensors(two / file)
        assert alone.keys() == together.keys()
        for name, value in alone.items():
            torch.testing.assert_close(together[name], value, atol=1e-3, rtol=1e-3)
    for folder in (one, two):
        card = (folder / "MODEL_CARD.md").read_text().split("## Held-out figures")[1]
        rows = [line.strip("| ").split(" | ") for line in card.splitlines() if "->" in line]
        cells = {who: figures for who, *figures in rows}
        assert len(cells) == 6
        _, candidates, chance, eyes, ears, equal, routed = cells["image -> text"]
        assert (eyes, ears) == ("100.0", "-")  # eyes found the pairs
        assert float(chance) == pytest.approx(100 / int(candidates), abs=0.05)
        assert min(float(equal), float(routed)) > 3 * float(chance)
        assert cells["audio -> image"][3:5] == ["-", "-"]
        assert "the text router gives most of its weight to that domain" in card


def test_a_process_alone_does_as_if_nothing_were_there():
    assert (size(), rank(), own(5)) == (1, 0, slice(0, 5))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert gather(x, 5) is x
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm1d(3)
    assert torch.equal(ours(x), theirs(x))
    ours(x).square().sum().backward()
    average_gradients(ours.parameters())
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_a_launcher_that_starts_too_few_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RANK", raising=False)
    assert join("cpu") == "cpu"
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # what `accelerate launch --cpu --num_processes 2` sets
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(ProcessError, match="only one started"):
        join("cpu")
