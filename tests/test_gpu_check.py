"""The card's check in its small form, on the processor."""

import json

import pytest

from omnibind_core.machine.names import PLANS
from tools import gpu_check


@pytest.mark.parametrize("parts", [["agreement", "plans"], pytest.param(list(gpu_check.PARTS), marks=pytest.mark.slow)])
def test_parts_run_without_a_card(tmp_path, monkeypatch, capsys, parts):
    monkeypatch.setattr(gpu_check, "BATCHES", (1, 2))
    monkeypatch.setattr(gpu_check, "names_of", lambda *_: ["eva_clip_18b", "siglip_l_384"])
    kept = tmp_path / "found.json"
    assert gpu_check.main(["--small", "--only", ",".join(parts), "--json", str(kept)]) == 0
    found = json.loads(kept.read_text())
    assert {row["as wanted"] for row in found["agreement"]} == {True}
    assert {row["plan"] for row in found["plans"]} == set(PLANS)
    if "towers" in parts:
        assert {(row["modality"], row["batch"]) for row in found["towers"]} == {
            (modality, batch) for modality in ("image", "text") for batch in (1, 2)
        }
    assert found["left out"] == []
    page = capsys.readouterr().out
    assert page.count("| yes |") >= 4
    assert "On the processor" in page


def test_one_of_each_class_stands_for_it():
    small = gpu_check.names_of(("base", "full"), True)
    assert len(small) == len({name.split("_")[0] + name.split("_")[1] for name in small}) == 9
    assert set(small) < set(gpu_check.names_of(("base", "full"), False))


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    def fails(*_):
        yield {"tower": "one"}
        raise RuntimeError("CUDA error: an illegal memory access")

    monkeypatch.setattr(gpu_check, "PARTS", {"first": fails, "second": lambda *_: iter([{"tower": "two"}])})
    found = gpu_check.check(["first", "second"], tmp_path, gpu_check.CPU, small=True)
    assert found["first"][1]["failed"].endswith("illegal memory access")
    assert found["second"] == [{"tower": "two"}]
    assert gpu_check.check(["first"], tmp_path, gpu_check.CPU, small=True, limit=-1)["left out"] == [
        "the rest of first"
    ]


def test_without_a_card_the_large_form_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu_check.main([])
    assert "--small" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        gpu_check.main(["--small", "--only", "speed"])
    assert "some of agreement, heads" in capsys.readouterr().err
