"""What the commands do."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.artifacts import Vocabulary
from ekle.cli import main
from ekle.cli.app import app
from ekle.pipeline import run as run_module

COMMANDS = [str(command.name) for command in app.registered_commands]
Refused = Callable[..., None]
Words = Callable[..., list[str]]


def test_the_commands_are_those_of_the_design() -> None:
    wanted = "run count vocab extend train evaluate compare plan export serve try status"
    assert wanted.split() == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  ekle {command} " in shown or f"  ekle {command}\n" in shown.replace(" \n", "\n")


def test_help_imports_nothing_slow() -> None:
    program = "import sys; from ekle.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "datasets", "polars", "tokenizers"}.isdisjoint(done.stderr.split())


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "ekle run" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ekle 0.")


@pytest.mark.parametrize(
    "arguments",
    [["serve", "."], ["export", ".", "--format", "gguf", "--out", "there"]],
)
def test_what_comes_later_says_so(arguments: list[str], refused: Refused) -> None:
    refused(arguments, "not built yet")


def test_vocab_try_and_compare_work_on_each_others_results(
    tmp_path: Path, text: Path, tiny_base: Path, vocab: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(vocab(text, "--size", "12", "--held-out", str(text))) == 0
    assert "12 new tokens" in capsys.readouterr().out
    assert Vocabulary(out).size == 12
    assert main(["try", str(out), "Evlerimizden birinde"]) == 0
    assert "tokens against" in capsys.readouterr().out, "the base is the one recorded in the folder"
    assert main(["compare", str(tiny_base), str(out), "--text", str(text)]) == 0
    assert "out" in capsys.readouterr().out


@pytest.mark.parametrize("profile", ["portable", "compact"])
def test_a_corpus_counted_in_parts_gives_the_vocabulary_of_the_whole(
    profile: str, tmp_path: Path, text: Path, vocab: Words
) -> None:
    every_line = ["--set", "corpus.repeats=255"]
    lines = text.read_text("utf-8").splitlines()
    for name, part in (("a", lines[:100]), ("b", lines[100:])):
        (tmp_path / f"{name}.txt").write_text("\n".join(part), "utf-8")
        # Repeated lines are capped in each part by itself, so the cap is lifted for the comparison.
        count = ["count", "--corpus", str(tmp_path / f"{name}.txt"), "--profile", profile, *every_line]
        base = vocab(text)[vocab(text).index("--base") + 1]
        assert main([*count, "--base", base, "--out", str(tmp_path / f"{name}.parquet")]) == 0
    whole = vocab(text, "--size", "12", "--profile", profile, *every_line)
    assert main(whole) == 0
    parts = [word for word in whole if word not in ("--corpus", str(text))]
    parts[parts.index(str(tmp_path / "out"))] = str(tmp_path / "again")
    parts += ["--counts", str(tmp_path / "a.parquet"), "--counts", str(tmp_path / "b.parquet")]
    assert main(parts) == 0
    first, second = (tmp_path / name / "tokens.jsonl" for name in ("out", "again"))
    assert first.read_text("utf-8") == second.read_text("utf-8")


def test_a_setting_that_a_command_does_not_read_is_refused(
    text: Path, vocab: Words, refused: Refused
) -> None:
    refused(vocab(text, "--set", "training.steps=5"), "does not read --set training.steps=5", "vocabulary")
    refused(["export", ".", "--out", "there", "--set", "corpus.repeats=1"], "does not read", "release")


def test_count_refuses_word_lists_because_it_reads_none(text: Path, refused: Refused) -> None:
    words = ["count", "--corpus", str(text), "--out", "counts.parquet"]
    refused([*words, "--set", "corpus.word_lists=['list.txt']"], "reads no word lists", "ekle vocab")


def test_the_help_of_export_offers_what_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "hf" in shown and not any(name in shown for name in ("gguf", "int8", "int4"))


def test_old_names_of_options_and_keys_work_and_one_line_says_so(
    text: Path, vocab: Words, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(vocab(text, "--size", "12", "--weigh-protection")) == 0
    assert capsys.readouterr().err.splitlines() == [
        "ekle: --weigh-protection is now --protection-cost; ekle 0.3 drops the old names"
    ]
    assert main(["plan", "quickstart", "--gpu", "t4", "--set", "training.guard.returns=2"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ekle: ") and "training.guard.returns is now training.guard.max_rollbacks" in line


def test_train_says_which_stages_it_makes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_module, "make", lambda stage, recipe, place, report: (place(stage) / "out").write_text("12345")
    )
    for first in (True, False):
        monkeypatch.setattr("ekle.pipeline.summary.run_summary", lambda folder: [])
        assert main(["train", "quickstart", "--runs", str(tmp_path)]) == 0
        said = "The training needs 1-corpus, 2-vocabulary, 3-base and 4-extension, which are made first"
        assert (said in capsys.readouterr().out) == first


def test_status_shows_every_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_module, "make", lambda stage, recipe, place, report: (place(stage) / "out").write_text("12345")
    )
    assert main(["run", "--runs", str(tmp_path), "--until", "vocabulary"]) == 0
    capsys.readouterr()
    assert main(["status", "quickstart", "--runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["1-corpus", "made"],
        ["2-vocabulary", "made"],
        ["3-base", "open"],
    ]
    assert len(lines) == 8, "nothing is said of a training that has not begun"
    log = tmp_path / "quickstart" / "5-training" / "history.jsonl"
    log.parent.mkdir()
    line = {"step": 5, "steps": 30, "loss_per_token": 2.5, "bits_per_byte": 0.9, "tokens_per_second": 1234.0}
    log.write_text(json.dumps({**line, "seconds": 10.0}) + '\n{"step": 6, "lo', "utf-8")  # a line under way
    assert main(["status", "quickstart", "--runs", str(tmp_path)]) == 0
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert said[-2:] == [
        "step 5 of 30, 50 s of steps to go",
        "last line loss 2.500, 0.900 bits per byte, 1,234 tokens per second",
    ]


@pytest.mark.parametrize(
    "script",
    [
        "colab_qwen3_turkish_complete",
        "qwen3_turkish_advanced_trainer",
        "qwen3_turkish_vocab_creator",
        "qwen_turkish_extender",
    ],
)
def test_the_scripts_of_the_guide_have_help(script: str) -> None:
    path = Path(__file__).parents[2] / "turkish_tokenizer" / f"{script}.py"
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "--set" in done.stdout


@pytest.mark.slow(seconds=21)
def test_the_first_script_of_the_guide_works_without_options(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "turkish_tokenizer" / "qwen3_turkish_vocab_creator.py"
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Vocabulary(tmp_path / "turkish_vocabulary").size == 20_000


def test_text_that_would_steer_the_terminal_is_shown_and_not_obeyed(
    tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "ev\x1b[31mler\nim\u202eiz"
    assert main(["try", str(tiny_base), text, "--base", str(tiny_base)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "␛" in shown and "␊" in shown
