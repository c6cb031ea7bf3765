"""The first real day of a preset on this machine, with a stand-in Hub: ``python -m tools.rehearsal --preset base``.

Doctor, the Hub's answers, a fetch that is killed in the middle, the fetch that goes on, doctor again, one input of each
modality, then the page until the preset itself answers: each a process of its own. Prints seconds, peak memory and
bytes fetched for each. What the weights say is nonsense, for they are made up; what the steps cost is not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnibind_core.presets.preset import Preset, load_preset
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES, Modality
from tools.rehearsal.hub import Hub
from tools.rehearsal.page import small_gallery, visit
from tools.rehearsal.standins import DERIVED, pinned_to, pins, stand_ins

__all__ = ["Step", "main", "parser", "rehearse", "started", "table"]

_LONGEST = 7200.0  # seconds of one step
HEAD = "| step | seconds | of the processor | peak GB | fetched GB |"


@dataclass(frozen=True)
class Step:
    """What one process did and took.

    Attributes
    ----------
    name : str
        What people read.
    code : int
        Its exit status; -9 where it was killed.
    seconds, processor : float
        By the clock, and of all processor cores together.
    peak : int
        Bytes of memory at most, weights that are mapped from their files included.
    fetched : int
        Bytes that the stand-in Hub sent.
    output : str
        What it printed.
    """

    name: str
    code: int
    seconds: float
    processor: float
    peak: int
    fetched: int
    output: str


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.rehearsal",
        description="Rehearse a preset's first day here, with stand-ins of its weights.",
    )
    found.add_argument("--preset", default="base", help="which (default: base)")
    found.add_argument("--small", action="store_true", help="small files; they are read, and nothing is embedded")
    found.add_argument("--folder", type=Path, help="keep stand-ins and cache here (default: a folder that is deleted)")
    found.add_argument("--only", default=",".join(MODALITIES), help="embed these (default: all four)")
    found.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    found.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return found


def rehearse(
    name: str, folder: Path, *, small: bool, modalities: Sequence[Modality] = MODALITIES, say: Callable[[str], None]
) -> list[Step]:
    """Go through the first day of a preset.

    Parameters
    ----------
    name : str
        A preset whose files come from the Hub.
    folder : Path
        For stand-ins and the cache. At true size the cache takes what the preset fetches.
    small : bool
        Whether shapes are cut down.
    modalities : sequence of Modality
        One input of each is embedded, unless `small`.
    say : callable
        Called with lines for people while it runs.

    Returns
    -------
    list of Step
        In their order.
    """
    preset = load_preset(name)
    files = stand_ins(preset, folder / "published", small=small)
    total = sum(path.stat().st_size for path in files.values())
    say(f"{len(files)} stand-ins of {total / 1e9:.3f} GB{'; ' + DERIVED if name == 'full' else ''}")
    hub = Hub(files)
    for path in files.values():  # whoever asks shall not wait for ten gigabytes to be hashed
        hub.etag(path)
    with hub, started(preset, folder, hub, small) as run:
        doctor = ["doctor", "--preset", name]
        steps = [run("doctor, nothing here", doctor)]
        steps.append(run("what the Hub has", [*doctor, "--check-hub"]))
        steps.append(run("a fetch that is killed", [*doctor, "--fetch"], kill=int(0.4 * total)))
        steps.append(run("a fetch that goes on", [*doctor, "--fetch"]))
        steps.append(run("doctor, all here", doctor))
        if small:
            steps.append(run("all files are read", ["read", name]))
            return steps
        gallery = assets_directory() / "gallery"
        for modality in modalities:
            item = "text:a dog barks at the postman"
            if modality != "text":
                item = next(
                    str(gallery / (one.file or "")) for one in read_catalogue(gallery) if one.modality == modality
                )
            steps.append(run(f"embed one {modality}", ["embed", "--preset", name, "-v", item]))
        steps.append(run("the page, to its own first answer", ["page", name, str(small_gallery(folder / "gallery"))]))
    return steps


@contextlib.contextmanager
def started(preset: Preset, folder: Path, hub: Hub, small: bool) -> Iterator[Callable[..., Step]]:
    """Give what runs one step in a process of its own, which sees the stand-in Hub and its own cache."""
    manifest = folder / "manifest.json"
    files = {label: str(path) for label, path in hub.files.items()}
    manifest.write_text(json.dumps({"small": small, "files": files, "pins": pins(preset, hub.files)}))
    kept = {
        key: value for key, value in os.environ.items() if key not in {"HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"}
    }
    kept |= {"HF_ENDPOINT": hub.address, "OMNIBIND_CACHE": str(folder / "cache"), "OMNIBIND_OFFLINE": "0"}

    def run(name: str, command: Sequence[str], kill: int | None = None) -> Step:
        before, begun = sum(sent.count for sent in hub.sent), time.monotonic()
        output = folder / "output.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "tools.rehearsal", "--child", str(manifest), *command],
                env=kept, stdout=stream, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[2],
            )  # fmt: skip
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                here = _bytes_in(folder / "cache")
                if (kill is not None and here >= kill) or time.monotonic() - begun > _LONGEST:
                    process.send_signal(signal.SIGKILL)
                    kill = None
                time.sleep(0.02)
        _, status, used = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        return Step(
            name,
            process.returncode,
            seconds,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            sum(sent.count for sent in hub.sent) - before,
            output.read_text(encoding="utf-8", errors="replace"),
        )

    yield run


def _bytes_in(folder: Path) -> int:
    """Count the bytes of a folder's files, while another process may rename them."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


def table(steps: Sequence[Step]) -> list[str]:
    """Give the steps as a table in Markdown."""
    lines = [HEAD, "|---|---:|---:|---:|---:|"]
    for one in steps:
        name = one.name if one.code in {0, -signal.SIGKILL} else f"{one.name}: FAILED ({one.code})"
        cells = (f"{one.seconds:.1f}", f"{one.processor:.1f}", f"{one.peak / 1e9:.2f}", f"{one.fetched / 1e9:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _child(manifest: Path, command: Sequence[str]) -> int:
    """Run one command of ours where the records name the stand-ins' hashes."""
    from omnibind_core import cli
    from omnibind_core.machine import preflight
    from omnibind_core.machine.fetching import fetch

    given = json.loads(manifest.read_bytes())
    if given["small"]:  # the room is counted by the number of parameters
        preflight.free_on_disk = lambda: 1 << 50
    with pinned_to(given["pins"]):
        if command[0] == "fetch":
            preset = load_preset(command[1])
            fetch(preset, preset.specialists())
            return 0
        if command[0] == "page":
            return visit(command[1], Path(command[2]))
        if command[0] == "read":
            return _read(command[1], given["files"])
        return cli.main(command)


def _read(name: str, files: dict[str, str]) -> int:
    """Read every file that was fetched, and hold the tensors to what was published."""
    from omnibind_core.binding.files import load_files
    from omnibind_core.specialists.registry import find, required
    from omnibind_core.store.weights import HubFile, local_files, read_tensors

    preset = load_preset(name)
    heads = load_files(preset, offline=True)
    sys.stdout.write(f"{sum(map(len, heads.values()))} tensors of heads and routers\n")
    for specialist in required(preset.specialists()):
        weights = {role: one for role, one in find(specialist)[0].weights.items() if isinstance(one, HubFile)}
        for role, path in local_files(weights, offline=True).items():
            same = path.read_bytes() == Path(files[weights[role].label]).read_bytes()
            count = len(read_tensors(path)) if path.suffix == ".safetensors" else 0
            sys.stdout.write(f"{weights[role].label}: {count or 'no'} tensors listed\n")
            if not same:
                return 1
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Rehearse, and print the table."""
    arguments = parser().parse_args(argv)
    if arguments.child:
        return _child(arguments.child, arguments.rest)

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rehearsal-")))
        folder.mkdir(parents=True, exist_ok=True)
        modalities = [one for one in MODALITIES if one in arguments.only.split(",")]
        steps = rehearse(arguments.preset, folder, small=arguments.small, modalities=modalities, say=say)
    for step in steps:
        say(f"\n== {step.name}")
        say(step.output.strip())
    say("")
    for line in table(steps):
        say(line)
    return int(any(step.code not in {0, -signal.SIGKILL} for step in steps))


if __name__ == "__main__":
    sys.exit(main())
