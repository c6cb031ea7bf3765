"""`make bench-binding`: steps per second, memory and search at the published sizes, with made-up vectors.

The vectors are random numbers in memory-mapped shards: they are embeddings of nothing, and what is trained on them is
thrown away. Sizes are those of a published preset; what runs is the code that trains. Prints Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.binding.forms import new_head
from omnibind_core.binding.projectors import Projectors
from omnibind_core.presets.preset import Preset, load_preset
from omnibind_core.store.shards import Rows, Shards, extract
from omnibind_core.training.neighbours import peak_bytes, top_k
from omnibind_core.training.pseudo_pairs import PseudoPairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import HeadRecipe, train_space
from omnibind_core.training.train_routers import Languages, RouterRecipe, train_routers
from omnibind_core.types import MODALITIES, FloatArray, Modality

HIDDEN, HEADS, CHUNK = 2048, 7, 4096  # the two first are the published ones
LONG = 20_000  # steps of the training that times are extrapolated to
BLOCK = 8192


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    preset: str = "full"
    rows: int = 1_000_000
    queries: int = 4096
    search_width: int = 512
    batch: int = 512
    router_batch: int = 128
    steps: int = 3
    hidden: int = HIDDEN


@dataclass
class Meter:
    """Peak of a process's own memory: without mapped files, which the system drops when it needs the room."""

    device: str
    peak: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watch(self) -> Iterator[Meter]:
        """Look every 20 ms."""
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, resident())

    def __str__(self) -> str:
        card = f" + {torch.cuda.max_memory_allocated() / 1e9:.1f} on the card" if self.device.startswith("cuda") else ""
        return f"{self.peak / 1e9:.2f}{card}" if self.peak else f"not measured{card}"


def resident() -> int:
    """Bytes of this process in memory, but for pages of mapped files; 0 where the system does not say."""
    if not Path("/proc/self/status").is_file():
        return 0
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status["RssAnon"].split()[0])


class Marked:
    """Rows that note the time whenever a batch is read."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        self._rows, self._clock = rows, clock
        self.width, self.identity = rows.width, rows.identity

    def __len__(self) -> int:
        return len(self._rows)

    def chunk(self, start: int, stop: int) -> FloatArray:
        """Read rows in order: shape (stop - start, width), float32."""
        return self._rows.chunk(start, stop)

    def take(self, rows: NDArray[np.int64]) -> FloatArray:
        """Read a batch: shape (n, width), float32; notes the time."""
        self._clock.marks.append(self._clock.now())
        return self._rows.take(rows)


@dataclass
class Clock:
    """Seconds of a step: of the processor on CPUs, so that other programs do not count; of the wall on cards."""

    device: str
    marks: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Give the seconds so far."""
        return time.perf_counter() if self.device.startswith("cuda") else time.process_time()

    def step(self, reads: int) -> float:
        """Median seconds between steps that read `reads` times each; the first one warms up."""
        return float(np.median(np.diff(self.marks[::reads])[1:]))


def made_up(folder: Path, rows: int, width: int) -> Shards:
    """Write random unit rows, by way of the extraction that towers' vectors take."""
    block = np.random.default_rng(width).standard_normal((BLOCK, width), np.float32)

    def embed(items: Sequence[int]) -> FloatArray:
        # The same random block again and again, turned by its number: only speed and memory are looked at.
        return np.roll(block, items[0] // BLOCK, axis=1)[: len(items)]

    keys = [f"made-up {number}" for number in range(rows)]
    return extract(folder / str(width), range(rows), keys, embed, specialist="random numbers", batch=BLOCK)


def made_up_pairs(rows: int) -> PseudoPairs:
    """Tuples of random items, one for each item of each of four pools."""
    draw = np.random.default_rng(0)
    source = np.repeat(np.arange(4), rows)
    items = {m: draw.integers(0, rows, 4 * rows) for m in MODALITIES}
    return PseudoPairs(items, source, {m: np.ones(4 * rows, np.float32) for m in MODALITIES})


def search(pools: Mapping[int, Shards], sizes: Sizes, device: str) -> list[str]:
    """Let some rows find their ten nearest among all."""
    from omnibind_core.store.shards import ArrayRows

    candidates, k, million = pools[sizes.search_width], 10, 10**6
    queries = ArrayRows(candidates.chunk(0, sizes.queries).astype(np.float16))
    clock = Clock(device)
    start = clock.now()
    with Meter(device).watch() as meter:
        top_k(queries, candidates, k, chunk=CHUNK, device=device)
    seconds = clock.now() - start
    flops = 2 * len(queries) * len(candidates) * candidates.width
    rate = flops / seconds
    lines = [
        "| queries | candidates | width | seconds | GFLOP/s | memory, GB | of these by `peak_bytes` |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {len(queries):,} | {len(candidates):,} | {candidates.width} | {seconds:.1f} | {rate / 1e9:.0f} | {meter} "
        f"| {peak_bytes(len(queries), candidates.width, k, CHUNK) / 1e9:.2f} |",
        "",
        "Extrapolated to a million by a million (memory is the function's sum, shards are two pools in float16):",
        "",
        "| width | hours | memory, GB | mapped shards, GB |",
        "|---:|---:|---:|---:|",
    ]
    for width in (512, 1024, 1536):
        own = peak_bytes(million, width, k, CHUNK)
        hours = 2 * million**2 * width / rate / 3600
        lines.append(f"| {width} | {hours:.1f} | {own / 1e9:.2f} | {2 * 2 * million * width / 1e9:.1f} |")
    return lines


def projectors(preset: Preset, pools: Mapping[int, Shards], sizes: Sizes, device: str, folder: Path) -> list[str]:
    """Train one head of each form of space for a few steps."""
    pairs = made_up_pairs(sizes.rows)
    recipe = HeadRecipe(steps=sizes.steps + 2, batch=sizes.batch, hidden=sizes.hidden, noise=0.1, checkpoint=10**9)
    forms: dict[tuple[int, tuple[Modality, ...]], list[str]] = {}
    for name, spec in preset.spaces.items():
        if next(iter(spec.heads.values())).kind == "mlp":
            forms.setdefault((spec.width, tuple(sorted(spec.towers))), []).append(name)
    target: dict[Modality, Rows] = dict.fromkeys(("image", "text"), pools[preset.width])
    lines = [
        f"| spaces | widths | modalities | seconds a step | steps a second | memory, GB | {HEADS} heads each, "
        f"{LONG:,} steps: hours |",
        "|---:|---|---|---:|---:|---:|---:|",
    ]
    total = 0.0
    for number, ((width, modalities), names) in enumerate(forms.items()):
        clock = Clock(device)
        first, *others = modalities
        space: dict[Modality, Rows] = {first: Marked(pools[width], clock), **dict.fromkeys(others, pools[width])}
        run = Run(
            folder / str(number), device, vectors={m: {"made up": rows} for m, rows in space.items()}, pairs=pairs
        )
        with Meter(device).watch() as meter:
            train_space(run, "made up", target, recipe, mixtures=("all",))
        seconds = clock.step(1)
        hours = seconds * LONG * HEADS * len(names) / 3600
        total += hours
        lines.append(
            f"| {len(names)} | {width} -> {sizes.hidden} -> {preset.width} | {', '.join(modalities)} | {seconds:.3f} "
            f"| {1 / seconds:.2f} | {meter} | {hours:,.1f} |"
        )
    passes = LONG * sizes.batch / (4 * sizes.rows)
    lines += [
        "",
        f"All {HEADS * sum(map(len, forms.values()))} heads: {total:,.0f} hours, {total / 24:.1f} days. {LONG:,} steps "
        f"of {sizes.batch} are {passes:.2f} passes over the {4 * sizes.rows:,} tuples of the mixture `all`.",
    ]
    return lines


def frozen(preset: Preset, sizes: Sizes) -> dict[str, dict[str, torch.Tensor]]:
    """Made-up weights for all of a preset's heads; heads of one form share theirs."""
    forms = {s.width: new_head(s.width, sizes.hidden, preset.width, 0).state_dict() for s in preset.spaces.values()}
    files: dict[str, dict[str, torch.Tensor]] = {}
    for space in preset.spaces.values():
        for head in set(space.heads.values()):
            for prefix in head.prefixes() if head.kind == "mlp" else []:
                tensors = {prefix + name: value for name, value in forms[space.width].items()}
                files.setdefault(head.file, {}).update(tensors)
    return files


def routers(preset: Preset, pools: Mapping[int, Shards], sizes: Sizes, device: str, folder: Path) -> list[str]:
    """Train all four routers for a few steps, with every projector of the preset frozen."""
    clock = Clock(device)
    run = Run(folder, device, pairs=made_up_pairs(sizes.rows))
    for m in preset.members:
        run.vectors[m] = {s: pools[preset.spaces[s].width] for s in preset.spaces_of(m)}
    points = preset.spaces_of("point")
    run.vectors["point"][points[0]] = Marked(run.vectors["point"][points[0]], clock)
    members = [member.name for member in preset.members["text"]]
    domains: dict[Modality, Sequence[str]] = {"image": members[::2], "audio": members[1::2]}
    targets = torch.randint(2, (sizes.rows, 1), generator=torch.Generator().manual_seed(0)).bool()
    languages = Languages(domains, torch.cat([targets, ~targets], 1))
    recipe = RouterRecipe(steps=sizes.steps + 2, batch=sizes.router_batch, checkpoint=10**9)
    with Meter(device).watch() as meter:
        heads = Projectors(preset, frozen(preset, sizes), device, torch.float32)
        train_routers(run, preset, heads, recipe, languages=languages)
    seconds = clock.step(1)
    tuples = sizes.router_batch / seconds
    return [
        "| frozen matrices, GB | tuples a step | seconds a step | tuples a second | memory, GB | "
        f"{LONG:,} steps of {sizes.batch}: hours |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {heads.nbytes() / 1e9:.2f} | {sizes.router_batch} | {seconds:.2f} | {tuples:,.0f} | {meter} "
        f"| {LONG * sizes.batch / tuples / 3600:,.1f} |",
    ]


def page(sizes: Sizes, device: str, folder: Path) -> str:
    """Measure and lay out."""
    preset = load_preset(sizes.preset)
    widths = sorted({space.width for space in preset.spaces.values()} | {preset.width, sizes.search_width})
    clock = Clock(device)
    start = clock.now()
    pools = {width: made_up(folder / "pools", sizes.rows, width) for width in widths}
    seconds = clock.now() - start
    on_disk = sum(path.stat().st_size for path in (folder / "pools").rglob("*.npy"))
    if device.startswith("cuda"):
        where = f"one {torch.cuda.get_device_name()}, bfloat16; seconds are the wall's"
    else:
        where = "one thread of a CPU, float32; seconds are the processor's, so that other programs do not count"
    return "\n".join([
        f"Sizes of `{sizes.preset}`, made-up vectors (random numbers, embeddings of nothing), {sizes.rows:,} items a "
        f"pool, on {where}. Memory is the most "
        "that the whole process held, but for pages of the mapped shards. Hours are extrapolated.",
        "", f"Shards of widths {', '.join(map(str, widths))}: {on_disk / 1e9:.1f} GB written in {seconds:.0f} s.", "",
        "### Search of pairs", "", *search(pools, sizes, device), "",
        f"### Projectors, {sizes.batch} tuples a step", "",
        *projectors(preset, pools, sizes, device, folder / "projectors"), "",
        "### Routers", "", *routers(preset, pools, sizes, device, folder / "routers"),
    ])  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.bench.binding",
        description="Measure training at the published sizes, on vectors that are random numbers.",
    )
    found.add_argument("--device", default="auto", help="auto, cpu, cuda")
    found.add_argument("--folder", type=Path, help="where 8 GB of shards may lie meanwhile; a temporary one")
    found.add_argument("--threads", type=int, default=1, help="of the CPU")
    meanings = {
        "preset": "whose spaces and heads",
        "rows": "items of each pool",
        "queries": "rows that look for their nearest",
        "search_width": "numbers in a vector that is looked for",
        "batch": "tuples a step, for projectors",
        "router_batch": "tuples a step, for routers",
        "steps": "that are timed, after two that are not",
        "hidden": "width of the heads' hidden layer",
    }
    for name, value in vars(Sizes()).items():
        found.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=meanings[name])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page."""
    options = vars(parser().parse_args(arguments))
    device, base, threads = (options.pop(name) for name in ("device", "folder", "threads"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(threads)
    folder = Path(tempfile.mkdtemp(prefix="bench-binding-", dir=base))
    try:
        sys.stdout.write(page(Sizes(**options), device, folder) + "\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
