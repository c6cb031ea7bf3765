"""``python -m tools.words zh``: what of the page a table of ``assets/words`` has no words for.

The running page is walked in a real browser, tab by tab, with the usual clicks; what it shows and the table lacks is
printed, a text a line. Needs Chromium and the packages of ``requirements-dev.txt``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from omnibind_core.store.paths import assets_directory
from tools.screenshots.__main__ import FLAGS, VIEWS, application, browser

__all__ = ["kept", "main", "parser", "walk"]

_WAIT = 1_000  # milliseconds
_KEY = re.compile(r"[a-z0-9]+\.[a-z_]+|[A-Za-z]+-[\w.-]*\d")  # gradio's words before it has them; names of models


def _explore(page: Any) -> None:
    VIEWS["wide"](page)
    page.locator(".ob-try.ob-audio button").first.click()
    page.wait_for_timeout(2 * _WAIT)
    page.locator(".ob-card [data-act=add]").first.click(force=True)
    page.wait_for_timeout(2 * _WAIT)
    page.locator(".ob-card [data-act=subtract]").nth(2).click(force=True)
    page.wait_for_timeout(2 * _WAIT)
    page.locator(".ob-chip [data-act=mute]").first.click()
    page.wait_for_timeout(2 * _WAIT)
    page.locator(".ob-chip [data-act=inspect]").first.click()
    page.wait_for_timeout(_WAIT)
    page.locator(".ob-answers [data-act=open]").first.click()
    page.wait_for_timeout(2 * _WAIT)


def _stories(page: Any) -> None:
    page.locator("[data-tour]").click()
    page.wait_for_selector(".ob-stage .ob-card", timeout=60_000)
    for _ in range(40):
        page.wait_for_timeout(_WAIT // 4)
        forward = page.locator(".ob-stage:visible nav button.ob-primary")
        if not forward.count():
            break
        forward.click()
    if page.locator("[data-act=shelf]:visible").count():
        page.locator("[data-act=shelf]:visible").click()
    page.wait_for_timeout(_WAIT)


def _tab(number: int) -> Callable[[Any], None]:
    def opened(page: Any) -> None:
        page.locator("[role=tab]").nth(number).click()
        page.wait_for_timeout(3 * _WAIT)

    return opened


def _separate(page: Any) -> None:
    _tab(3)(page)
    page.locator(".tabitem:visible button.primary").first.click()
    page.wait_for_selector(".ob-sounds > :nth-child(3) audio", timeout=60_000)


def _map(page: Any) -> None:
    _tab(4)(page)
    page.locator(".tabitem:visible input[type=text], .tabitem:visible textarea").first.fill("a dog barks at night")
    page.keyboard.press("Enter")
    page.wait_for_timeout(3 * _WAIT)


def _name(page: Any) -> None:
    _tab(6)(page)
    page.locator(".ob-two .ob-try.ob-image button:visible").first.click()
    page.wait_for_selector(".ob-verdict li", timeout=60_000)


STEPS: Mapping[str, Callable[[Any], None]] = {
    "explore": _explore,
    "stories": _stories,
    "where": _tab(2),
    "separate": _separate,
    "map": _map,
    "compare": _tab(5),
    "name": _name,
    "about": _tab(8),
}


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.words", description="Say what of the page a table of assets/words has no words for."
    )
    found.add_argument("language", help="its code, as the file is named: zh")
    return found


def kept() -> Callable[[str], bool]:
    """Give what tells texts that are not put into other words: captions, makers, licences, addresses, names."""
    gallery = json.loads((assets_directory() / "gallery" / "catalogue.json").read_text(encoding="utf-8"))
    names = {str(value).strip() for item in gallery["items"] for value in item.values() if isinstance(value, str)}
    examples = json.loads((assets_directory() / "examples.json").read_text(encoding="utf-8"))
    names |= set(re.findall(r'"([^"]+)"', json.dumps(examples, ensure_ascii=False)))
    plain = {re.sub(r"\s+", " ", name) for name in names}

    def is_kept(text: str) -> bool:
        return (
            text in plain
            or _KEY.fullmatch(text) is not None
            or any(text in (f"{name}.", f"“{name}”", f"+ {name}") for name in plain if name in text)
        )

    return is_kept


def walk(page: Any, address: str, language: str) -> Iterable[tuple[str, str]]:
    """Open every tab, click through it, and give each text that has no words there, with the step it was met at.

    Parameters
    ----------
    page : playwright.sync_api.Page
    address : str
        Of the running page.
    language : str
        A table's code.

    Yields
    ------
    step, text : str
    """
    page.goto(f"{address}?lang={language}")
    is_kept, told = kept(), set[str]()
    for name, step in STEPS.items():
        step(page)
        for text in page.evaluate("[...obWords.missing]"):
            if text not in told and not is_kept(text):
                yield name, text
            told.add(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk, and print what is missing; 1 where something is."""
    from playwright.sync_api import sync_playwright

    options = parser().parse_args(arguments)
    found = browser()
    if found is None:
        sys.stderr.write("error: no Chromium on the path; install one\n")
        return 2
    number = 0
    with application() as address, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        page = started.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
        for step, text in walk(page, address, options.language):
            number += 1
            sys.stdout.write(f"{step}\t{text}\n")
        started.close()
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
