"""The command that makes mini: its stages, and how it ends."""

from __future__ import annotations

import pytest

from omnibind_core.binding.files import load_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.errors import MediaError
from omnibind_core.evaluation.published import published_section
from omnibind_core.presets.preset import load_preset
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import MODALITIES
from tools.mini import __main__ as mini
from tools.mini.routers import INPUTS, MEMBERS_OF, evaluation_preset, evaluation_routers, routed


def test_stages_run_in_order_or_as_asked(monkeypatch):
    ran = []
    monkeypatch.setattr(
        mini, "STAGES", {name: (lambda out, name=name: ran.append((name, out.name))) for name in ("first", "second")}
    )
    assert mini.main([]) == 0
    assert mini.main(["second"]) == 0
    assert mini.main(["first", "--out", "elsewhere"]) == 0
    assert ran == [("first", "mini"), ("second", "mini"), ("second", "mini"), ("first", "elsewhere")]


def test_every_stage_can_be_started(monkeypatch):
    started = []
    monkeypatch.setattr(mini, "PROGRAMS", {})
    for module in ("pictures", "sounds.train", "shapes.__main__", "routers"):
        monkeypatch.setattr(f"tools.mini.{module}.make", lambda out, module=module: started.append(module))
    assert mini.main(["eyes", "ears", "shapes", "routers"]) == 0
    assert started == ["pictures", "sounds.train", "shapes.__main__", "routers"]


def test_an_unknown_stage_is_named(capsys):
    with pytest.raises(SystemExit):
        mini.main(["tongue"])
    assert "tongue" in capsys.readouterr().err


def test_what_cannot_be_had_is_told(monkeypatch, capsys):
    def no_apt(_out):
        raise MediaError("no apt", "Debian", "use Debian")

    monkeypatch.setattr(mini, "STAGES", {"eyes": no_apt})
    assert mini.main([]) == 2
    assert "no apt" in capsys.readouterr().err


def test_the_evaluation_has_heads_that_leave_the_test_packages_out():
    preset = evaluation_preset()
    files = load_files(preset)
    Projectors(preset, files)
    for name in ("aisfx_words", "whisper_tiny_words", "heard"):
        assert preset.files[name].local().parent.name == "eval"
    for name, path in evaluation_routers().items():
        router = Routers(routed(preset, name), {name: read_tensors(path)})
        assert all(router.is_trained(m) for m in MODALITIES)


def test_routers_read_every_tower_once_and_domains_name_members():
    preset = load_preset("mini")
    for modality, spaces in INPUTS.items():
        towers = [preset.tower(modality, space) for space in spaces]
        assert len(towers) == len(set(towers))
    names = {member.name for member in preset.members["text"]}
    assert all(set(members) <= names for members in MEMBERS_OF.values())


def test_published_figures_are_marked_as_published():
    section = published_section()
    assert "not measured here" in section.text
    assert len(section.rows) == 13
    assert section.rows[4] == ["text-image, COCO: R@1", "56.94", "60.08", "62.64"]


def test_programs_are_looked_for_before_the_first_stage(monkeypatch, capsys):
    monkeypatch.setattr(mini.shutil, "which", lambda name: None if name in ("espeak-ng", "npm") else name)
    monkeypatch.setattr(mini, "STAGES", {"eyes": pytest.fail, "ears": pytest.fail, "languages": pytest.fail})
    assert mini.main([]) == 2
    assert "training without espeak-ng, npm" in capsys.readouterr().err
    with pytest.raises(MediaError):
        mini.check_programs(["languages"])
    mini.check_programs(["eyes", "gallery"])
