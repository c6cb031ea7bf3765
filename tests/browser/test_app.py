"""What visitors do, in a real browser, with the real application."""

from __future__ import annotations

import base64
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pillow

pytest.importorskip("playwright")

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Request, expect, sync_playwright

from demo.shell import words
from demo.shell.examples import Examples
from omnibind_core.binder import OmniBind
from omnibind_core.search.collection import add
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Modality
from tools.words import walk

from ..media.makers import lying_bed
from .conftest import FLAGS, served

pytestmark = pytest.mark.browser

GALLERY = assets_directory() / "gallery"
EXAMPLES = Examples.read(assets_directory())
READY = 120_000  # milliseconds: a first start on a busy machine
ANSWER = 30_000


@pytest.fixture(scope="module")  # playwright's event loop runs as long as it does, in the way of other tests' loops
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


class Watch:
    """Everything that a page must not do: errors on the console, requests to elsewhere, answers that fail."""

    def __init__(self, page: Page) -> None:
        self.faults: list[str] = []
        self.page = page
        self.asked: set[Request] = set()
        page.on("console", self._console)
        page.on("pageerror", self._exception)
        page.on("request", self._request)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)
        page.on("response", lambda r: self.faults.append(f"{r.status} {r.url}") if r.status >= 400 else None)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "WebGPU" not in message.text:  # Babylon.js tries, then takes WebGL
            self.faults.append(f"console: {message.text}")

    def _exception(self, error: Error) -> None:
        if "postProcessManager" not in str(error):  # Babylon.js draws once more after its viewer was closed
            self.faults.append(f"exception: {error}")

    def _answered(self, request: Request) -> None:
        self.asked.discard(request)

    def rest(self) -> None:
        """Wait until the page is ready and asks for nothing: a page that is left before says so on the console."""
        expect(self.page.locator(".ob-ready")).to_be_attached(timeout=READY)
        self.page.wait_for_timeout(500)  # what follows the first answer is asked for
        until = time.monotonic() + ANSWER / 1000
        while self.asked and time.monotonic() < until:
            self.page.wait_for_timeout(100)
        assert not self.asked

    def _request(self, request: Request) -> None:
        if "/gradio_api/" in request.url and "/heartbeat/" not in request.url:  # the heartbeat lasts as long as a page
            self.asked.add(request)
        if not re.match(r"(https?://(127\.0\.0\.1|localhost)[:/]|data:|blob:)", request.url):
            self.faults.append(f"leaves this machine: {request.url}")


@pytest.fixture
def watch(browser: Browser, app: tuple[str, float]) -> Iterator[Watch]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, permissions=["microphone", "camera"])
    watched = Watch(context.new_page())
    watched.page.goto(app[0])
    yield watched
    context.close()
    assert not watched.faults


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.page


def term(page: Page, name: str, timeout: int = ANSWER) -> None:
    expect(page.locator(".ob-chip .ob-label", has_text=name)).to_be_visible(timeout=timeout)


def answered(page: Page) -> list[str]:
    """Wait until all four columns hold answers; gives their identifiers."""
    for modality in ("point", "audio", "image", "text"):
        shown = page.locator(f".ob-column.ob-{modality} :is(.ob-number, .ob-far > summary):visible").first
        expect(shown).to_be_visible(timeout=ANSWER)
    return [str(card.get_attribute("data-id")) for card in page.locator(".ob-column .ob-caption").all()]


def file_of(modality: Modality, number: int = 0) -> Path:
    return GALLERY / str(EXAMPLES.of(modality)[number].file)


def give(page: Page, modality: Modality, number: int = 0) -> str:
    file = file_of(modality, number)
    page.set_input_files(f".ob-input.ob-{modality} input[type=file] >> nth=0", file)
    term(page, file.stem)
    return file.stem


def say(page: Page, text: str, timeout: int = ANSWER) -> None:
    page.locator(".ob-input.ob-text textarea").fill(text)
    page.locator(".ob-send").click()
    term(page, text, timeout)


def ready(page: Page) -> None:
    expect(page.locator(".ob-ready")).to_be_visible(timeout=READY)
    answered(page)


def test_the_page_is_there_at_once_and_fills_itself(page: Page, app: tuple[str, float]) -> None:
    expect(page.get_by_role("heading", name="OmniBind Explorer")).to_be_visible(timeout=ANSWER)
    expect(page.locator(".ob-status").first).to_be_visible(timeout=ANSWER)
    ready(page)
    term(page, EXAMPLES.catalogue[[one.id for one in EXAMPLES.catalogue].index(EXAMPLES.first)].caption)
    assert app[1] < 30, f"the page took {app[1]:.1f} s"


@pytest.mark.parametrize("modality", ["point", "audio", "image"])
def test_a_dropped_file_is_answered_in_four_columns(page: Page, modality: Modality) -> None:
    ready(page)
    before = answered(page)
    give(page, modality, 1)
    expect(page.locator(".ob-chip")).to_have_count(1)
    assert answered(page) != before
    expect(page.locator(".ob-inside .ob-stages")).to_contain_text("search")


def test_a_sentence_is_answered_in_four_columns(page: Page) -> None:
    ready(page)
    say(page, "a piano in a concert hall")
    expect(page.locator(".ob-chip")).to_have_count(1)
    answered(page)


def test_a_sentence_in_another_script_is_one_click_away(page: Page) -> None:
    ready(page)
    page.locator(".ob-scripts button").first.click()
    term(page, EXAMPLES.anywhere[0])
    expect(page.locator(".ob-input.ob-text textarea")).to_have_value(EXAMPLES.anywhere[0])
    assert any("dog" in one for one in answered(page))


def test_an_early_query_waits_for_the_models(page: Page) -> None:
    say(page, "thunder and rain", READY)  # it may be the first to need the models
    answered(page)


def test_two_things_mix_and_the_answers_follow_the_slider(page: Page) -> None:
    ready(page)
    give(page, "image")
    page.get_by_text("+ Add", exact=True).click()
    say(page, "on the beach")
    expect(page.locator(".ob-chip")).to_have_count(2)
    before = answered(page)
    expect(page.locator(".ob-bars").first).to_be_visible()
    slider = page.locator(".ob-chip input[type=range]").nth(1)
    slider.focus()
    for _ in range(30):
        slider.press("ArrowLeft")
    expect(page.locator(".ob-chip output").nth(1)).to_have_text("-0.50")
    page.wait_for_function(
        "before => [...document.querySelectorAll('.ob-column .ob-caption')].map(c => c.dataset.id).join() !== before",
        arg=",".join(before),
        timeout=ANSWER,
    )
    assert page.evaluate("document.activeElement.type") == "range", "the slider lost the focus"
    for _ in range(10):
        slider.press("ArrowRight")
    expect(page.locator(".ob-chip output").nth(1)).to_have_text("+0.00")
    expect(page.locator(".ob-column .ob-bars .ob-off").first).to_be_visible(timeout=ANSWER)
    slider.press("ArrowRight")
    expect(page.locator(".ob-column .ob-bars .ob-off")).to_have_count(0, timeout=ANSWER)
    page.locator(".ob-chip .ob-drop").first.click()
    expect(page.locator(".ob-chip")).to_have_count(1, timeout=ANSWER)


def test_the_specialists_are_weighed_by_hand_and_back(page: Page) -> None:
    ready(page)
    give(page, "image")
    inside = page.locator(".ob-inside")
    inside.get_by_text("Weigh them by hand").click()
    inside.locator("[data-share]").first.press("Home")  # all the way down
    expect(inside).to_contain_text("weighed by hand", timeout=ANSWER)
    expect(inside.locator(".ob-shares em").first).to_have_text("0%")
    inside.locator("[data-act=route]").click()
    expect(inside).not_to_contain_text("weighed by hand", timeout=ANSWER)


def test_a_card_opens_and_can_be_mixed(page: Page) -> None:
    ready(page)
    page.locator(".ob-column.ob-point .ob-caption").first.click()
    drawer = page.locator(".ob-drawer")
    expect(drawer.locator("dl")).to_contain_text("Licence", timeout=ANSWER)
    expect(drawer.locator("canvas")).to_be_visible(timeout=ANSWER)
    drawer.get_by_role("button", name="Add to mix").click()
    expect(page.locator(".ob-chip")).to_have_count(2, timeout=ANSWER)
    expect(drawer).to_be_hidden()
    page.locator(".ob-column.ob-image .ob-caption").first.click()
    expect(drawer.locator("img.ob-large")).to_be_visible(timeout=ANSWER)
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden(timeout=ANSWER)


def test_an_answer_is_added_once_however_often_it_is_clicked(page: Page) -> None:
    ready(page)
    card = page.locator(".ob-column.ob-image .ob-card").nth(1)
    card.hover()
    card.locator("[data-act=add]").dblclick()
    expect(page.locator(".ob-chip")).to_have_count(2, timeout=ANSWER)
    answered(page)
    expect(page.locator(".ob-chip")).to_have_count(2)
    expect(page.locator(".ob-notice")).to_have_count(0)


def test_a_sound_plays_in_place(page: Page) -> None:
    ready(page)
    page.locator(".ob-column.ob-audio [data-play]").first.click()
    page.wait_for_function("[...document.querySelectorAll('.ob-column audio')].some(a => a.currentTime > 0)")


def test_bad_input_is_explained_and_nothing_is_lost(page: Page, tmp_path: Path) -> None:
    ready(page)
    before = answered(page)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture at all")
    page.set_input_files(".ob-input.ob-image input[type=file] >> nth=0", bad)
    notice = page.locator(".ob-notice").first
    expect(notice).to_contain_text("What to do", timeout=ANSWER)
    assert answered(page) == before
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_be_hidden(timeout=ANSWER)
    say(page, "a dog")
    answered(page)


def test_examples_and_ready_mixes_can_be_clicked(page: Page) -> None:
    ready(page)
    page.locator(".ob-inputs .ob-try.ob-point button").first.click()
    term(page, EXAMPLES.of("point")[0].caption)
    expect(page.locator(".ob-input.ob-point canvas")).to_be_visible(timeout=ANSWER)
    page.locator(".ob-mixes [data-act=mix]").first.click()
    expect(page.locator(".ob-chip")).to_have_count(len(EXAMPLES.mixes[0].parts), timeout=ANSWER)
    answered(page)


def drop(page: Page, files: list[Path], where: str) -> None:
    """Drop files on an element, as a hand does."""
    data = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    carrier = page.evaluate_handle(
        """(data) => { const carrier = new DataTransfer(); for (const [name, content] of data) {
        carrier.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name)); }
        return carrier; }""",
        data,
    )
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event(where, kind, {"dataTransfer": carrier})


def test_what_is_dropped_on_the_wrong_box_goes_where_it_belongs(page: Page, tmp_path: Path) -> None:
    ready(page)
    shape = tmp_path / "ball.off"  # gradio's viewer does not take it
    shape.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n")
    drop(page, [shape, file_of("image")], ".ob-input.ob-audio")
    term(page, "ball")
    expect(page.locator(".ob-chip")).to_have_count(2)
    expect(page.locator(".ob-input.ob-point canvas")).to_be_visible(timeout=ANSWER)
    expect(page.locator(".ob-input.ob-image img[src*='/file=']")).to_be_visible(timeout=ANSWER)
    say(page, "a red boat")
    expect(page.locator(".ob-chip")).to_have_count(1, timeout=ANSWER)
    expect(page.locator(".ob-input.ob-point canvas")).to_have_count(0, timeout=ANSWER)
    expect(page.locator(".ob-input.ob-image img[src*='/file=']")).to_have_count(0)
    page.locator(".ob-clear").click()
    expect(page.locator(".ob-input.ob-text textarea")).to_have_value("", timeout=ANSWER)


def test_a_zip_is_a_shape(page: Page, tmp_path: Path) -> None:
    ready(page)
    with zipfile.ZipFile(tmp_path / "plate.zip", "w") as archive:
        archive.writestr("a/plate.obj", "mtllib plate.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nusemtl red\nf 1 2 3\n")
        archive.writestr("a/plate.mtl", "newmtl red\nKd 1 0 0\n")
    drop(page, [tmp_path / "plate.zip"], "body")
    term(page, "plate")
    answered(page)


def test_any_shape_is_chosen_from_its_box_and_turned_from_its_notice(page: Page, tmp_path: Path) -> None:
    ready(page)
    with page.expect_file_chooser() as chooser:
        page.locator(".ob-inputs .ob-point button.upload-container").click()
    chooser.value.set_files(lying_bed(tmp_path / "bed.npy"))
    term(page, "bed")
    chosen = page.locator(".ob-input.ob-point .ob-small label.selected")
    expect(chosen).to_have_text("Auto")
    page.locator(".ob-turns [data-id='-z']").click()
    expect(chosen).to_have_text("Z↓", timeout=ANSWER)
    say(page, "the sea")
    expect(chosen).to_have_text("Auto", timeout=ANSWER)


def test_the_microphone_is_a_source(page: Page) -> None:
    ready(page)
    sound = page.locator(".ob-input.ob-audio")
    sound.locator(".source-selection button").nth(1).click()
    sound.locator(".record-button").click()
    page.wait_for_timeout(1500)
    sound.get_by_role("button", name="Stop").locator("visible=true").first.click()
    term(page, "your sound")
    answered(page)


def test_the_webcam_is_a_source(page: Page) -> None:
    ready(page)
    picture = page.locator(".ob-input.ob-image")
    picture.get_by_label("Capture from camera").click()
    picture.get_by_text("Access Webcam").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('video')].some(v => v.readyState === 4 && v.videoWidth)"
    )
    page.wait_for_timeout(500)
    picture.get_by_label("capture photo").click()
    term(page, "your picture")
    answered(page)


def test_visitors_do_not_see_one_another(page: Page, browser: Browser, app: tuple[str, float]) -> None:
    ready(page)
    context = browser.new_context()
    other = context.new_page()
    other.goto(app[0])
    ready(other)
    say(other, "a secret sentence")
    page.locator(".ob-mixes [data-act=mix]").first.click()
    expect(page.locator(".ob-chip")).to_have_count(len(EXAMPLES.mixes[0].parts), timeout=ANSWER)
    expect(page.get_by_text("a secret sentence")).to_have_count(0)
    expect(other.locator(".ob-chip")).to_have_count(1)
    context.close()


def test_naming(page: Page) -> None:
    ready(page)
    page.get_by_role("tab", name="Name it").click()
    expect(page.locator(".ob-verdict.ob-image li").first).to_be_visible(timeout=ANSWER)  # it opens with an answer
    page.locator(".ob-two .ob-try.ob-audio button:visible").first.click()
    expect(page.locator(".ob-verdict.ob-audio li").first).to_be_visible(timeout=ANSWER)


def test_a_link_brings_the_same_answers_in_another_browser(
    page: Page, browser: Browser, app: tuple[str, float]
) -> None:
    ready(page)
    say(page, "a violin by the sea")
    expect(page.locator(".ob-chip")).to_have_count(1, timeout=ANSWER)
    before = answered(page)
    page.get_by_text("Share and save", exact=True).click()
    taken = page.locator(".ob-takeaway")
    expect(taken.locator("pre:visible")).to_contain_text("a violin by the sea", timeout=ANSWER)
    with page.expect_download() as download:
        taken.get_by_text("answers.json").click()
    assert '"hits"' in Path(download.value.path()).read_text(encoding="utf-8")
    with page.expect_download() as download:
        taken.get_by_text("answers.png").click()
    card = Pillow.open(download.value.path())
    assert card.size == (1600, 900)
    assert len(card.convert("RGB").getcolors(1_000_000) or []) > 5_000  # the answers' pictures are on it
    link = taken.get_by_text("This search as a link").get_attribute("href")
    context = browser.new_context()
    other = context.new_page()
    watch = Watch(other)
    other.goto(app[0] + str(link))
    term(other, "a violin by the sea")
    assert answered(other) == before
    other.goto(app[0] + "?q=forged")
    expect(other.locator(".ob-notice")).to_contain_text("did not write", timeout=ANSWER)
    context.close()
    assert not watch.faults


def test_where_a_bark_is_in_four_pictures_and_when_in_two_sounds(page: Page, tmp_path: Path) -> None:
    ready(page)
    page.get_by_role("tab", name="Where").click()
    expect(page.locator(".ob-place i")).to_be_visible(timeout=READY)
    expect(page.locator(".ob-found .ob-subject")).to_contain_text("top right")
    page.get_by_role("button", name="Search with this place alone").click()
    expect(page.locator(".ob-found .ob-column.ob-image .ob-caption").first).to_be_visible(timeout=ANSWER)
    page.locator("[data-spot] img").click(position={"x": 80, "y": 490})
    expect(page.locator(".ob-found .ob-subject")).to_contain_text("bottom left", timeout=ANSWER)
    page.locator(".ob-input [data-id=sound]").click()
    expect(page.locator(".ob-strip")).to_be_visible(timeout=ANSWER)
    expect(page.locator(".ob-input [data-id=sound]")).to_have_attribute("aria-pressed", "true")
    page.locator(".ob-input [data-id=shape]").click()
    expect(page.locator(".ob-found .ob-subject")).to_contain_text("of 2", timeout=ANSWER)
    page.get_by_label("A word or a sentence").fill("a guitar")
    page.get_by_role("button", name="Where is it?").click()
    expect(page.locator(".ob-found .ob-subject")).to_contain_text("part 2 of 2", timeout=ANSWER)
    expect(page.locator(".ob-found canvas")).to_be_visible(timeout=ANSWER)
    whole = (GALLERY / "sounds" / "dog-1.ogg").read_bytes()
    (tmp_path / "cut.ogg").write_bytes(whole[: 2 * len(whole) // 3])
    page.set_input_files(".tabitem:visible .ob-input input[type=file] >> nth=0", tmp_path / "cut.ogg")
    expect(page.locator(".ob-told:visible")).to_contain_text("the rest of the file is missing", timeout=ANSWER)
    expect(page.locator(".ob-input [aria-pressed=true]:visible")).to_have_count(0)


def test_the_keyboard_stays_where_it_was(page: Page) -> None:
    ready(page)

    def press(button: Locator) -> None:
        button.focus()
        page.keyboard.press("Enter")

    page.get_by_role("tab", name="Where").click()
    expect(page.locator(".ob-place i")).to_be_visible(timeout=READY)
    scene = page.locator(".ob-input [data-id=sound]")
    press(scene)
    expect(scene).to_have_attribute("aria-pressed", "true", timeout=ANSWER)
    expect(page.locator(".ob-strip")).to_be_visible(timeout=ANSWER)
    expect(scene).to_be_focused()
    press(page.get_by_role("button", name="Search with this place alone"))
    expect(page.locator(".ob-found .ob-column.ob-image .ob-caption").first).to_be_visible(timeout=ANSWER)
    assert page.evaluate("document.activeElement !== document.body"), "the button is gone, and the place with it"
    page.get_by_role("tab", name="Stories").click()
    press(page.locator(".ob-shelf button").first)
    press(page.locator(".ob-dots-row:visible button").nth(2))
    expect(page.get_by_role("button", name="Step 3")).to_be_focused()
    press(page.get_by_role("button", name="Next", exact=True))
    expect(page.get_by_role("button", name="Next tour")).to_be_focused()
    page.get_by_role("tab", name="Explore").click()
    press(page.locator(".ob-mixes:visible [data-act=mix]").first)
    expect(page.get_by_role("button", name="Swap the two weights")).to_be_visible(timeout=ANSWER)
    undo = page.get_by_role("button", name="Undo")
    press(undo)
    expect(page.get_by_role("button", name="Swap the two weights")).to_have_count(0, timeout=ANSWER)
    press(page.get_by_role("button", name="Redo"))
    expect(page.get_by_role("button", name="Swap the two weights")).to_be_visible(timeout=ANSWER)
    card = page.locator(".ob-column.ob-image:visible .ob-caption").nth(1)
    for _ in range(2):
        press(card)
        expect(page.locator(".ob-open-drawer .ob-close")).to_be_focused(timeout=ANSWER)
        page.keyboard.press("Escape")
        expect(card).to_be_focused()
        expect(page.locator(".ob-open-drawer")).to_have_count(0, timeout=ANSWER)


def test_things_are_compared_added_and_taken_away(page: Page) -> None:
    ready(page)
    page.get_by_role("tab", name="Compare").click()
    rows = page.locator(".ob-matrix tbody tr")
    expect(rows).to_have_count(11, timeout=ANSWER)
    expect(page.locator(".ob-found [role=status]")).to_contain_text("3 groups")
    page.get_by_label("Sentences, one a line").fill("a black cat\na kitten")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(rows).to_have_count(13, timeout=ANSWER)
    page.set_input_files(".tabitem:visible .ob-input input[type=file]", [file_of("image"), file_of("point")])
    expect(rows).to_have_count(15, timeout=ANSWER)
    page.locator(".ob-found [data-act=drop]").first.click()
    expect(rows).to_have_count(14, timeout=ANSWER)
    page.get_by_role("button", name="Start over").locator("visible=true").click()
    expect(rows).to_have_count(0, timeout=ANSWER)


def test_a_tour_is_there_before_the_models_and_turns_by_keys(watch: Watch) -> None:
    page = watch.page
    page.get_by_role("button", name="Take a tour").click()
    say = page.locator(".ob-stage:visible .ob-say")
    expect(say).to_contain_text("Press play", timeout=ANSWER)
    expect(page.locator(".ob-stage:visible .ob-card")).to_have_count(16)
    page.keyboard.press("ArrowRight")
    expect(say).to_contain_text("plastic dog", timeout=ANSWER)
    page.keyboard.press("ArrowLeft")
    expect(say).to_contain_text("Press play", timeout=ANSWER)
    page.get_by_role("button", name="Present").click()
    expect(page.get_by_role("tab", name="Stories")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("tab", name="Stories")).to_be_visible()
    for number in (5, 7):
        page.get_by_role("button", name="All tours").click()
        page.locator(f".ob-shelf [data-id='{number}:0']").click()
        dots = page.locator(".ob-dots-row:visible button")
        expect(dots.first).to_have_attribute("aria-current", "step")
        steps = dots.count()
        for step in range(1, steps):
            before = str(say.text_content())
            page.get_by_role("button", name="Next", exact=True).click()
            expect(say).not_to_have_text(before, timeout=ANSWER)
            expect(dots.nth(step)).to_have_attribute("aria-current", "step")
    watch.rest()
    page.get_by_role("link", name="Try it yourself").click()
    term(page, "quantum chromodynamics", READY)


def test_keys_turn_as_many_pages_as_they_are_pressed_however_slow_the_line_is(page: Page) -> None:
    page.get_by_role("button", name="Take a tour").click()
    here = page.locator(".ob-dots-row:visible [aria-current]")
    expect(here).to_have_attribute("aria-label", "Step 1", timeout=ANSWER)
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 800, "downloadThroughput": 200_000, "uploadThroughput": 200_000}
    line.send("Network.emulateNetworkConditions", slow)
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(here).to_have_attribute("aria-label", "Step 3", timeout=1_000)
    for _ in range(3):  # one to the last page, one to the next tour, and one to its second page
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="A dog by the sea")).to_be_visible(timeout=ANSWER)
    expect(here).to_have_attribute("aria-label", "Step 2")
    page.wait_for_timeout(1_500)  # what is answered late takes nobody back
    expect(here).to_have_attribute("aria-label", "Step 2")


def test_the_page_speaks_the_language_of_the_browser_and_is_switched(
    browser: Browser, app: tuple[str, float], tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
    page = context.new_page()
    watch = Watch(page)
    page.goto(app[0])
    expect(page.get_by_role("tab", name="故事")).to_be_visible(timeout=ANSWER)
    expect(page.locator(".ob-ready")).to_contain_text("就绪", timeout=READY)
    assert page.evaluate("document.documentElement.lang").startswith("zh")
    term(page, "A dog barks several times", READY)  # captions stay as they are
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture at all")
    page.set_input_files(".ob-input.ob-image input[type=file] >> nth=0", bad)
    expect(page.locator(".ob-notice").first).to_contain_text("该怎么做", timeout=ANSWER)
    expect(page.locator(".ob-notice").first).to_contain_text("不是 .png")
    assert page.evaluate("obWords.say('A drifting offset taken out.')") == "已去掉漂移的偏移。"
    page.locator("[data-tour]").click()
    expect(page.locator(".ob-stage:visible .ob-say")).to_contain_text("按下播放", timeout=ANSWER)
    page.locator(".ob-languages select").select_option("en")
    expect(page.locator(".ob-stage:visible .ob-say")).to_contain_text("Press play", timeout=ANSWER)
    second = context.new_page()  # not a reload: what is being answered would be cut off, and say so on the console
    second.goto(app[0])
    expect(second.get_by_role("tab", name="Stories")).to_be_visible(timeout=ANSWER)
    second.wait_for_function("document.documentElement.lang.startsWith('en')")
    third = context.new_page()
    third.goto(f"{app[0]}?lang=zh")
    expect(third.get_by_role("tab", name="故事")).to_be_visible(timeout=ANSWER)
    context.close()
    assert not watch.faults


@pytest.mark.slow
@pytest.mark.parametrize("language", words.tables())
def test_nothing_on_the_page_is_left_without_words(browser: Browser, app: tuple[str, float], language: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    assert list(walk(context.new_page(), app[0], language)) == []
    context.close()


def test_answers_follow_a_slider_while_it_moves_and_steps_are_undone(page: Page) -> None:
    ready(page)
    undo, redo = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Redo")
    expect(undo).to_be_disabled()  # what the page opened with is no step of the visitor's
    page.get_by_role("button", name="A dog by the sea").click()
    expect(page.locator(".ob-chip")).to_have_count(2, timeout=ANSWER)
    answered(page)
    expect(undo).to_be_enabled()
    expect(redo).to_be_disabled()
    page.locator(".ob-walk summary").click()
    expect(page.locator(".ob-way .ob-band").first).to_be_visible()
    slider, first = page.locator(".ob-chip input[type=range]").nth(1), page.locator(".ob-column.ob-image .ob-caption")
    before, box = str(first.first.text_content()), slider.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + box["height"] / 2, steps=4)
    expect(first.first).not_to_have_text(before, timeout=ANSWER)  # the button is still held down
    expect(page.locator(".ob-results .ob-move").first).to_be_visible()  # what came or moved is marked
    page.mouse.up()
    expect(page.locator(".ob-walk[open]")).to_have_count(1)  # it hangs on the terms alone
    page.wait_for_timeout(500)
    page.keyboard.press("Control+z")
    expect(page.locator(".ob-chip output").nth(1)).to_have_text("+1.00", timeout=ANSWER)
    expect(redo).to_be_enabled(timeout=ANSWER)
    page.locator(".ob-way [data-act=stop]").nth(2).click()
    expect(page.locator(".ob-chip output").nth(1)).to_have_text("+0.25", timeout=ANSWER)
    page.get_by_role("button", name="Swap the two weights").click()
    expect(page.locator(".ob-chip output").nth(1)).to_have_text("+0.75", timeout=ANSWER)
    page.get_by_role("button", name="Let it not count").first.click()
    expect(page.locator(".ob-chip output").first).to_have_text("+0.00", timeout=ANSWER)
    first.first.click()
    expect(page.locator(".ob-why")).to_contain_text("add up to the score", timeout=ANSWER)


def test_own_files_join_the_answers(page: Page) -> None:
    ready(page)
    page.get_by_role("button", name="My files").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files").click()
    chooser.value.set_files([file_of("image", 1), file_of("audio", 1), GALLERY / "catalogue.json"])
    expect(page.locator(".ob-own li")).to_have_count(2, timeout=ANSWER)
    expect(page.locator(".ob-told")).to_contain_text("left out")
    say(page, file_of("image", 1).stem.rstrip("-0123456789"))
    mine = page.locator(".ob-column.ob-image .ob-card", has=page.locator(".ob-mine"))
    expect(mine).to_have_count(1, timeout=ANSWER)
    mine.locator(".ob-open").click()
    expect(page.locator(".ob-open-drawer .ob-large")).to_be_visible(timeout=ANSWER)
    assert page.locator(".ob-open-drawer .ob-large").evaluate("one => one.decode().then(() => one.naturalWidth)") > 10
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Remove {file_of('image', 1).stem}").first.click()
    expect(mine).to_have_count(0, timeout=ANSWER)


def test_the_map_is_drawn_and_answers(page: Page) -> None:
    ready(page)
    page.get_by_role("tab", name="Map").click()
    canvas = page.locator("canvas[data-drawn]")
    expect(canvas).to_be_visible(timeout=ANSWER)
    assert canvas.get_attribute("data-drawn") == str(len(EXAMPLES.catalogue))
    page.get_by_placeholder("Find on the map").fill("a dog barks at night")
    page.keyboard.press("Enter")
    shown = page.locator(".tabitem:visible .ob-results .ob-caption")
    expect(shown.first).to_be_visible(timeout=ANSWER)
    before = shown.first.text_content()
    shown.last.click()
    expect(shown.first).not_to_have_text(str(before), timeout=ANSWER)
    page.get_by_label("Show the gap").click()
    page.get_by_role("button", name="Draw a loop").click()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    for across, down in ((0.7, 0.2), (0.7, 0.8), (0.3, 0.8)):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".ob-looped h3")).to_contain_text("inside the loop", timeout=ANSWER)
    page.locator(".ob-faces button").first.click()
    expect(page.locator(".tabitem:visible .ob-results .ob-answers")).to_be_visible(timeout=ANSWER)


def test_the_preset_can_be_looked_at(page: Page) -> None:
    ready(page)
    page.get_by_text("Preset", exact=True).click()
    expect(page.locator(".ob-presets li")).to_have_count(6, timeout=ANSWER)
    expect(page.locator(".ob-presets")).to_contain_text("answers now")


def test_a_collection_that_was_made_meanwhile_is_taken_in(browser: Browser, mini: OmniBind, tmp_path: Path) -> None:
    picture = Pillow.open(file_of("image"))
    picture.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    with served(tmp_path) as (address, _):
        opened = browser.new_page()
        watch = Watch(opened)
        opened.goto(address)
        ready(opened)
        add(str(tmp_path / "collections" / "holiday"), [tmp_path / "mirrored.png"], mini)
        opened.get_by_text("Collections", exact=True).click()
        opened.get_by_role("button", name="Search in holiday").click()
        expect(opened.locator(".ob-presets b")).to_have_count(2, timeout=ANSWER)
        opened.get_by_text("Options", exact=True).click()
        opened.get_by_label("holiday").check()
        say(opened, "a photograph")
        expect(opened.locator(".ob-column.ob-image .ob-caption")).to_have_count(1, timeout=ANSWER)
        for shown in opened.locator(".ob-column.ob-image img").all():
            assert opened.request.get(f"{address}{shown.get_attribute('src')}").ok
        watch.rest()
        opened.reload()
        ready(opened)
        opened.get_by_text("Options", exact=True).click()
        expect(opened.get_by_label("holiday")).to_be_visible(timeout=ANSWER)
        opened.close()
        assert not watch.faults


@pytest.mark.parametrize("width", [390, 1440])
def test_the_results_are_drawn_and_their_tables_stay_in_their_boxes(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    if width < 900:
        page.get_by_label("More tabs").click()
        page.locator(".overflow-dropdown").get_by_text("Results").click()
    else:
        page.get_by_role("tab", name="Results").click()
    expect(page.locator(".ob-chart .ob-lane b").first).to_be_visible(timeout=ANSWER)
    page.locator(".ob-figures summary").first.click()
    expect(page.locator(".ob-scroll table").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_tab_shuts_anybody_out(browser: Browser, app: tuple[str, float], theme: str) -> None:
    """What axe-core finds by the rules of WCAG 2.1, A and AA."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{app[0]}?__theme={theme}")
    ready(page)
    page.get_by_role("button", name="A violin and a drum").click()
    page.locator(".ob-walk summary").click(timeout=ANSWER)
    drawn = {
        "Explore": ".ob-bars", "Stories": ".ob-shelf", "Where": ".ob-place i", "Separate": ".ob-input:visible",
        "Map": "canvas[data-drawn]", "Compare": ".ob-matrix", "Name it": ".ob-two:visible", "Results": ".ob-chart",
        "How it works": ".ob-credits",
    }  # fmt: skip
    tabs = page.locator(".tab-container:visible [role=tab]").all_text_contents()
    assert [one.strip() for one in tabs] == list(drawn)
    found = []
    for tab, part in drawn.items():
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(part).first).to_be_visible(timeout=READY)
        if tab == "Stories":
            page.locator(".ob-shelf button").first.click()
            expect(page.locator(".ob-stage").first).to_be_visible(timeout=ANSWER)
        page.wait_for_timeout(300)
        result = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        found += [(tab, one["id"], [n["html"][:120] for n in one["nodes"]]) for one in result.response["violations"]]
    context.close()
    assert found == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out(browser: Browser, app: tuple[str, float], width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    watch = Watch(page)
    page.goto(app[0])
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
    assert not watch.faults
