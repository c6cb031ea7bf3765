"""What decoding goes without where the platform is not Linux: said by `doctor`, and in docs/security.md."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

__all__ = ["losses"]


def losses() -> tuple[str, ...]:
    """Tell what this platform cannot bound.

    Returns
    -------
    tuple of str
        A sentence each; none on Linux.
    """
    found = []
    if importlib.util.find_spec("resource") is None or sys.platform == "darwin":  # macOS has the call and refuses it
        found.append("a file may take all memory while it is decoded: the platform sets no limit on it")
    if not hasattr(signal, "setitimer"):
        found.append("a drawing may take 20 s instead of 3: no timer ends its process from inside")
    if os.name != "posix":
        found.append("a decoder whose program was killed ends after its file, not in the middle of it")
    if importlib.util.find_spec("fcntl") is None:
        found.append("uploads that a killed page left go after a day, not at the next start: files cannot be locked")
    return tuple(found)
