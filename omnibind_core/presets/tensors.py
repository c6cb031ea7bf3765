"""Which tensors a preset wants in each of its files, and what to do where a published file lacks some."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from omnibind_core.errors import WeightsError
from omnibind_core.presets.preset import Fallback, Preset

__all__ = ["Lack", "compare", "expected_names", "prefixes"]

COUNTER = "num_batches_tracked"
"""Of a BatchNorm in training: published, and without effect on any output."""

_LINEAR = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var", COUNTER)
_HEAD_TENSORS = {
    "mlp": [f"0.{n}" for n in _LINEAR]
    + [f"1.{n}" for n in _NORM]
    + [f"3.{n}" for n in _LINEAR]
    + [f"4.{n}" for n in _NORM],
    "linear": ["W", "b"],
    "anchors": ["A", "a", "B", "m"],
    "identity": [],
}
_ROUTER_TENSORS = [*_HEAD_TENSORS["mlp"], *(f"6.{name}" for name in _LINEAR)]


@dataclass(frozen=True)
class Lack:
    """How the tensors of a file differ from those that a preset wants in it.

    Attributes
    ----------
    missing, unknown : tuple of str
        Names, in alphabetical order.
    expected : int
        How many are wanted.
    fallback : Fallback or None
        Where the missing ones are taken from; None where nothing is missing, or something else is.
    """

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    expected: int
    fallback: Fallback | None

    def error(self, preset: Preset, file: str) -> WeightsError:
        """Say which tensors are missing or unknown, by what their names begin with."""
        return WeightsError(
            f"file '{file}' of preset '{preset.name}' with {len(self.missing)} missing tensors "
            f"{list(self.missing[:3])} ({prefixes(self.missing)}) and {len(self.unknown)} unknown "
            f"{list(self.unknown[:3])} ({prefixes(self.unknown)})",
            f"exactly the {self.expected} tensors that the preset names",
            "use the file published for this preset",
        )


def expected_names(preset: Preset, file: str) -> set[str]:
    """Tensor names that `preset` wants in one of its files: no more, no fewer."""
    return set(_names(preset, file))


def _names(preset: Preset, file: str) -> Iterator[str]:
    for space in preset.spaces.values():
        for head in space.heads.values():
            if head.file == file:
                yield from (prefix + name for prefix in head.prefixes() for name in _HEAD_TENSORS[head.kind])
    for router in dict.fromkeys((*preset.routers.values(), *preset.alternatives.values())):
        if router.file == file:
            yield from (router.prefix + name for name in _ROUTER_TENSORS)


def compare(preset: Preset, file: str, names: Collection[str]) -> Lack:
    """Compare a file's tensor names with those that `preset` wants in it."""
    expected = expected_names(preset, file)
    missing = {name for name in expected - set(names) if not name.endswith(COUNTER)}
    unknown = tuple(sorted(set(names) - expected))
    fallback = preset.fallbacks.get(file)
    if fallback is not None:
        lent = {name for name in expected if name.startswith(fallback.prefix) and not name.endswith(COUNTER)}
        if missing != lent or unknown or not lent:
            fallback = None
    return Lack(tuple(sorted(missing)), unknown, len(expected), fallback)


def prefixes(names: Collection[str]) -> str:
    """Sum up names by their first part: "147 of projs, 3 of V_enc_router"."""
    first: dict[str, int] = {}
    for name in names:
        part = name.partition(".")[0]
        first[part] = first.get(part, 0) + 1
    return ", ".join(f"{count} of {part}" for part, count in first.items()) or "none"
