"""A sentence by several threads, alone and while others want the cores: threads that wait in a loop, or asleep."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from omnibind_core.machine.runtime import usable_cores

__all__ = ["rows"]

_NAME = "OMP_WAIT_POLICY"
_ASKED = """
import statistics, time
from omnibind_core.binder import OmniBind
from omnibind_core.machine.runtime import tune_threads
tune_threads()
model = OmniBind.from_pretrained("mini", modalities={"text"})
taken = []
for _ in range(24):
    begin = time.perf_counter()
    model.embed("text", ["a dog barks at the postman"])
    taken.append(time.perf_counter() - begin)
print(1e3 * statistics.median(taken[4:]))
"""


def rows() -> list[str]:
    """Measure, and give a Markdown table line by line."""
    others = usable_cores()
    made = ["| threads that wait | alone, ms | while as many others as cores compute, ms |", "|---|---|---|"]
    for title, policy in (("in a loop, as OpenMP has them", None), ("asleep, as here", "PASSIVE")):
        alone = _median(policy)
        with _busy(others):
            beside = _median(policy)
        made.append(f"| {title} | {alone:.0f} | {beside:.0f} |")
    return made


def _median(policy: str | None) -> float:
    """Embed a sentence 20 times in a process of its own: the median in milliseconds."""
    there = {name: value for name, value in os.environ.items() if name != _NAME}
    if policy is not None:
        there[_NAME] = policy
    ran = subprocess.run([sys.executable, "-c", _ASKED], env=there, check=True, capture_output=True, text=True)
    return float(ran.stdout)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep cores busy with other processes."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in others:
            one.kill()
            one.wait()
