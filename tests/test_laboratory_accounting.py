"""What the laboratory of `benchmarks/adaptation` counts, chooses and compares: arithmetic, no training."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch
from tiny import TURKISH

from benchmarks.adaptation import training
from benchmarks.adaptation.arms import CONTROL, CONTROLS, Arm, all_arms, arms_over
from benchmarks.adaptation.compute import Cost, cost_of
from benchmarks.adaptation.results import ENGLISH, Result, Results, at_equal_bytes, end, english
from benchmarks.adaptation.sizes import BaseName, SizeName, size_named
from benchmarks.adaptation.starting import Bench
from benchmarks.adaptation.trimmed import trimmed_qwen
from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.planning.shapes import Shape
from ekle.recipe.extension import Heuristic

# Numbers in a layer: q 4 x 6, k and v 4 x 3, o 6 x 4, three of 4 x 5; together 132, in two layers 264.
SHAPE = Shape(layers=2, hidden=4, heads=2, key_value_heads=1, head_dim=3, intermediate=5, rows=50, tied=False)
# In a sequence of 8 a token looks back at 4 on average: 6 channels of scores and 6 of mixtures, 48 a layer.
LAYERS = 2 * (264 + 2 * 48)  # a product and a sum each
ROW = 2 * 4


def test_a_token_costs_what_is_counted_by_hand() -> None:
    assert cost_of(SHAPE, 8) == Cost(layers=720, row=8) == Cost(LAYERS, ROW)
    assert cost_of(SHAPE, 16).layers == 2 * (264 + 2 * 96)


def test_training_costs_three_times_a_forward_pass() -> None:
    assert cost_of(SHAPE, 8).training(50) == 3 * (720 + 50 * 8)
    assert cost_of(SHAPE, 8).training(60) - cost_of(SHAPE, 8).training(50) == 3 * 10 * 8


def test_distilling_costs_the_teacher_a_part_of_the_student_and_the_rows() -> None:
    teacher = 1.5 * 720  # all layers, for one and a half base tokens
    student = 2 * 0.5 * 720  # forwards and backwards through one layer of two, no gradients of its weights
    rows = 50 * 8 + 10 * 8 + 10 * 8  # all forwards, the new ones' gradients
    assert cost_of(SHAPE, 8).distilling(50, 10, 0.5, 1.5) == teacher + student + rows


def test_aligning_costs_the_teacher_the_student_and_the_rows_twice_forwards() -> None:
    teacher = 1.5 * (720 + 50 * 8)
    student = 2 * 720
    rows = 2 * 60 * 8 + 60 * 8 + 10 * 8  # forwards twice, gradients of the states, of the new rows
    assert cost_of(SHAPE, 8).aligning(50, 10, 1.5) == teacher + student + rows


def result(seed: int, choose: float, page: float, **other: Any) -> Result:
    """One run of an arm whose Turkish ends at `choose` and `page` on the two texts."""
    return {
        "seed": seed,
        "choose": {"turkish": choose, "english": other.get("choose_english", 2.0), "start": 5.0},
        "turkish": {"0": 9.0, "3": page + 1, "4": page, "6": page - 1},
        "english": other.get("page_english", 2.0),
        "compute_steps": 4,
        "bytes_steps": 6,
        "rows_share": 0.1,
        "step_share": 0.225,
    }


ONE, OTHER = Arm("one", "subword"), Arm("other", "mean")


def test_the_control_is_chosen_by_the_text_for_that_and_the_first_seed() -> None:
    found = {
        CONTROLS[0]: [result(0, 2.0, 7.0), result(1, 9.0, 7.0)],
        CONTROLS[1]: [result(0, 3.0, 6.0), result(1, 1.0, 6.0)],
        ONE: [result(0, 1.0, 1.0), result(1, 1.0, 1.0)],
    }
    assert Results(found).control == CONTROLS[0]


def test_the_best_arm_is_chosen_by_the_text_for_that() -> None:
    found = {CONTROL: [result(0, 3.0, 3.0)], ONE: [result(0, 2.0, 5.0)], OTHER: [result(0, 2.5, 1.0)]}
    results = Results(found)
    assert results.best() == ONE
    assert results.others() == [OTHER, ONE]  # the table is by the page's text


def test_an_arm_that_loses_english_is_the_best_only_if_all_do() -> None:
    bound = 2.0 * (1 + ENGLISH)
    keeps = result(0, 2.5, 2.5, choose_english=bound - 1e-6, page_english=9.0)
    loses = result(0, 2.0, 2.0, choose_english=bound + 1e-6, page_english=0.1)
    control = result(0, 3.0, 3.0)
    assert Results({CONTROL: [control], ONE: [loses], OTHER: [keeps]}).best() == OTHER
    worse = result(0, 2.5, 2.5, choose_english=3.0)
    assert Results({CONTROL: [control], ONE: [loses], OTHER: [worse]}).best() == ONE


def test_an_arm_with_fewer_seeds_than_the_control_is_not_chosen() -> None:
    two = [result(0, 3.0, 3.0), result(1, 3.0, 3.0)]
    found = {CONTROL: two, ONE: [result(0, 1.0, 1.0)], OTHER: [result(0, 2.9, 2.9), result(1, 2.9, 2.9)]}
    assert Results(found).best() == Results(found).first() == OTHER
    assert Results({CONTROL: two, ONE: [result(0, 1.0, 1.0)]}).best() is None


def test_a_change_is_against_the_control_of_the_same_seed() -> None:
    found = {
        CONTROL: [result(0, 3.0, 2.0), result(1, 3.0, 4.0), result(2, 3.0, 8.0)],
        ONE: [result(2, 3.0, 4.0), result(0, 3.0, 3.0), result(7, 3.0, 1.0)],
    }
    mean, each = Results(found).against(ONE, end)
    assert each == [pytest.approx(-0.5), pytest.approx(0.5)]
    assert mean == pytest.approx(0.0)


def test_figures_are_taken_at_equal_compute_or_at_equal_bytes() -> None:
    one = result(0, 3.0, 2.0, page_english=1.5)
    assert (end(one), at_equal_bytes(one), english(one)) == (2.0, 1.0, 1.5)


def test_the_curve_ends_at_equal_compute() -> None:
    results = Results({CONTROL: [result(0, 3.0, 2.0), result(1, 3.0, 4.0)]})
    points = [(0.1, 9.0), (pytest.approx(0.775), pytest.approx(4.0)), (1.0, pytest.approx(3.0))]
    assert results.curve(CONTROL) == points


def test_equal_bytes_is_the_first_step_that_has_read_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    size = size_named("smoke")
    bench = Bench(size, *cast(Any, [None] * 4))

    def read(arm: Arm, seed: int, bench: Bench) -> Iterator[int]:
        assert seed == 5
        return itertools.repeat(10) if arm == CONTROL else itertools.cycle([15, 10, 20])

    monkeypatch.setattr(training, "_bytes", read)
    assert training._bytes_of_control(5, bench) == 10 * size.steps
    assert training._steps_to(1, ONE, 5, bench) == 1
    assert training._steps_to(25, ONE, 5, bench) == 2
    assert training._steps_to(26, ONE, 5, bench) == 3
    assert training._steps_to(60, ONE, 5, bench) == 4


def test_a_step_is_counted_in_bytes_of_text(
    tiny_base: Path, tiny_vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(size_named("smoke"), cast(Any, None), tiny_base, tiny_vocabulary, cast(Any, None))

    def batches(arm: Arm, seed: int, bench: Bench) -> Iterator[dict[str, torch.Tensor]]:
        cut = training.tokenizer_of(training._folder(arm, bench))
        for line in TURKISH[:3]:
            yield {"labels": torch.tensor([[*cut.encode(line).ids, cut.token_to_id("<|endoftext|>")]])}

    monkeypatch.setattr(training, "_batches", batches)
    wanted = [len(line.encode()) for line in TURKISH[:3]]
    assert list(training._bytes(CONTROL, 0, bench)) == wanted
    assert list(training._bytes(ONE, 0, bench)) == wanted


@pytest.fixture(scope="module")
def trimmed(request: pytest.FixtureRequest, base: BaseTokenizer) -> BaseTokenizer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.adaptation.trimmed.load_base", lambda name: base)  # recovering takes long
        return trimmed_qwen(TURKISH, request.param)


@pytest.mark.parametrize("trimmed", [1_500], indirect=True)
def test_a_trimmed_tokenizer_cuts_as_qwen_does_where_the_pieces_are_kept(
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


def test_every_rule_has_an_arm_and_every_arm_a_name_of_its_own() -> None:
    arms = all_arms()
    assert {arm.init for arm in arms} >= set(get_args(Heuristic))
    assert set(CONTROLS) <= set(arms) and CONTROL in CONTROLS
    assert all(arm.init is None for arm in CONTROLS)
    for names in ([arm.name for arm in arms], [arm.file_name for arm in arms]):
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("size", "base"), [(size, base) for size in get_args(SizeName) for base in size_named(size).ground.bases]
)
def test_each_base_has_controls_and_arms_to_hold_against_them(size: SizeName, base: BaseName) -> None:
    arms = arms_over(base, size)
    assert set(arms) <= set(all_arms())
    assert set(arms) & set(CONTROLS) and any(arm.init is not None for arm in arms)
