"""Every command, option and environment variable stands in docs/commands.md, and it says what the code does."""

import argparse
import ast
from pathlib import Path

import pytest

from tools.help_pages import COMMANDS, PAGE, VARIABLES, page, variables_in
from tools.rooms import modules

ROOT = Path(__file__).parent.parent
MODULES = modules(ROOT)


def read(module):
    return MODULES[module].read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says():
    assert page() == PAGE.read_text(encoding="utf-8"), "run `python -m tools.help_pages --write`"


def test_the_page_does_not_depend_on_this_environment(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.setenv(name, str(tmp_path))
    assert page() == PAGE.read_text(encoding="utf-8")


def gives_a_parser(module):
    """Whether it has a function of no arguments that gives a parser: what helps to make one takes some."""
    functions = (node for node in ast.walk(ast.parse(read(module))) if isinstance(node, ast.FunctionDef))
    return any(
        isinstance(function.returns, ast.Attribute)
        and function.returns.attr == "ArgumentParser"
        and not [one for one in function.args.args if one.arg != "cls"]
        for function in functions
    )


def test_every_command_is_on_the_page():
    assert {module for module in MODULES if gives_a_parser(module)} == set(COMMANDS)


def arguments_of(parser):
    for action in parser._actions:
        yield parser.prog, action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from arguments_of(one)


@pytest.mark.parametrize("module", COMMANDS)
def test_every_argument_says_what_it_means(module):
    parser = COMMANDS[module]()
    assert parser.description
    for prog, action in arguments_of(parser):
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, (prog, action.dest)


def test_commands_are_called_what_the_page_calls_them():
    for module, give in COMMANDS.items():
        prog = give().prog
        if prog == "app.py":
            assert (ROOT / prog).is_file()
            continue
        named = prog.removeprefix("python -m ")
        assert {f"{named}.__main__", named} & set(MODULES), prog
        assert module == named or module == f"{named}.__main__" or named == "omnibind_core"


def test_every_environment_variable_is_documented():
    found = {module: variables_in(read(module)) for module in MODULES}
    undocumented = {module: sorted(names - set(VARIABLES)) for module, names in found.items() if names - set(VARIABLES)}
    assert undocumented == {}
    named = set().union(*(names for module, names in found.items() if module != "tools.help_pages"))
    assert named == set(VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['SOME_NAME']",
        "import os\nos.environ.get('SOME_NAME', 3)",
        "from os import environ\nenviron.setdefault('SOME_NAME', '1')",
        "import os\nhere = 'SOME_NAME' in os.environ",
        "import os\nos.getenv('SOME_NAME')",
        "def read(env):\n    return env.get('SOME_NAME')",
    ],
)
def test_the_walk_sees_every_way_of_reading_one(source):
    assert variables_in(source) == {"SOME_NAME"}


def test_names_of_known_families_are_seen_in_any_string():
    assert variables_in("NAMES = ('OMNIBIND_NEW', 'HF_HUB_NEW', 'A_CONSTANT')") == {"OMNIBIND_NEW", "HF_HUB_NEW"}
