"""What a training keeps goes by all that decides it: towers' weights, rows to the last one, routes."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.specialists import registry
from omnibind_core.store.shards import ArrayRows
from omnibind_core.store.weights import CommittedFile
from omnibind_core.training import extraction, pipeline
from omnibind_core.training.extraction import tower_identity
from omnibind_core.training.plan import Plan, read_plan
from omnibind_core.training.pseudo_pairs import PseudoPairs, pseudo_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import FusedRows, HeadRecipe, train_space
from omnibind_core.training.train_routers import RouterRecipe
from tests.training.small_plan import PLAN
from tests.training.test_pseudo_pairs import random_rows

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_a_tower_goes_by_its_weights_and_by_those_it_shares(monkeypatch: pytest.MonkeyPatch):
    names = ("efficientnet_lite2", "shape_views", "point_encoder", "minilm_l6")
    before = {name: tower_identity(name) for name in names}
    assert len(set(before.values())) == 4
    find = registry.find

    def other_weights(name: str):
        spec, build = find(name)
        if name == "efficientnet_lite2":
            spec = replace(spec, weights={r: replace(w, sha256="0" * 64) for r, w in spec.weights.items()})
        return spec, build

    with monkeypatch.context() as patch:
        patch.setattr(extraction.registry, "find", other_weights)
        changed = {name for name in names if tower_identity(name) != before[name]}
    assert changed == {"efficientnet_lite2", "shape_views"}  # which looks with it
    assert any(isinstance(w, CommittedFile) for w in find("point_encoder")[0].weights.values())
    with monkeypatch.context() as patch:  # trained anew, under the same name
        patch.setattr(extraction, "file_digest", lambda path: "another content")
        assert {name for name in names if tower_identity(name) != before[name]} == {"point_encoder"}
    with monkeypatch.context() as patch:
        patch.setattr(type(find("minilm_l6")[0]), "__repr__", lambda self: "other words")
        patch.setattr(extraction, "__doc__", "Other words.")
        assert {name: tower_identity(name) for name in names} == before


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "small.toml").write_text(PLAN)
    return read_plan(tmp_path / "small.toml")


def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, last: float = 0.0, aside: int = 0) -> bool:
    """Tell whether pairs were searched; `last` changes the last row of each pool, `aside` the items put aside."""
    run, calls = Run(tmp_path / "trained"), []
    for m in ("image", "audio", "text"):
        rows = random_rows(300, 8, len(m))
        rows[-1] += last
        run.vectors[m] = {name: ArrayRows(rows) for name, space in plan.spaces.items() if m in space.towers}
    out = {m: np.arange(300) < aside for m in run.vectors}
    run.folder.mkdir(exist_ok=True)

    def search(*args, **how):
        calls.append(1)
        return pseudo_pairs(*args, **how)

    monkeypatch.setattr(pipeline, "pseudo_pairs", search)
    pipeline._search(run, plan, out)
    return bool(calls)


def test_pairs_are_searched_anew_when_whatever_decides_them_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
):
    def again(*args, **how) -> bool:
        return searched(tmp_path, monkeypatch, *args, **how)

    assert again(plan)
    assert not again(plan)
    assert not again(replace(plan, text="# a comment", note="words"))
    assert again(plan, last=0.1)  # the 300th row: the first 256 of them were looked at once
    assert again(replace(plan, k=2), last=0.1)
    assert again(replace(plan, duplicates={}), last=0.1)
    assert again(replace(plan, routes=dict(list(plan.routes.items())[1:])), last=0.1)
    assert again(plan, last=0.1, aside=5)
    assert not again(plan, last=0.1, aside=5)


def test_a_checkpoint_goes_by_every_row(tmp_path: Path):
    space, target = random_rows(300, 8), random_rows(300, 8, 1)
    pairs = PseudoPairs({m: np.arange(300) for m in ("audio", "text")}, np.ones(300, np.int64), {})
    recipe = HeadRecipe(steps=1, batch=8, hidden=4)

    def train(rows: np.ndarray, towards: np.ndarray) -> None:
        run = Run(tmp_path, vectors={"audio": {"ears": ArrayRows(rows)}}, pairs=pairs)
        train_space(run, "ears", {"text": ArrayRows(towards)}, recipe, mixtures=("A",))

    train(space, target)
    train(space, target)
    for which in range(2):
        changed = [space.copy(), target.copy()]
        changed[which][-1] *= -1
        with pytest.raises(pipeline.TrainingError, match="another vectors"):
            train(*changed)


def test_a_fused_target_goes_by_shares_rows_and_heads():
    rows, other = ArrayRows(random_rows(5, 4)), ArrayRows(random_rows(5, 4, 1))
    head = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.ReLU(), torch.nn.Linear(3, 4))
    ways = [[(0.5, rows, [])], [(0.6, rows, [])], [(0.5, other, [])], [(0.5, rows, [head])]]
    first = {FusedRows(parts).identity for parts in ways}
    assert len(first) == 4
    assert first == {FusedRows(parts).identity for parts in ways}
    with torch.no_grad():
        head[0].weight += 1
    assert FusedRows(ways[3]).identity not in first


@pytest.mark.parametrize("recipe", [HeadRecipe, RouterRecipe])
def test_every_entry_of_a_training_is_documented(recipe: type):
    table = PAGE.read_text(encoding="utf-8").split("| entry |")[1].split("\n\n")[0]
    for one in fields(recipe):
        assert f"`{one.name}`" in table, one.name
