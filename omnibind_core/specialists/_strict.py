"""Fills a network that was made without memory from a published state dict: every tensor by name, none left over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError

__all__ = ["fill"]


def _causal(shape: torch.Size) -> Tensor:
    return torch.full(shape, float("-inf")).triu_(1)


# Buffers that open_clip and timm compute when a network is made, and leave out of its state dict.
_COMPUTED: Mapping[str, Callable[[torch.Size], Tensor]] = {"k_bias": torch.zeros, "attn_mask": _causal}


def fill(
    network: nn.Module, parts: Iterable[dict[str, Tensor]], label: str, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """Give `network` its weights, moved and converted tensor by tensor.

    Parameters
    ----------
    network : nn.Module
        Made under ``torch.device("meta")``, so that only what it is filled with takes memory.
    parts : iterable of dict of str to Tensor
        The state dict, whole or in parts. Each is emptied, so that its memory is free before the next is asked for.
    label : str
        What people read where it does not fit.
    device : torch.device
        Where the network shall be.
    dtype : torch.dtype
        Type of its floating-point tensors; whole numbers keep theirs.

    Returns
    -------
    nn.Module
        `network`, in evaluation mode, without gradients.

    Raises
    ------
    WeightsError
        Names the tensors that are missing, unknown or of another shape.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    missing, unknown, other = set(shapes), [], []
    for part in parts:
        chosen = {}
        for name in list(part):
            tensor = part.pop(name)
            missing.discard(name)
            if name not in shapes:
                unknown.append(name)
            elif tuple(tensor.shape) != shapes[name]:
                other.append(f"{name} {tuple(tensor.shape)} instead of {shapes[name]}")
            else:
                chosen[name] = tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
        network.load_state_dict(chosen, strict=False, assign=True)  # a part; the whole is held to the names below
    if missing or unknown or other:
        raise WeightsError(
            f"the weights of {label} with {len(missing)} missing tensors {sorted(missing)[:3]}, "
            f"{len(unknown)} unknown {sorted(unknown)[:3]} and {len(other)} of another shape {sorted(other)[:3]}",
            f"exactly the {len(shapes)} tensors of {label}",
            "delete the file and fetch the published one again",
        )
    for name, buffer in list(network.named_buffers()):
        owner, _, leaf = name.rpartition(".")
        if buffer.is_meta and leaf in _COMPUTED:
            computed = _COMPUTED[leaf](buffer.shape).to(device, dtype)
            network.get_submodule(owner).register_buffer(leaf, computed, persistent=False)
    return network.eval().requires_grad_(False)
