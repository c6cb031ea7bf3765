import inspect

import pytest

from demo.api import Api
from demo.settings import Settings
from omnibind_core import cli
from omnibind_core.search.compose import DEFAULT_CENTRED, DEFAULT_MATCH, DEFAULT_OPERATOR, OPERATORS, Options
from omnibind_core.search.gallery import MATCHES, Gallery


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


def test_what_nobody_chooses_is_chosen_in_one_place() -> None:
    """Where it is not, the page, the API, the library and the command line would drift apart."""
    chosen = {"operator": DEFAULT_OPERATOR, "match": DEFAULT_MATCH, "centred": DEFAULT_CENTRED}
    assert {name: getattr(Options(), name) for name in chosen} == chosen
    command = vars(cli.parser().parse_args(["search", "text:a dog"]))
    assert {name: command[name] for name in chosen} == chosen
    for function in (Gallery.search, Api.search, Api.mix):
        parameters = inspect.signature(function).parameters
        assert {n: parameters[n].default for n in chosen if n in parameters} == {
            n: value for n, value in chosen.items() if n in parameters
        }


def test_the_command_line_can_switch_centring_off_again() -> None:
    assert cli.parser().parse_args(["search", "text:a dog", "--centred"]).centred is True
    assert cli.parser().parse_args(["search", "text:a dog", "--no-centred"]).centred is False
