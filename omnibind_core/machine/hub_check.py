"""What the Hub says of a preset's files, beside what is expected of them: nothing is downloaded to tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omnibind_core.errors import WeightsError
from omnibind_core.machine.preflight import file_rows
from omnibind_core.presets.preset import Preset
from omnibind_core.presets.tensors import compare, prefixes
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.entries import entries_on_hub
from omnibind_core.store.hub import HubUnreachableError, Known, ask
from omnibind_core.store.paths import OFFLINE_NAMES, is_offline
from omnibind_core.store.weights import HubFile, Progress

__all__ = ["check_hub", "describe_check"]

_NEAR = 0.05  # share of its size by which an estimate may be wrong


def check_hub(preset: Preset, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Ask the Hub for each file's size, hash and commit by HEAD, and read the checkpoints' lists of tensors by ranges.

    Parameters
    ----------
    preset : Preset
        Whose files.
    progress : callable, optional
        Called with (file, share of all files asked for).

    Returns
    -------
    list of dict
        For each file "label", "revision", what is expected ("expected_bytes", None where it is not stated here, and
        "expected_sha256"), what the Hub says ("bytes", "etag", "commit", "tensors"), and "differs": sentences, empty
        where all agree.

    Raises
    ------
    WeightsError
        The Hub does not answer at all, or the network is switched off.
    """
    if is_offline():
        raise WeightsError(
            "a question to the Hub while the network is switched off",
            "a network that may be used",
            f"unset {' and '.join(OFFLINE_NAMES)}",
        )
    report = progress or (lambda _label, _share: None)
    about = {row.label: row.about for row in file_rows(preset)}
    found = []
    sources = dict(_sources(preset))
    for i, (source, file) in enumerate(sources.items()):
        report(source.label, i / len(sources))
        row: dict[str, Any] = {
            "label": source.label, "revision": source.revision, "expected_bytes": source.size,
            "expected_sha256": source.sha256, "bytes": None, "etag": None, "commit": None, "tensors": None,
        }  # fmt: skip
        try:
            known = ask(source)
            row |= {"bytes": known.size, "etag": known.etag, "commit": known.commit}
            row["differs"] = list(_differs(source, known, about.get(source.label)))
            if file:
                row["tensors"], more = _tensors(preset, file, source, known)
                row["differs"] += more
        except HubUnreachableError:
            raise
        except WeightsError as error:
            row["differs"] = [*row.get("differs", []), str(error)]
        found.append(row)
    report("asked", 1.0)
    return found


def _sources(preset: Preset) -> Iterator[tuple[HubFile, str]]:
    """Give each file, and for those with heads and routers what the preset calls it."""
    for file, source in preset.files.items():
        if isinstance(source, HubFile):
            yield source, file
    for fallback in preset.fallbacks.values():
        yield fallback.source, ""
    for name in required(preset.specialists()):
        for weights in find(name)[0].weights.values():
            if isinstance(weights, HubFile):
                yield weights, ""


def _differs(source: HubFile, known: Known, about: int | None) -> Iterator[str]:
    digest = known.digest
    if source.size is not None and known.size != source.size:
        yield f"{known.size} bytes instead of {source.size}"
    elif source.size is None and known.size and about and known.size > 1e8 and abs(known.size / about - 1) > _NEAR:
        yield f"{known.size / 1e9:.3f} GB where {about / 1e9:.3f} GB were estimated"
    if source.sha256 and digest and digest.kind == "sha256" and digest.value != source.sha256:
        yield f"sha256 {digest.value} instead of {source.sha256}"
    if digest is None:
        yield f"no hash, but {known.etag}"
    if re.fullmatch(r"[0-9a-f]{40}", source.revision) and known.commit != source.revision:
        yield f"commit {known.commit} instead of {source.revision}"


def _tensors(preset: Preset, file: str, source: HubFile, known: Known) -> tuple[int, list[str]]:
    entries = entries_on_hub(source, known)
    lack = compare(preset, file, entries)
    if lack.fallback:
        return len(entries), [
            f"lacks {len(lack.missing)} tensors {lack.fallback.prefix}*, which will be taken from "
            f"{lack.fallback.source.label}: {lack.fallback.reason}"
        ]
    said = [f"lacks {len(lack.missing)} tensors: {prefixes(lack.missing)}"] if lack.missing else []
    if lack.unknown:
        said.append(f"has {len(lack.unknown)} tensors that are not known: {prefixes(lack.unknown)}")
    return len(entries), said


def describe_check(rows: list[dict[str, Any]]) -> list[str]:
    """Put the answer of :func:`check_hub` into lines for people."""
    lines = []
    for row in rows:
        said = "no answer" if row["bytes"] is None else f"{row['bytes']} bytes, {row['etag']}"
        commit = f" at {row['commit']}" if row["commit"] else ""
        tensors = f", {row['tensors']} tensors" if row["tensors"] is not None else ""
        lines.append(f"hub        {row['label']}{commit}: {said}{tensors}")
        lines += [f"DIFFERS    {row['label']}: {one}" for one in row["differs"]]
    count = sum(bool(row["differs"]) for row in rows)
    end = "all as expected" if not count else f"{count} differ; please send us these lines"
    return [*lines, f"hub        {len(rows)} files asked for: {end}"]
