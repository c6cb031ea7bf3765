"""What the training of the ears starts from and ends in: vectors of labels, and files of heads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.eyes import LOOKS, WIDTH, WORDS
from omnibind_core.binding.vectors import tower
from omnibind_core.specialists.base import unit
from omnibind_core.types import Text

__all__ = ["BLOCKS", "TEMPLATES", "kinship", "label_vectors", "write_heads"]

TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "the sound of {}",
    "sound of a {}",
    "a recording of {}",
    "{} sound effect",
    "you can hear {}",
)
"""Ways of writing a label."""
BLOCKS: dict[str, slice] = {"words": WORDS, "looks": LOOKS}
_TEXT = {"linear": "Wb", "anchors": "AaBm"}  # tensors of a head, by its kind
_VERSION = "1"


def label_vectors(labels: Sequence[str], folder: Path, block: str) -> Tensor:
    """Vectors of labels in one block of the shared space, as the preset's heads for sentences give them.

    Parameters
    ----------
    labels : sequence of str
        L names.
    folder : Path
        Where ``words.safetensors`` and ``looks.safetensors`` of :mod:`omnibind_core.binding.eyes` lie.
    block : {"words", "looks"}
        Which block.

    Returns
    -------
    Tensor, shape (templates, L, width of the block), float32
        Unit rows for each of :data:`TEMPLATES`.
    """
    from safetensors import safe_open

    sentences = [Text(template.format(label)) for template in TEMPLATES for label in labels]
    rows = tower("minilm_l6").embed("text", sentences)
    with safe_open(folder / f"{block}.safetensors", "pt") as stored:
        about = json.loads(stored.metadata()["heads"])
        head = {name: stored.get_tensor(f"text.{name}").float() for name in _TEXT[about["kinds"]["text"]]}
    if about["kinds"]["text"] == "anchors":
        logits = rows @ head["A"].T + head["a"]
        top = logits.topk(about["top_k"].get("text") or logits.shape[1], dim=1)
        shares = torch.zeros_like(logits).scatter(1, top.indices, top.values.softmax(1))
        rows = shares @ head["B"] - head["m"]
    else:
        rows = rows @ head["W"].T + head["b"]
    inside: Tensor = unit(rows[:, BLOCKS[block]])
    return inside.view(len(TEMPLATES), len(labels), -1)


def write_heads(path: Path, heads: Sequence[nn.Sequential], block: str, about: Mapping[str, object]) -> None:
    """Write heads as float16, widened to the whole shared space (zero outside their block).

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file; its tensors are ``"audio.{head}.0.weight"`` and so on, as
        :mod:`omnibind_core.projectors` reads heads of the kind "mlp".
    heads : sequence of Sequential
        From :func:`train_heads`.
    block : {"words", "looks"}
        Where in the shared space they lead.
    about : mapping of str to object
        What else the file shall say about itself, as JSON.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for number, head in enumerate(heads):
        for name, value in head.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if name[0] in "34":
                wide = torch.zeros(WIDTH, *value.shape[1:])
                wide[BLOCKS[block]] = value
                value = wide.index_fill(0, _outside(block), 1.0) if name == "4.running_var" else wide
            tensors[f"audio.{number}.{name}"] = value.to(torch.float16).contiguous()
    # One key: safetensors writes several in no fixed order.
    described = {
        "block": [BLOCKS[block].start, BLOCKS[block].stop],
        "kinds": {"audio": "mlp"},
        "count": len(heads),
        "version": _VERSION,
        "sources": "aiSFX checkpoint (C) 2022 A. B. Ma and A. Lerch, CC-BY-4.0; all-MiniLM-L6-v2, Apache-2.0",
        **about,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(sorted(tensors.items())), path, {"heads": json.dumps(described, sort_keys=True)})


def _outside(block: str) -> Tensor:
    inside = torch.zeros(WIDTH, dtype=torch.bool)
    inside[BLOCKS[block]] = True
    return torch.nonzero(~inside)[:, 0]


def kinship(words: Tensor) -> Tensor:
    """Which labels mean nearly the same: (L, 384) unit rows -> (L, L) rows that sum to 1."""
    return torch.softmax(8.0 * words @ words.T, dim=1)
