"""Router input -> weights of the specialists, for each input anew.

Published form (arXiv 2407.11895, section 3.3, and its code): Linear(in, 512), BatchNorm, ReLU, Linear(512, 100),
BatchNorm, tanh, Linear(100, members), sigmoid; then ``softmax(scale * .)``. A softmax over numbers in (0, 1) is
nearly flat: no weight can exceed e times another's, except for text, whose scale of 10 makes it sharp.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from omnibind_core.binding.projectors import fold, tensors_shape
from omnibind_core.presets.preset import Preset, RouterSpec
from omnibind_core.store.weights import Tensors, take
from omnibind_core.types import Modality

__all__ = ["Routers"]


class Routers:
    """Routers of a preset, one for each modality.

    Parameters
    ----------
    preset : Preset
        Says which there are.
    files : mapping of str to mapping of str to Tensor
        State dict of each of ``preset.files``.
    device : torch.device
        Where they live and compute, in float32.
    modalities : collection of Modality, optional
        Only the routers of these; None takes all.
    """

    def __init__(
        self,
        preset: Preset,
        files: Mapping[str, Tensors],
        device: torch.device | str = "cpu",
        modalities: Collection[Modality] | None = None,
    ) -> None:
        self._specs = preset.routers
        self._mlp: dict[Modality, list[tuple[Tensor, Tensor]]] = {}
        self._flat: dict[Modality, Tensor] = {}
        for modality in preset.members if modalities is None else modalities:
            spec = preset.routers[modality]
            n = len(preset.members[modality])
            if spec.kind == "mlp":
                layers = _layers(spec, files[spec.file], n)
                self._mlp[modality] = [(w.float().to(device), b.float().to(device)) for w, b in layers]
            else:
                self._flat[modality] = torch.tensor(spec.weights or [1 / n] * n, device=device)

    def is_trained(self, modality: Modality) -> bool:
        """Whether the weights depend on the input."""
        return modality in self._mlp

    def __call__(self, modality: Modality, vectors: Mapping[str, Tensor], n: int) -> Tensor:
        """Weigh the members for each input.

        Parameters
        ----------
        modality : Modality
            Whose router.
        vectors : mapping of str to Tensor, shape (n, d)
            Unit rows by space, before projection.
        n : int
            Number of inputs.

        Returns
        -------
        Tensor, shape (n, members), float32
            Rows sum to 1.
        """
        if modality in self._flat:
            return self._flat[modality].expand(n, -1)
        spec = self._specs[modality]
        (w1, b1), (w2, b2), (w3, b3) = self._mlp[modality]
        x = torch.cat([vectors[space].float() for space in spec.inputs], dim=1)
        x = torch.relu(torch.nn.functional.linear(x, w1, b1))
        x = torch.tanh(torch.nn.functional.linear(x, w2, b2))
        logits = torch.nn.functional.linear(x, w3, b3)
        return torch.softmax(spec.scale * torch.sigmoid(logits), dim=1)


def _layers(spec: RouterSpec, tensors: Tensors, members: int) -> list[tuple[Tensor, Tensor]]:
    p = spec.prefix
    hidden, width = tensors_shape(tensors, f"{p}0.weight")
    middle = tensors_shape(tensors, f"{p}3.weight")[0]
    return [
        fold(tensors, f"{p}0.", f"{p}1.", (hidden, width)),
        fold(tensors, f"{p}3.", f"{p}4.", (middle, hidden)),
        (take(tensors, f"{p}6.weight", (members, middle)), take(tensors, f"{p}6.bias", (members,))),
    ]
