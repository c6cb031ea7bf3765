"""Starts OmniBind Explorer: ``python app.py [--preset mini] [--device auto] [--host 127.0.0.1] [--port 7860]``."""

import os
import sys
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

from demo.settings import Settings


def main() -> None:
    """Show the page at once, then load the models behind it."""
    settings = Settings.read()
    from demo.service import Service
    from demo.ui import build_demo, launch

    service = Service(settings)
    demo = build_demo(service)
    try:
        address = launch(demo, service)
    except OSError:
        sys.exit(f"Port {settings.port or '7860 and those after it'} is taken: choose another one with --port.")
    service.start()
    print(f"OmniBind Explorer: {address}", flush=True)  # noqa: T201
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        demo.close(verbose=False)


if __name__ == "__main__":
    main()
