"""Callbacks as plain functions, on real files, with the real model and gallery."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image as Pillow

from demo import links
from demo.html import panels
from demo.html.icons import ORDER
from demo.service import Service
from demo.settings import Settings
from demo.shell.view import View
from demo.state import Visit
from demo.tabs.explore import callbacks
from demo.tabs.explore.boxes import boxes, chosen_up
from omnibind_core.media import load_points
from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.search.compose import Options
from omnibind_core.types import MODALITIES, Modality

from ...media.makers import film, lying_bed
from ..conftest import EXAMPLES, GALLERY, Put, example

OPTIONS = Options()


def cards(view: View) -> list[str]:
    """Identifiers of the answers on a page, in order."""
    return re.findall(r'class="ob-caption" data-act="open" data-id="([^"]+)"', view.answers or "")


def complete(view: View) -> None:
    assert view.notice == ""
    found = cards(view)
    assert len(found) == len(MODALITIES) * OPTIONS.k
    assert {one.split("/")[0] for one in found} == set(MODALITIES)
    assert view.inside and "ob-stages" in view.inside


@pytest.mark.parametrize("modality", ["point", "audio", "image"])
def test_a_file_finds_neighbours_in_all_modalities(service: Service, upload: Put, modality: Modality) -> None:
    item = example(modality)
    assert item.file
    view = callbacks.give_file(service, Visit(), upload(GALLERY / item.file), modality, "y", "new", OPTIONS)
    complete(view)
    assert item.id not in cards(view), "the query's own input came back"
    term = view.visit.ingredients[0]
    assert term.thumbnail.startswith("data:image/")
    assert abs(sum(term.shares.values()) - 1) < 1e-4
    assert {"decode", "project", "route", "bind"} < set(term.timings)


def test_a_sentence_finds_neighbours_in_all_modalities(service: Service) -> None:
    view = callbacks.give_text(service, Visit(), "a dog", "new", OPTIONS)
    complete(view)
    found = cards(view)
    for modality in ("image", "point"):
        assert any(one.startswith(f"{modality}/dog") for one in found), f"no dog among the {modality}s"


def test_mixing_goes_through_every_step(service: Service, upload: Put) -> None:
    picture = example("image")
    assert picture.file
    view = callbacks.give_file(service, Visit(), upload(GALLERY / picture.file), "image", "y", "new", OPTIONS)
    view = callbacks.give_text(service, view.visit, "the sea", "add", OPTIONS)
    view = callbacks.act(service, view.visit, "subtract", example("audio").id, OPTIONS)
    complete(view)
    assert [one.weight > 0 for one in view.visit.ingredients] == [True, True, False]
    assert "ob-bars" in (view.answers or "")
    assert example("audio").id not in cards(view)

    before, key = cards(view), view.visit.ingredients[1].key
    moved = callbacks.reweigh(service, view.visit, {key: -1}, OPTIONS)
    complete(moved)
    assert moved.mix is None, "the sliders keep the focus"
    assert cards(moved) != before

    looked = callbacks.act(service, moved.visit, "inspect", key, OPTIONS)
    assert "the sea" in (looked.inside or "")
    dropped = callbacks.act(service, moved.visit, "drop", key, OPTIONS)
    assert len(dropped.visit.ingredients) == 2
    complete(dropped)
    cleared = callbacks.act(service, dropped.visit, "clear", "", OPTIONS)
    assert cleared.visit.ingredients == ()
    assert not cards(cleared)


def test_options_change_the_answers(service: Service) -> None:
    view = callbacks.give_text(service, Visit(), "a violin on the beach", "new", OPTIONS)
    more = callbacks.refresh(service, view.visit, replace(OPTIONS, k=9))
    assert len(cards(more)) == 4 * 9
    assert cards(more)[: OPTIONS.k] == cards(view)[: OPTIONS.k]
    assert callbacks.refresh(service, view.visit, replace(OPTIONS, match="media")).notice == ""
    wrong = callbacks.refresh(service, view.visit, replace(OPTIONS, operator="nonsense"))
    assert "Operator" in wrong.notice
    assert wrong.answers is None, "earlier answers stay"


@pytest.mark.parametrize("modality", MODALITIES)
def test_an_item_opens_with_its_credits(service: Service, modality: Modality) -> None:
    hit = callbacks.act(service, Visit(), "open", example(modality).id, OPTIONS).detail
    assert hit is not None
    assert hit.details["licence"]
    assert hit.details["creator"]
    assert (hit.file is None) == (modality == "text")
    assert hit.file is None or Path(hit.file).is_file()


def test_an_opened_answer_says_why_it_answers(service: Service) -> None:
    view = callbacks.give_item(service, Visit(), "image/dog-2", "new", OPTIONS)
    view = callbacks.give_text(service, view.visit, "<the> sea", "add", OPTIONS)
    opened = callbacks.act(service, view.visit, "open", "image/beach-1", OPTIONS)
    told = re.findall(r"<strong>.*?</strong><i.*?</i><em>([+-][\d.]+)</em>", opened.why)
    score = float(re.findall(r"score: <b>([+-][\d.]+)", opened.why)[0])
    assert len(told) == 2
    assert sum(map(float, told)) == pytest.approx(score, abs=2e-3)
    assert "&lt;the&gt; sea" in opened.why
    assert "by its caption" in opened.why
    first = opened.why.split("<strong>")[1]
    inner = [float(one) for one in re.findall(r"</span><i.*?</i><em>([+-][\d.]+)</em>", first.split("<ul>")[1])]
    assert sum(inner) == pytest.approx(float(told[0]), abs=5e-3)
    product = callbacks.act(service, view.visit, "open", "image/beach-1", replace(OPTIONS, operator="product"))
    assert "multiply to" in product.why
    hand = callbacks.rebalance(service, view.visit, {next(iter(view.visit.ingredients[1].shares)): 1.0}, OPTIONS)
    assert callbacks.act(service, hand.visit, "open", "image/beach-1", OPTIONS).why != opened.why
    assert callbacks.act(service, Visit(), "open", "image/beach-1", OPTIONS).why == ""


def test_two_terms_have_a_walk_between_them(service: Service) -> None:
    view = callbacks.give_item(service, Visit(), "image/cat-2", "new", OPTIONS)
    assert view.walk == ""
    view = callbacks.give_item(service, view.visit, "audio/lion-1", "add", OPTIONS)
    assert view.walk is not None
    assert view.walk.count('data-act="stop"') == 9
    assert 'data-id="image/cat-3"' in view.walk.split('data-id="image/lion-1"')[0]
    spans = [int(one) for one in re.findall(r"span (\d)", view.walk)]
    assert sum(spans) == 9 * len(MODALITIES)
    moved = callbacks.act(service, view.visit, "stop", "0.75", OPTIONS)
    assert [one.weight for one in moved.visit.ingredients] == [0.25, 0.75]
    assert moved.walk is None  # it stays as it is
    assert cards(moved) != cards(view)
    less = callbacks.reweigh(service, view.visit, {view.visit.ingredients[1].key: -0.5}, OPTIONS)
    assert less.walk == ""
    for wrong in ("", "2", "-0.5", "nan", "0.5x"):
        assert "use the buttons" in callbacks.act(service, view.visit, "stop", wrong, OPTIONS).notice.lower()


def test_own_files_join_the_answers_of_this_visit(service: Service, upload: Put) -> None:
    given = [upload(GALLERY / f"{one}") for one in ("images/dog-1.jpg", "sounds/piano-1.ogg")]
    bad = upload(GALLERY / "catalogue.json")
    seen: list[tuple[int, int]] = []
    mine, notice = callbacks.add_mine(service, (), [*given, bad], "y", lambda done, of: seen.append((done, of)))
    assert [one.item_id for one in mine] == ["mine/1", "mine/2"]
    assert "left out" in notice
    assert seen == [(0, 3), (1, 3), (2, 3)]
    visit = replace(Visit(), mine=mine)
    view = callbacks.give_text(service, visit, "a photo of a dog", "new", OPTIONS)
    assert view.visit.mine == mine
    assert "mine/1" in cards(view)[:16]
    assert "mine/2" not in cards(view)
    assert "yours</span>" in str(view.answers)
    opened = callbacks.act(service, view.visit, "open", "mine/1", OPTIONS)
    assert opened.detail is not None
    assert opened.detail.caption == "dog-1"
    assert opened.why == ""
    found = callbacks.act(service, view.visit, "search", "mine/2", OPTIONS)
    assert [one.item_id for one in found.visit.ingredients] == ["mine/2"]
    assert "mine/2" not in cards(found)
    assert "audio/piano-2" in cards(found)
    part, link = links.pack(found.visit, OPTIONS)
    assert (part, link.left) == ("", 1)  # a link never names a visitor's file
    assert "mine/1" not in callbacks.take_away(service, found.visit, OPTIONS).split("answers.json")[0]
    assert callbacks.forget(mine, "mine/1") == mine[1:]
    older = replace(visit, mine=(replace(mine[0], preset="another"), mine[1]))
    told = callbacks.give_text(service, older, "a dog", "new", OPTIONS).notice
    assert "1 thing of yours another preset read: add again what shall be found with mini" in told
    again, _ = callbacks.add_mine(service, mine[1:], given[:1], "y")
    assert again[-1].item_id == "mine/3"
    none, notice = callbacks.add_mine(service, mine, [bad], "y")
    assert none == mine
    assert "What to do" in notice
    full, notice = callbacks.add_mine(service, mine * 30, given, "y")
    assert len(full) == 60
    assert "at most 60" in notice.lower()


def test_steps_can_be_undone_and_terms_muted_and_swapped(service: Service) -> None:
    def step(before: Visit, view: View) -> Visit:
        assert view.notice == ""
        return before.follow(view.visit)

    one = step(Visit(), callbacks.give_item(service, Visit(), "image/dog-2", "new", OPTIONS))
    two = step(one, callbacks.give_text(service, one, "the sea", "subtract", OPTIONS))
    key = two.ingredients[1].key
    slid = step(two, callbacks.reweigh(service, two, {key: -0.5}, OPTIONS))
    slid = step(slid, callbacks.reweigh(service, slid, {key: -0.2}, OPTIONS))
    assert len(slid.past) == 3  # both slides are one step
    swapped = step(slid, callbacks.act(service, slid, "swap", "", OPTIONS))
    assert [x.weight for x in swapped.ingredients] == [-0.2, 1.0]
    muted = step(swapped, callbacks.act(service, swapped, "mute", key, OPTIONS))
    assert [x.weight for x in muted.ingredients] == [-0.2, 0.0]
    heard = step(muted, callbacks.act(service, muted, "mute", key, OPTIONS))
    assert [x.weight for x in heard.ingredients] == [-0.2, 1.0]
    back = heard
    for _ in range(4):
        back = step(back, callbacks.act(service, back, "undo", "", OPTIONS))
    assert [x.weight for x in back.ingredients] == [1.0, -0.7]
    back = step(back, callbacks.act(service, back, "undo", "", OPTIONS))
    assert [x.label for x in back.ingredients] == [x.label for x in one.ingredients]
    forth = step(back, callbacks.act(service, back, "redo", "", OPTIONS))
    assert forth.ingredients == two.ingredients
    other = step(forth, callbacks.act(service, forth, "drop", key, OPTIONS))
    assert other.future == ()
    assert other.undo().ingredients == two.ingredients
    empty = step(other, callbacks.act(service, other, "clear", "", OPTIONS))
    assert empty.undo().ingredients == other.ingredients
    assert Visit().undo().ingredients == Visit().redo().ingredients == ()
    assert panels.steps(Visit()).count(" disabled") == 2, "there is nothing to undo or redo"
    assert panels.steps(back).count(" disabled") == 0
    assert panels.steps(other).count(" disabled") == 1
    twice = callbacks.give_item(service, one, "image/dog-2", "add", OPTIONS)
    assert "already" in twice.notice and twice.visit is one
    assert "a mix of two" in callbacks.act(service, one, "swap", "", OPTIONS).notice.lower()


def test_examples_and_ready_mixes_work(service: Service) -> None:
    assert EXAMPLES.first
    for modality in MODALITIES:
        assert EXAMPLES.of(modality), f"no example for {modality}"
        complete(callbacks.give_example(service, Visit(), example(modality).id, "new", OPTIONS))
        assert EXAMPLES.shown(example(modality).id)
    assert EXAMPLES.mixes
    for number in range(len(EXAMPLES.mixes)):
        view = callbacks.give_mix(service, Visit(), EXAMPLES, str(number), OPTIONS)
        complete(view)
        assert len(view.visit.ingredients) > 1
    assert "One of" in callbacks.give_mix(service, Visit(), EXAMPLES, "99", OPTIONS).notice


def test_a_shape_can_be_turned(service: Service, upload: Put) -> None:
    item = example("point")
    assert item.file
    file = upload(GALLERY / item.file, "my chair.glb")
    first = callbacks.give_file(service, Visit(), file, "point", "y", "new", OPTIONS)
    first = callbacks.give_text(service, first.visit, "red", "add", OPTIONS)
    turned = callbacks.turn(service, first.visit, "z", OPTIONS)
    complete(turned)
    before, after = first.visit.ingredients[0], turned.visit.ingredients[0]
    assert (after.label, after.weight) == (before.label, before.weight) == ("my chair", 1.0)
    assert float(before.vector @ after.vector) < 0.9999
    again = callbacks.turn(service, turned.visit, "y", OPTIONS).visit.ingredients[0]
    assert float(before.vector @ again.vector) > 0.9999, "it is the file that is turned, not what is shown of it"
    nothing = callbacks.give_text(service, Visit(), "red", "new", OPTIONS).visit
    assert callbacks.turn(service, nothing, "z", OPTIONS).answers is None


def test_what_is_assumed_is_shown_and_turned_with_one_click(service: Service, upload: Put, tmp_path: Path) -> None:
    file = upload(lying_bed(tmp_path / "bed.npy"))
    first = callbacks.give_file(service, Visit(), file, "point", "auto", "new", OPTIONS)
    assert "The file does not say which way is up: z was taken." in first.notice
    assert first.notice.count('data-act="turn"') == len(TO_Y_UP)
    chosen = callbacks.act(service, first.visit, "turn", "y", OPTIONS)
    complete(chosen)
    assumed, lying = first.visit.ingredients[0], chosen.visit.ingredients[0]
    assert (assumed.up, lying.up) == ("auto", "y"), "a chosen axis beats what is assumed"
    assert float(assumed.vector @ lying.vector) < 0.99
    told = callbacks.turn(service, chosen.visit, "z", OPTIONS)
    assert float(assumed.vector @ told.visit.ingredients[0].vector) > 0.999
    assert told.notice == ""
    assert chosen_up(first.visit, chosen.visit).value == "y", "the chooser says what was clicked"
    over = callbacks.act(service, chosen.visit, "turn", "-z", OPTIONS).visit
    assert chosen_up(chosen.visit, over).choices[-1] == ("Z↓", "-z")
    assert chosen_up(over, callbacks.act(service, over, "clear", "", OPTIONS).visit).value == "auto"
    assert not isinstance(chosen_up(over, over), gr.Radio), "nothing is sent where nothing changed"


def test_an_example_shape_can_be_turned(service: Service) -> None:
    first = callbacks.give_example(service, Visit(), example("point").id, "new", OPTIONS).visit
    after = callbacks.turn(service, first, "z", OPTIONS).visit.ingredients[0]
    assert float(first.ingredients[0].vector @ after.vector) < 0.9999
    assert after.item_id == example("point").id


def stands(before: Visit, after: Visit, given: Modality | None = None) -> dict[Modality, object]:
    """What each input shows next; "kept" where it is left alone."""
    shown = [one if one is None or isinstance(one, str) else "kept" for one in boxes(before, after, given)]
    return dict(zip(ORDER, shown, strict=True))


def test_what_stands_in_the_inputs_is_what_is_in_the_mix(service: Service, upload: Put) -> None:
    sound, shape = example("audio"), example("point")
    assert sound.file and shape.file
    one = callbacks.give_file(service, Visit(), upload(GALLERY / sound.file), "audio", "y", "new", OPTIONS).visit
    assert stands(Visit(), one, "audio") == dict.fromkeys(ORDER, "kept")
    two = callbacks.give_text(service, one, "the sea", "new", OPTIONS).visit
    assert stands(one, two, "text") == {**dict.fromkeys(ORDER, "kept"), "audio": None}
    three = callbacks.give_file(service, two, upload(GALLERY / shape.file), "point", "y", "add", OPTIONS).visit
    shown = stands(two, three, "point")
    assert shown == {**dict.fromkeys(ORDER, "kept"), "point": three.ingredients[1].seen}
    assert load_points(str(shown["point"])).surfaces, "the viewer gets what was read"
    turned = callbacks.turn(service, three, "z", OPTIONS).visit
    assert stands(three, turned)["point"] not in {"kept", None, shown["point"]}
    dropped = callbacks.act(service, three, "drop", three.ingredients[0].key, OPTIONS).visit
    assert stands(three, dropped) == {**dict.fromkeys(ORDER, "kept"), "text": ""}
    card = callbacks.act(service, three, "search", sound.id, OPTIONS).visit
    assert stands(three, card) == {"point": None, "audio": "kept", "image": "kept", "text": ""}
    clear = callbacks.act(service, three, "clear", "", OPTIONS).visit
    assert stands(three, clear) == {"point": None, "audio": "kept", "image": "kept", "text": ""}
    tried = callbacks.give_example(service, clear, example("image").id, "new", OPTIONS).visit
    assert stands(clear, tried)["image"] == str(GALLERY / str(example("image").file))
    refused = callbacks.give_text(service, three, " ", "new", OPTIONS).visit
    assert stands(three, refused, "text")["text"] == "kept", "it is there to be corrected"
    bad = callbacks.give_file(service, tried, {"path": "/etc/passwd"}, "image", "y", "new", OPTIONS).visit
    assert stands(tried, bad, "image")["image"] == str(GALLERY / str(example("image").file))
    assert stands(clear, clear, "audio")["audio"] is None, "what was refused does not stay"


def test_files_of_all_kinds_go_where_they_belong(service: Service, upload: Put, tmp_path: Path) -> None:
    (tmp_path / "plate.obj").write_text(
        "mtllib plate.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl red\n"
        "f 1/1 2/2 3/3 4/4\n"
    )
    (tmp_path / "plate.mtl").write_text("newmtl red\nmap_Kd red.png\n")
    (tmp_path / "wish.txt").write_text("a red plate")
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    Pillow.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    Pillow.new("RGB", (64, 48), "blue").save(tmp_path / "photo.tiff")
    names = ["red.png", "plate.mtl", "photo.tiff", "plate.obj", "wish.txt", "bad.wav"]
    view = callbacks.give_files(service, Visit(), [upload(tmp_path / name) for name in names], "y", "new", OPTIONS)
    assert [(one.modality, one.label) for one in view.visit.ingredients] == [
        ("image", "photo"), ("point", "plate"), ("text", "a red plate")
    ]  # fmt: skip
    assert "bad.wav" in view.notice.lower()
    assert "left out" in view.notice
    assert "red.png" not in view.notice, "it belongs to the plate"
    picture = view.visit.standing("image")
    assert picture is not None
    assert picture.seen.endswith(".webp"), "browsers do not know TIFF"
    none = callbacks.give_files(service, view.visit, [upload(tmp_path / "bad.wav")], "y", "new", OPTIONS)
    assert "What to do" in none.notice
    assert none.visit is view.visit
    assert "no file" in callbacks.give_files(service, Visit(), [], "y", "new", OPTIONS).notice.lower()


def test_a_film_is_its_pictures_and_its_sound(service: Service, upload: Put, tmp_path: Path) -> None:
    dog = next(one for one in EXAMPLES.catalogue if one.id == "image/dog-2")
    bark = next(one for one in EXAMPLES.catalogue if one.id == "audio/dog-1")
    film(tmp_path / "a dog.mp4", Pillow.open(GALLERY / str(dog.file)), GALLERY / str(bark.file))
    film(tmp_path / "mute.webm", Pillow.open(GALLERY / str(dog.file)), None)
    view = callbacks.give_files(service, Visit(), [upload(tmp_path / "a dog.mp4")], "y", "new", OPTIONS)
    assert [one.label for one in view.visit.ingredients] == ["a dog (pictures)", "a dog (sound)"]
    for one, item in zip(view.visit.ingredients, (dog, bark), strict=True):
        assert float(one.vector @ service.item(item.id).vector) > 0.8
    mute = callbacks.give_files(service, Visit(), [upload(tmp_path / "mute.webm")], "y", "subtract", OPTIONS)
    assert [(one.label, one.weight) for one in mute.visit.ingredients] == [("mute (pictures)", -0.7)]


def test_errors_become_notices_and_nothing_is_lost(service: Service, upload: Put, tmp_path: Path) -> None:
    visit = callbacks.give_text(service, Visit(), "a dog", "new", OPTIONS).visit
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"this is no picture")
    views = {
        "empty sentence": callbacks.give_text(service, visit, "  ", "new", OPTIONS),
        "no sentence": callbacks.give_text(service, visit, None, "new", OPTIONS),
        "broken picture": callbacks.give_file(service, visit, upload(bad), "image", "y", "new", OPTIONS),
        "picture as sound": callbacks.give_file(service, visit, upload(bad), "audio", "y", "new", OPTIONS),
        "not an upload": callbacks.give_file(service, visit, {"path": "/etc/passwd"}, "image", "y", "new", OPTIONS),
        "strange axis": callbacks.give_file(service, visit, upload(bad, "b.glb"), "point", "w", "new", OPTIONS),
        "no such item": callbacks.act(service, visit, "add", "image/nothing", OPTIONS),
        "no such term": callbacks.act(service, visit, "drop", "t77", OPTIONS),
        "no such action": callbacks.act(service, visit, "explode", "", OPTIONS),
        "wrong weight": callbacks.reweigh(service, visit, {visit.ingredients[0].key: 7}, OPTIONS),
        "no weights": callbacks.reweigh(service, visit, None, OPTIONS),
        "not a weight": callbacks.reweigh(service, visit, {visit.ingredients[0].key: "x"}, OPTIONS),
        "weight of no term": callbacks.reweigh(service, visit, {"t77": 0.5}, OPTIONS),
        "too many": callbacks.refresh(service, visit, replace(OPTIONS, k=10_000)),
        "slerp": callbacks.refresh(
            service, callbacks.give_text(service, visit, "cat", "subtract", OPTIONS).visit, Options(operator="slerp")
        ),
    }
    for name, view in views.items():
        assert all(part in view.notice for part in ("Given", "Allowed", "What to do")), name
        assert view.answers is None, name
        assert "Traceback" not in view.notice, name
        assert view.visit.ingredients, name


def test_the_unexpected_is_logged_and_shown_kindly(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(service.wait(), "search", broken)
    view = callbacks.give_text(service, Visit(), "a dog", "new", OPTIONS)
    assert "unexpected" in view.notice
    assert "secret detail" not in view.notice
    assert "secret detail" in caplog.text


def test_the_page_opens_with_answers_once_ready(service: Service) -> None:
    status, view = callbacks.arrive(service, Visit(), OPTIONS, EXAMPLES.first)
    assert status.phase == "ready"
    assert view is not None
    complete(view)
    _, again = callbacks.arrive(service, view.visit, OPTIONS, EXAMPLES.first)
    assert again is None, "a visitor's answers are not replaced"


def test_an_early_visitor_sees_progress_and_waits(uploads: Path) -> None:
    asleep = Service(Settings(device="cpu"))
    status, view = callbacks.arrive(asleep, Visit(), OPTIONS, EXAMPLES.first)
    assert status.phase == "asleep"
    assert view is None


def test_a_failed_start_is_explained_and_can_be_repeated(uploads: Path) -> None:
    broken = Service(Settings(preset="no-such-preset", device="cpu"))
    view = callbacks.give_text(broken, Visit(), "a dog", "new", OPTIONS)
    assert "no-such-preset" in view.notice
    status, shown = callbacks.arrive(broken, Visit(), OPTIONS, EXAMPLES.first)
    assert status.phase == "failed"
    assert shown is not None
    assert "no-such-preset" in shown.notice
    broken.start()
    assert broken.status().phase in {"loading", "failed"}


def test_the_specialists_can_be_weighed_by_hand(service: Service) -> None:
    visit = callbacks.give_example(service, Visit(), example("image").id, "new", OPTIONS).visit
    term = visit.ingredients[0]
    only = next(iter(term.shares))
    moved = callbacks.rebalance(service, visit, {name: 70 * (name == only) for name in term.shares}, OPTIONS)
    complete(moved)
    after = moved.visit.ingredients[0]
    assert after.by_hand
    assert after.shares[only] == pytest.approx(1.0)
    assert float(after.vector @ term.vector) < 0.9999
    assert "weighed by hand" in (moved.inside or "")
    back = callbacks.act(service, moved.visit, "route", term.key, OPTIONS).visit.ingredients[0]
    assert float(back.vector @ term.vector) > 0.999
    for wrong in (None, {only: "x"}, {"nobody": 1.0}, dict.fromkeys(term.shares, 0)):
        assert "Given" in callbacks.rebalance(service, visit, wrong, OPTIONS).notice


def test_a_shape_in_several_files_is_one_shape(service: Service, upload: Put, tmp_path: Path) -> None:
    files = {
        "plate.obj": "mtllib plate.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl red\nf 1 2 3 4\n",
        "plate.mtl": "newmtl red\nKd 1 0 0\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    together = [upload(tmp_path / name) for name in reversed(files)]
    view = callbacks.give_file(service, Visit(), together, "point", "y", "new", OPTIONS)
    complete(view)
    assert view.visit.ingredients[0].label == "plate"
    alone = callbacks.give_file(service, Visit(), together[1:], "point", "y", "new", OPTIONS)
    assert "plate.mtl are not here" in alone.notice
    assert alone.answers
    assert "plate.mtl are not here" in (alone.inside or "")
    none = callbacks.give_file(
        service, Visit(), [together[0], together[0] | {"orig_name": "b.mtl"}], "point", "y", "new", OPTIONS
    )
    assert "none of them a shape" in none.notice
