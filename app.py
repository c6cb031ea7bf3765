"""Starts OmniBind Explorer: ``python app.py [--preset mini] [--device auto] [--host 127.0.0.1] [--port 7860]``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's: what it multiplies here is small

from demo.settings import STOP_SECONDS, Settings
from omnibind_core.machine import process

if TYPE_CHECKING:
    from demo.uploads import Uploads


def main() -> None:
    """Show the page at once, then load the models behind it; end in good order when told to."""
    settings = Settings.read()  # before seconds of imports, so that --help is there at once
    process.set_up()
    from demo.logs import set_up
    from demo.uploads import Uploads

    set_up()
    told = _signals()
    try:
        uploads = Uploads.open()  # before gradio is imported, which reads where it lies
    except OSError as error:
        sys.exit(f"No folder for uploads ({error}): set GRADIO_TEMP_DIR to one that can be written.")
    try:
        from demo.zero import is_lent

        if is_lent():
            import spaces  # noqa: F401 - before torch looks for a card
        from demo.page import build_demo, launch, stop
        from demo.service import Service

        service = Service(settings)
        if is_lent():
            service.wait()  # models must lie where they belong before the page is served
        demo = build_demo(service, uploads)
        address = launch(demo, service)
        service.start()
        print(f"OmniBind Explorer: {address}", flush=True)  # noqa: T201
        told.wait()
        overdue = threading.Timer(STOP_SECONDS - 0.2, _end, [uploads])
        overdue.daemon = True
        overdue.start()
        stop(demo, STOP_SECONDS - 0.5)
    finally:
        uploads.close()
    _end(uploads)


def _signals() -> threading.Event:
    """Give what is set when this process is told to end."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        del number, frame
        if told.is_set():  # twice means now
            os._exit(1)
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    return told


def _end(uploads: Uploads) -> None:
    """End the process now: threads that still compute would keep it, and their answers reach nobody any more."""
    uploads.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
