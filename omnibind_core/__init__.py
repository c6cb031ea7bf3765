"""One space for 3D shapes, sounds, images and sentences: the library under the application.

The names below load what they need when they are first used, so that importing the package costs nothing: the
processes that decode files import it too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.errors import OmniBindError
    from omnibind_core.search.compose import Options, Term
    from omnibind_core.search.explorer import Explorer
    from omnibind_core.search.gallery import Gallery

__all__ = ["Explorer", "Gallery", "OmniBind", "OmniBindError", "Options", "Term"]

_MODULES = {
    "Explorer": "omnibind_core.search.explorer",
    "Gallery": "omnibind_core.search.gallery",
    "OmniBind": "omnibind_core.binder",
    "OmniBindError": "omnibind_core.errors",
    "Options": "omnibind_core.search.compose",
    "Term": "omnibind_core.search.compose",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
