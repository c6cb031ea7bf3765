"""What comes from elsewhere is what the lock says: versions, files, licences, and the bill of materials."""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
import json
import re
import stat
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from omnibind_core.specialists.registry import all_specs
from tools import supply

ROOT = Path(__file__).resolve().parents[1]
DIGEST = hashlib.sha256(b"x").hexdigest()


def test_every_pin_is_in_the_lock_with_a_hash():
    locked = supply.read_lock()
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)$",
        (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text(),
        re.M,
    )
    assert len(pins) > 25
    for name, version in pins:
        one = locked[str(canonicalize_name(name))]
        assert one.version.partition("+")[0] == version
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in one.hashes)
        assert one.hashes


def test_this_environment_has_the_pinned_versions():
    there = {name: one.version for name, one in supply.installed().items()}
    locked = supply.read_lock()
    if (
        sys.version_info[:2] != (3, 11) or sys.platform != "linux"
    ):  # others resolve to other versions of what comes along
        pins = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
        locked = {name: locked[name] for name in (str(canonicalize_name(pin)) for pin in pins)}
    assert supply.differences(locked, there) == []


def test_differences_are_named():
    locked = {
        "a": supply.Locked("a", "1.0+cpu", ()),
        "b": supply.Locked("b", "2", ()),
        "c": supply.Locked("c", "3", ()),
    }
    assert supply.differences(locked, {"a": "1.0", "b": "2.1"}) == [
        "b is 2.1, the lock has 2",
        "c 3 is in the lock and not installed",
    ]


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "thing-1.dist-info"
    folder.mkdir()
    (tmp_path / "thing.py").write_text("good = 1\n")
    (tmp_path / "gone.py").write_text("")
    rows = []
    for name in ("thing.py", "gone.py"):
        digest = hashlib.sha256((tmp_path / name).read_bytes()).digest()
        import base64

        rows.append(f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},1\n")
    (folder / "RECORD").write_text("".join([*rows, "thing-1.dist-info/RECORD,,\n"]))
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1\n")
    one = metadata.PathDistribution(folder)
    assert supply.changed(one) == []
    (tmp_path / "thing.py").write_text("bad = 1\n")
    (tmp_path / "gone.py").unlink()
    assert supply.changed(one) == ["thing.py was changed", "gone.py is gone"]


def test_a_small_distribution_is_as_its_wheel_recorded():
    assert supply.changed(metadata.distribution("soundfile")) == []


def test_the_lock_is_written_from_pips_report():
    row = {
        "metadata": {"name": "Some_Thing", "version": "1.0"},
        "download_info": {"url": "https://x", "archive_info": {"hashes": {"sha256": DIGEST}}},
    }
    where = dict.fromkeys(("implementation_name", "python_version", "sys_platform", "platform_machine"), "here")
    text = supply.lock({"install": [row], "environment": where})
    assert text.endswith(f"some-thing==1.0 \\\n    --hash=sha256:{DIGEST}\n")
    assert "https" not in text
    row["download_info"] = {"url": "https://x", "archive_info": {}}
    with pytest.raises(ValueError, match="no SHA-256 for some-thing"):
        supply.lock({"install": [row], "environment": where})


@pytest.mark.parametrize("line", ["torch>=2", "torch==2.13.0", f"torch==2 --hash=md5:{DIGEST}", "-e ."])
def test_a_lock_without_hashes_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match="no line of a lock"):
        supply.read_lock(path)


def test_the_page_of_licences_has_every_package_and_tower():
    page = (ROOT / "docs" / "licences.md").read_text()
    for name, one in supply.read_lock().items():
        assert f"| {name} | {one.version} |" in page
    for spec in all_specs().values():
        assert f"| {spec.title} | {spec.licence} |" in page
    assert "not said" not in page
    assert "not installed where" not in page


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page was made on Python 3.11")
def test_the_pages_are_what_the_command_writes():
    locked, there = supply.read_lock(), supply.installed()
    assert (ROOT / "docs" / "licences.md").read_text() == supply.licences_page(locked, there)
    assert json.loads((ROOT / "docs" / "sbom.cdx.json").read_text()) == supply.bill(locked, there)


def test_the_bill_of_materials_holds_together():
    bill = json.loads((ROOT / "docs" / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    known = {one["bom-ref"] for one in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert len(known) == len(bill["components"]) + 1
    for row in bill["dependencies"]:
        assert {row["ref"], *row["dependsOn"]} <= known
    for one in bill["components"]:
        assert one["licenses"]
        for entry in one["licenses"]:
            assert entry.get("expression") or entry["license"].get("id") or entry["license"].get("name")
        if one["type"] == "library":
            assert one["hashes"][0]["alg"] == "SHA-256"
            assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"


def program(path: Path, answer: object) -> str:
    path.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(answer))})\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_audit_that_reaches_no_database_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skipped = {"name": "numpy", "skip_reason": "Dependency not found"}
    for answer in ({"dependencies": [skipped]}, {"dependencies": []}, "ConnectionError", None):
        assert supply.audit(program(tmp_path / "audit", answer)) == 3
        assert "not reached from here: nothing was audited" in capsys.readouterr().out


def test_an_audit_names_what_is_weak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "numpy", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]},
        {"name": "torch", "version": "2", "vulns": []},
        {"name": "wget", "skip_reason": "not found"},
    ]
    assert supply.audit(program(tmp_path / "audit", {"dependencies": rows})) == 1
    said = capsys.readouterr().out
    assert "numpy 1.0: CVE-1, mended in 1.1" in said
    assert "2 of 3 packages audited, 1 known weaknesses; not known to the database: wget" in said
    assert supply.audit(program(tmp_path / "audit", {"dependencies": rows[1:2]})) == 0
