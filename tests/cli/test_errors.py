"""How mistakes end: one line, code 2, nothing written."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ENGLISH

from ekle.cli import main
from ekle.cli.errors import error_line
from ekle.errors import RunFolderError
from ekle.pipeline import run as run_module
from ekle.recipe.recipe import shipped_recipes

Refused = Callable[..., None]
Words = Callable[..., list[str]]


def test_mistakes_of_usage_are_one_line(refused: Refused) -> None:
    refused(["runn"], "runn", "run")
    refused(["vocab"], "--out")
    refused(["vocab", "--out", "nowhere"], "--corpus", "--counts")
    refused(["run", "--until", "lunch"], "--until", "vocabulary")


def test_every_wrong_key_of_a_recipe_is_named(tmp_path: Path, refused: Refused) -> None:
    recipe = tmp_path / "wrong.toml"
    recipe.write_text(
        'nmae = "x"\n[vocabulary]\nsize = "many"\n[training]\nstep = 5\n[training.dora]\nrnk = 1\n'
    )
    wanted = ("nmae: unknown key", "name: missing", "vocabulary.size", "training.step:", "training.dora.rnk:")
    refused(["run", str(recipe)], *wanted)


def test_a_missing_recipe_is_answered_with_those_there_are(refused: Refused) -> None:
    refused(["run", "slowstart"], "slowstart", *shipped_recipes())


@pytest.mark.parametrize("size", ["0", "-5"])
def test_a_size_of_zero_or_below_is_refused(size: str, tmp_path: Path, text: Path, refused: Refused) -> None:
    arguments = ["vocab", "--corpus", str(text), "--size", size, "--out", str(tmp_path / "out")]
    refused(arguments, "vocabulary.size")
    assert not (tmp_path / "out").exists()


def test_counts_of_another_base_are_refused_and_both_are_named(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    counts = tmp_path / "qwen.parquet"
    assert main(["count", "--corpus", str(text), "--out", str(counts)]) == 0
    refused(vocab(text, "--counts", str(counts)), "qwen.parquet was counted with tokenizer", "but")
    assert not (tmp_path / "out").exists()


def test_a_missing_text_is_refused(tmp_path: Path, refused: Refused, vocab: Words) -> None:
    refused(vocab(tmp_path / "nowhere.txt"), "nowhere.txt")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_text_is_refused(tmp_path: Path, refused: Refused, vocab: Words) -> None:
    (tmp_path / "empty").mkdir()
    refused(vocab(tmp_path / "empty"), "holds no text")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_utf8_is_named_with_the_byte(
    tmp_path: Path, refused: Refused, vocab: Words
) -> None:
    path = tmp_path / "latin5.txt"
    path.write_bytes("düz yazı\nağaç".encode("iso8859-9"))
    refused(vocab(path), "latin5.txt", "not UTF-8", "byte 1")
    assert not (tmp_path / "out").exists()


def test_an_empty_corpus_is_refused(tmp_path: Path, refused: Refused, vocab: Words) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n\n")
    refused(vocab(path), "no text")
    assert not (tmp_path / "out").exists()


def test_a_corpus_too_small_for_the_size_says_what_it_supports(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    refused(vocab(text, "--size", "5000"), "supports", "not 5,000")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_holds_something_else_is_left_alone(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("...")
    refused(vocab(text), "out", "not empty")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_a_base_without_a_tokenizer_is_refused(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    (tmp_path / "base").mkdir()
    refused(vocab(text, base=tmp_path / "base"), "no tokenizer.json")


def test_a_base_that_is_not_byte_level_is_refused(
    tmp_path: Path, text: Path, tiny_base: Path, refused: Refused, vocab: Words
) -> None:
    spec = json.loads((tiny_base / "tokenizer.json").read_text("utf-8"))
    spec["model"]["type"] = "Unigram"
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    refused(vocab(text, base=tmp_path / "base"), "byte-level BPE")


def test_try_without_a_recorded_base_asks_for_it(tiny_base: Path, refused: Refused) -> None:
    refused(["try", str(tiny_base), "ev"], "--base")


def test_status_of_a_folder_that_is_no_run_is_refused(tmp_path: Path, refused: Refused) -> None:
    refused(["status", str(tmp_path)], "no run folder")


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "make", interrupt)
    arguments = ["run", "--runs", str(tmp_path), "--redo", "corpus", "--set", "training.steps=7"]
    assert main(arguments) == 130
    lines = capsys.readouterr().err.splitlines()
    # Not with --redo: that would throw away what the interrupted run had made.
    again = f"ekle run quickstart --runs {tmp_path} --set training.steps=7"
    assert len(lines) == 1
    assert lines[0].endswith(again)


def test_a_full_disk_is_one_line(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.bin")

    monkeypatch.setattr(run_module, "make", full)
    refused(["run", "--runs", str(tmp_path)], "no space left on the disk", "weights.bin")


def test_a_defect_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(run_module, "make", defect)
    with pytest.raises(ZeroDivisionError):
        main(["run", "--runs", str(tmp_path)])


def _raised_from(cause: BaseException) -> RuntimeError:
    error = RuntimeError("the library gave up")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RunFolderError("two\nlines"), "two lines"),
        (
            RuntimeError("IoError(Os { code: 28, message: No space left on device (os error 28) })"),
            "no space",
        ),
        (_raised_from(OSError(errno.ENOSPC, "full", "a.bin")), "a.bin"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "runs: Permission denied"),
        (_raised_from(ConnectionResetError("gone")), "does not answer"),
    ],
)
def test_what_is_not_a_defect_is_one_line(error: BaseException, words: str) -> None:
    line = error_line(error)
    assert line is not None
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyError("x"), FileNotFoundError(2, "gone", "x")])
def test_what_is_a_defect_is_none(error: BaseException) -> None:
    assert error_line(error) is None


def test_a_word_list_does_not_make_up_for_a_corpus_without_text(
    tmp_path: Path, tiny_base: Path, refused: Refused
) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n")
    refused(
        ["vocab", "--corpus", str(path), "--base", str(tiny_base), "--out", str(tmp_path / "out")], "no text"
    )
    assert not (tmp_path / "out").exists()


def test_a_text_to_measure_on_that_is_empty_is_named(
    tmp_path: Path, tiny_base: Path, refused: Refused
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    words = ["evaluate", str(tiny_base), "--against", str(tiny_base), "--out", str(tmp_path / "out")]
    refused([*words, "--held-out", str(tmp_path / "empty.txt")], "empty.txt", "no text")
    refused(words, "no run", "--held-out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_said_not_to_be_there(refused: Refused) -> None:
    refused(["try", "nowhere", "metin"], "there is no folder nowhere")
    refused(["evaluate", "nowhere", "--against", "qwen3"], "there is no folder nowhere")


def test_a_refused_run_says_nothing_but_why(
    tmp_path: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs" / "quickstart").mkdir(parents=True)
    (tmp_path / "runs" / "quickstart" / "thesis.tex").write_text("...")
    assert main(["run", "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "something that is no run" in said.err


def test_a_term_that_cannot_be_kept_is_named(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    (tmp_path / "terms.txt").write_text("okul\nTürkiye'nin\n", "utf-8")
    refused(vocab(text, "--size", "12", "--keep", str(tmp_path / "terms.txt")), "Türkiye'nin", "--keep")
    assert not (tmp_path / "out").exists()


def test_a_missing_file_of_terms_is_refused(
    tmp_path: Path, text: Path, refused: Refused, vocab: Words
) -> None:
    refused(vocab(text, "--size", "12", "--keep", str(tmp_path / "nowhere.txt")), "nowhere.txt")


def test_a_text_that_is_not_turkish_is_refused_with_the_way_on(
    tmp_path: Path, refused: Refused, vocab: Words
) -> None:
    path = tmp_path / "english.txt"
    path.write_text("\n".join(ENGLISH * 20), "utf-8")
    refused(vocab(path), "not Turkish", "--any-language")
    assert not (tmp_path / "out").exists()
    assert main(vocab(path, "--size", "12", "--any-language")) == 0
