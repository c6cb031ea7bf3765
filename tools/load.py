"""Many visitors at once: drives a running page with queries of its own gallery, and says how it answered.

``python -m tools.load --visitors 16 64`` starts ``app.py`` on a free port; ``--url`` takes a page that runs already.
Each visitor is a thread with an address of its own (``X-Forwarded-For``, which a page believes this machine alone)
and a visit that asks ``/search`` as the page's clients do: upload, join the queue, read the answer; then asks again.
Nothing is fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import random
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Answer", "Queries", "Query", "changed", "main", "memory", "parser", "table", "work"]

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 180.0
ANSWER_SECONDS = 120.0  # after which a query counts as failed
OFTEN = 24  # things that visitors like to ask again: what the page offers to try, so to speak
MOST = 256  # visitors: as many queries as may wait


@dataclass(frozen=True)
class Query:
    """What one visitor asks: a sentence, or a file."""

    modality: Modality
    text: str = ""
    name: str = ""
    data: bytes = b""


@dataclass(frozen=True)
class Answer:
    """How it went: seconds from the first byte sent to the answer, and why not (empty where it was answered)."""

    modality: Modality
    seconds: float
    failure: str = ""


def changed(query: Query, number: int) -> Query:
    """Give a query that nobody asked before: other words, pixels of another shade, a fainter sound, a shape's note.

    Parameters
    ----------
    query : Query
        From the gallery.
    number : int
        Each gives another one.
    """
    if query.modality == "text":
        return Query("text", f"{query.text}, number {number}")
    if query.modality == "image":
        from PIL import Image, ImageEnhance

        with Image.open(io.BytesIO(query.data)) as picture:
            shade = ImageEnhance.Brightness(picture.convert("RGB")).enhance(0.8 + 0.4 * (number % 9973) / 9973)
        buffer = io.BytesIO()
        shade.save(buffer, "JPEG", quality=85, comment=str(number))
        return Query("image", name="picture.jpg", data=buffer.getvalue())
    if query.modality == "audio":
        import soundfile

        samples, rate = soundfile.read(io.BytesIO(query.data), dtype="float32")
        buffer = io.BytesIO()
        soundfile.write(buffer, samples * (0.5 + 0.5 * (number % 9973) / 9973), rate, format="WAV", subtype="PCM_16")
        return Query("audio", name="sound.wav", data=buffer.getvalue())
    return Query("point", name="shape.glb", data=_noted(query.data, number))


def _noted(data: bytes, number: int) -> bytes:
    """Write a number into a GLB's description: another file, the same shape."""
    length = struct.unpack_from("<I", data, 12)[0]
    about = json.loads(data[20 : 20 + length])
    about["asset"] = {**about["asset"], "extras": {"number": number}}
    text = json.dumps(about).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I", len(text)) + data[16:20] + text
    rest = data[20 + length :]
    return data[:8] + struct.pack("<I", 12 + len(chunk) + len(rest)) + chunk + rest


class Queries:
    """What visitors ask, in turn: sentences, pictures, sounds and shapes of the gallery. Threads may share one.

    Parameters
    ----------
    fresh : float
        Share of queries that nobody asked before, 0..1; the others are drawn from a few of each modality.
    seed : int
        Of the draw.
    """

    def __init__(self, fresh: float, seed: int) -> None:
        self._fresh = fresh
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._number = self._random.randrange(1 << 40)  # so that no second run asks what the first asked
        folder = assets_directory() / "gallery"
        items = read_catalogue(folder)
        self._often: dict[Modality, list[Query]] = {}
        for modality in MODALITIES:
            these = [one for one in items if one.modality == modality]
            chosen = self._random.sample(these, min(OFTEN, len(these)))
            self._often[modality] = [_query(one, folder) for one in chosen]

    def draw(self) -> Query:
        """Give the next query."""
        with self._lock:
            query = self._random.choice(self._often[self._random.choice(MODALITIES)])
            is_new = self._random.random() < self._fresh
            self._number += 1
            number = self._number
        return changed(query, number) if is_new else query


def _query(item: Item, folder: Path) -> Query:
    if item.file is None:
        return Query("text", item.caption)
    return Query(item.modality, name=Path(item.file).name, data=(folder / item.file).read_bytes())


class Visitor:
    """One visitor's connection to the page.

    Parameters
    ----------
    url : str
        Of the page.
    number : int
        Decides its address.
    function : int
        Of ``/search``, as the page numbers it.
    """

    def __init__(self, url: str, number: int, function: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self._function = function
        self._visit = secrets.token_hex(8)

    def ask(self, query: Query) -> Answer:
        """Ask once; whatever goes wrong is an answer that says so."""
        start = time.perf_counter()
        try:
            failure = self._ask(query)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        return Answer(query.modality, time.perf_counter() - start, failure)

    def _ask(self, query: Query) -> str:
        file = None
        if query.modality != "text":
            status, answer = self._post("/gradio_api/upload", *_form(query.name, query.data))
            if status != 200:
                return f"upload: {status} {answer[:200].decode(errors='replace')}"
            file = {"path": json.loads(answer)[0], "orig_name": query.name, "meta": {"_type": "gradio.FileData"}}
        data = [query.text, file, "auto", 8, "media+caption", "y"]
        body = json.dumps({"data": data, "fn_index": self._function, "session_hash": self._visit, "event_data": None})
        status, answer = self._post("/gradio_api/queue/join", body.encode(), "application/json")
        if status != 200:
            return f"join: {status} {answer[:200].decode(errors='replace')}"
        return self._answered()

    def _post(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        # A connection each: one that is kept is closed by the page while its visitor waits.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": kind, "X-Forwarded-For": self._address})
            found = connection.getresponse()
            return found.status, found.read()

    def _answered(self) -> str:
        """Read the visit's stream until its answer; empty where it is one with hits."""
        headers = {"X-Forwarded-For": self._address}
        stream = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_SECONDS)
        with contextlib.closing(stream):
            stream.request("GET", f"/gradio_api/queue/data?session_hash={self._visit}", headers=headers)
            found = stream.getresponse()
            for line in found:
                if not line.startswith(b"data:"):
                    continue
                told = json.loads(line[5:])
                if told["msg"] == "process_completed":
                    output = told["output"]
                    if told["success"] and all(output["data"][0]["hits"].values()):
                        return ""
                    return f"answer: {str(output)[:200]}"
        return "the stream ended without an answer"


def _form(name: str, data: bytes) -> tuple[bytes, str]:
    """Give an upload's body and its type."""
    mark = secrets.token_hex(16)
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + data + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def memory(pid: int) -> float:
    """Give what a process and those below it take, in MB; what they share counts once. 0 where nothing tells."""
    total = 0.0
    for one in _tree(pid):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1e3 * 1.024
    return total


def work(pid: int) -> float:
    """Give the seconds of a processor that a process and those below it have taken. 0 where nothing tells."""
    ticks = 0
    for one in _tree(pid):
        with contextlib.suppress(OSError):
            said = Path(f"/proc/{one}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
            ticks += sum(map(int, said[11:15]))  # its own, and of those below it that ended
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def _tree(pid: int) -> list[int]:
    below: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[1])
            below.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:  # grows meanwhile
        found += below.get(one, [])
    return found


@dataclass
class Run:
    """One number of visitors: what they were answered, in how many seconds; the page's memory (MB), its work (s)."""

    visitors: int
    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    work: float = 0.0


def _drive(url: str, function: int, run: Run, queries: Queries, seconds: float, warm: float, pid: int | None) -> None:
    """Let visitors come; those who ask when time is up get their answer still."""
    counted_from = time.perf_counter() + warm
    end = counted_from + seconds
    lock = threading.Lock()

    def visit(number: int) -> None:
        visitor = Visitor(url, number, function)
        while time.perf_counter() < end:
            answer = visitor.ask(queries.draw())
            now = time.perf_counter()
            with lock:
                # What ends while all still ask: afterwards, fewer and fewer compete.
                if counted_from <= now <= end or answer.failure:
                    run.answers.append(answer)
            if answer.failure:
                time.sleep(0.5)  # a page that refuses is not to be asked in a loop without a breath

    if pid is not None:
        run.megabytes.append(memory(pid))
    threads = [threading.Thread(target=visit, args=(n,), daemon=True) for n in range(1, run.visitors + 1)]
    for one in threads:
        one.start()
    for moment in (counted_from, end):
        time.sleep(max(0.0, moment - time.perf_counter()))
        if pid is not None:
            run.megabytes.append(memory(pid))
            run.work = work(pid) - run.work
    run.seconds = seconds
    for one in threads:
        one.join(2 * ANSWER_SECONDS)


def table(runs: Sequence[Run]) -> str:
    """Give the figures as a Markdown table, and the failures below it."""
    senses = list(MODALITIES)
    heads = [
        "visitors",
        "answers",
        "failures",
        "a second",
        "CPU s each",
        "p50 / p95 s",
        *senses,
        "MB before / warm / end",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    failures: Counter[str] = Counter()
    for run in runs:
        good = [one for one in run.answers if not one.failure]
        failures.update(one.failure for one in run.answers if one.failure)
        cells = [str(run.visitors), str(len(good)), str(len(run.answers) - len(good)), f"{len(good) / run.seconds:.2f}"]
        cells.append(f"{run.work / len(good):.3f}" if good and run.work else "-")
        cells.append(_spread([one.seconds for one in good]))
        cells += [_spread([one.seconds for one in good if one.modality == sense]) for sense in senses]
        cells.append(" / ".join(f"{one:.0f}" for one in run.megabytes) or "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *(f"{count} x {words}" for words, count in failures.most_common(5))])


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    return f"{median(ordered):.2f} / {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.2f}"


@contextlib.contextmanager
def _page() -> Iterator[tuple[str, int]]:
    """Start ``app.py`` on a free port; gives its address and its process's number, and ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "app.py", "--port", str(port)]
    environment = {**os.environ, "OMNIBIND_OFFLINE": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            yield f"http://127.0.0.1:{port}/", process.pid
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _get(url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        found = connection.getresponse()
        return found.status, found.read()


def _function(url: str) -> int:
    """Wait until the page answers queries; gives the number of ``/search``."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if _get(url, "/readyz")[0] == 200:
                config: Mapping[str, Any] = json.loads(_get(url, "/config")[1])
                return next(int(one["id"]) for one in config["dependencies"] if one["api_name"] == "search")
        time.sleep(0.2)
    raise SystemExit(f"No page answers at {url} after {START_SECONDS:.0f} s.")


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.load", description="Let many visitors query a page at once, and say how it answered."
    )
    found.add_argument("--visitors", type=int, nargs="+", default=[1, 16, 64], help="how many at once, one run each")
    found.add_argument("--seconds", type=float, default=30.0, help="that are counted, of each run")
    found.add_argument("--warm", type=float, default=10.0, help="seconds before that")
    found.add_argument("--fresh", type=float, default=0.5, help="share of queries that nobody asked before, 0..1")
    found.add_argument("--seed", type=int, default=0, help="of what is asked")
    found.add_argument("--url", help="of a page on this machine that runs already (default: one is started)")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where a query failed."""
    asked = parser()
    chosen = asked.parse_args(argv)
    if not all(1 <= one <= MOST for one in chosen.visitors):
        asked.error(f"--visitors: 1 to {MOST}, as many as may wait")
    if not (1 <= chosen.seconds <= 3600 and 0 <= chosen.warm <= 3600 and 0 <= chosen.fresh <= 1):
        asked.error("--seconds 1 to 3600, --warm 0 to 3600, --fresh 0 to 1")
    if chosen.url and urlsplit(chosen.url).scheme != "http":
        asked.error(f"--url {chosen.url[:80]!r}: http://127.0.0.1:7860/")
    runs: list[Run] = []
    with contextlib.ExitStack() as stack:
        pid: int | None = None
        url = chosen.url
        if url is None:
            url, pid = stack.enter_context(_page())
        function = _function(url)
        queries = Queries(chosen.fresh, chosen.seed)
        for count in chosen.visitors:
            runs.append(Run(count))
            _drive(url, function, runs[-1], queries, chosen.seconds, chosen.warm, pid)
            sys.stderr.write(f"{table(runs[-1:])}\n")
    sys.stdout.write(table(runs) + "\n")
    return int(any(one.failure for run in runs for one in run.answers))


if __name__ == "__main__":
    sys.exit(main())
