"""Starts OmniBind Explorer: ``python app.py [--preset mini] [--device auto] [--host 127.0.0.1] [--port 7860]``."""

import os
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

from demo.settings import Settings


def main() -> None:
    """Show the page at once, then load the models behind it."""
    settings = Settings.read()  # before seconds of imports, so that --help is there at once
    from demo.page import build_demo, launch
    from demo.service import Service

    service = Service(settings)
    demo = build_demo(service)
    address = launch(demo, service)
    service.start()
    print(f"OmniBind Explorer: {address}", flush=True)  # noqa: T201
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        demo.close(verbose=False)


if __name__ == "__main__":
    main()
