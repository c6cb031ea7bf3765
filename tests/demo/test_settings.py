import pytest

from demo.settings import Options, Settings
from omnibind_core.compose import OPERATORS
from omnibind_core.gallery import MATCHES


def test_command_line_beats_environment_beats_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMNIBIND_PRESET", "OMNIBIND_DEVICE", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert Settings.read([]) == Settings("mini", "auto", "127.0.0.1", None)
    monkeypatch.setenv("OMNIBIND_PRESET", "base")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    assert Settings.read([]) == Settings("base", "auto", "0.0.0.0", 7999)
    assert Settings.read(["--preset", "mini", "--port", "8001", "--device", "cpu"]) == Settings(
        "mini", "cpu", "0.0.0.0", 8001
    )


def test_default_options_exist_in_the_core() -> None:
    assert Options().operator in OPERATORS
    assert Options().match in MATCHES
