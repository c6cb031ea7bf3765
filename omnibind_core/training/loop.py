"""A training that can be killed at any moment and goes on to the same weights.

All that decides the rest of a training is in one file, which is replaced atomically: weights, AdamW's moments, the
state of the random generator, the losses so far as tensors, the step and the recipe as JSON in the file's metadata.
The order of the data and the learning rate are functions of the step alone. Nothing is pickled.

Several processes may train together (:mod:`omnibind_core.training.processes`): all of them read the checkpoint, the
first one writes it, and it says nothing of their number, so that any number can go on with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omnibind_core.errors import OmniBindError
from omnibind_core.store.kept import read_about, write_tensors
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.processes import average_gradients, rank, wait
from omnibind_core.types import FloatArray

__all__ = ["Recipe", "TrainingError", "batch_rows", "curve_svg", "exact", "train"]

_STATE = "state.safetensors"


class TrainingError(OmniBindError, RuntimeError):
    """A training that cannot be started or gone on with as asked."""


@dataclass(frozen=True)
class Recipe:
    """How anything is trained. The published text states none of these; the defaults are ours.

    Attributes
    ----------
    steps, batch : int
        Steps of AdamW, and tuples in each (all of them, where there are fewer).
    rate, decay : float
        Highest learning rate; weight decay.
    warm_up : float
        Share of the steps in which the rate rises, 0..1; it falls as a cosine to 0 after them.
    one_cycle : bool
        Whether the rate is torch's ``OneCycleLR`` instead: it rises as a cosine too, from a 25th of the highest.
    scale : float
        What cosines are multiplied with before a softmax: one over the temperature.
    seed : int
        Of first weights, order and noise.
    checkpoint : int
        Steps between two checkpoints.
    """

    steps: int = 2000
    batch: int = 512
    rate: float = 1e-3
    decay: float = 0.01
    warm_up: float = 0.1
    one_cycle: bool = False
    scale: float = 20.0
    seed: int = 0
    checkpoint: int = 200

    def __post_init__(self) -> None:
        if min(self.steps, self.checkpoint) < 1 or self.batch < 2 or self.rate <= 0 or self.scale <= 0:
            raise TrainingError(
                f"{self}", "a batch of 2 or more, the rest of these above 0", "correct the training's section"
            )

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if self.one_cycle:
            top, low = self.warm_up * self.steps - 1, self.rate / 25
            if top > 0 and step <= top:
                return _cosine(low, self.rate, step / top)
            return _cosine(self.rate, low / 1e4, (step - top) / max(self.steps - 1 - top, 1))
        rising = max(round(self.warm_up * self.steps), 1)
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * (1 + math.cos(math.pi * (step - rising) / max(self.steps - rising, 1))) / 2


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)


def batch_rows(seed: int, step: int, n: int, batch: int) -> NDArray[np.int64]:
    """Which of n rows belong to a step: every row once in each pass, in a new order each time, the rest left out.

    Parameters
    ----------
    seed, step : int
        The order depends on nothing else.
    n, batch : int
        Rows there are; rows wanted, or all where there are fewer.

    Returns
    -------
    ndarray, shape (min(n, batch),), int64
    """
    batch = min(n, batch)
    passes, place = divmod(step, n // batch)
    return _order(seed, passes, n)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)
def _order(seed: int, passes: int, n: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, passes)).permutation(n)


def exact(device: str) -> torch.autocast:
    """Leave bfloat16 for a while: cosines times a scale of 20 or more need float32."""
    return torch.autocast(torch.device(device).type, enabled=False)


def train(
    module: nn.Module,
    loss_of: Callable[[int, torch.Generator], Tensor],
    recipe: Recipe,
    folder: Path,
    *,
    identity: Mapping[str, Any],
    title: str,
    device: str = "cpu",
) -> FloatArray:
    """Train a module in place, from where an earlier call was stopped.

    Parameters
    ----------
    module : Module
        On `device`, with its first weights; left in evaluation mode.
    loss_of : callable
        (step, generator on the CPU) -> scalar loss. Whatever is random in it must come from the generator, whatever
        depends on the order from the step. Runs under bfloat16 autocast on CUDA. Of several processes each gives the
        same loss, that of the whole batch.
    recipe : Recipe
        How.
    folder : Path
        Holds ``state.safetensors``; made if it is not there.
    identity : mapping of str to JSON values
        What else decides the outcome (data, sizes); a checkpoint of another one is refused.
    title : str
        For the progress bar.
    device : str
        Where it runs.

    Returns
    -------
    ndarray, shape (steps,), float32
        The loss of each step.

    Raises
    ------
    TrainingError
        The folder holds another training, or the loss is not finite.
    """
    from tqdm import tqdm

    who = json.loads(json.dumps({**identity, "recipe": {**asdict(recipe), "checkpoint": 0}}))
    optimiser = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    generator = torch.Generator().manual_seed(recipe.seed)
    curve = torch.zeros(recipe.steps)
    folder.mkdir(parents=True, exist_ok=True)
    start = _restore(folder / _STATE, module, optimiser, generator, curve, who)
    wait()  # nobody may read a checkpoint that is newer than the others'
    module.train()
    hidden = True if rank() else None  # None: shown on a terminal
    for step in tqdm(range(start, recipe.steps), title, initial=start, total=recipe.steps, disable=hidden):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate_at(step)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=device.startswith("cuda")):
            loss = loss_of(step, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(module.parameters())
        optimiser.step()
        curve[step] = loss.detach()
        if (step + 1) % recipe.checkpoint == 0 or step + 1 == recipe.steps:
            if not curve[: step + 1].isfinite().all():
                raise TrainingError(f"{title}: a loss that is not finite", "finite losses", "lower the rate")
            if rank() == 0:
                _save(folder / _STATE, module, optimiser, generator, curve, {"step": step + 1, "identity": who})
    module.eval()
    losses: FloatArray = curve.numpy()
    return losses


def _save(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    curve: Tensor,
    about: Mapping[str, Any],
) -> None:
    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    write_tensors(path, tensors | {"generator": generator.get_state(), "curve": curve}, {"state": about})


def _restore(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    curve: Tensor,
    who: Mapping[str, Any],
) -> int:
    """Put a checkpoint's state where it belongs; gives the step to go on with."""
    if not path.is_file():
        return 0
    about = read_about(path, "state")
    changed = [name for name in {**about["identity"], **who} if about["identity"].get(name) != who.get(name)]
    if changed:
        raise TrainingError(
            f"{path.parent} with a training of another {', '.join(sorted(changed))}",
            "the training it was made for",
            "choose another folder, or delete this one",
        )
    tensors = read_tensors(path)
    module.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    generator.set_state(tensors["generator"])
    curve.copy_(tensors["curve"])
    return int(about["step"])


def curve_svg(curves: Mapping[str, FloatArray], title: str) -> str:
    """Draw learning curves as an SVG picture of 640 x 360, each loss averaged over a hundredth of its steps.

    Parameters
    ----------
    curves : mapping of str to ndarray, shape (steps,)
        By name, at least one.
    title : str
        Above the picture.
    """
    left, top, width, height = 60, 40, 400, 280
    smooth = {name: [float(part.mean()) for part in np.array_split(c, min(100, len(c)))] for name, c in curves.items()}
    high = max(max(c) for c in smooth.values()) or 1.0
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" font-family="sans-serif" font-size="12">',
        '<rect width="640" height="360" fill="white"/>',
        f'<text x="{left}" y="24" font-size="15">{_escape(title)}</text>',
        f'<path d="M{left} {top}v{height}h{width}" fill="none" stroke="#555"/>',
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end">{high:.2f}</text>',
        f'<text x="{left - 6}" y="{top + height}" text-anchor="end">0</text>',
        f'<text x="{left + width}" y="{top + height + 18}" text-anchor="end">'
        f"{max(len(c) for c in curves.values())} steps</text>",
    ]
    for i, (name, values) in enumerate(smooth.items()):
        colour = f"hsl({137 * i % 360} 60% 40%)"
        xs = np.linspace(left, left + width, len(values))
        points = " ".join(f"{x:.1f},{top + height * (1 - y / high):.1f}" for x, y in zip(xs, values, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if i < 18:
            y = top + 10 + 16 * i
            lines.append(
                f'<text x="{left + width + 12}" y="{y}" fill="{colour}">{_escape(name)} {values[-1]:.2f}</text>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
