"""Everything that can be set from outside, and every number the application chose for itself."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MAX_TERMS", "Settings"]

TITLE = "OmniBind Explorer"
CLAIM = (
    "Drop in a shape, a sound, a picture or a sentence. Everything lands in one space, "
    "so anything can find – and be mixed with – anything."
)

MAX_TERMS = 8  # ingredients of one mix: more do not fit a screen, nor a thought
MAX_UPLOAD = "128mb"  # the largest file that any decoder accepts
CACHE_SECONDS = (600, 3600)  # look every ten minutes, delete uploads older than an hour
SESSIONS = 500  # visitors whose state is kept in memory
QUEUE = 64  # requests that may wait; the next is told to come back
MODEL_EVENTS = 2  # requests that compute at the same time, of all that use the model
WAIT_SECONDS = 900.0  # for the models, including a first download over a slow line
PULSE_SECONDS = 0.4  # between two looks at the progress of loading


@dataclass(frozen=True)
class Settings:
    """How the application is started.

    Attributes
    ----------
    preset : str
        Name of a preset, or a path that ends in ``.json``.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    host : str
        Address to listen on; "0.0.0.0" makes the page reachable from other machines.
    port : int or None
        None takes the first free one from 7860 upwards.
    routing : str
        "default", or "trained" for the preset's trained routers.
    """

    preset: str = "mini"
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int | None = None
    routing: str = "default"

    @classmethod
    def read(cls, arguments: Sequence[str] | None = None) -> Settings:
        """Read the command line; what it leaves out comes from the environment, then from the defaults.

        Parameters
        ----------
        arguments : sequence of str, optional
            Instead of ``sys.argv[1:]``.
        """
        return cls(**vars(cls.parser().parse_args(arguments)))

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """Give the command's options, with the environment's values as their defaults."""
        default, env = cls(), os.environ
        port = env.get("GRADIO_SERVER_PORT", "")
        parser = argparse.ArgumentParser(prog="app.py", description=CLAIM)
        parser.add_argument(
            "--preset", default=env.get("OMNIBIND_PRESET", default.preset), help="mini, base, large, .."
        )
        parser.add_argument("--device", default=env.get("OMNIBIND_DEVICE", default.device), help="auto, cpu, cuda")
        parser.add_argument(
            "--routing", default=env.get("OMNIBIND_ROUTING", default.routing), help="default, or trained routers"
        )
        parser.add_argument(
            "--host",
            default=env.get("GRADIO_SERVER_NAME", default.host),
            help="to listen on; 0.0.0.0: for others too",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=int(port) if port.isdigit() else None,
            help="to listen on (default: first free one from 7860)",
        )
        return parser
