"""Few arenas of memory: what many threads allocate comes from two of them, where the C library is glibc."""

import os
import platform
import subprocess
import sys

import pytest

from omnibind_core.machine import allocator

CODE = """
import ctypes, sys, threading
from omnibind_core.machine.allocator import few_arenas
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
    assert not allocator.few_arenas()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert not allocator.few_arenas()
