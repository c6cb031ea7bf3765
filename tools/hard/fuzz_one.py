"""Fuzzes one decoder in this process: ``python -m tools.hard.fuzz_one image png CORPUS``, then libFuzzer's options."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from typing import Any


def main() -> None:
    """Run until libFuzzer's time is over."""
    atheris: Any = importlib.import_module("atheris")
    modality, extension = sys.argv[1:3]
    with atheris.instrument_imports(include=["omnibind_core.media"], enable_loader_override=False):
        rooms = {"image": "image", "audio": "audio", "point": "points"}
        decoder: Any = importlib.import_module(f"omnibind_core.media.{rooms[modality]}")
        source: Any = importlib.import_module("omnibind_core.media.source")
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    options = {"up": "y"} if modality == "point" else {}
    if modality != "image":
        decoder.preload()

    def one(data: bytes) -> None:
        try:
            decoder.decode(source.Blob(data, f"it.{extension}", extension), **options)
        except Exception:
            return

    atheris.Setup([sys.argv[0], *sys.argv[3:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
