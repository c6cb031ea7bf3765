"""How the C library hands out memory: from few arenas, so that what one thread frees serves the next.

glibc gives each thread up to eight arenas a core, and what is freed in one of them is not used by another. A page that
answers in many threads so holds more with each that had its turn.
"""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["few_arenas"]

_ARENA_MAX = -8  # of malloc.h: M_ARENA_MAX
_ARENAS = 2


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
