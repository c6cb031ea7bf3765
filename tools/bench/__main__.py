"""`make bench`: medians of several runs on this machine, side by side with what they are compared to.

python -m tools.bench            everything
python -m tools.bench heads      stacked heads against a loop over them
python -m tools.bench queries    each modality end to end and per stage, gallery build, memory
python -m tools.bench waiting    a sentence where others want the cores, by how its threads wait
python -m tools.bench tabs       what the tabs ask of the core: where, separate, walk, why, compare
python -m tools.bench page       what a visitor waits for in a browser; requests and weight
python -m tools.bench start      process start to first page, and to models ready
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from omnibind_core.machine import process

if TYPE_CHECKING:
    import torch

    from omnibind_core.presets.preset import Preset
    from omnibind_core.search.gallery import Gallery
    from omnibind_core.types import FloatArray, Modality

__all__ = ["PARTS", "heads", "main", "page", "paired", "parser", "queries", "start", "tabs", "timed"]

ROOT = Path(__file__).resolve().parents[2]
_MANY = 5_000  # items of the larger map


def timed(run: Callable[[], object], runs: int = 7, warmup: int = 2) -> float:
    """Time several runs.

    Parameters
    ----------
    run : callable
        What is timed.
    runs, warmup : int
        How often it counts, and how often it runs before.

    Returns
    -------
    float
        Median seconds of the wall.
    """
    for _ in range(warmup):
        run()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return median(taken)


def paired(
    a: Callable[[], object], b: Callable[[], object], runs: int = 7, warmup: int = 2
) -> tuple[float, float, float]:
    """Run two things in turn, so that what else the machine does meets both.

    Returns
    -------
    tuple of 3 float
        Median seconds of each, and the median of their ratios a / b, run by run.
    """
    for _ in range(warmup):
        a()
        b()
    rows = []
    for _ in range(runs):
        start = time.perf_counter()
        a()
        middle = time.perf_counter()
        b()
        rows.append((middle - start, time.perf_counter() - middle))
    return median(x for x, _ in rows), median(y for _, y in rows), median(x / y for x, y in rows)


def _say(*lines: str) -> None:
    """Print at once: a measurement takes minutes, and whoever waits reads along."""
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def heads() -> None:
    """Stacked heads of the published presets against a loop over them, as in the published code."""
    _say("\n## Stacked heads against a loop over the heads, text (all spaces), median of 7 pairs\n")
    columns = ("preset", "batch", "loop float32, ms", "stacked float32, ms", "ratio", "stacked bfloat16, ms", "ratio")
    _say(f"| {' | '.join(columns)} | largest difference |", f"|{'---|' * (len(columns) + 1)}")
    for name in ("base", "large", "full"):
        _heads_of(name)


def _heads_of(name: str) -> None:
    import torch
    from torch.nn.functional import normalize

    from omnibind_core.binding.projectors import Projectors
    from omnibind_core.presets.preset import load_preset

    preset = load_preset(name)
    spaces = [s for s in preset.spaces_of("text") if preset.spaces[s].heads["text"].kind == "mlp"]
    loop, tensors = loop_over_heads(preset, spaces)
    full = Projectors(preset, {"checkpoint": tensors})
    half = Projectors(preset, {"checkpoint": tensors}, dtype=torch.bfloat16)

    def by_loop(x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {s: torch.stack([normalize(head(x[s]), dim=1) for head in loop[s]]).mean(0) for s in x}

    for batch in (1, 16, 64):
        draw = torch.Generator().manual_seed(batch)
        x = {s: normalize(torch.randn(batch, preset.spaces[s].width, generator=draw), dim=1) for s in spaces}
        with torch.inference_mode():
            slow, quick, ratio = paired(partial(by_loop, x), partial(full, "text", x))
            _, quicker, ratio_half = paired(partial(by_loop, x), partial(half, "text", x))
            exact, approximate = by_loop(x), half("text", x)
        difference = max(float((exact[s] - approximate[s]).abs().max()) for s in x)
        figures = (1e3 * slow, 1e3 * quick, ratio, 1e3 * quicker, ratio_half)
        _say(f"| {name} | {batch} | {' | '.join(f'{f:.2f}' for f in figures)} | {difference:.1e} |")


def loop_over_heads(
    preset: Preset, spaces: Sequence[str]
) -> tuple[Mapping[str, Sequence[torch.nn.Module]], dict[str, torch.Tensor]]:
    """Build the published form: one module a head, BatchNorm as it was trained, and all their tensors by name."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    modules: dict[str, list[nn.Module]] = {}
    tensors: dict[str, torch.Tensor] = {}
    for space in spaces:
        head, d = preset.spaces[space].heads["text"], preset.spaces[space].width
        for prefix in head.prefixes():
            module = nn.Sequential(
                nn.Linear(d, 2048),
                nn.BatchNorm1d(2048),
                nn.ReLU(),
                nn.Linear(2048, preset.width),
                nn.BatchNorm1d(preset.width),
            )
            with torch.no_grad():
                for layer in module:
                    if not isinstance(layer, nn.BatchNorm1d):
                        continue
                    if layer.running_mean is not None and layer.running_var is not None:
                        layer.running_var.uniform_(0.5, 1.5, generator=generator)
                        layer.running_mean.normal_(0, 0.1, generator=generator)
            modules.setdefault(space, []).append(module.eval())
            tensors.update({prefix + key: value for key, value in module.state_dict().items()})
    return modules, tensors


def queries() -> None:
    """Time each modality end to end and by stages, the gallery's build, and memory, with `mini`."""
    from omnibind_core.binder import OmniBind
    from omnibind_core.machine.runtime import tune_threads
    from omnibind_core.search.compose import Term
    from omnibind_core.search.gallery import Gallery

    start = time.perf_counter()
    threads = tune_threads()
    model = OmniBind.from_pretrained("mini")
    gallery = Gallery.load(model)
    ready = time.perf_counter() - start
    others: tuple[Modality, ...] = ("image", "audio", "point")
    examples: dict[str, tuple[Modality, list[Any]]] = {
        "text": ("text", ["a dog barks at the postman"]),
        "text, German": ("text", ["ein Hund bellt den Postboten an"]),
    }
    for modality in others:
        examples[modality] = (modality, [gallery.path(i) for i in gallery.items if i.modality == modality][:6])
    examples["audio"] = ("audio", [_ten_seconds(gallery)])
    _say(f"\n## Queries with `mini`, {threads} threads, {len(gallery)} items, median of 7 runs after 2\n")
    _say("| query | end to end, ms | of which |", "|---|---|---|")
    for label, (modality, files) in examples.items():
        stages: list[dict[str, float]] = []

        def query(modality: Modality, files: Sequence[Any], stages: list[dict[str, float]]) -> None:
            bound = model.embed(modality, [files[len(stages) % len(files)]])
            before = time.perf_counter()
            gallery.search([Term(bound.vectors[0], 1.0, modality)], 8)
            stages.append({**bound.timings, "search": time.perf_counter() - before})

        seconds = timed(partial(query, modality, files, stages))
        medians = {name: median(row[name] for row in stages[2:]) for name in stages[0]}
        parts = ", ".join(f"{name} {1e3 * taken:.0f}" for name, taken in medians.items())
        _say(f"| {label} | {1e3 * seconds:.0f} | {parts} |")
    step = max(1, len(gallery) // 60)
    sample = [item for item in gallery.items[::step] if item.file]
    begin = time.perf_counter()
    for item in sample:
        model.embed(item.modality, [gallery.path(item)])
    per_item = (time.perf_counter() - begin) / len(sample)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    _say(f"\nModels and gallery ready after {ready:.1f} s. Gallery build: {1e3 * per_item:.0f} ms per item.")
    _say(f"Peak memory {peak:.2f} GB, largest decoding process {children:.2f} GB.")


def _ten_seconds(gallery: Gallery) -> tuple[int, FloatArray]:
    """Repeat a real sound to 10 s: its rate in Hz, and mono samples."""
    import numpy as np
    import soundfile

    path = next(gallery.path(item) for item in gallery.items if item.modality == "audio" and item.concept == "dog")
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return rate, np.resize(samples.mean(axis=1), 10 * rate)


def start(runs: int = 5) -> None:
    """Time the application's start, to the first page and to the first answer.

    Raises
    ------
    TimeoutError
        No page showed within a minute.
    """
    pages, readies = [], []
    for _ in range(runs):
        page, ready = _start_once()
        pages.append(page)
        readies.append(ready)
    _say(
        f"\n## Start of the application, median of {runs} warm starts\n",
        f"First page after {median(pages):.1f} s (worst {max(pages):.1f}); models ready after {median(readies):.1f} s",
        f"(worst {max(readies):.1f}).",
    )


def _start_once() -> tuple[float, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        page = _wait(lambda: urllib.request.urlopen(address, timeout=5).status == 200) - begin
        from gradio_client import Client

        client = Client(address, verbose=False)
        client.predict(text="a dog barks", api_name="/search")  # answers as soon as the models are there
        ready = time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait()
    return page, ready


def _wait(done: Callable[[], bool], limit: float = 60.0) -> float:
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        with contextlib.suppress(OSError):
            if done():
                return time.perf_counter()
        time.sleep(0.05)
    raise TimeoutError("the page did not show")


def tabs() -> None:
    """Time what the tabs ask of the core."""
    from tools.bench.page import asked

    _say("\n## What the tabs ask, with `mini`, median of 5 runs after 1\n", "| asked | ms |", "|---|---|")
    for name, seconds in asked(partial(timed, runs=5, warmup=1)):
        _say(f"| {name} | {1e3 * seconds:,.0f} |")


def waiting() -> None:
    """Time a sentence whose threads wait in a loop or asleep, alone and beside others."""
    from tools.bench.waiting import rows

    _say("\n## A sentence with `mini` where others want the cores, median of 20\n", *rows())


def page() -> None:
    """Time what a visitor waits for in a real browser; says so where there is none."""
    from omnibind_core.store.catalogue import read_catalogue
    from omnibind_core.store.paths import assets_directory
    from tools.bench.page import browsed, crowd, mapped
    from tools.screenshots.__main__ import FLAGS, application, browser

    chromium = browser()
    _say("\n## The page in a browser, with `mini`\n")
    if chromium is None:
        _say("Not measured: there is no Chromium on the path.")
        return
    with application() as address:
        _say("| what | measured |", "|---|---|")
        for name, figure in browsed(address, chromium, FLAGS):
            _say(f"| {name} | {figure} |")
    with tempfile.TemporaryDirectory() as folder:
        crowd(Path(folder) / "crowd", _MANY - len(read_catalogue(assets_directory() / "gallery")))
        with application(OMNIBIND_COLLECTIONS=folder, OMNIBIND_COLLECTION="gallery,crowd") as address:
            for name, figure in mapped(address, chromium, FLAGS):
                _say(f"| {name} | {figure} |")


PARTS: Mapping[str, Callable[[], None]] = {
    "start": start, "queries": queries, "waiting": waiting, "tabs": tabs, "page": page, "heads": heads
}  # fmt: skip
"""What can be measured, in order."""


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.bench", description="Measure on this machine: medians of several runs, as Markdown."
    )
    found.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    command = parser()
    chosen = command.parse_args(arguments).parts or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        command.error(f"part {', '.join(unknown)}: choose some of {', '.join(PARTS)}")
    process.set_up()  # as the page and the command line do
    _say(f"# Measured on {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    for name in chosen:
        PARTS[name]()


if __name__ == "__main__":
    main()
