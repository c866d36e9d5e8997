"""A terminal of any code page, a closed pipe, a full disk behind it; arguments that are no UTF-8."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.cli import main
from ekle.cli.app import app
from ekle.cli.options import terminal, terminal_reporter
from ekle.cli.streams import OutputClosed, standard_streams
from ekle.files import digest, short_names, write_json
from ekle.progress import ProgressReporter

COMMANDS = ["", *(str(command.name) for command in app.registered_commands)]
CODE_PAGES = ["ascii", "cp1254", "cp437"]
LATIN_1 = os.fsdecode("caf\xe9.txt".encode("latin-1"))


def with_stdout(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """What is written to a standard output of that code page."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
    return written


@pytest.mark.parametrize("encoding", CODE_PAGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_shown_in_every_code_page(
    command: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = with_stdout(monkeypatch, encoding)
    assert main([command, "--help"] if command else ["--help"]) == 0
    assert "Options" in written.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", "?ocuk - * 34.0 % g?z"), ("cp1254", "Çocuk - · 34.0\xa0% göz"), ("utf-8", None)],
)
def test_a_letter_that_the_code_page_lacks_is_replaced_and_the_command_goes_on(
    encoding: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, text = with_stdout(monkeypatch, encoding), "Çocuk − · 34.0\xa0% göz"
    with standard_streams():
        terminal().print(text)
        terminal_reporter().say("şu")
    lines = written.getvalue().decode(encoding).splitlines()
    assert lines[0] == (expected or text)
    assert len(lines) == 2


@pytest.mark.parametrize("encoding", CODE_PAGES)
def test_bars_move_in_every_code_page(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    written = with_stdout(monkeypatch, encoding)
    with standard_streams():
        reporter = ProgressReporter(Console(file=sys.stdout, force_terminal=True, width=90))
        with reporter.task("öğreniyor ş", total=3, unit="lines") as task:
            task.advance()
    assert "reniyor" in written.getvalue().decode(encoding)


def test_the_streams_are_as_before_after_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with_stdout(monkeypatch, "ascii")
    before = sys.stdout
    assert main(["--version"]) == 0
    assert sys.stdout is before
    assert before.errors == "strict"


class Closed(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_pipe_that_nobody_reads_ends_the_command_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    for words in (["vocab", "--help"], ["plan", "quickstart", "--gpu", "t4"], ["--version"], []):
        assert main(words) == 141
    assert capsys.readouterr().err == ""


def test_output_after_the_pipe_was_closed_is_refused_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    with standard_streams():
        for _ in range(2):
            with pytest.raises(OutputClosed):
                terminal().print("one line")


def test_a_broken_connection_is_no_closed_output(
    refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*arguments: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("ekle.recipe.recipe.load_recipe", gone)
    refused(["plan", "quickstart"], "does not answer", "BrokenPipeError")


def test_standard_error_may_be_closed_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Closed(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["runn"]) == 2


def test_standard_output_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version"]) == 0
    assert main(["vocab", "--help"]) == 0


def test_a_full_disk_behind_standard_output_is_one_line(
    refused: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    refused(["plan", "quickstart", "--gpu", "t4"], "no space left", "standard output")


@pytest.mark.slow(seconds=30)
def test_head_and_a_closed_descriptor_end_without_a_word() -> None:
    """With real pipes, where Python flushes once more when it ends."""
    ekle = f"{sys.executable} -m ekle"
    for line in (f"{ekle} vocab --help | head -1", f"{ekle} --version >&-", f"{ekle} runn 2>&-"):
        ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert ended.stderr == ""
    line = f"{ekle} vocab --help >/dev/full"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "words",
    [
        ["count", "--corpus", LATIN_1, "--out", "counts.parquet"],
        ["vocab", "--corpus", "bundled:tr", "--out", LATIN_1],
        ["run", "--set", f"corpus.sources=['{LATIN_1}']"],
        ["evaluate", "there", "--peer", f"{LATIN_1}=folder"],
        ["try", "qwen3", LATIN_1],
        [LATIN_1],
    ],
)
def test_an_argument_that_is_no_utf8_is_refused_by_name(
    words: list[str], refused: Callable[..., None]
) -> None:
    refused(words, "caf\\udce9.txt", "is not UTF-8", "rename")


def test_an_argument_under_an_ascii_locale_is_answered_with_the_way_on(refused: Callable[..., None]) -> None:
    word = "şehir.txt".encode().decode("ascii", "surrogateescape")
    refused(["count", "--corpus", word, "--out", "counts.parquet"], "şehir.txt is UTF-8", "PYTHONUTF8=1")


def test_a_file_of_a_folder_whose_name_is_no_utf8_is_reported_by_a_name_that_is(tmp_path: Path) -> None:
    path = tmp_path / LATIN_1
    path.write_text("metin", "utf-8")
    assert short_names([path]) == ["caf\ufffd"]
    assert len(digest(tmp_path)) == 64
    write_json(tmp_path / "list.json", {"file": str(path)})
    assert json.loads((tmp_path / "list.json").read_text("utf-8")) == {"file": str(path)}
    ProgressReporter(events=tmp_path / "events.jsonl").event("say", text=str(path))
    assert json.loads((tmp_path / "events.jsonl").read_text("utf-8"))["text"] == str(path)
