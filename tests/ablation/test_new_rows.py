"""The ablation of new rows runs from text to page, and goes on where it was stopped."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from project import ROOT
from tiny import TURKISH

from benchmarks.ablation.new_rows import training
from benchmarks.ablation.new_rows.results import (
    MAX_ENGLISH_CHANGE,
    Result,
    Results,
    at_equal_bytes,
    end,
    english,
)
from benchmarks.ablation.new_rows.training import AblationInputs
from benchmarks.ablation.new_rows.variants import CONTROL, CONTROLS, Variant, all_variants, variants_for
from benchmarks.ablation.sizes import BaseName, SizeName, size_named
from benchmarks.ablation.tokenizer import tokenizer_of, trimmed_qwen
from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.recipe.extension import Heuristic


def run_ablation(data: Path, work: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = ["--data", str(data), "--out", str(out), "--size", "smoke", "--work", str(work), "--seeds", "1"]
    words += ["--processes", "1", "--variants", "distilled, rate x 2", "subword, aligned, rate x 2"]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.ablation.new_rows", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow(seconds=42)
def test_it_writes_a_page_with_both_bases_and_their_variants_and_does_nothing_twice(
    plain_text: Path, tmp_path: Path
) -> None:
    done = run_ablation(plain_text, tmp_path / "work", tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text("utf-8")
    first = [row.split(" | ")[0] for row in rows_of(tmp_path / "page.md")]
    assert first.count("| unchanged tokenizer, rate x 2") == first.count("| distilled, rate x 2") == 2
    assert first.count("| subword, aligned, rate x 2") == 1  # over the base that knows Turkish alone
    assert "Not there yet" not in page
    assert str(tmp_path) not in page
    assert "page.svg" in page
    assert (tmp_path / "page.svg").read_text("utf-8").count("<polyline") >= 4
    lost = next((tmp_path / "work").rglob("distilled-rate-x-2-0.json"))
    lost.unlink()
    again = run_ablation(plain_text, tmp_path / "work", tmp_path / "again.md")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("distilled, rate x 2, seed 0") == 1
    assert "aligned" not in again.stdout
    assert rows_of(tmp_path / "again.md") == rows_of(tmp_path / "page.md")


def rows_of(page: Path) -> list[str]:
    """Its tables, but for seconds and seeds."""
    lines = page.read_text("utf-8").splitlines()
    return [line.rsplit("|", 3)[0] for line in lines if line.startswith("|")]


def result(seed: int, validation: float, test: float, **other: Any) -> Result:
    """One run of a variant whose Turkish ends at `validation` and `test` on the two texts."""
    return {
        "seed": seed,
        "validation": {"turkish": validation, "english": other.get("validation_english", 2.0), "start": 5.0},
        "turkish": {"0": 9.0, "3": test + 1, "4": test, "6": test - 1},
        "english": other.get("test_english", 2.0),
        "compute_steps": 4,
        "bytes_steps": 6,
        "rows_share": 0.1,
        "step_share": 0.225,
    }


ONE, OTHER = Variant("one", "subword"), Variant("other", "mean")


def test_the_control_is_chosen_by_the_validation_text_and_the_first_seed() -> None:
    found = {
        CONTROLS[0]: [result(0, 2.0, 7.0), result(1, 9.0, 7.0)],
        CONTROLS[1]: [result(0, 3.0, 6.0), result(1, 1.0, 6.0)],
        ONE: [result(0, 1.0, 1.0), result(1, 1.0, 1.0)],
    }
    assert Results(found).control == CONTROLS[0]


def test_the_best_variant_is_chosen_by_the_validation_text() -> None:
    found = {CONTROL: [result(0, 3.0, 3.0)], ONE: [result(0, 2.0, 5.0)], OTHER: [result(0, 2.5, 1.0)]}
    results = Results(found)
    assert results.lowest_at_end() == ONE
    assert results.ranked() == [OTHER, ONE]  # the table is by the test text


def test_a_variant_that_loses_english_is_the_best_only_if_all_do() -> None:
    bound = 2.0 * (1 + MAX_ENGLISH_CHANGE)
    keeps = result(0, 2.5, 2.5, validation_english=bound - 1e-6, test_english=9.0)
    loses = result(0, 2.0, 2.0, validation_english=bound + 1e-6, test_english=0.1)
    control = result(0, 3.0, 3.0)
    assert Results({CONTROL: [control], ONE: [loses], OTHER: [keeps]}).lowest_at_end() == OTHER
    worse = result(0, 2.5, 2.5, validation_english=3.0)
    assert Results({CONTROL: [control], ONE: [loses], OTHER: [worse]}).lowest_at_end() == ONE


def test_a_variant_with_fewer_seeds_than_the_control_is_not_chosen() -> None:
    two = [result(0, 3.0, 3.0), result(1, 3.0, 3.0)]
    found = {CONTROL: two, ONE: [result(0, 1.0, 1.0)], OTHER: [result(0, 2.9, 2.9), result(1, 2.9, 2.9)]}
    assert Results(found).lowest_at_end() == Results(found).lowest_at_start() == OTHER
    assert Results({CONTROL: two, ONE: [result(0, 1.0, 1.0)]}).lowest_at_end() is None


def test_a_change_is_against_the_control_of_the_same_seed() -> None:
    found = {
        CONTROL: [result(0, 3.0, 2.0), result(1, 3.0, 4.0), result(2, 3.0, 8.0)],
        ONE: [result(2, 3.0, 4.0), result(0, 3.0, 3.0), result(7, 3.0, 1.0)],
    }
    mean, each = Results(found).change_against(ONE, end)
    assert each == [pytest.approx(-0.5), pytest.approx(0.5)]
    assert mean == pytest.approx(0.0)


def test_figures_are_taken_at_equal_compute_or_at_equal_bytes() -> None:
    one = result(0, 3.0, 2.0, test_english=1.5)
    assert (end(one), at_equal_bytes(one), english(one)) == (2.0, 1.0, 1.5)


def test_the_curve_ends_at_equal_compute() -> None:
    results = Results({CONTROL: [result(0, 3.0, 2.0), result(1, 3.0, 4.0)]})
    points = [(0.1, 9.0), (pytest.approx(0.775), pytest.approx(4.0)), (1.0, pytest.approx(3.0))]
    assert results.curve(CONTROL) == points


def test_equal_bytes_is_the_first_step_that_has_read_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    size = size_named("smoke")
    inputs = AblationInputs(size, *cast(Any, [None] * 4))

    def read(variant: Variant, seed: int, inputs: AblationInputs) -> Iterator[int]:
        assert seed == 5
        return itertools.repeat(10) if variant == CONTROL else itertools.cycle([15, 10, 20])

    monkeypatch.setattr(training, "bytes_by_step", read)
    assert training.bytes_of_control(5, inputs) == 10 * size.steps
    assert training.steps_to(1, ONE, 5, inputs) == 1
    assert training.steps_to(25, ONE, 5, inputs) == 2
    assert training.steps_to(26, ONE, 5, inputs) == 3
    assert training.steps_to(60, ONE, 5, inputs) == 4


def test_a_step_is_counted_in_bytes_of_text(
    tiny_base: Path, tiny_vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = AblationInputs(size_named("smoke"), cast(Any, None), tiny_base, tiny_vocabulary, cast(Any, None))

    def batches(variant: Variant, seed: int, inputs: AblationInputs) -> Iterator[dict[str, torch.Tensor]]:
        tokenizer = tokenizer_of(training.tokenizer_folder(variant, inputs))
        bos_id = tokenizer.token_to_id("<|endoftext|>")
        for line in TURKISH[:3]:
            yield {"labels": torch.tensor([[*tokenizer.encode(line).ids, bos_id]])}

    monkeypatch.setattr(training, "variant_batches", batches)
    wanted = [len(line.encode()) for line in TURKISH[:3]]
    assert list(training.bytes_by_step(CONTROL, 0, inputs)) == wanted
    assert list(training.bytes_by_step(ONE, 0, inputs)) == wanted


@pytest.fixture(scope="module")
def trimmed(request: pytest.FixtureRequest, base: BaseTokenizer) -> BaseTokenizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.ablation.tokenizer.load_base", lambda name: base)  # recovering takes long
        return trimmed_qwen(TURKISH, request.param)


@pytest.mark.parametrize("trimmed", [1_500], indirect=True)
def test_a_trimmed_tokenizer_has_qwens_tokens_where_they_are_kept(
    trimmed: BaseTokenizer, base: BaseTokenizer
) -> None:
    ours, qwen = trimmed.tokenizer(), base.tokenizer()
    assert trimmed.rows < 1_500
    first, *others = TURKISH[0].split()
    for text in (*TURKISH, " ".join([first, *reversed(others)])):
        assert ours.encode(text).tokens == qwen.encode(text).tokens


@pytest.mark.parametrize("trimmed", [1_500, 300], indirect=True)
def test_a_trimmed_tokenizer_gives_any_text_back(trimmed: BaseTokenizer) -> None:
    ours = trimmed.tokenizer()
    for text in ("Quantum şöförü\n\n 3,14 €", "日本語 🙂", "<|im_start|>user", *TURKISH):
        ids = ours.encode(text).ids
        assert max(ids) < trimmed.rows
        assert ours.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("trimmed", [300], indirect=True)
def test_a_trimmed_tokenizer_keeps_to_its_size(trimmed: BaseTokenizer) -> None:
    assert 256 < len(trimmed.vocab) <= 300
    assert sorted(trimmed.vocab.values()) == list(range(len(trimmed.vocab)))
    assert trimmed.rows == len(trimmed.vocab) + len(trimmed.added)
    vocab = trimmed.vocab
    assert all({left, right, left + right} <= set(vocab) for left, right in trimmed.merges)


def test_every_rule_has_a_variant_and_every_variant_a_name_of_its_own() -> None:
    variants = all_variants()
    assert {variant.init for variant in variants} >= set(get_args(Heuristic))
    assert set(CONTROLS) <= set(variants) and CONTROL in CONTROLS
    assert all(variant.init is None for variant in CONTROLS)
    for names in ([variant.name for variant in variants], [variant.file_name for variant in variants]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("size", "base"), [(size, base) for size in get_args(SizeName) for base in size_named(size).shared.bases]
)
def test_each_base_has_controls_and_variants_to_hold_against_them(size: SizeName, base: BaseName) -> None:
    variants = variants_for(base, size)
    assert set(variants) <= set(all_variants())
    assert set(variants) & set(CONTROLS) and any(variant.init is not None for variant in variants)
