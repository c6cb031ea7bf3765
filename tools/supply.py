"""What comes from elsewhere: a lock of every distribution, their licences and the weights', and a bill of materials.

``python -m tools.supply`` checks this environment against requirements.lock: the version of every distribution, and
every installed file against the hash that its wheel recorded. ``--lock REPORT`` writes the lock from a report of pip's;
``--write`` writes docs/licences.md and docs/sbom.cdx.json from the metadata of what is installed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.metadata as metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from omnibind_core.specialists.registry import all_specs
from omnibind_core.store.paths import replace_file

__all__ = [
    "Locked",
    "audit",
    "bill",
    "changed",
    "differences",
    "installed",
    "licence_of",
    "licences_page",
    "lock",
    "main",
    "parser",
    "read_lock",
]

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PAGE = ROOT / "docs" / "licences.md"
BILL = ROOT / "docs" / "sbom.cdx.json"
HEAD = """\
# What a fresh environment holds, with the SHA-256 of each file: `pip install --require-hashes -r requirements.lock`.
# Made by `python -m tools.supply --lock REPORT` from what pip resolved for requirements.txt and requirements-dev.txt on
# {platform}. Other platforms need other wheels: their hashes are not here, and pip refuses
# them. torch is the build for processors alone ("+cpu"); the usual one brings packages for NVIDIA's cards along.
"""
_PATIENCE = 600.0  # seconds for all answers of the database
_OFFLINE = 3
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*(?:#.*)?$")


@dataclass(frozen=True)
class Locked:
    """One line of the lock.

    Attributes
    ----------
    name : str
        In its canonical form: lower case, dashes.
    version : str
        Without what follows a "+" in it: the index of the CPU's torch adds that.
    hashes : tuple of str
        SHA-256 of the files that may be installed, in hexadecimal digits.
    """

    name: str
    version: str
    hashes: tuple[str, ...]


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.supply",
        description="Compare what is installed with requirements.lock, and each file with the hash its wheel recorded.",
    )
    found.add_argument("--check", action="store_true", help="say so; nothing else is done without an option either")
    found.add_argument(
        "--lock", type=Path, metavar="REPORT", help="write requirements.lock from pip's --report instead"
    )
    found.add_argument("--audit", metavar="PROGRAM", help="ask pip-audit for known weaknesses of the lock instead")
    found.add_argument("--write", action="store_true", help="write docs/licences.md and docs/sbom.cdx.json instead")
    return found


def read_lock(path: Path = LOCK) -> dict[str, Locked]:
    """Read the lock, by name.

    Raises
    ------
    ValueError
        A line that is not "name==version --hash=sha256:...".
    """
    found: dict[str, Locked] = {}
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line.strip())
        if match is None:
            raise ValueError(f"{path.name}: '{line.strip()[:60]}' is no line of a lock with hashes")
        name = str(canonicalize_name(match[1]))
        found[name] = Locked(name, match[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", match[3])))
    return found


def lock(report: Mapping[str, Any]) -> str:
    """Give the text of the lock.

    Parameters
    ----------
    report : mapping
        What ``pip install --dry-run --ignore-installed --report`` wrote: everything that would be installed.

    Raises
    ------
    ValueError
        A file without a hash.
    """
    rows = {}
    for one in report["install"]:
        name, version = str(canonicalize_name(one["metadata"]["name"])), one["metadata"]["version"]
        digest = one["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest is None:
            raise ValueError(f"pip gave no SHA-256 for {name} {version}")
        rows[name] = f"{name}=={version} \\\n    --hash=sha256:{digest}\n"
    where = report["environment"]
    platform = (
        f"{where['implementation_name']} {where['python_version']}, {where['sys_platform']} {where['platform_machine']}"
    )
    return HEAD.format(platform=platform) + "".join(rows[name] for name in sorted(rows))


def installed() -> dict[str, metadata.Distribution]:
    """Distributions of this environment, by canonical name."""
    return {str(canonicalize_name(one.metadata["Name"])): one for one in metadata.distributions()}


def differences(locked: Mapping[str, Locked], there: Mapping[str, str]) -> list[str]:
    """Say what is missing or of another version than the lock has it; `there` maps names to versions."""
    found = []
    for name, one in sorted(locked.items()):
        if name not in there:
            found.append(f"{name} {one.version} is in the lock and not installed")
        elif there[name].partition("+")[0] != one.version.partition("+")[0]:
            found.append(f"{name} is {there[name]}, the lock has {one.version}")
    return found


def changed(one: metadata.Distribution) -> list[str]:
    """Files of a distribution that are not what its wheel recorded: changed, or gone."""
    found = []
    for file in one.files or ():
        if file.hash is None or file.hash.mode != "sha256" or file.suffix == ".pyc":  # the record itself, byte code
            continue
        path = Path(str(file.locate()))
        if not path.is_file():
            found.append(f"{file} is gone")
            continue
        with path.open("rb") as opened:
            digest = hashlib.new("sha256")
            while part := opened.read(1 << 20):
                digest.update(part)
        if base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() != file.hash.value:
            found.append(f"{file} was changed")
    return found


def licence_of(one: metadata.Distribution) -> str:
    """Licence of a distribution as its metadata has it: an expression, a short name, or its classifiers."""
    fields: Any = one.metadata  # typed without what every message has
    expression = fields.get("License-Expression")
    if expression:
        return str(expression)
    named = [
        str(row).rpartition(" :: ")[2] for row in fields.get_all("Classifier", []) if str(row).startswith("License ::")
    ]
    plain = str(fields.get("License") or "").strip()
    if plain and "\n" not in plain and len(plain) <= 60 and plain.upper() != "UNKNOWN":
        return plain
    if named:
        return " and ".join(dict.fromkeys(named))
    files = [file for file in one.files or () if re.match(r"(?i)licen[cs]e|copying", file.name)]
    first = next(iter(files[0].read_text().strip().splitlines()), "") if files else ""
    return f"not in its metadata; its licence file begins '{first.strip()[:50]}'" if first else "not said"


def licences_page(locked: Mapping[str, Locked], there: Mapping[str, metadata.Distribution]) -> str:
    """Give docs/licences.md: one row for each distribution of the lock, one for each set of weights."""
    lines = [
        "# Licences of what comes from elsewhere",
        "",
        "Made by `python -m tools.supply --write` from the packages' own metadata (the versions of",
        "[requirements.lock](../requirements.lock)) and from the records of the towers in `omnibind_core/`; a",
        "test compares them. Nothing here is in this repository: pip and `doctor --fetch` bring it. What is in it,",
        "media and heads, stands in [assets/LICENSES.md](../assets/LICENSES.md). Which package is for what, and what",
        "its wheel brings along under other terms, stands in [dependencies.md](dependencies.md).",
        "",
        "## Packages",
        "",
        "| package | version | licence |",
        "|---|---|---|",
    ]
    for name, entry in sorted(locked.items()):
        said = licence_of(there[name]) if name in there else "not installed where this page was made"
        lines.append(f"| {name} | {entry.version} | {_cell(said)} |")
    lines += ["", "## Weights", "", "| weights | licence | published in |", "|---|---|---|"]
    lines += [f"| {_cell(s.title)} | {s.licence} | {_cell(s.source)} |" for _, s in sorted(all_specs().items())]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def bill(locked: Mapping[str, Locked], there: Mapping[str, metadata.Distribution]) -> dict[str, Any]:
    """Give the bill of materials in CycloneDX 1.6: the lock's packages with their hashes, licences and needs."""
    components = [_component(entry, there.get(name)) for name, entry in sorted(locked.items())]
    weights = [
        {
            "type": "machine-learning-model",
            "bom-ref": f"weights:{name}",
            "name": name,
            "description": spec.title,
            "licenses": [{"license": _named(spec.licence)}],
        }
        for name, spec in sorted(all_specs().items())
    ]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', text, re.MULTILINE)
    known = {name: f"pkg:pypi/{name}@{entry.version}" for name, entry in locked.items()}
    root = {
        "type": "application",
        "bom-ref": "omnibind-explorer",
        "name": "omnibind-explorer",
        "version": version[1] if version else "0",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    direct = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    needs = [{"ref": "omnibind-explorer", "dependsOn": sorted(known[str(canonicalize_name(one))] for one in direct)}]
    needs += [{"ref": known[name], "dependsOn": _needs(there[name], known)} for name in sorted(known) if name in there]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components + weights,
        "dependencies": needs,
    }


def _component(entry: Locked, one: metadata.Distribution | None) -> dict[str, Any]:
    url = f"pkg:pypi/{entry.name}@{entry.version}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": entry.name,
        "version": entry.version,
        "purl": url,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in entry.hashes],
    }
    if one is not None:
        found["licenses"] = [_licence(licence_of(one))]
    return found


def _licence(text: str) -> dict[str, Any]:
    """CycloneDX has expressions of SPDX's identifiers, and names for everything else."""
    if re.search(r"\s(?:AND|OR|WITH)\s", text):
        return {"expression": text}
    return {"license": _named(text)}


def _named(text: str) -> dict[str, str]:
    return {"id": text} if text in _SPDX else {"name": text}


# Identifiers that occur here; everything else is given by name.
_SPDX = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-SA-4.0", "CC0-1.0", "ISC", "LGPL-2.1-or-later",
    "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense",
}  # fmt: skip


def _needs(one: metadata.Distribution, known: Mapping[str, str]) -> list[str]:
    """Tell what a distribution needs of what is in the lock, extras aside."""
    needed = [Requirement(row) for row in one.requires or ()]
    names = {str(canonicalize_name(row.name)) for row in needed if "extra ==" not in str(row.marker or "")}
    return sorted(known[name] for name in names if name in known)


def _check() -> int:
    locked, there = read_lock(), installed()
    wrong = differences(locked, {name: one.version for name, one in there.items()})
    for name in sorted(set(locked) & set(there)):
        wrong += [f"{name}: {words}" for words in changed(there[name])]
    for line in wrong:
        sys.stdout.write(line + "\n")
    extra = sorted(set(there) - set(locked))
    if extra:
        sys.stdout.write(f"not in the lock: {', '.join(extra)}\n")
    sys.stdout.write(f"{len(set(locked) & set(there))} of {len(locked)} distributions of the lock are here")
    sys.stdout.write(", as recorded\n" if not wrong else f"; {len(wrong)} things are not as recorded\n")
    return bool(wrong)


def audit(program: str) -> int:
    """Run pip-audit on the lock; 3, with a sentence, where it does not reach its database.

    Versions are asked for without what follows a "+", under which no database knows them, and without asking pip. An
    index that mirrors files alone knows nothing of any package: pip-audit then calls that "no known vulnerabilities".
    """
    rows = "".join(f"{one.name}=={one.version.partition('+')[0]}\n" for one in read_lock().values())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locked.txt"
        path.write_text(rows, encoding="utf-8")
        command = [program, "--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "15"]
        command += ["--format", "json", "-r", str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
            found = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
            found = []
    asked = [one for one in found if "skip_reason" not in one]
    if not asked:
        sys.stdout.write("The database of known weaknesses is not reached from here: nothing was audited.\n")
        sys.stdout.write("Run `make audit` where there is a network; CI does every week.\n")
        return _OFFLINE
    weak = [(one["name"], one["version"], bug) for one in asked for bug in one.get("vulns", ())]
    for name, version, bug in weak:
        mended = ", ".join(bug.get("fix_versions", ())) or "no version yet"
        sys.stdout.write(f"{name} {version}: {bug['id']}, mended in {mended}\n")
    unknown = sorted(one["name"] for one in found if "skip_reason" in one)
    sys.stdout.write(f"{len(asked)} of {len(found)} packages audited, {len(weak)} known weaknesses")
    sys.stdout.write(f"; not known to the database: {', '.join(unknown)}\n" if unknown else "\n")
    return bool(weak)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where something is not as the lock or a wheel's record has it."""
    chosen = parser().parse_args(arguments)
    if chosen.lock is not None:
        replace_file(LOCK, lock(json.loads(chosen.lock.read_text(encoding="utf-8"))).encode())
        return 0
    if chosen.audit is not None:
        return audit(chosen.audit)
    if not chosen.write:
        return _check()
    locked, there = read_lock(), installed()
    replace_file(PAGE, licences_page(locked, there).encode())
    replace_file(BILL, (json.dumps(bill(locked, there), indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
