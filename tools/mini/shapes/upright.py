"""``python -m tools.mini.shapes.upright``: what tells which way is up, by a shape's form and by drawings of its sides.

Learned from the development half of Sweet Home 3D's meshes, see :func:`omnibind_core.evaluation.upright.half_of`; the
other half is measured by :mod:`tools.mini.measure.upright`. What was chosen, was chosen by five folds of that half:
boosted trees rather than small networks, which had 66 to 77 % of axes (the committed folds give 75 % by form and 77 %
with views), and no parametric shapes, which did not help.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from omnibind_core.binding.upright import EYES, HEAD, SIDE, VIEWS, drawn
from omnibind_core.evaluation.upright import half_of
from omnibind_core.media import limits
from omnibind_core.media.upright import DIRECTIONS, WEIGHTS, beside, measured
from omnibind_core.specialists import load
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.shards import kept_rows
from omnibind_core.training.extraction import tower_identity
from omnibind_core.types import FloatArray, PointCloud
from tools.mini.pools.vectors import named_shapes
from tools.mini.shapes.pool import SWEET_HOME, clouds

__all__ = ["main", "make", "parser"]

log = logging.getLogger(__name__)

_VERSION = 1  # of what is measured and drawn here: whoever changes it raises this
_UP = DIRECTIONS.index("y")
_STRETCH, _NOISE = 0.2, 0.003
_THINNED = (1024, 2048, 5000)
_LOOK_DECAY = 0.3
_FOLDS = 5


def _development() -> tuple[tuple[str, ...], list[int], Callable[[int], PointCloud]]:
    """Keys and numbers of what is learned from, and what reads a mesh by its number as the application would."""
    keys, _, cloud = clouds(SWEET_HOME)
    chosen = [i for i, mesh in enumerate(named_shapes()) if half_of(mesh.name) == "development"]
    return tuple(keys[i] for i in chosen), chosen, cloud


def forms() -> FloatArray:
    """Measure shapes as they are, and once more stretched and thinned: (n, 2, 6, d) float32."""
    keys, numbers, cloud = _development()

    def rows(some: Sequence[int]) -> FloatArray:
        return np.stack([_forms(numbers[i], cloud(numbers[i])).ravel() for i in some])

    found = kept_rows("upright-forms", {"points": limits.POINTS, "version": _VERSION}, keys, rows, dtype="float32")
    made: FloatArray = np.concatenate(found.parts).reshape(len(keys), 2, len(DIRECTIONS), -1)
    return made


def _forms(i: int, cloud: PointCloud) -> FloatArray:
    chance = np.random.default_rng(i)
    rgb = cloud.rgb if cloud.has_colour else None
    some = chance.choice(len(cloud.xyz), min(len(cloud.xyz), int(chance.choice(_THINNED))), replace=False)
    sides = np.exp(chance.uniform(-_STRETCH, _STRETCH, 3))
    other = cloud.xyz[some] * sides + chance.normal(0, _NOISE, (len(some), 3))
    return np.stack([measured(cloud.xyz, rgb), measured(other, None if rgb is None else rgb[some])]).astype(np.float32)


def _spins(number: int) -> list[float]:
    """Half turns by lot: nothing may be learned of where makers put the front."""
    sides = range(len(DIRECTIONS))
    return [180.0 * int(np.random.default_rng(number * len(sides) + side).integers(0, 2)) for side in sides]


def views() -> FloatArray:
    """Let the tower look at all sides of shapes, each from two places: (n, 6, 2, 1280) float32."""
    keys, numbers, cloud = _development()
    eyes: Any = load.tower(EYES)
    sides = range(len(DIRECTIONS))

    def rows(some: Sequence[int]) -> FloatArray:
        pictures = [drawn(cloud(number), sides, _spins(number)) for number in (numbers[i] for i in some)]
        return np.stack([eyes.as_they_are(batch).numpy().ravel() for batch in pictures])

    decides = {"tower": tower_identity(EYES), "side": SIDE, "views": VIEWS, "version": _VERSION}
    found = kept_rows("upright-views", decides, keys, rows, dtype="float16")
    rows_of = np.concatenate(found.parts).reshape(len(keys), len(DIRECTIONS), len(VIEWS), -1)
    made: FloatArray = rows_of.astype(np.float32)
    return made


def _trees(rows: FloatArray) -> Any:
    """Teach trees to tell the up of shapes from their five other directions: `rows` is (n, 6, d), all with Y up."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = beside(rows).reshape(-1, 3 * rows.shape[-1])
    up = np.tile(np.arange(len(DIRECTIONS)) == _UP, len(rows))
    return HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.07, max_leaf_nodes=8, l2_regularization=1.0, max_features=0.2,
        early_stopping=False, random_state=0,
    ).fit(x, up)  # fmt: skip


def _scores(trees: Any, rows: FloatArray) -> Tensor:
    """Score directions: (n, 6, d) -> (n, 6)."""
    x = beside(rows).reshape(-1, 3 * rows.shape[-1])
    return torch.from_numpy(trees.decision_function(x).reshape(rows.shape[:2])).float()


def _warmth(scores: Tensor) -> float:
    """Give what scores are divided by so that their shares say how often they are right."""
    log_t = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_t], max_iter=50)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(scores / log_t.exp(), torch.full((len(scores),), _UP))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(log_t.detach().exp())


def _looking(x: Tensor, offset: Tensor, decay: float = _LOOK_DECAY) -> Tensor:
    """Teach what tells by drawings: features (n, 6, v, d) and scores by form (n, 6) -> weights (d,)."""
    weight = torch.zeros(x.shape[-1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        single = (x @ weight).mean(-1) + offset
        loss = nn.functional.cross_entropy(single, torch.full((len(x),), _UP)) + decay * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach()


def make(out: Path) -> None:
    """Learn both and write them: the form's into the package, the views' into `out`."""
    names = [mesh.name for mesh in named_shapes() if half_of(mesh.name) == "development"]
    fold = np.array([_fold_of(name) for name in names])
    form, seen = forms(), torch.from_numpy(views())
    apart = torch.zeros(len(names), len(DIRECTIONS))
    for number in range(_FOLDS):
        held = fold == number
        apart[held] = _scores(_trees(form[~held].reshape(-1, *form.shape[2:])), form[held][:, 0])
    warmth = _warmth(apart)
    log.info("form, development half by folds: %s, warmth %.2f", _said(apart), warmth)
    write_form(_trees(form.reshape(-1, *form.shape[2:])), warmth)
    apart /= warmth
    spread = seen.std((0, 1, 2)) + 1e-3
    seen = (seen - seen.mean((0, 1, 2))) / spread
    both = torch.zeros_like(apart)
    for number in range(_FOLDS):
        held = fold == number
        both[held] = apart[held] + (seen[held] @ _looking(seen[~held], apart[~held])).mean(-1)
    log.info("form, and views of all sides, development half by folds: %s", _said(both))
    save_file({"weight": (_looking(seen, apart) / spread).contiguous()}, out / Path(HEAD).name)


def _fold_of(name: str) -> int:
    plain = re.sub(r"\d+", "", name.lower()).strip()
    return int(hashlib.sha256(f"fold:{plain}".encode()).hexdigest(), 16) % _FOLDS


def write_form(trees: Any, warmth: float) -> None:
    """Write trees as rows of nodes of equal length; a leaf has no column, and leads to itself."""
    grown = [steps[0].nodes for steps in trees._predictors]
    most = max(map(len, grown))
    kept: dict[str, Any] = {"start": float(np.ravel(trees._baseline_prediction)[0]), "scale": 1.0 / warmth}
    for name in ("column", "threshold", "left", "right", "value"):
        kept[name] = [[0] * most for _ in grown]
    for row, nodes in enumerate(grown):
        for at in range(most):
            node: Any = nodes[at] if at < len(nodes) else {"is_leaf": True, "value": 0.0}
            leaf = bool(node["is_leaf"])
            kept["column"][row][at] = -1 if leaf else int(node["feature_idx"])
            kept["threshold"][row][at] = 0.0 if leaf else float(f"{node['num_threshold']:.7g}")
            kept["left"][row][at] = at if leaf else int(node["left"])
            kept["right"][row][at] = at if leaf else int(node["right"])
            kept["value"][row][at] = float(f"{node['value']:.5g}") if leaf else 0.0
    WEIGHTS.parent.mkdir(exist_ok=True)
    WEIGHTS.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")


def _said(scores: Tensor) -> str:
    best = scores.argmax(1)
    right, axis = (best == _UP).float().mean(), (best // 2 == _UP // 2).float().mean()
    return f"right {100 * right:.1f} %, axis {100 * axis:.1f} %, n {len(scores)}"


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(prog="python -m tools.mini.shapes.upright", description="Learn which way is up.")
    found.add_argument("--out", type=Path, default=assets_directory() / "mini", help="where what views tell by goes")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Make it."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    make(options.out)


if __name__ == "__main__":
    main()
