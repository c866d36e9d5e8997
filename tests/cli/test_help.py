"""`--help` at the width of a terminal that nobody has widened."""

import itertools
import re

import pytest

from ekle.cli import main
from ekle.cli.app import app

COMMANDS = [str(command.name) for command in app.registered_commands]
NO_SETTINGS = {"serve", "try", "status"}


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_read_at_eighty_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"] if command else ["--help"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines), "no option is cut off"
    examples = [line for line in lines if line.startswith("   ekle ")]
    assert examples
    assert lines[lines.index(examples[-1]) + 1] == "", "an example is one line"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_paragraphs_of_help_are_not_wrapped_twice(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"] if command else ["--help"]) == 0
    text = capsys.readouterr().out.split("╭")[0]
    lines = [line.strip() for line in text.splitlines()]
    inner = [line for line, after in itertools.pairwise(lines) if line and after]
    assert all(len(line) > 40 for line in inner), inner


@pytest.mark.parametrize("command", COMMANDS)
def test_only_commands_that_read_settings_take_some(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert bool(re.search(r"--set\b", capsys.readouterr().out)) == (command not in NO_SETTINGS)
