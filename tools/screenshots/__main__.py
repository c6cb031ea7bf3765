"""``python -m tools.screenshots``: the pictures of the README, taken from the running application in a real browser.

Needs Chromium and the packages of ``requirements-dev.txt``; the application is started on a free port and ended.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["FLAGS", "application", "browser", "main", "parser"]

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-webgl", "--ignore-gpu-blocklist")
_START = 120.0  # seconds
_PATIENCE = 60_000  # milliseconds


def _explore(page: Any) -> None:
    page.wait_for_selector(".ob-card.ob-best:not(.ob-ghost)", timeout=_PATIENCE)
    page.wait_for_selector(".ob-ready", timeout=_PATIENCE)


def _stories(page: Any) -> None:
    page.locator("[data-tour]").click()
    page.wait_for_selector(".ob-stage .ob-card", timeout=_PATIENCE)


def _where(page: Any) -> None:
    page.get_by_role("tab", name="Where").click()
    page.wait_for_selector(".ob-place i", timeout=_PATIENCE)


def _map(page: Any) -> None:
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector("canvas[data-drawn]", timeout=_PATIENCE)
    page.get_by_placeholder("Find on the map").fill("a dog barks at night")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tabitem:not([style*=none]) .ob-results .ob-card", timeout=_PATIENCE)


def _name(page: Any) -> None:
    page.get_by_role("tab", name="Name it").click()
    page.locator(".ob-two .ob-try.ob-image button:visible").first.click()
    page.wait_for_selector(".ob-verdict li", timeout=_PATIENCE)


def _separate(page: Any) -> None:
    page.get_by_role("tab", name="Separate").click()
    page.get_by_role("button", name="Pull it out").click()
    page.wait_for_selector(".ob-sounds > :nth-child(3) audio", timeout=_PATIENCE)


def _compare(page: Any) -> None:
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector(".ob-matrix", timeout=_PATIENCE)


VIEWS: Mapping[str, Callable[[Any], None]] = {
    "wide": _explore,
    "stories": _stories,
    "where": _where,
    "separate": _separate,
    "map": _map,
    "compare": _compare,
    "name": _name,
}


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.screenshots", description="Take the README's pictures from the running application."
    )
    found.add_argument("views", nargs="*", metavar="VIEW", help="which; all where none is named")
    found.add_argument("--folder", type=Path, help="where they are written (default: docs/images)")
    found.add_argument("--width", type=int, default=1440, help="of the window, pixels (default: 1440)")
    found.add_argument("--height", type=int, default=900, help="of the window, pixels (default: 900)")
    found.add_argument("--dark", action="store_true", help="the dark theme")
    return found


def browser() -> str | None:
    """Give the path of a Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def application(**environment: str) -> Iterator[str]:
    """Start the application on a free port, wait until its models are ready, and give its address.

    Parameters
    ----------
    **environment
        Variables that it gets besides those of this process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", **environment}
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        end = time.monotonic() + _START
        while time.monotonic() < end and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{address}readyz", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take them, and say where they lie."""
    from playwright.sync_api import sync_playwright

    options = parser().parse_args(arguments)
    found = browser()
    if found is None:
        sys.stderr.write(f"error: no Chromium on the path (looked for {', '.join(_NAMES)}); install one\n")
        return 2
    folder: Path = options.folder or IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    size: Any = {"width": options.width, "height": options.height}
    with application() as address, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        for name in options.views or VIEWS:
            page = started.new_context(viewport=size).new_page()
            page.goto(address + ("?__theme=dark" if options.dark else ""))
            VIEWS[name](page)
            page.wait_for_timeout(1_200)
            page.screenshot(path=folder / f"{name}.png")
            sys.stdout.write(f"{folder / f'{name}.png'}\n")
        started.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
