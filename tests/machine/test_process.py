"""What programs settle for their process: many threads share two arenas of memory, and sleep while they wait."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from omnibind_core.machine import process

ROOT = Path(__file__).parents[2]
CODE = """
import ctypes, sys, threading
from omnibind_core.machine.process import few_arenas
print("done", few_arenas())
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
met = threading.Barrier(9)
def hold():
    libc.malloc(100_000)
    met.wait()
for _ in range(8):
    threading.Thread(target=hold).start()
met.wait()
sys.stdout.flush()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_eight_threads_share_two_arenas():
    there = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=there).stdout
    assert said.startswith("done True")
    assert 1 <= said.count("<heap nr=") <= 2


def test_what_the_environment_says_counts(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "5")
    assert not process.few_arenas()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(process.platform, "libc_ver", lambda: ("", ""))
    assert not process.few_arenas()


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_openmp_waits_asleep_unless_told_otherwise(said, expected):
    """Its library is asked, after torch has loaded it: GNU's tells its settings on standard error."""
    code = "import os; from omnibind_core.machine.process import set_up; set_up(); import torch; "
    code += "print(os.environ['OMP_WAIT_POLICY'])"
    there = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    there |= {"OMP_DISPLAY_ENV": "TRUE"} | ({"OMP_WAIT_POLICY": said} if said else {})
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=there)
    assert ran.stdout.strip() == expected
    if "OMP_WAIT_POLICY" in ran.stderr:
        assert f"OMP_WAIT_POLICY = '{expected}'" in ran.stderr


@pytest.mark.parametrize("start", ["import app; app.Settings.read([])", "from omnibind_core.cli import main"])
def test_nothing_loads_torch_before(start):
    code = f"import sys; {start}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
