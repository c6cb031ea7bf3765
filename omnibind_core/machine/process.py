"""What a program settles for its own process before it loads libraries: how memory is handed out, how threads wait.

glibc gives each thread up to eight arenas a core, and what is freed in one of them is not used by another: a page that
answers in many threads holds more with each that had its turn. And threads of OpenMP that wait for one another turn in
a loop: where another process wants the core they keep it from the very thread that they wait for.
"""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["few_arenas", "set_up", "sleep_while_waiting"]

_ARENA_MAX = -8  # of malloc.h: M_ARENA_MAX
_ARENAS = 2


def set_up() -> None:
    """Do both; a program calls it before it imports torch."""
    few_arenas()
    sleep_while_waiting()


def few_arenas() -> bool:
    """Let glibc serve all threads of this process from two arenas; call it before threads are started.

    Returns
    -------
    bool
        Whether that was done: not where the C library is another one, or ``MALLOC_ARENA_MAX`` says how many.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS))


def sleep_while_waiting() -> None:
    """Let OpenMP's threads sleep while they wait, unless ``OMP_WAIT_POLICY`` says otherwise.

    OpenMP reads it when it is loaded, with torch. ``python -m tools.bench waiting`` measures both: where as many others
    as cores compute, a sentence for `mini` took 45 ms instead of 290.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
