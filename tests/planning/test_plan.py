"""What a plan chooses, and what it says."""

import io
from typing import Any

import pytest
from rich.console import Console

from ekle.planning.compute import SHARE_OF_PEAK
from ekle.planning.gpus import find_gpu, known_gpus
from ekle.planning.memory import total
from ekle.planning.plan import Plan, larger_gpu, make_plan, plan_as_configured, plan_as_json, remedies
from ekle.planning.shapes import shape_of
from ekle.planning.terminal import render_plan
from ekle.recipe.recipe import load_recipe, shipped_recipes

GUIDE = "qwen3-8b-turkish"


def plan(gpu: str | None = "40GB", *changes: str, name: str = GUIDE, gpus: int = 1) -> Plan:
    recipe = load_recipe(name, changes)
    return make_plan(recipe, shape_of(recipe), find_gpu(gpu) if gpu else None, gpus)


def shown(made: Plan, others: list[Plan] | None = None) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_plan(made, others or []))
    return console.export_text()


def test_the_recipe_of_the_guide_fits_forty_gigabytes_as_it_stands() -> None:
    made = plan()
    assert made.fits
    assert made.changes == ()
    assert made.case.training.dora.rank == 512
    assert made.case.micro_batches * made.case.micro_batch == 8 * 4
    assert 35e9 < made.tensors < 39e9


def test_it_does_not_fit_with_the_state_of_the_optimiser_in_float32() -> None:
    """41.4 GB are weights, gradients and states alone."""
    recipe = load_recipe(GUIDE, ["training.state_precision=fp32"])
    made = plan_as_configured(recipe, shape_of(recipe), find_gpu("40GB"))
    assert not made.fits
    state = total(made.persistent) + next(part.bytes for part in made.peak.parts if part.name == "gradients")
    assert state > 41e9


def test_what_must_change_is_named_as_settings_and_is_no_more_than_needed() -> None:
    made = plan("40GB", "training.state_precision=fp32", "training.activation_checkpointing=false")
    assert made.fits
    assert made.changes == ("training.activation_checkpointing=true", "training.state_precision=bf16")
    assert plan("h100", "training.state_precision=fp32").changes == ()
    assert plan("40GB", *made.changes).needed == made.needed


def test_the_micro_batch_is_the_largest_that_fits() -> None:
    sizes = [plan(gpu).case.micro_batch for gpu in ("39.5GB", "40GB", "a100-40", "a100-80")]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 8
    made = plan("a100-40")
    larger = next(size for size in (2, 3, 4, 8, 9) if size > made.case.micro_batch)
    recipe = load_recipe(GUIDE, [f"training.batch_size={larger}"])
    assert make_plan(recipe, shape_of(recipe), find_gpu("a100-40")).case.micro_batch < larger


def test_a_micro_batch_of_the_recipe_is_not_exceeded() -> None:
    assert plan("h200", "training.micro_batch_size=3").case.micro_batch == 3


def test_a_plan_that_cannot_fit_says_what_would() -> None:
    made = plan("24GB")
    assert not made.fits
    assert list(larger_gpu(made)) == ["--gpu a100-40"]
    cures = list(remedies(made))
    for cure in cures:
        assert plan("24GB", *cure.split()).fits
    assert any(cure.startswith("training.dora.rank=") for cure in cures)
    assert "would fit with --set training.dora.rank=" in shown(made)


@pytest.mark.parametrize("name", shipped_recipes())
def test_lines_have_at_most_120_columns_however_wide_the_terminal(name: str) -> None:
    recipe = load_recipe(name)
    shape = shape_of(recipe)
    others = [make_plan(recipe, shape, gpu) for gpu in known_gpus()]
    changed = make_plan(load_recipe(name, ["training.state_precision=fp32"]), shape, find_gpu("t4"))
    four = make_plan(recipe, shape, find_gpu("h200"), 4)
    pages = [shown(make_plan(recipe, shape, None), others), *map(shown, [*others, changed, four])]
    assert max(len(line.rstrip()) for page in pages for line in page.splitlines()) <= 120


def test_every_part_of_every_phase_has_a_line_with_its_figure() -> None:
    made = plan()
    lines = [" ".join(line.split()) for line in shown(made).splitlines()]
    for part in (part for phase in made.phases for part in phase.parts):
        start = f"{part.name} {part.bytes / 1e9:,.2f}"
        assert any(line.startswith(start) for line in lines), start


def test_settings_that_make_it_fit_have_a_line_of_their_own() -> None:
    made = plan("40GB", "training.state_precision=fp32", "training.activation_checkpointing=false")
    first, second, *_ = shown(made).splitlines()
    assert first.startswith("fits 40") and "with other settings: " in first
    assert second.rstrip() == "  with " + " ".join(f"--set {change}" for change in made.changes)


def test_no_cure_is_claimed_where_the_base_alone_is_too_large() -> None:
    made = plan("8GB", "base.model=Qwen/Qwen3-32B")
    assert list(remedies(made)) == []
    assert list(larger_gpu(made)) == ["--gpu h200"]


@pytest.mark.parametrize(
    "more",
    [
        "training.dora.rank=768",
        "training.sequence_length=4096",
        "vocabulary.size=40000",
        "base.model=Qwen/Qwen3-14B",
        "training.activation_checkpointing=false",
        "training.batch_size=16",
    ],
)
def test_more_of_anything_takes_more(more: str) -> None:
    fewer = ["training.state_precision=fp32"]
    assert plan(None, *fewer, more).needed > plan(None, *fewer).needed


def test_flash_attention_needs_neither_mask_nor_repeated_keys() -> None:
    assert plan(None, "training.attention=flash_attention_2").needed < plan(None).needed


def test_several_gpus_share_what_learns_and_what_is_frozen() -> None:
    one, four = plan("24GB"), plan("24GB", gpus=4)
    assert four.fits
    assert total(four.persistent) < 0.3 * total(one.persistent)
    assert four.case.tokens_per_step == one.case.tokens_per_step
    assert "of each of 4 GPUs" in shown(four)
    assert not plan("24GB", "training.parallel=ddp", gpus=4).fits


def test_all_parts_of_a_moment_are_counted_and_every_formula_gives_its_bytes() -> None:
    for made in (plan(), plan("24GB", name="qwen3-0.6b-turkish")):
        for part in (*made.persistent, *(part for phase in made.phases for part in phase.parts)):
            assert part.bytes > 0
            assert evaluated(part.formula) in (None, pytest.approx(part.bytes, rel=1e-9)), part
        assert made.tensors == total(made.persistent) + max(phase.bytes for phase in made.phases)


def evaluated(formula: str) -> float | None:
    """The number that a formula of numbers and words comes to; None for one that is not all numbers."""
    for word in (
        "momentum and curvature, ",
        " parameters of the base",
        " parameters",
        " numbers at a time",
        " tokens",
        " blocks",
        " rows",
        " bytes",
        ",",
    ):
        formula = formula.replace(word, "")
    formula = formula.replace(" x ", " * ")
    return eval(formula, {}) if set(formula) <= set("0123456789 *+()/.") else None


def test_the_hours_are_operations_over_the_speed_of_the_gpu() -> None:
    made = plan("a100-40")
    training = made.compute[0]
    assert training.seconds == pytest.approx(training.operations / (SHARE_OF_PEAK * 312e12))
    # 66 million tokens: 4 operations a frozen number, 6 one that learns, 2 of each for the repeated pass.
    tokens, frozen, adapters = 2000 * 32 * 1024, 6.945e9, 1.397e9
    assert training.operations == pytest.approx(tokens * (6 * frozen + 8 * adapters), rel=0.2)
    assert plan("h100").compute[0].seconds < training.seconds / 3


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [
        (["extension.init=subword"], None),
        (["extension.init=mapped", "extension.mapped.minutes=20"], 1200.0),
        (["extension.init=mapped", "extension.mapped.minutes=0"], None),
        (["extension.init=distilled", "extension.distillation.minutes=2"], 120.0),
        (["extension.init=distilled"], None),  # one pass over what the text turns out to have
    ],
)
def test_a_rule_that_runs_the_base_takes_its_minutes(rule: list[str], seconds: float | None) -> None:
    found = {cost.name: cost.seconds for cost in plan("40GB", *rule).compute}
    assert found.get("new rows") == seconds


@pytest.mark.parametrize("rule", ["mapped", "distilled"])
def test_tokens_that_a_rule_reads_are_counted_like_those_of_training(rule: str) -> None:
    section = {"mapped": "mapped", "distilled": "distillation"}[rule]
    rows, training = plan("40GB", f"extension.init={rule}", f"extension.{section}.tokens=1000000").compute[:2]
    each = rows.operations / 1e6
    # Of a training on 65,536,000 tokens; it repeats a pass and has adapters.
    assert 0.2 < each / (training.operations / 65_536_000) < 0.7
    assert rows.seconds == pytest.approx(rows.operations / (SHARE_OF_PEAK * 312e12))


def test_a_checkpoint_on_the_disk_is_what_learns_and_its_state() -> None:
    made = plan()
    checkpoints = made.disk[0]
    assert checkpoints.bytes == 3 * made.case.trainable_parameters * (4 + 2 + 2)


def test_an_alignment_leaves_its_weights_on_the_disk() -> None:
    without, made = plan(None, "training.alignment.steps=0"), plan(None, "training.alignment.steps=9")
    more = sum(part.bytes for part in made.disk) - sum(part.bytes for part in without.disk)
    assert more == 4 * made.case.trainable_parameters


def test_the_page_begins_with_the_verdict_and_shows_every_part() -> None:
    page = shown(plan())
    assert page.startswith("fits 40\u00a0GB: ")
    for part in (*plan().persistent, *plan().peak.parts, *plan().allowance, *plan().disk):
        assert part.name in page
        assert part.formula.split(" x ")[0] in page
    assert "hours are counted with the speed of a100-40" in page
    assert shown(plan("24GB")).startswith("does not fit 24\u00a0GB: ")


@pytest.mark.parametrize("gpu", ["t4", "v100-16"])
def test_a_gpu_without_bfloat16_is_planned_in_float32_and_a_line_says_so(gpu: str) -> None:
    small = "qwen3-0.6b-turkish"
    asked, exact = plan(gpu, name=small), plan(gpu, "training.precision=fp32", name=small)
    said = f"{gpu} has no bf16 in hardware: frozen weights and products are in fp32"
    assert said in shown(asked)
    assert "no bf16" not in shown(exact)
    assert "no bf16" not in shown(plan("l4", name=small))
    frozen = next(part for part in asked.persistent if part.name == "frozen weights")
    assert frozen.bytes == 4 * asked.case.shape.parameter_count
    assert asked.needed == exact.needed
    assert asked.compute == exact.compute
    assert [plan_as_json(plan(name, name=small))["precision"] for name in (gpu, "l4")] == ["fp32", "bf16"]


def test_a_larger_gpu_is_named_by_what_it_needs_in_its_own_precision() -> None:
    """In float32 the 4B takes more than the 24 GB of the card that holds it in bfloat16."""
    made = plan("t4", name="qwen3-4b-turkish")
    assert not made.fits
    (named,) = (cure.removeprefix("--gpu ") for cure in larger_gpu(made))
    assert plan(named, name="qwen3-4b-turkish").fits
    smaller = [gpu.name for gpu in known_gpus() if gpu.bytes < find_gpu(named).bytes]
    assert not any(plan(name, name="qwen3-4b-turkish").fits for name in smaller)
    assert made.needed > find_gpu(named).bytes


def test_without_a_gpu_the_known_ones_are_listed() -> None:
    page = shown(plan(None), [plan(gpu.name) for gpu in known_gpus()])
    assert "name one with --gpu" in page
    lines = {line.split()[0]: line for line in page.splitlines() if line}
    assert " yes " in lines["h200"]
    assert " no, " in lines["t4"]


def test_the_figures_for_programs_are_those_of_the_page() -> None:
    made: dict[str, Any] = plan_as_json(plan())
    assert made["fits"] is True
    assert made["tensor_bytes"] == sum(part["bytes"] for part in made["persistent"]) + max(
        phase["bytes"] for phase in made["phases"]
    )
    assert made["trainable"] == plan().case.trainable_parameters
    assert plan_as_json(plan("24GB"))["remedies"]
