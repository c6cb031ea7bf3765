"""Memory plans and what is said before anything is fetched, for machines that are not here."""

import pytest
import torch

from omnibind_core.errors import PresetError, WeightsError
from omnibind_core.machine import doctor, plans, preflight
from omnibind_core.machine.memory import _example
from omnibind_core.machine.plans import Needs, Placement, choose_plan, needs
from omnibind_core.presets.preset import load_preset, preset_names
from omnibind_core.specialists.registry import find
from omnibind_core.types import MODALITIES
from tests.small_towers import eva_clip

CPU = torch.device("cpu")
GB = 10**9


@pytest.mark.parametrize(
    ("preset", "card", "machine", "plan"),
    [
        ("base", 15.5, 24, "int8"),
        ("base", 15.5, 16, "streamed"),
        ("base", 23.5, 16, "resident"),
        ("large", 23.5, 32, "int8"),
        ("large", 15.5, 32, "streamed"),
        ("full", 23.5, 64, "streamed"),
        ("full", 39.0, 64, "int8"),
        ("full", 79.0, 64, "resident"),
        ("full", 23.5, 30, None),
        ("base", None, 30, "resident"),
        ("full", None, 30, None),
    ],
)
def test_each_machine_gets_the_quickest_plan_that_fits(preset, card, machine, plan):
    card = card if card is None else int(card * GB)
    found, reason = choose_plan(needs(load_preset(preset), card=card), card, machine * GB)
    assert found == plan
    assert ("needs" in reason) == (plan != "resident")


def test_needs_follow_from_the_parameters():
    resident, int8, streamed = needs(load_preset("base"), ["point"])
    assert [one.plan for one in (resident, int8, streamed)] == ["resident", "int8", "streamed"]
    uni3d = find("uni3d_g_lvis")[0].parameters
    heads = resident.card - plans.RESERVE - 2 * uni3d
    assert 0.85 * GB < heads < 0.9 * GB
    assert int8.card == pytest.approx(plans.RESERVE + heads + (1 + 2 / 64) * uni3d, rel=0.01)
    assert streamed.card < plans.RESERVE + heads + 0.01 * GB
    assert resident.card < needs(load_preset("base"))[0].card


def test_without_a_card_nothing_is_streamed():
    found = [Needs("resident", 10, 1), Needs("int8", 6, 8), Needs("streamed", 1, 1)]
    assert choose_plan(found, None, 9)[0] == "int8"
    assert choose_plan(found, None, 7) == (None, "resident needs 0.0 GB of memory (0.0 free); int8 needs 0.0 GB of "
                                                 "memory (0.0 free)")  # fmt: skip
    assert choose_plan(found, 5, 7)[0] == "streamed"


def test_a_preset_that_does_not_fit_is_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.setattr(plans, "free_in_machine", lambda: GB)
    with pytest.raises(PresetError, match=r"resident needs .* GB of memory \(1\.0 free\)"):
        Placement("auto", load_preset("base"), ["point"], CPU, torch.bfloat16)
    assert Placement("int8", load_preset("base"), ["point"], CPU, torch.bfloat16).plan == "int8"
    assert Placement("auto", load_preset("mini"), ["text"], CPU, torch.float32).plan == "resident"
    with pytest.raises(PresetError, match="auto, resident, streamed, int8"):
        Placement("fast", load_preset("mini"), ["text"], CPU, torch.float32)


def test_towers_are_built_where_the_plan_wants_them(tmp_path):
    spec = find("eva_clip_18b")[0]
    rows = {}
    for plan in ("resident", "streamed"):
        placement = Placement(plan, load_preset("full"), ["text"], CPU, torch.float32)
        tower = placement.build(lambda *_: eva_clip(tmp_path, wide=(64, 512), heads=(4, 8)), spec, {}, {})
        assert (type(tower).__name__ == "EvaClip") == (plan == "resident")
        rows[plan] = tower.embed("text", [_example("text")])
    assert torch.equal(rows["resident"], rows["streamed"])


def test_memory_of_this_machine_is_told():
    assert 1e8 < plans.free_in_machine() < 1e14
    assert plans.free_on_card(CPU) is None


@pytest.mark.parametrize(("preset", "files", "low", "high"), [("base", 8, 22.8, 23), ("large", 18, 41.5, 42.5)])
def test_files_are_listed_once_with_sizes_or_estimates(preset, files, low, high):
    rows = preflight.file_rows(load_preset(preset))
    assert len(rows) == len({row.label for row in rows}) == files
    assert low * GB < sum(row.about for row in rows) < high * GB
    uni3d = next(row for row in rows if "uni3d-g/lvis" in row.label)
    assert uni3d.bytes == uni3d.about == 2_034_909_361
    assert all(row.about > 0 for row in rows)


def test_without_a_card_the_faster_type_is_taken_unless_only_the_other_fits(monkeypatch):
    monkeypatch.setattr(
        plans, "choose_dtype", lambda name, _device: torch.float32 if name == "auto" else getattr(torch, name)
    )
    base = load_preset("base")

    def at(machine, **options):
        found = plans.decide(base, device=CPU, card=None, machine=int(machine * GB), **options)
        return found.plan, found.dtype

    assert at(40) == ("resident", torch.float32)
    assert at(22) == ("resident", torch.bfloat16)
    assert at(22, dtype="float32") == (None, torch.float32)
    assert at(40, dtype="bfloat16") == ("resident", torch.bfloat16)
    assert at(9) == (None, torch.float32)
    assert at(9, plan="resident") == ("resident", torch.float32)
    reason = plans.decide(base, device=CPU, card=None, machine=22 * GB).reason
    assert "in bfloat16; float32 is faster here, but resident needs" in reason


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def test_the_licence_is_said_and_the_disk_is_looked_at_before_fetching(empty_cache, monkeypatch, caplog):
    preset = load_preset("base")
    monkeypatch.setattr(preflight, "free_on_disk", lambda: 10 * GB)
    with pytest.raises(WeightsError, match=r"10\.0 GB free .*base\.pt.*OMNIBIND_CACHE"):
        preflight.announce(preset, preset.specialists())
    assert "not for commercial use: ImageBind-huge (CC-BY-NC-SA-4.0)" in caplog.text
    monkeypatch.setattr(preflight, "free_on_disk", lambda: 100 * GB)
    caplog.clear()
    preflight.announce(preset, ["uni3d_g_lvis"])
    assert "commercial" not in caplog.text


def test_nothing_is_said_where_all_is_here(monkeypatch, caplog):
    monkeypatch.setattr(preflight, "is_cached", lambda _source: True)
    preflight.announce(load_preset("base"), load_preset("base").specialists())
    assert caplog.text == ""


@pytest.mark.parametrize(("name", "commercial"), [("mini", True), ("base", False), ("large", False), ("full", False)])
def test_commercial_use(name, commercial):
    preset = load_preset(name)
    assert all(preflight.is_commercial(licence) for licence in preflight.licences(preset)) == commercial


def test_doctor_says_what_a_published_preset_needs(empty_cache, monkeypatch):
    monkeypatch.setattr(doctor, "free_in_machine", lambda: 40 * GB)
    monkeypatch.setattr(doctor, "free_on_disk", lambda: 100 * GB)
    monkeypatch.setattr(doctor, "choose_device", lambda _name: CPU)
    found = doctor.examine("base")
    text = "\n".join(doctor.describe(found))
    assert not found["ready"]
    assert not found["commercial"]
    assert "verdict    this machine can run it, plan resident" in text
    assert "BAAI/Uni3D/modelzoo/uni3d-g/lvis/model.pt:   2.035 GB, to be fetched" in text
    assert "base.pt: size not stated, about 0.881 GB" in text
    assert "not for commercial use: ImageBind-huge" in text
    assert "8 files are not here (run `python -m omnibind_core doctor --preset base --fetch`)" in text
    monkeypatch.setattr(doctor, "free_in_machine", lambda: 4 * GB)
    assert "cannot run it: resident needs" in "\n".join(doctor.describe(doctor.examine("base")))
    monkeypatch.setattr(doctor, "free_on_disk", lambda: 4 * GB)
    assert "too little room on the disk" in "\n".join(doctor.describe(doctor.examine("base")))


MACHINES = {  # bytes free on the card, in the machine, on the disk; the type that is faster
    "a laptop": (None, 12 * GB, 30 * GB, torch.float32),
    "a workstation": (23 * GB, 30 * GB, 60 * GB, torch.bfloat16),
    "a server": (None, 400 * GB, 300 * GB, torch.float32),
}


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("machine", MACHINES)
def test_what_doctor_says_is_what_loading_does(empty_cache, monkeypatch, name, machine):
    card, memory, disk, faster = MACHINES[machine]
    monkeypatch.setattr(plans, "choose_dtype", lambda *_: faster)
    for module in (plans, doctor):
        monkeypatch.setattr(module, "free_on_card", lambda _device: card)
        monkeypatch.setattr(module, "free_in_machine", lambda: memory)
    for module in (preflight, doctor):
        monkeypatch.setattr(module, "free_on_disk", lambda: disk)
    monkeypatch.setattr(doctor, "choose_device", lambda _name: CPU)
    preset = load_preset(name)
    found = doctor.examine(name)
    try:
        placed = Placement("auto", preset, MODALITIES, CPU, "auto")
        assert found["memory"]["plan"] == placed.plan
        assert found["memory"]["dtype"] == str(placed.dtype).removeprefix("torch.")
    except PresetError as error:
        assert found["memory"]["plan"] is None
        assert found["memory"]["reason"] in str(error)
    try:
        preflight.announce(preset, preset.specialists())
        assert found["disk"]["enough"]
    except WeightsError:
        assert not found["disk"]["enough"]


def test_what_an_interrupted_fetch_left_needs_no_room_again(empty_cache, monkeypatch):
    rows = preflight.file_rows(load_preset("base"))
    whole = preflight.room(rows, 10 * GB)
    monkeypatch.setattr(preflight, "bytes_waiting", lambda source: 9 * GB if "eva02" in source.repo else 0)
    rest = preflight.room(preflight.file_rows(load_preset("base")), 15 * GB)
    assert whole.wanted - rest.wanted == 9 * GB
    assert not whole.enough
    assert rest.enough


def test_small_presets_compute_in_float32_on_a_card(monkeypatch):
    monkeypatch.setattr(plans, "choose_dtype", lambda name, device: getattr(torch, name, torch.bfloat16))
    card = {"device": torch.device("cuda"), "card": 80 * GB, "machine": 60 * GB}
    assert plans.decide(load_preset("mini"), **card).dtype == torch.float32
    assert plans.decide(load_preset("mini"), dtype="bfloat16", **card).dtype == torch.bfloat16
    assert plans.decide(load_preset("base"), **card).dtype == torch.bfloat16
