"""Short names for parametrised tests: file contents are no names."""

from __future__ import annotations

import pytest


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    return f"{len(val)}bytes" if isinstance(val, bytes) else None
