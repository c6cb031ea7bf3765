"""Every error that a person can cause: one root, and a message in three parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "DamagedError",
    "ExhaustedError",
    "ExtraError",
    "GalleryError",
    "MediaError",
    "OmniBindError",
    "PresetError",
    "QueryError",
    "ReportError",
    "WeightsError",
    "needing",
]


class OmniBindError(Exception):
    """Root of all errors raised on purpose by this package.

    Parameters
    ----------
    given : str
        What was given, with the offending value, as a clause without a full stop.
    allowed : str
        What is allowed instead, as a clause without a full stop.
    action : str
        What the reader can do, as an imperative clause without a full stop.

    Examples
    --------
    >>> str(OmniBindError("weight is 'abc'", "a number from -1 to 1", "type a number"))
    "Given: weight is 'abc'. Allowed: a number from -1 to 1. What to do: type a number."
    """

    def __init__(self, given: str, allowed: str, action: str) -> None:
        given = _short(given)  # what was given may hold a name of thousands of characters
        self.given = given
        self.allowed = allowed
        self.action = action
        super().__init__(f"Given: {given}. Allowed: {allowed}. What to do: {action}.")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Let the error cross a process border with its three parts."""
        return type(self), (self.given, self.allowed, self.action)


def _short(text: str, most: int = 1_000) -> str:
    """Leave the middle of a long text out, and the marks of control that would end a line."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain if len(plain) <= most else f"{plain[: most // 2]} .. {plain[-most // 2 :]}"


class MediaError(OmniBindError, ValueError):
    """A file or sentence that cannot be decoded, or breaks a limit."""


class PresetError(OmniBindError, ValueError):
    """A preset that does not exist or contradicts itself."""


class WeightsError(OmniBindError, RuntimeError):
    """Weights that are missing, cannot be fetched, or are not what they should be."""


class DamagedError(OmniBindError, RuntimeError):
    """A committed file that is no longer what was committed: nothing is computed with it, and nothing replaces it."""


class ExhaustedError(OmniBindError, RuntimeError):
    """The memory, of the card or the machine, does not suffice for one input."""


class ExtraError(OmniBindError, ImportError):
    """A package that an optional extra brings, and that is not installed."""


@contextmanager
def needing(package: str, extra: str) -> Iterator[None]:
    """Import what an extra brings inside of this.

    Parameters
    ----------
    package : str
        As it is imported: `langchain_core`.
    extra : str
        Name of the extra that brings it.

    Raises
    ------
    ExtraError
        The package is not installed; of another one that is missing the error stays what it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ExtraError(
            f"what needs the package `{package}`, which is not here",
            "it with that package, which is an optional extra",
            f"run: pip install 'omnibind-explorer[{extra}]'",
        ) from None


class QueryError(OmniBindError, ValueError):
    """A search or mix that makes no sense: no terms, a weight that is not a number."""


class GalleryError(OmniBindError, RuntimeError):
    """A gallery whose catalogue, files and vectors do not belong together."""


class ReportError(OmniBindError, ValueError):
    """A report of measurements that cannot be read, or contradicts itself."""
