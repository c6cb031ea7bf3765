"""The application on a preset's first day: when it answers, from which preset, and when the preset itself does.

With a gallery of two items of each modality: the committed one has hundreds, which a large preset embeds once,
for hours on two cores, while `mini` answers.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES

__all__ = ["EACH", "small_gallery", "visit"]

EACH = 2  # items of each modality
SENTENCE = "a dog barks at the postman"
_LONGEST = 3600.0  # seconds until the preset itself answers


def small_gallery(folder: Path) -> Path:
    """Copy a few items of the committed gallery, without vectors.

    Parameters
    ----------
    folder : Path
        Is made.

    Returns
    -------
    Path
        The same folder.
    """
    whole = assets_directory() / "gallery"
    items = read_catalogue(whole)
    few = [item for m in MODALITIES for item in [one for one in items if one.modality == m][:EACH]]
    for name in (name for item in few for name in (item.file, item.thumbnail) if name):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole / name, folder / name)
    rows = [asdict(item) for item in few]
    (folder / "catalogue.json").write_text(json.dumps({"version": 1, "items": rows}))
    return folder


def visit(name: str, folder: Path, *, until_itself: bool = True) -> int:
    """Start the application, and ask as a program would until the preset itself answers.

    Parameters
    ----------
    name : str
        The preset.
    folder : Path
        The gallery, see :func:`small_gallery`.
    until_itself : bool
        False is content with the first answer, from whichever preset.

    Returns
    -------
    int
        0, or 1 where the answer was not what was asked for.
    """
    begun = time.perf_counter()
    from gradio_client import Client

    from demo.page import build_demo, launch
    from demo.service import Service
    from demo.settings import Settings

    service = Service(Settings(preset=name))
    service.folder = folder
    demo = build_demo(service)

    def said(what: str) -> None:
        sys.stdout.write(f"{time.perf_counter() - begun:7.1f} s  {what}\n")
        sys.stdout.flush()

    address = launch(demo, service)
    said("the page is there")
    service.start()
    client = Client(address, verbose=False)
    preset, last = "", ""
    try:
        while preset != name and time.perf_counter() - begun < _LONGEST:
            answer = client.predict(text=SENTENCE, k=EACH, api_name="/search")
            if answer["preset"] != preset:
                preset = answer["preset"]
                found = {modality: hits[0]["id"] if hits else "nothing" for modality, hits in answer["hits"].items()}
                # Vectors of made-up weights can be so alike that all items count as the query itself, and are left out.
                said(f"{preset} answers: {', '.join(found.values())}")
                if set(found) != set(MODALITIES):
                    return 1
            if not until_itself:
                break
            status = service.status()
            if status.missed:
                said(f"{status.missed} did not load: {service.error}")
                return 1
            if status.coming and status.coming.split("(")[-1] != last:
                last = status.coming.split("(")[-1]
                said(f"being made ready: {status.coming}")
            time.sleep(0.5)
    finally:
        demo.close(verbose=False)
    return int(until_itself and preset != name)


if __name__ == "__main__":
    sys.exit(visit(sys.argv[1], Path(sys.argv[2])))
