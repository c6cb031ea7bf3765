"""What a checkpoint holds is known before it is fetched; what `full` lacks is taken from `large`, and said."""

import io
import json

import pytest
import torch
from safetensors.torch import save

from omnibind_core.binding.files import load_files
from omnibind_core.cli import main
from omnibind_core.errors import WeightsError
from omnibind_core.machine import hub_check, preflight
from omnibind_core.machine.doctor import describe, examine
from omnibind_core.machine.fetching import fetch, look_into_checkpoints
from omnibind_core.machine.hub_check import check_hub, describe_check
from omnibind_core.machine.preflight import file_rows
from omnibind_core.presets.preset import load_preset
from omnibind_core.presets.tensors import expected_names
from omnibind_core.store.entries import Entry, entries_of_file, entries_on_hub
from omnibind_core.store.hub_errors import HubUnreachableError
from omnibind_core.store.weights import HubFile
from tools.rehearsal.hub import Fault

FULL, LARGE, BASE = (f"Viglong/OmniBind/checkpoints/projs/{name}.pt" for name in ("full", "large", "base"))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def checkpoint(preset, value=1.0, without=(), more=()):
    """A state dict of the preset's names, with small tensors, as torch writes it."""
    names = [*sorted(expected_names(load_preset(preset), "checkpoint")), *more]
    tensors = {name: torch.full((3, 40), value) for name in names if not name.startswith(tuple(without))}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_lists_are_those_of_the_tensors_and_little_is_read(hub_of, tmp_path, dtype):
    big = {"a.weight": torch.zeros(1000, 2000, dtype=dtype), "b": torch.zeros((), dtype=torch.int64)}
    buffer = io.BytesIO()
    torch.save(big, buffer)
    hub = hub_of({"owner/name/a.pt": buffer.getvalue(), "owner/name/a.safetensors": save(big)})
    expected = {"a.weight": Entry((1000, 2000), str(dtype).removeprefix("torch.")), "b": Entry((), "int64")}
    for name in ("a.pt", "a.safetensors"):
        assert entries_on_hub(HubFile("owner/name", name, COMMIT)) == expected
        assert entries_of_file(hub.files[f"owner/name/{name}"]) == expected
    assert sum(sent.count for sent in hub.sent) < 2_000_000


class Surprise:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_list_with_a_surprise_is_not_executed(tmp_path, capsys):
    torch.save({"w": Surprise()}, tmp_path / "bad.pt")
    with pytest.raises(WeightsError, match=r"bad\.pt, whose list of tensors cannot be read"):
        entries_of_file(tmp_path / "bad.pt")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 nothing", b"\xff" * 8 + b"{", b"\x02\0\0\0\0\0\0\0{}", b"old pickle"]
)
def test_damaged_lists(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    if content.endswith(b"{}"):
        assert entries_of_file(path) == {}
        return
    with pytest.raises(WeightsError, match=r"a\.pt"):
        entries_of_file(path)


def test_a_server_without_ranges_gives_no_list(hub_of):
    hub = hub_of({"owner/name/a.pt": bytes(100_000)})
    with hub.failing(Fault("no-ranges")), pytest.raises(WeightsError, match="no ranges"):
        entries_on_hub(HubFile("owner/name", "a.pt", COMMIT))


def test_full_without_imagebinds_heads_takes_them_from_large(hub_of, cache, caplog):
    hub_of({FULL: checkpoint("full", 1.0, without=["ib_projs."]), LARGE: checkpoint("large", 2.0)})
    full = load_preset("full")
    said = []
    fetch(full, [], progress=lambda label, _share: said.append(label))
    assert "full.pt lacks ib_projs.*" in caplog.text
    assert any("file 2 of 2; all: " in label for label in said)
    loaded = load_files(full, offline=True)["checkpoint"]
    assert set(loaded) == expected_names(full, "checkpoint")
    values = {name.partition(".")[0]: float(tensor.mean()) for name, tensor in loaded.items()}
    assert values.pop("ib_projs") == 2.0
    assert set(values.values()) == {1.0}
    text = "\n".join(describe(examine("full")))
    assert "large.pt" in text
    assert "only if" not in text


def test_full_as_its_names_say_needs_nothing_of_large(hub_of, cache, caplog):
    hub = hub_of({FULL: checkpoint("full")})
    full = load_preset("full")
    assert any("only if the preset's own file lacks ib_projs.*" in row.note for row in file_rows(full))
    assert "only if the preset's own file lacks" in "\n".join(describe(examine("full")))
    fetch(full, [])
    assert {sent.path for sent in hub.sent} == {FULL}
    assert set(load_files(full, offline=True)["checkpoint"]) == expected_names(full, "checkpoint")
    assert not any("large.pt" in row.label for row in file_rows(full))
    assert caplog.text.count("lacks") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"without": ["ib_projs.", "A_enc_router."]}, r"\d+ of A_enc_router"),
        ({"without": ["ib_projs.0."]}, r"\d+ of ib_projs"),
        ({"without": ["T_enc_router."]}, r"\d+ of T_enc_router"),
        ({"more": ["surprise.weight"]}, "1 of surprise"),
        ({"without": ["ib_projs."], "more": ["surprise.weight"]}, "1 of surprise"),
    ],
)
def test_other_names_that_are_missing_are_named_before_anything_large_is_fetched(
    hub_of, cache, monkeypatch, options, words
):
    monkeypatch.setattr(preflight, "free_on_disk", lambda: 10**12)
    hub = hub_of({FULL: checkpoint("full", **options), LARGE: checkpoint("large")})
    with pytest.raises(WeightsError, match=words):
        fetch(load_preset("full"), ["clap_general", "eva_clip_18b"])
    assert {sent.path for sent in hub.sent} == {FULL}
    assert not list(cache.rglob("*.pt"))


@pytest.mark.parametrize("preset", ["base", "large"])
def test_no_other_preset_borrows(hub_of, cache, preset):
    hub_of({BASE: checkpoint("base", without=["ib_projs."]), LARGE: checkpoint("large", without=["ib_projs."])})
    with pytest.raises(WeightsError, match="of ib_projs"):
        look_into_checkpoints(load_preset(preset))


def test_a_checkpoint_that_cannot_be_looked_into_is_fetched_all_the_same(hub_of, cache, caplog):
    hub = hub_of({BASE: checkpoint("base")})
    with hub.failing(Fault("no-ranges", times=1)):
        fetch(load_preset("base"), [])
    assert "is not looked into beforehand" in caplog.text
    load_files(load_preset("base"), offline=True)


@pytest.fixture
def small_base(hub_of, cache, monkeypatch):
    """A Hub with all files of `base`, of other sizes than the published ones."""
    rows = [row.label for row in file_rows(load_preset("base"))]
    contents = {label: label.encode() * (2000 if not label.endswith("tokenizer.json") else 1) for label in rows}
    return hub_of({**contents, BASE: checkpoint("base", more=["surprise.weight"])})


def test_the_hub_is_asked_for_all_and_nothing_is_stored(small_base, cache, capsys):
    assert main(["doctor", "--preset", "base", "--check-hub"]) == 0
    text = capsys.readouterr().out
    assert "hub        8 files asked for: 2 differ; please send us these lines" in text
    assert (
        "DIFFERS    Viglong/OmniBind/checkpoints/projs/base.pt: has 1 tensors that are not known: 1 of surprise" in text
    )
    assert "bytes instead of 2034909361" in text
    assert "sha256" in text
    assert "google-bert/bert-base-uncased/tokenizer.json at b96743c503420c0858ad23fca994e670844c6c05" in text
    assert {sent.path for sent in small_base.sent} == {BASE}
    assert sum(line.startswith("HEAD") for line in small_base.asked) == 8
    assert not [path for path in cache.rglob("*") if path.is_file()]
    main(["doctor", "--preset", "base", "--check-hub", "--json"])
    rows = json.loads(capsys.readouterr().out)["hub_check"]
    assert len(rows) == 8
    assert rows[0]["tensors"] == len(expected_names(load_preset("base"), "checkpoint")) + 1


def test_what_the_hub_refuses_is_said_for_each_file(small_base):
    with small_base.failing(Fault("403", "imagebind", ask=True), Fault("404", "eva02", ask=True)):
        text = "\n".join(describe_check(check_hub(load_preset("base"))))
    assert "imagebind-huge/model.safetensors: Given: " in text
    assert "(403" in text
    assert "(404" in text
    assert "no answer" in text


def test_other_commits_and_sizes_differ(hub_of, cache, monkeypatch):
    hub_of({BASE: bytes(200_000)}, commit=COMMIT)
    base = load_preset("base")
    monkeypatch.setattr(hub_check, "required", lambda _names: [])
    (row,) = check_hub(base)
    assert f"commit {COMMIT} instead of {base.files['checkpoint'].revision}" in row["differs"]
    assert any("no list of its tensors" in one for one in row["differs"])


def test_a_hub_out_of_reach_is_said_once(cache, hasty, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubUnreachableError):
        check_hub(load_preset("base"))


def test_nobody_is_asked_when_offline(cache, monkeypatch, capsys):
    monkeypatch.setenv("OMNIBIND_OFFLINE", "1")
    assert main(["doctor", "--preset", "base", "--check-hub"]) == 2
    assert "unset OMNIBIND_OFFLINE and HF_HUB_OFFLINE" in capsys.readouterr().err
