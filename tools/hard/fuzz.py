"""Coverage-guided fuzzing of each decoder (atheris) for a bounded time; what it finds is kept as a file.

Each format has a process of its own, for its decoder runs in it: what brings it down, takes more than 10 s or more than
2 GB is a finding, and `python -m tools.hard` tries all findings as a query would. Exceptions are none: the
decoders' processes turn each into a refusal.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from omnibind_core.types import Modality
from tools.hard.crafted import Case
from tools.hard.seeds import seeds

__all__ = ["FOUND", "findings", "fuzz"]

FOUND = Path(__file__).parents[2] / "fuzz-findings"
_LEAST = 5  # seconds for each format


def fuzz(seconds: int) -> int:
    """Fuzz every format for its share of some seconds; returns 1 where anything was found, else 0."""
    if importlib.util.find_spec("atheris") is None:
        sys.stdout.write("skipped: atheris is not installed (python -m pip install atheris==3.0.0; Linux only)\n")
        return 0
    good = seeds()
    share = max(seconds // len(good), _LEAST)
    FOUND.mkdir(exist_ok=True)
    worst = 0
    for (modality, extension), data in good.items():
        with tempfile.TemporaryDirectory() as corpus:
            Path(corpus, "good").write_bytes(data)
            before = set(FOUND.iterdir())
            prefix = FOUND / f"{modality}.{extension}."
            subprocess.run(
                [sys.executable, "-m", "tools.hard.fuzz_one", modality, extension, corpus, f"-artifact_prefix={prefix}",
                 f"-max_total_time={share}", "-timeout=10", "-rss_limit_mb=2000", f"-max_len={4 * len(data)}",
                 "-verbosity=0", "-print_final_stats=1"],
                cwd=FOUND.parent, capture_output=True, check=False, timeout=10 * share + 120,
            )  # fmt: skip
            found = sorted(one.name for one in set(FOUND.iterdir()) - before)
            kept = len(list(Path(corpus).iterdir())) - 1
        sys.stdout.write(
            f"{modality:6} {extension:5} {share} s: {kept:,} inputs that reach further, {len(found)} found {found}\n"
        )
        sys.stdout.flush()
        worst = max(worst, len(found))
    return int(worst > 0)


def findings() -> list[Case]:
    """Give what was found so far."""
    modalities: tuple[Modality, ...] = ("image", "audio", "point")
    return [
        Case(modality, path.name, path.read_bytes(), path.name.split(".")[1])
        for modality in modalities
        for path in sorted(FOUND.glob(f"{modality}.*.*"))
    ]
