"""What the page takes in a real browser, and what its tabs ask of the core: for `make bench`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from omnibind_core.search.explorer import Explorer

__all__ = ["asked", "browsed", "crowd", "mapped"]

_PATIENCE = 120_000  # milliseconds
_RUNS = 9
# From a key that moves the slider to the moment at which other answers stand on the page.
_SLIDE = """async ([key]) => {
  const slider = document.querySelectorAll('.ob-chip input[type=range]')[1];
  const shown = () => document.querySelector('.ob-results .ob-answers')?.outerHTML;
  const before = shown(), start = performance.now();
  slider.value = Number(slider.value) + Number(key);
  slider.dispatchEvent(new Event('change', { bubbles: true }));
  while (shown() === before && performance.now() - start < 20000) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


# The browser's driver clicks once nothing moves any more: a page that still draws its first answers lets it wait.
_WATCH = """() => {
  let pressed = 0;
  addEventListener('pointerdown', () => { pressed = performance.now(); }, { capture: true, once: true });
  new MutationObserver((_, watch) => {
    if (!pressed || !document.querySelector('canvas[data-drawn]')) return;
    window.obDrawn = performance.now() - pressed;
    watch.disconnect();
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-drawn'] });
}"""


def asked(timed: Callable[[Callable[[], object]], float]) -> Iterator[tuple[str, float]]:
    """Time what the tabs ask of the core, with `mini`.

    Parameters
    ----------
    timed : callable
        Gives the median seconds of several runs.

    Yields
    ------
    tuple of (str, float)
        What was asked, and its seconds.
    """
    from omnibind_core.binder import OmniBind
    from omnibind_core.machine.runtime import tune_threads
    from omnibind_core.search.explorer import Explorer

    tune_threads()
    explorer = Explorer(OmniBind.from_pretrained("mini"))
    bark, dog = explorer.item("audio/dog-1"), explorer.item("image/dog-1")
    for name, media in _scenes(explorer).items():
        yield f"where in a {name}, first query", timed(partial(_located, explorer, media, fresh=True))
        yield f"where in a {name}, next query", timed(partial(_located, explorer, media))
    mixture = _scenes(explorer)["sound of 10 s"]
    yield "pull one sound out of 10 s", timed(partial(explorer.separate, mixture, bark.term()))
    yield "walk of nine stops", timed(partial(explorer.journey, bark.term(), explorer.item("image/cat-2").term()))
    yield "why one answers", timed(partial(explorer.explain, "image/dog-2", [bark, dog], [1.0, 0.5]))
    things = [explorer.gallery.term(item.id) for item in explorer.gallery.items[::74]]
    explorer.compare(things)  # scales of new pairs are read off the gallery once
    yield f"compare {len(things)} things", timed(partial(explorer.compare, things))


def _located(explorer: Explorer, media: Any, fresh: bool = False) -> None:
    if fresh:
        explorer._cut.clear()
    explorer.locate(explorer.item("audio/dog-1").term(), media)


def _scenes(explorer: Explorer) -> Mapping[str, Any]:
    import numpy as np

    from omnibind_core import media
    from omnibind_core.search.composites import joined
    from omnibind_core.types import Audio

    def loaded(*names: str) -> list[Any]:
        items = [explorer.gallery.item(name) for name in names]
        return [media.load(explorer.gallery.path(item), item.modality) for item in items]

    sound = joined(loaded("audio/dog-1", "audio/piano-1"))
    assert isinstance(sound, Audio)
    ten = Audio(np.resize(sound.samples, 10 * sound.rate), sound.rate)
    pictures = joined(loaded("image/dog-1", "image/car-1", "image/guitar-1", "image/cat-2"))
    return {
        "picture": pictures, "sound of 10 s": ten, "shape": joined(loaded("point/dog-1", "point/car-1"))
    }  # fmt: skip


def browsed(address: str, chromium: str, flags: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Look at a running page whose models are ready, and time what a visitor waits for.

    Yields
    ------
    tuple of (str, str)
        What was measured, and the figure with its unit.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, _opened(playwright, chromium, flags) as page:
        ended: list[Any] = []
        page.on("requestfinished", lambda request: ended.append(request))
        begin = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(".ob-card.ob-best:not(.ob-ghost)", timeout=_PATIENCE)
        yield "page opened, models ready, to first answers", f"{time.perf_counter() - begin:.1f} s"
        page.wait_for_timeout(2_000)  # pictures; a stream of events stays open, so that the network is never idle
        weight = sum(request.sizes()["responseBodySize"] for request in list(ended))
        yield "requests until all is drawn, and their weight", f"{len(ended)}; {weight / 1e6:.1f} MB"
        page.get_by_role("button", name="A violin and a drum").click()
        page.wait_for_selector(".ob-bars", timeout=_PATIENCE)
        steps = [page.evaluate(_SLIDE, [-0.15 if i % 2 else 0.15 if i else -0.3]) for i in range(_RUNS + 2)]
        yield "slider to other answers", f"{median(steps[2:]):.0f} ms"
        begin = time.perf_counter()
        page.locator("[data-tour]").click()
        page.wait_for_selector(".ob-stage .ob-card", timeout=_PATIENCE)
        yield "tour, clicked to told", f"{time.perf_counter() - begin:.2f} s"
        yield from _maps(page, address, "opened to drawn")


def mapped(address: str, chromium: str, flags: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Open the map of a running page, as soon as models are ready, when it may not be laid out yet, and again.

    Yields
    ------
    tuple of (str, str)
        What was measured, and the figure with its unit.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, _opened(playwright, chromium, flags) as page:
        yield from _maps(page, address, "laid out and opened to drawn", 1)
        yield from _maps(page, address, "opened to drawn")


def _maps(page: Any, address: str, what: str, runs: int = _RUNS) -> Iterator[tuple[str, str]]:
    """Open the map, each time in a page that has just loaded."""
    drawn, seconds = "", []
    for _ in range(runs):
        page.goto(address)
        page.wait_for_selector(".ob-card.ob-best:not(.ob-ghost)", timeout=_PATIENCE)
        drawn, took = _map(page)
        seconds.append(took)
    spread = f" ({min(seconds):.2f} to {max(seconds):.2f})" if runs > 1 else ""
    yield f"map of {drawn} items, {what}", f"{median(seconds):.2f} s{spread}"


def crowd(folder: Path, count: int) -> None:
    """Make a collection of so many sentences that lie about the gallery's own, and are embeddings of nothing.

    Parameters
    ----------
    folder : Path
        The collection's.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from safetensors.numpy import load_file

    from omnibind_core.binding.files import fingerprint
    from omnibind_core.presets.preset import load_preset
    from omnibind_core.search.collection_tables import import_table
    from omnibind_core.search.gallery_vectors import vectors_path
    from omnibind_core.store.paths import assets_directory

    preset = load_preset("mini")
    known = load_file(vectors_path(assets_directory() / "gallery", preset.name))["media"].astype(np.float32)
    draw = np.random.default_rng(0)
    rows = known[draw.integers(0, len(known), count)]
    rows = rows + 0.5 * draw.standard_normal(rows.shape).astype(np.float32) / np.sqrt(rows.shape[1])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    said = [f"one of a crowd, number {number}" for number in range(count)]
    table = pa.table({
        "modality": ["text"] * count, "source": said, "caption": said, "concept": ["crowd"] * count,
        "sha256": [""] * count, "vector": list(rows.astype(np.float32)),
        "caption_vector": pa.array([None] * count, pa.list_(pa.float32())),
    }).replace_schema_metadata({b"omnibind.fingerprint": fingerprint(preset).encode()})  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path := folder.parent / "crowd.parquet")
    import_table(str(folder), preset, path)


def _map(page: Any) -> tuple[str, float]:
    """Open the map: how many items it says that it drew, and the seconds from the press until then."""
    page.evaluate(_WATCH)
    page.get_by_role("tab", name="Map").click()
    page.wait_for_function("window.obDrawn", timeout=_PATIENCE)
    return str(page.locator("canvas[data-drawn]").get_attribute("data-drawn")), page.evaluate("window.obDrawn / 1000")


@contextmanager
def _opened(playwright: Any, chromium: str, flags: tuple[str, ...]) -> Iterator[Any]:
    started = playwright.chromium.launch(executable_path=chromium, args=list(flags))
    try:
        yield started.new_context(viewport={"width": 1440, "height": 900}).new_page()
    finally:
        started.close()
