"""What an error names is given, and the error is gone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ENGLISH

from ekle.artifacts import Vocabulary
from ekle.bpe.qwen import WORD_PATTERN
from ekle.cli import main
from ekle.pipeline import run as run_module

Refused = Callable[..., None]
Words = Callable[..., list[str]]


@pytest.fixture
def english(tmp_path: Path) -> str:
    path = tmp_path / "english.txt"
    path.write_text("\n".join(ENGLISH), "utf-8")
    return str(path)


@pytest.fixture
def stages_of_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Runs whose stages write one file; the words that put them into a folder of the test's."""
    monkeypatch.setattr(
        run_module, "make", lambda stage, recipe, place, report: (place(stage) / "out").write_text("12345")
    )
    monkeypatch.setattr("ekle.pipeline.summary.run_summary", lambda folder: [])
    return ["--runs", str(tmp_path / "runs")]


@pytest.mark.parametrize(
    ("settings", "named", "cure"),
    [
        (["--protect-strict"], "--protect (", ["--protect", "ENGLISH"]),
        (["--set", "vocabulary.protect_strict=true"], "vocabulary.protect", ["--protect", "ENGLISH"]),
        (["--set", "vocabulary.languages={xx = 1.0}"], "vocabulary.languages", ["--protect", "ENGLISH"]),
        (["--set", "corpus.word_lists=['xx']"], "corpus.word_lists", []),
        (["--size", "5000"], "--size", ["--size", "12"]),
        (["--size", "5000"], "vocabulary.size", ["--set", "vocabulary.size=12"]),
        (["--keep", "TERMS"], "--size", ["--keep", "TERMS", "--size", "60"]),
    ],
)
def test_a_vocabulary_is_learned_once_the_cure_is_given(
    settings: list[str],
    named: str,
    cure: list[str],
    text: Path,
    english: str,
    tmp_path: Path,
    vocab: Words,
    refused: Refused,
) -> None:
    terms = tmp_path / "terms.txt"
    terms.write_text("müfredat\nkütüphanecilik\n", "utf-8")

    def words(given: list[str]) -> list[str]:
        return vocab(
            text, "--size", "3", *[{"ENGLISH": english, "TERMS": str(terms)}.get(w, w) for w in given]
        )

    refused(words(settings), named)
    kept = (
        []
        if {"vocabulary.languages", "corpus.word_lists", "--size", "vocabulary.size"} & {named}
        else settings
    )
    assert main(words([*kept, *cure])) == 0


def test_a_base_with_another_pre_tokenizer_gets_the_profile_that_the_error_names(
    text: Path, tiny_base: Path, tmp_path: Path, vocab: Words, refused: Refused
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    spec = json.loads((base / "tokenizer.json").read_text("utf-8"))
    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = WORD_PATTERN.replace("(?i:", "(?:")
    (base / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    refused(vocab(text, "--size", "5", "--profile", "compact", base=base), "--profile portable")
    assert main(vocab(text, "--size", "5", "--profile", "portable", base=base)) == 0


def test_counts_of_another_profile_are_made_again_for_it(
    text: Path, tiny_base: Path, tmp_path: Path, vocab: Words, refused: Refused
) -> None:
    counts, english = (
        tmp_path / "counts.parquet",
        ["--size", "5", "--counts", str(tmp_path / "counts.parquet")],
    )
    count = ["count", "--corpus", str(text), "--base", str(tiny_base), "--out", str(counts)]
    assert main([*count, "--profile", "portable"]) == 0
    refused(vocab(text, *english, "--profile", "compact"), "ekle count", "--profile")
    assert main([*count, "--profile", "compact"]) == 0
    assert main(vocab(text, *english, "--profile", "compact")) == 0


def test_compare_and_try_take_what_they_ask_for(tiny_base: Path, english: str, refused: Refused) -> None:
    base = str(tiny_base)
    refused(["compare", base, base, "--changes"], "--text FILE")
    assert main(["compare", base, base, "--changes", "--text", english]) == 0
    refused(["compare", base, base], "--text")
    refused(["try", base, "evler"], "--base")
    assert main(["try", base, "evler", "--base", base]) == 0
    refused(["plan", "quickstart", "--gpu", "0GB"], "40GB")
    assert main(["plan", "quickstart", "--gpu", "40GB"]) == 0


@pytest.mark.parametrize(
    ("settings", "named", "cure"),
    [
        (
            ["training.replay_share=0.6", "training.instruction_share=0.5"],
            "lower one",
            "training.replay_share=0.1",
        ),
        (
            ["training.optimizer=adamw", "training.state_precision=bf16"],
            "state_precision to fp32",
            "training.state_precision=fp32",
        ),
    ],
)
def test_settings_that_do_not_go_together_do_after_the_change_that_is_named(
    settings: list[str], named: str, cure: str, refused: Refused
) -> None:
    words = ["plan", "quickstart", "--gpu", "t4", *(word for s in settings for word in ("--set", s))]
    refused(words, named)
    assert main([*words, "--set", cure]) == 0


@pytest.mark.parametrize(
    ("settings", "named", "cure"),
    [
        (["training.instruction_share=0.1"], "training.instruction_share", ["training.instruction_share=0"]),
        (
            ["training.source_weights={a = 1.0}"],
            "bundled:tr",
            ["training.source_weights={'bundled:tr' = 1.0}"],
        ),
        (
            ["vocabulary.strategy=guide", "vocabulary.size=100"],
            "vocabulary.quotas",
            [
                f"vocabulary.quotas={{{', '.join(f'{each} = 20' for each in QUOTAS)}}}"
                for QUOTAS in [("words", "suffixes", "roots", "complex", "patterns")]
            ],
        ),
    ],
)
def test_a_run_begins_once_the_cure_is_given(
    settings: list[str], named: str, cure: list[str], stages_of_nothing: list[str], refused: Refused
) -> None:
    def words(given: list[str]) -> list[str]:
        return ["run", "quickstart", *stages_of_nothing, *(word for s in given for word in ("--set", s))]

    refused(words(settings), named)
    assert main(words([*settings, *cure])) == 0


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_changed_run_goes_on_by_the_command_that_the_error_names(
    command: str, stages_of_nothing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "quickstart", *stages_of_nothing]) == 0
    changed = ["--set", "extension.seed=7"]
    capsys.readouterr()
    assert main([command, "quickstart", *stages_of_nothing, *changed]) == 2
    named = re.search(r"ekle (run) RECIPE (--redo) (extension)", capsys.readouterr().err)
    assert named is not None
    again, *redo = named.groups()
    assert main([again, "quickstart", *redo, *stages_of_nothing, *changed]) == 0


def test_an_extension_without_text_takes_the_rules_that_the_error_names(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, refused: Refused
) -> None:
    words = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(tiny_base)]
    words += ["--out", str(tmp_path / "out"), "--set", "extension.gradient_tokens=0"]
    both = [*words, "--init", "focus", "--set", "extension.output=focus"]
    refused(both, "--init subword", "--set extension.output=subword", "--corpus FILE")
    assert main([*words, "--init", "subword", "--set", "extension.output=subword"]) == 0
