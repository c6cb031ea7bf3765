"""What a card makes of the published presets, within ten minutes, without a download: ``python -m tools.gpu_check``.

Towers of true size from stand-ins (published names, shapes and types; made-up numbers): their vectors mean nothing,
what they take does. Small towers of the same classes tell whether the card's vectors are the processor's. Prints a
table for docs/presets.md and writes both as JSON. ``--small`` runs the same code without a card, with small towers.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import PIL.Image
import torch
from torch import Tensor, nn

from omnibind_core.machine import memory
from omnibind_core.machine.exhaustion import free, in_parts
from omnibind_core.machine.memory import _example
from omnibind_core.machine.names import PLANS
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists.base import Specialist
from omnibind_core.specialists.registry import find
from omnibind_core.types import MODALITIES, Modality

__all__ = ["PARTS", "check", "main", "parser", "table"]

Row = dict[str, Any]
CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[1]
IMAGE: Modality = "image"
POINT: Modality = "point"
BATCHES = (1, 16)
REPEATS = 5
CLOSE = {"float32": 1e-4, "bfloat16": 1e-3}  # one minus the cosine that a card may differ by
LOOSE = {"float32": 1e-4, "bfloat16": 1e-2}  # after heads, which widen what towers differ by


def seconds(run: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> float:
    """Give the median seconds of a call, after one that warms up."""
    taken = []
    for number in range(repeats + 1):
        begun = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number:
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def peak(device: torch.device) -> float:
    """Give the most gigabytes that were allocated on the card since :func:`reset`; 0 without one."""
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0


def reset(device: torch.device) -> None:
    """Free what is left, and count from now on."""
    gc.collect()
    free()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


@contextlib.contextmanager
def built(name: str, folder: Path, device: torch.device, dtype: torch.dtype, small: bool) -> Iterator[Specialist]:
    """Give one tower of made-up weights, of true size unless `small`, and forget it afterwards."""
    from tools.rehearsal.standins import stand_in_of

    if small:
        (folder / "small" / name).mkdir(parents=True, exist_ok=True)
        yield moved(_makers()[_kind(name)](folder / "small" / name), device, dtype)
    else:
        spec, build = find(name)
        yield unsparse(build(spec, stand_in_of(name, folder), {}, device, dtype))
    reset(device)


def unsparse(tower: Specialist) -> Specialist:
    """Repeat a stand-in's numbers over the rest of each weight, which is zero: a card is quicker with zeros."""
    from tools.rehearsal.standins import BLOCK

    for network in vars(tower).values():
        for weight in network.parameters() if isinstance(network, nn.Module) else ():
            if weight.dim() > 1 and weight.is_contiguous() and weight.numel() >= 2 * BLOCK:
                numbers = weight.data.view(-1)
                times = numbers.numel() // BLOCK
                numbers[BLOCK : times * BLOCK].view(times - 1, BLOCK).copy_(numbers[:BLOCK])
    return tower


def moved(tower: Specialist, device: torch.device, dtype: torch.dtype) -> Specialist:
    """Take a tower that was built on the CPU in float32 to another device and type; it is changed."""
    for name, value in list(vars(tower).items()):
        if isinstance(value, torch.device):
            setattr(tower, name, device)
        elif isinstance(value, torch.dtype):
            setattr(tower, name, dtype)
        elif isinstance(value, Tensor):
            setattr(tower, name, value.to(device))
        elif isinstance(value, nn.Module):
            value.to(device, dtype)
    return tower


def names_of(presets: Sequence[str], small: bool) -> list[str]:
    """List the published presets' towers once each; the small form makes one of each class."""
    found = list(dict.fromkeys(name for one in presets for name in load_preset(one).specialists()))
    by_kind = {_kind(name): name for name in reversed(found)}
    return [name for name in found if not small or (_kind(name) and by_kind[_kind(name)] == name)]


def _makers() -> Mapping[str, Callable[[Path], Specialist]]:
    """Give what makes small towers, by the beginning of the specialists' names; the tests' own."""
    makers: Mapping[str, Callable[[Path], Specialist]] = import_module("tests.small_towers").MAKERS
    return makers


def _kind(name: str) -> str:
    return next((kind for kind in _makers() if name.startswith(kind)), "")


def towers(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Time each tower of base and full in bfloat16, by modality and batch, with its peak memory."""
    for name in names_of(("base", "full"), small):
        begun = time.perf_counter()
        reset(device)
        with built(name, folder, device, torch.bfloat16, small) as tower:
            loaded = time.perf_counter() - begun
            for modality in tower.spec.widths:
                for batch in BATCHES:
                    items = [_example(modality)] * batch
                    took = seconds(partial(tower.embed, modality, items), device, 1 if small else REPEATS)
                    yield {
                        "tower": name, "modality": modality, "batch": batch, "load s": round(loaded, 1),
                        "ms": round(1e3 * took, 2), "peak GB": round(peak(device), 2),
                    }  # fmt: skip
            del tower  # nothing may hold it when the next one's memory is counted


def plans(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Time one large tower by each memory plan, with nothing of it on the card but what must be."""
    name = "eva_clip_18b" if small else "eva02_e14_plus"
    exact = torch.zeros(0)
    for plan in PLANS:
        reset(device)
        where = device if plan == "resident" else CPU
        with built(name, folder, where, torch.bfloat16, small) as tower, mock.patch.object(memory, "TOLERANCE", 2.0):
            placed = memory.place(tower, plan, device, memory.Budget(0))
            reset(device)
            took = seconds(partial(placed.embed, IMAGE, [_example(IMAGE)]), device, 1 if small else REPEATS)
            vector = placed.embed(IMAGE, [_example(IMAGE)]).cpu()
            exact = exact if len(exact) else vector
            yield {
                "tower": name, "plan": plan, "ms": round(1e3 * took, 1), "peak GB": round(peak(device), 2),
                "1 - cosine": float(1 - (vector * exact).sum()),
            }  # fmt: skip
            del tower, placed


def agreement(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Compare vectors of small towers of each class: the card's with the processor's in float32."""
    del small  # these are small in any case
    for name in names_of(("base", "full"), True):
        with built(name, folder, CPU, torch.float32, True) as exact:
            wanted = {modality: exact.embed(modality, [_example(modality)]).cpu() for modality in exact.spec.widths}
        for dtype, most in CLOSE.items():
            with built(name, folder, device, getattr(torch, dtype), True) as tower:
                rows = {modality: tower.embed(modality, [_example(modality)]).cpu() for modality in wanted}
            apart = max(float(1 - (rows[m] * wanted[m]).sum()) for m in wanted)
            largest = max(float((rows[m] - wanted[m]).abs().max()) for m in wanted)
            good = largest <= most if dtype == "float32" else apart <= most
            yield {"tower": name, "type": dtype, "1 - cosine": apart, "largest difference": largest, "as wanted": good}


def heads(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Time the stacked heads of base beside a loop over them, as in the published code."""
    del folder
    from torch.nn.functional import normalize

    from omnibind_core.binding.projectors import Projectors
    from tools.bench.__main__ import loop_over_heads

    preset = load_preset("base")
    spaces = [name for name in preset.spaces_of("text") if preset.spaces[name].heads["text"].kind == "mlp"]
    loop, tensors = loop_over_heads(preset, spaces)
    loop = {name: [head.to(device) for head in some] for name, some in loop.items()}

    def published(x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {s: torch.stack([normalize(head(x[s]), dim=1) for head in loop[s]]).mean(0) for s in x}

    for dtype in (torch.float32, torch.bfloat16):
        ours = Projectors(preset, {"checkpoint": tensors}, device, dtype=dtype)
        for batch in BATCHES:
            draw = torch.Generator().manual_seed(batch)
            x = {s: normalize(torch.randn(batch, preset.spaces[s].width, generator=draw)).to(device) for s in spaces}
            with torch.inference_mode():
                repeats = 1 if small else 20
                slow = seconds(partial(published, x), device, repeats)
                quick = seconds(partial(ours, "text", x), device, repeats)
            yield {
                "type": str(dtype).removeprefix("torch."), "batch": batch, "loop ms": round(1e3 * slow, 2),
                "stacked ms": round(1e3 * quick, 2), "ratio": round(slow / quick, 2),
            }  # fmt: skip


def recovery(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Embed 16 inputs on a card that is nearly full, and compare the vectors with those of an empty one."""
    name, modality = "uni3d_g_lvis", POINT
    items = [_example(modality)] * (2 if small else 16)
    with built(name, folder, device, torch.bfloat16, small) as tower:
        before = tower.embed(modality, items)
        ballast: list[Tensor] = []
        if device.type == "cuda":
            free()
            left = torch.cuda.mem_get_info(device)[0]
            one = _needed(partial(tower.embed, modality, items[:1]), device)
            ballast.append(torch.empty(max(0, left - 3 * one), dtype=torch.uint8, device=device))
        after = in_parts(tower, modality, items)
        del ballast
        apart = float((before - after).abs().max())
        yield {"tower": name, "filled": device.type == "cuda", "largest difference": apart, "as wanted": apart < 1e-2}


def _needed(run: Callable[[], object], device: torch.device) -> int:
    """Give the bytes that a call takes beside what lies there."""
    reset(device)
    lies = torch.cuda.memory_allocated(device)
    run()
    return torch.cuda.max_memory_allocated(device) - lies


def graphs(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Time a large picture tower's network as it is, replayed as a CUDA graph, and compiled; one picture."""
    with built("eva02_e14_plus", folder, device, torch.bfloat16, small) as tower:
        network: Any = vars(tower)["_network"]
        shown: Any = _example(IMAGE)
        picture = vars(tower)["_prepare"](PIL.Image.fromarray(shown.rgb))
        pixels = picture[None].to(device, torch.bfloat16)
        with torch.inference_mode():
            exact = network.encode_image(pixels).float()
            took = seconds(lambda: network.encode_image(pixels), device)
            yield {"form": "as it is", "ready s": 0.0, "ms": round(1e3 * took, 2)}
            if device.type != "cuda":
                return
            begun = time.perf_counter()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                replayed = network.encode_image(pixels)
            ready = time.perf_counter() - begun
            took = seconds(graph.replay, device)
            apart = float((replayed.float() - exact).abs().max())
            yield {"form": "graph", "ready s": round(ready, 1), "ms": round(1e3 * took, 2), "largest difference": apart}
            del graph, replayed
            begun = time.perf_counter()
            compiled: Any = torch.compile(network.encode_image)
            apart = float((compiled(pixels).float() - exact).abs().max())
            ready = time.perf_counter() - begun
            took = seconds(lambda: compiled(pixels), device)
            yield {
                "form": "compiled", "ready s": round(ready, 1), "ms": round(1e3 * took, 2),
                "largest difference": apart,
            }  # fmt: skip


def mini(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Embed items of the gallery with `mini`, and compare with the processor's vectors in float32."""
    from omnibind_core.binder import OmniBind
    from omnibind_core.store.catalogue import read_catalogue
    from tools.rehearsal.page import small_gallery

    shown = small_gallery(folder / "mini" / "gallery")
    items: dict[Modality, list[Any]] = {
        m: [item.caption if m == "text" else shown / str(item.file) for item in read_catalogue(shown)
            if m == "text" or item.modality == m][: 2 if small else 8]
        for m in MODALITIES
    }  # fmt: skip
    wanted: dict[Modality, Tensor] = {}
    for where, dtype in ((CPU, "float32"), (device, "float32"), (device, "bfloat16")):
        model = OmniBind.from_pretrained("mini", device=where.type, dtype=dtype, offline=True)
        for modality, some in items.items():
            bound = model.embed(modality, some)
            rows = torch.from_numpy(bound.vectors)
            apart = float(1 - (rows * wanted.setdefault(modality, rows)).sum(1).min())
            took = seconds(partial(model.embed, modality, some[:1]), device, 1 if small else REPEATS)
            yield {
                "device": where.type, "type": dtype, "modality": modality, "ms": round(1e3 * took, 1),
                "1 - cosine": apart, "as wanted": apart <= LOOSE[dtype],
            }  # fmt: skip


def page(folder: Path, device: torch.device, small: bool) -> Iterator[Row]:
    """Wait for the page's first answer with `mini`, in a process of its own."""
    del device, small
    from tools.rehearsal.page import small_gallery

    code = (
        "import sys, pathlib as p; from tools.rehearsal.page import visit; sys.exit(visit('mini', p.Path(sys.argv[1])))"
    )
    gallery = small_gallery(folder / "shown" / "gallery")
    done = subprocess.run([sys.executable, "-c", code, gallery], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the page ended with {done.returncode}: {done.stderr[-2000:]}")
    for line in done.stdout.splitlines():
        at, what = line.split(" s  ", 1)
        yield {"page": what, "s": float(at)}


PARTS: Mapping[str, Callable[[Path, torch.device, bool], Iterator[Row]]] = {
    "agreement": agreement, "heads": heads, "mini": mini, "page": page, "recovery": recovery, "plans": plans,
    "towers": towers, "graphs": graphs,
}  # fmt: skip
"""The quick and telling ones first: what has run stays where the time ends."""


def machine(device: torch.device) -> Row:
    """Say on what this ran."""
    found: Row = {"torch": torch.__version__, "cuda": torch.version.cuda, "device": device.type}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {"card": card.name, "card GB": round(card.total_memory / 1e9, 1)}
    return found


def check(parts: Sequence[str], folder: Path, device: torch.device, *, small: bool, limit: float = 570.0) -> Row:
    """Run parts until the time is over.

    Parameters
    ----------
    parts : sequence of str
        Names in :data:`PARTS`.
    folder : Path
        For stand-ins; sparse files, a few hundred megabytes for base.
    device : torch.device
        Where towers compute.
    small : bool
        Small towers, one measurement each.
    limit : float
        Seconds after which no further row is begun.

    Returns
    -------
    dict
        {"machine", part: [row], "left out": [part]}; a part that fails ends with a row {"failed": why}.
    """
    begun = time.monotonic()
    found: Row = {"machine": machine(device), "left out": []}
    for part in parts:
        rows: list[Row] = []
        found[part] = rows
        try:
            for row in PARTS[part](folder, device, small):
                rows.append(row)
                if time.monotonic() - begun > limit:
                    found["left out"].append(f"the rest of {part}")
                    break
        except Exception as error:  # whatever a part finds, the others run
            rows.append({"failed": f"{type(error).__name__}: {error}"})
        reset(device)
    return found


def table(found: Row) -> list[str]:
    """Give the findings as Markdown."""
    where = found["machine"]
    lines = [f"On {where.get('card', 'the processor')}, torch {where['torch']}, CUDA {where['cuda']}."]
    for part, doc in ((name, str(run.__doc__).splitlines()[0]) for name, run in PARTS.items()):
        rows = found.get(part)
        if not rows:
            continue
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines += ["", doc, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [f"| {' | '.join(_cell(row.get(key, '')) for key in columns)} |" for row in rows]
    return lines + [f"\nNot run: {one}." for one in found["left out"]]


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.2g}" if isinstance(value, float) and abs(value) < 1e-2 else str(value)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(prog="python -m tools.gpu_check", description="What a card makes of the presets.")
    found.add_argument("--small", action="store_true", help="small towers, on the CPU where there is no card")
    found.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    found.add_argument("--limit", type=float, default=570.0, help="seconds after which nothing further is begun")
    found.add_argument("--json", type=Path, default=Path("gpu_check.json"), help="where to write")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Check, print the table, write the JSON."""
    asked = parser()
    arguments = asked.parse_args(argv)
    parts = arguments.only.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        asked.error(f"--only {','.join(unknown)}: some of {', '.join(PARTS)}")
    if not torch.cuda.is_available() and not arguments.small:
        asked.error("no CUDA card is seen by torch: run it on a machine with one, or with --small")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        found = check(parts, Path(folder), device, small=arguments.small, limit=arguments.limit)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write("\n".join(table(found)) + "\n")
    bad = [row for part in parts for row in found[part] if "failed" in row or row.get("as wanted") is False]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
