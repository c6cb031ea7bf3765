"""Every error that a person can cause: one root, and a message in three parts."""

from __future__ import annotations

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


class QueryError(OmniBindError, ValueError):
    """A search or mix that makes no sense: no terms, a weight that is not a number."""


class GalleryError(OmniBindError, RuntimeError):
    """A gallery whose catalogue, files and vectors do not belong together."""


class ReportError(OmniBindError, ValueError):
    """A report of measurements that cannot be read, or contradicts itself."""
