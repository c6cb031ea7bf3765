"""Everything that can be set from outside, and every number the application chose for itself."""

from __future__ import annotations

import argparse
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omnibind_core.errors import GalleryError
from omnibind_core.machine.names import ENGINES
from omnibind_core.presets.preset import preset_names
from omnibind_core.store.addresses import milvus_address
from omnibind_core.store.collection import GALLERY, collection_folders

__all__ = ["MAX_TERMS", "Settings"]

TITLE = "OmniBind Explorer"
CLAIM = (
    "Drop in a shape, a sound, a picture or a sentence. Everything lands in one space, "
    "so anything can find – and be mixed with – anything."
)

MAX_TERMS = 8  # ingredients of one mix: more do not fit a screen, nor a thought
MAX_MINE = 60  # files of a visitor's own that join the answers: each keeps what explains it, some 30 kB
MAX_UPLOAD = "128mb"  # the largest file that any decoder accepts
CACHE_SECONDS = (600, 3600)  # look every ten minutes, delete uploads older than an hour
SESSIONS = 500  # visitors whose state is kept in memory
QUEUE = 256  # requests that may wait; the next is told to come back
QUEUE_EACH = 8  # of one visitor
MODEL_EVENTS = 2  # requests that compute at the same time, of all that use the model and bring no file
FILE_EVENTS = 2  # requests with files that are answered at the same time: their decoders never keep a sentence waiting
WAIT_SECONDS = 900.0  # for the models, including a first download over a slow line
PULSE_SECONDS = 0.4  # between two looks at the progress of loading
STOP_SECONDS = 5.0  # from the signal to the end: queries in flight are answered meanwhile, or told so
UPLOADS_EACH = 512_000_000  # bytes of files that one visitor may have here at a time: the largest file, four times
UPLOADS_ALL = 4_000_000_000  # bytes of files that all visitors may have here at a time
UNUSED_SECONDS = 600.0  # after which a file that no query took is deleted
VISIT_SECONDS = 60.0  # after which a visit that was left counts as ended, and its files are deleted

SWITCHES = ("auto", "on", "off")
DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
HOST_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})|\*")


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
    engine : str
        What runs the networks on a processor: "auto", "torch" or "openvino".
    hosts : tuple of str
        Names that the page may be called by besides this machine's own: ``("omnibind.example.org", "*.example.org")``.
    collections : tuple of Path
        Folders of the collections that are searched, together; none takes the gallery.
    store : str
        Where vectors are searched: ``milvus:`` and the path of a file or the address of a server; empty takes memory.
    switch : str
        Whether visitors may have another preset loaded, and collections taken in: "on", "off", or "auto": where only
        this machine is served.
    api : str
        Whether programs are served on the same port, under ``/v1``: "on" or "off".
    """

    preset: str = "mini"
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int | None = None
    routing: str = "default"
    engine: str = "auto"
    hosts: tuple[str, ...] = ()
    collections: tuple[Path, ...] = ()
    store: str = ""
    switch: str = "auto"
    api: str = "off"

    @property
    def switchable(self) -> bool:
        """Whether preset and collections can be changed on the page: they are the same for all who look at it."""
        return self.switch == "on" or (self.switch == "auto" and self.host in {"127.0.0.1", "localhost", "::1"})

    @classmethod
    def read(cls, arguments: Sequence[str] | None = None) -> Settings:
        """Read the command line; what it leaves out comes from the environment, then from the defaults.

        Parameters
        ----------
        arguments : sequence of str, optional
            Instead of ``sys.argv[1:]``.

        Raises
        ------
        SystemExit
            A value that cannot be right, with one message for each.
        """
        parser = cls.parser()
        given = vars(parser.parse_args(arguments))
        wrong: list[str] = []
        port = _port(given["port"], wrong)
        hosts = tuple(name.strip().lower() for name in (given["hosts"] or "").split(",") if name.strip())
        wrong += [
            f"--hosts {_short(name)!r}: names of hosts, separated by commas, without a scheme or a port"
            for name in hosts
            if not HOST_NAME.fullmatch(name)
        ]
        if not DEVICES.fullmatch(given["device"]):
            wrong.append(f"--device {_short(given['device'])!r}: one of auto, cpu, cuda, cuda:0, cuda:1, ..")
        if given["routing"] not in {"default", "trained"}:
            wrong.append(f"--routing {_short(given['routing'])!r}: one of default, trained")
        if given["engine"] not in {"auto", *ENGINES}:
            wrong.append(f"--engine {_short(given['engine'])!r}: one of auto, {', '.join(ENGINES)}")
        if given["switch"] not in SWITCHES:
            wrong.append(f"--switch {_short(given['switch'])!r}: one of {', '.join(SWITCHES)}")
        if given["api"] not in {"on", "off"}:
            wrong.append(f"--api {_short(given['api'])!r}: on or off")
        if not given["preset"] or len(given["preset"]) > 4_000 or not given["preset"].isprintable():
            wrong.append(f"--preset {_short(given['preset'])!r}: the name of a preset, or the path of a .json file")
        elif not (given["preset"] in {"auto", *preset_names()} or _is_preset_file(given["preset"])):
            names = ", ".join(["auto", *preset_names()])
            wrong.append(
                f"--preset {_short(given['preset'])!r}: one of {names}, or the path of a .json file that is here"
            )
        if problem := _not_ours(given["host"]):
            wrong.append(f"--host {_short(given['host'])!r}: {problem}")
        folders: list[Path] = []
        try:
            names = given.pop("collection")
            folders = [] if names == GALLERY else collection_folders(names)
        except GalleryError as error:
            wrong.append(f"--collection {_short(names)!r}: {error.allowed}; {error.action}")
        try:
            if given["store"]:
                milvus_address(given["store"])
        except GalleryError as error:
            wrong.append(f"--store {_short(given['store'])!r}: {error.allowed}")
        if wrong:
            parser.error("\n  ".join(["settings that cannot be right:", *wrong]))
        return cls(**{**given, "port": port, "hosts": hosts, "collections": tuple(folders)})

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """Give the command's options, with the environment's values as their defaults."""
        default, env = cls(), os.environ
        parser = argparse.ArgumentParser(prog="app.py", description=CLAIM)
        parser.add_argument(
            "--preset", default=env.get("OMNIBIND_PRESET", default.preset), help="mini, base, large, .."
        )
        parser.add_argument("--device", default=env.get("OMNIBIND_DEVICE", default.device), help="auto, cpu, cuda")
        parser.add_argument(
            "--routing", default=env.get("OMNIBIND_ROUTING", default.routing), help="default, or trained routers"
        )
        parser.add_argument(
            "--engine",
            default=env.get("OMNIBIND_ENGINE", default.engine),
            help="what runs the networks on a processor: auto (measured), torch, openvino",
        )
        parser.add_argument(
            "--host",
            default=env.get("GRADIO_SERVER_NAME", default.host),
            help="to listen on; 0.0.0.0: for others too",
        )
        parser.add_argument(
            "--port",
            default=env.get("GRADIO_SERVER_PORT") or None,
            help="to listen on (default: first free one from 7860)",
        )
        parser.add_argument(
            "--hosts",
            default=env.get("OMNIBIND_HOSTS") or None,
            help="names that the page may be called by, beside this machine's own; *.example.org: all below it",
        )
        parser.add_argument(
            "--collection",
            default=env.get("OMNIBIND_COLLECTION") or GALLERY,
            help="what is searched: names of collections, separated by commas; gallery: the one that comes along",
        )
        parser.add_argument(
            "--store",
            default=env.get("OMNIBIND_STORE", default.store),
            help="where vectors are searched: milvus:PATH.db, or milvus:http://HOST:PORT (default: in memory)",
        )
        parser.add_argument(
            "--switch",
            default=env.get("OMNIBIND_SWITCH", default.switch),
            help="whether preset and collections can be changed on the page: on, off, auto (on this machine alone)",
        )
        parser.add_argument(
            "--api",
            nargs="?",
            const="on",
            metavar="on|off",
            default=env.get("OMNIBIND_API", default.api),
            help="serve programs on the same port, under /v1, as `python -m omnibind_core serve` does",
        )
        return parser


def _port(given: str | None, wrong: list[str]) -> int | None:
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) < 6 and 1 <= int(given) <= 65_535:
        return int(given)
    wrong.append(f"--port {_short(given)!r} (or GRADIO_SERVER_PORT): a whole number from 1 to 65535")
    return None


def _is_preset_file(name: str) -> bool:
    try:
        return name.endswith(".json") and Path(name).expanduser().is_file()
    except (OSError, ValueError):
        return False


def _not_ours(host: str) -> str:
    """Say why this machine cannot listen on an address; empty where it can."""
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    advice = "127.0.0.1 for this machine alone, 0.0.0.0 for others too, or an address of this machine"
    try:
        found = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return f"no address of that name; {advice}"
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.bind(address)
        except OSError:
            continue
        return ""
    return f"not an address of this machine; {advice}"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most] + ".."
