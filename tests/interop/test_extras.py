"""Where an extra's package is not installed, its module says which extra brings it."""

import builtins
import importlib
import sys

import pytest

from omnibind_core.errors import ExtraError


@pytest.mark.parametrize(("module", "package"), [("langchain", "langchain_core"), ("llama_index", "llama_index")])
def test_a_missing_package_is_named(module, package, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    full = f"omnibind_core.interop.{module}"
    monkeypatch.delitem(sys.modules, full, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"pip install 'omnibind-explorer\[{module.replace('_', '-')}\]'") as caught:
        importlib.import_module(full)
    assert isinstance(caught.value, ExtraError)
