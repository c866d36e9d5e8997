"""The sequences of a step go through in micro-batches: by plan, by trial, and with the same result."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted import killed_at
from torch import OutOfMemoryError, Tensor
from transformers import AutoTokenizer, Qwen3ForCausalLM

from ekle.artifacts import Corpus, ExtendedModel
from ekle.errors import TrainingError
from ekle.model.layers.dora import attach
from ekle.model.layers.loss import IGNORED
from ekle.model.layers.new_rows import split_rows
from ekle.model.processes import Processes
from ekle.model.scoring.bits_per_byte import measure
from ekle.progress import ProgressReporter, silent
from ekle.recipe import make_recipe
from ekle.recipe.training import DoraSettings, NeftuneSettings, TrainingSettings
from ekle.training import micro_batches as room
from ekle.training import stage
from ekle.training.micro_batches import Batch, Passes, planned_micro_batch_size, split_step
from ekle.training.monitoring.meter import Meter
from ekle.training.objective import Objective, byte_lengths
from ekle.training.optimizers.sophia import Sophia
from ekle.training.stage import Inputs, run

CPU = torch.device("cpu")
SEQUENCES, LENGTH = 6, 10


def make(extended: ExtendedModel) -> Objective:
    model = Qwen3ForCausalLM.from_pretrained(extended.model, dtype=torch.float32)
    model.requires_grad_(False)
    rows = split_rows(model, extended.first_new_id)
    attach(model, DoraSettings(rank=2, alpha=2.0), generator=torch.Generator().manual_seed(0))
    tokenizer = AutoTokenizer.from_pretrained(extended.model)
    return Objective(model, NeftuneSettings(alpha=0), byte_lengths(tokenizer, 410 + len(rows.input))).train()


@pytest.fixture
def objective(tiny_extended: ExtendedModel) -> Objective:
    return make(tiny_extended)


def step_batches() -> list[Batch]:
    """Two batches of six sequences, of which the second has hardly any label that counts."""
    ids = torch.randint(0, 430, (2, SEQUENCES, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    labels = ids[:, :, 1:].clone()
    labels[0, 1, 3:] = IGNORED
    labels[1, 1:] = IGNORED
    positions = torch.arange(LENGTH).expand(SEQUENCES, LENGTH)
    return [
        {
            "input_ids": ids[number, :, :-1],
            "labels": labels[number],
            "position_ids": positions,
            "numbers": list(range(SEQUENCES * number, SEQUENCES * (number + 1))),
            "learned": (labels[number] != IGNORED).sum(dim=1).tolist(),
        }
        for number in range(2)
    ]


def half(batch: Batch, process: int) -> Batch:
    """What one of two processes has of a batch."""
    names = ("input_ids", "labels", "position_ids", "numbers")
    return {**batch, **{name: batch[name][process::2] for name in names}}


def passes(objective: Objective, size: int = SEQUENCES, **options: Any) -> Passes:
    settings = TrainingSettings(
        batch_size=size,
        gradient_accumulation=2,
        sequence_length=LENGTH,
    )
    processes = options.pop("processes", Processes(0, 1, CPU))
    sizes = split_step(settings, processes.world_size, None)
    micro = min(options.pop("micro", size), size)
    made = Passes(objective, sizes, 0, processes, options.pop("reporter", silent()), **options)
    made.micro_batch_size = micro
    return made


def learn(objective: Objective, made: Passes, batches: list[Batch]) -> tuple[dict[str, Tensor], float, Meter]:
    """Gradients, loss and sums of a whole step."""
    meter = Meter(CPU)
    meter.begin_step()
    losses = [made.accumulate(batches, place, meter) for place in range(len(batches))]
    return gradients(objective), float(sum(losses)), meter


def gradients(objective: Objective) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}
    objective.zero_grad(set_to_none=True)
    return found


def whole_step(objective: Objective) -> tuple[dict[str, Tensor], float]:
    """The mean over all labels of the step that count, in one pass and without `Passes`."""
    both = {
        name: torch.cat([batch[name] for batch in step_batches()])
        for name in ("input_ids", "labels", "position_ids")
    }
    loss = objective(**both)[0]
    loss.backward()
    return gradients(objective), loss.item()


def assert_alike(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-7, rtol=1e-4, msg=name)


@pytest.mark.parametrize("micro", [SEQUENCES, 4, 1, 100])
def test_a_step_learns_the_mean_over_its_labels_however_it_is_cut(objective: Objective, micro: int) -> None:
    expected, loss = whole_step(objective)
    found, total, meter = learn(objective, passes(objective, micro=micro), step_batches())
    assert_alike(found, expected)
    assert total == pytest.approx(loss, rel=1e-5)
    assert meter.step is not None
    assert meter.step.tokens == sum(sum(batch["learned"]) for batch in step_batches())
    assert meter.step.read == 2 * SEQUENCES * LENGTH


def test_two_processes_together_learn_what_one_learns(objective: Objective) -> None:
    expected, loss = whole_step(objective)
    halves = [
        learn(
            objective,
            passes(objective, size=3, processes=Processes(process, 2, CPU)),
            [half(batch, process) for batch in step_batches()],
        )
        for process in range(2)
    ]
    averaged = {name: (gradient + halves[1][0][name]) / 2 for name, gradient in halves[0][0].items()}
    assert_alike(averaged, expected)
    assert (halves[0][1] + halves[1][1]) / 2 == pytest.approx(loss, rel=1e-5)


def small_forward(objective: Objective, fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for `fits` sequences: more, and it runs out in the forward pass."""
    original = Objective.forward

    def forward(self: Objective, input_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self is objective and len(input_ids) > fits:
            raise torch.OutOfMemoryError("too small")
        return original(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(Objective, "forward", forward)


def failing_backward(times: list[int]) -> Callable[[Tensor], None]:
    """Backward passes that add their gradients and then, if their number is in `times`, find no memory."""
    calls = 0

    def backward(loss: Tensor) -> None:
        nonlocal calls
        calls += 1
        loss.backward()
        if calls in times:
            raise torch.OutOfMemoryError("too small")

    return backward


def test_too_little_memory_for_a_forward_pass_changes_nothing_but_the_parts(
    objective: Objective, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected, loss = whole_step(objective)
    small_forward(objective, 2, monkeypatch)
    made = passes(objective, reporter=ProgressReporter(events=tmp_path / "events.jsonl"))
    found, total, meter = learn(objective, made, step_batches())
    assert made.micro_batch_size == 2  # by way of 3
    assert_alike(found, expected)
    assert total == pytest.approx(loss, rel=1e-5)
    assert meter.step is not None
    assert meter.step.read == 2 * SEQUENCES * LENGTH
    said = (tmp_path / "events.jsonl").read_text("utf-8")
    assert "out of memory: batches of 6 are split into micro-batches of 3" in said
    assert "out of memory: batches of 6 are split into micro-batches of 2" in said


@pytest.mark.parametrize("times", [[1], [2], [2, 3], [1, 4]])
def test_too_little_memory_for_a_backward_pass_changes_nothing_but_the_parts(
    objective: Objective, times: list[int]
) -> None:
    """Also when it comes in the second batch of a step, and when the gradients are half added."""
    expected, _ = whole_step(objective)
    made = passes(objective, backward=failing_backward(times))
    found, _, meter = learn(objective, made, step_batches())
    assert made.micro_batch_size == {1: 3, 2: 2}[len(times)]
    assert_alike(found, expected)
    assert meter.step is not None
    assert meter.step.read == 2 * SEQUENCES * LENGTH


def curvature(objective: Objective, made: Passes) -> dict[str, Tensor]:
    """What the estimate leaves in a new optimiser."""
    named = {name: p for name, p in objective.named_parameters() if p.requires_grad}
    sophia = Sophia(list(named.values()), lr=1e-3)
    made.estimate_curvature(step_batches()[0], sophia)
    assert all(parameter.grad is None for parameter in named.values())
    return {name: sophia.state[p]["curvature"] for name, p in named.items() if p in sophia.state}


def test_a_lack_of_memory_in_a_curvature_pass_changes_nothing_but_the_parts(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = curvature(objective, passes(objective, micro=3))
    made = passes(objective, backward=failing_backward([1]))
    assert_alike(curvature(objective, made), expected)
    assert made.micro_batch_size == 3
    small_forward(objective, 3, monkeypatch)
    assert_alike(curvature(objective, passes(objective)), expected)


def test_a_curvature_estimate_counts_the_labels_that_count(objective: Objective) -> None:
    """N g * g, with g the gradient of the mean over N drawn labels."""
    seeds: list[int] = []

    def seen(_: Any, __: Any, given: dict[str, Any]) -> None:
        seeds.extend(generator.initial_seed() for generator in given["sample"])

    with objective.register_forward_pre_hook(seen, with_kwargs=True):
        found = curvature(objective, passes(objective))
    assert len(set(seeds)) == SEQUENCES
    batch = {name: step_batches()[0][name] for name in ("input_ids", "labels", "position_ids")}
    objective(**batch, sample=[torch.Generator(CPU).manual_seed(seed) for seed in seeds])[0].backward()
    tokens = sum(step_batches()[0]["learned"])
    assert tokens < SEQUENCES * LENGTH
    expected = {name: gradient**2 * tokens * (1 - 0.99) for name, gradient in gradients(objective).items()}
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], atol=1e-12, rtol=1e-3)


def test_held_out_text_is_measured_in_smaller_parts_with_the_same_result(
    tiny_extended: ExtendedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_extended.model)
    texts = ["Evimizin önündeki yol geçen kış kardan kapanmıştı."] * 3 + ["Yarın sabah erkenden."] * 4
    expected = measure(model, tokenizer, texts, context=64, batch_size=7)
    decoder = type(model.get_decoder())
    original = decoder.forward

    def forward(self: Any, input_ids: Tensor, **kwargs: Any) -> Any:
        if len(input_ids) > 2:
            raise torch.OutOfMemoryError("too small")
        return original(self, input_ids, **kwargs)

    monkeypatch.setattr(decoder, "forward", forward)
    found = measure(model, tokenizer, texts, context=64, batch_size=7)
    assert found.nats == pytest.approx(expected.nats, rel=1e-5)
    assert (found.tokens, found.bytes) == (expected.tokens, expected.bytes)


def test_a_sequence_that_does_not_fit_is_an_error_that_names_the_cure(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_forward(objective, 0, monkeypatch)
    cure = r"a single sequence of 10 tokens does not fit into memory; lower training\.sequence_length"
    with pytest.raises(TrainingError, match=cure):
        passes(objective).accumulate(step_batches(), 0, Meter(CPU))
    with pytest.raises(TrainingError, match=cure):
        passes(objective).probe(later=0)
    assert not gradients(objective)


def test_a_probe_finds_what_fits_and_leaves_nothing_behind(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_forward(objective, 3, monkeypatch)
    made = passes(objective)
    made.probe(later=1000)
    assert made.micro_batch_size == 3
    assert not gradients(objective)


def test_a_probe_counts_what_will_be_in_memory_later(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = torch.empty

    def empty(*size: Any, **options: Any) -> Tensor:
        if options.get("dtype") == torch.uint8:
            asked.append(size)
        return original(*size, **options)

    monkeypatch.setattr(torch, "empty", empty)
    passes(objective).probe(later=12_345)
    assert asked == [(12_345,)]


def test_processes_agree_on_the_parts_when_one_of_them_lacks_memory(tiny_extended: ExtendedModel) -> None:
    """Two processes stand as two threads, of which the second finds too little memory in its second batch."""
    barrier, handed = threading.Barrier(2, timeout=60), [0, 0]

    class Threads(Processes):
        def minimum(self, number: int) -> int:
            handed[self.rank] = number
            barrier.wait()
            found = min(handed)
            barrier.wait()
            return found

    objectives = [make(tiny_extended) for _ in range(2)]
    expected, _ = whole_step(objectives[0])
    backwards: list[Callable[[Tensor], None]] = [lambda loss: loss.backward(), failing_backward([2])]
    made = [
        passes(objectives[p], size=3, processes=Threads(p, 2, CPU), backward=backwards[p]) for p in range(2)
    ]
    found: list[dict[str, Tensor]] = [{}, {}]

    def work(process: int) -> None:
        batches = [half(batch, process) for batch in step_batches()]
        found[process] = learn(objectives[process], made[process], batches)[0]

    threads = [threading.Thread(target=work, args=(process,)) for process in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.micro_batch_size for each in made] == [2, 2]
    assert_alike({name: (gradient + found[1][name]) / 2 for name, gradient in found[0].items()}, expected)


SETTINGS: dict[str, Any] = {
    "steps": 6,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "sequence_length": 40,
    "checkpoint_steps": 2,
    "precision": "fp32",
    "neftune": {"alpha": 0},
    "dora": {"rank": 2, "alpha": 2.0},
    "sophia": {"hessian_every": 3},
}


def small_device(patch: pytest.MonkeyPatch, sequences: int) -> None:
    """Memory runs out in every pass of more than so many sequences."""
    original = Objective.forward

    def forward(self: Objective, input_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(input_ids) > sequences:
            raise OutOfMemoryError("too small")
        return original(self, input_ids, *args, **kwargs)

    patch.setattr(Objective, "forward", forward)


def train(
    inputs: Inputs, folder: Path, reporter: ProgressReporter | None = None, **changes: Any
) -> list[bytes]:
    folder.mkdir(exist_ok=True)
    recipe = make_recipe({"name": "t", "training": SETTINGS | changes})
    made = run(recipe, inputs, folder, reporter or silent())
    return [made.rows.read_bytes(), (made.adapter / "adapter_model.safetensors").read_bytes()]


def test_a_resumed_run_does_not_ask_for_more_than_fitted(inputs: Inputs, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        small_device(patch, 2)
        whole = train(inputs, tmp_path / "whole")
        with killed_at(10):
            train(inputs, tmp_path / "again")
    place = tmp_path / "again/checkpoints/step-000004/progress.json"
    progress = json.loads(place.read_text("utf-8"))
    assert progress["micro_batch_size"] == 2
    of_0_1 = {"at_once": progress.pop("micro_batch_size"), **progress}
    place.write_text(json.dumps(of_0_1), encoding="utf-8")
    again = train(
        inputs, tmp_path / "again", ProgressReporter(events=events)
    )  # on a device that could take four
    assert again == whole
    assert "out of memory" not in events.read_text("utf-8")


def test_the_micro_batch_size_may_change_between_two_attempts(inputs: Inputs, tmp_path: Path) -> None:
    with killed_at(10):
        train(inputs, tmp_path / "run")
    train(inputs, tmp_path / "run", micro_batch_size=1)
    last = tmp_path / "run/checkpoints/step-000006/progress.json"
    assert json.loads(last.read_text("utf-8"))["micro_batch_size"] == 1


def recipe(**changes: Any) -> Any:
    settings = {"sequence_length": 256, "dora": {"rank": 8, "alpha": 8.0}, **changes}
    return make_recipe({"name": "x", "training": settings, "evaluation": {"context": 64}})


def planned_size(recipe: Any, extended: ExtendedModel, reporter: ProgressReporter) -> int:
    return planned_micro_batch_size(recipe, extended, split_step(recipe.training, 1, None), 1, reporter)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a GPU with so many bytes appear."""

    def of(size: int, has_bf16: bool = True) -> None:
        monkeypatch.setattr(room, "first_gpu", lambda: (size, "Small One", has_bf16))

    return of


def test_without_a_gpu_the_recipe_decides(
    tiny_extended: ExtendedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "first_gpu", lambda: None)
    assert planned_size(recipe(), tiny_extended, silent()) == 8
    assert planned_size(recipe(micro_batch_size=3), tiny_extended, silent()) == 3
    assert planned_size(recipe(micro_batch_size=30), tiny_extended, silent()) == 8


def test_fewer_sequences_go_through_a_smaller_gpu(tiny_extended: ExtendedModel, gpu: Any) -> None:
    found = []
    for size in (700_000_000, 609_000_000, 606_000_000):
        gpu(size)
        found.append(planned_size(recipe(), tiny_extended, silent()))
    assert found[0] == 8
    assert found == sorted(found, reverse=True)


def test_a_gpu_without_bfloat16_is_filled_with_what_float32_needs(
    tiny_extended: ExtendedModel, gpu: Any
) -> None:
    found = []
    for has_bf16, settings in ((True, {}), (False, {}), (True, {"precision": "fp32"})):
        gpu(609_000_000, has_bf16)
        found.append(planned_size(recipe(**settings), tiny_extended, silent()))
    assert found[0] > found[1] == found[2]
    assert found[-1] < 8


def test_what_the_recipe_allows_is_not_exceeded(tiny_extended: ExtendedModel, gpu: Any) -> None:
    gpu(10**9)
    assert planned_size(recipe(micro_batch_size=2), tiny_extended, silent()) == 2


def test_a_gpu_that_is_too_small_is_refused_with_the_plan_before_anything_is_loaded(
    tiny_extended: ExtendedModel,
    tiny_corpus: Corpus,
    gpu: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu(200_000)
    monkeypatch.setattr(stage, "load_model", lambda *_: pytest.fail("the model is loaded"))
    (tmp_path / "training").mkdir()
    reporter = ProgressReporter(events=tmp_path / "events.jsonl")
    with pytest.raises(TrainingError, match=r"Small One has 200.0.kB; .*`ekle plan`") as failed:
        run(recipe(), Inputs(tiny_corpus, tiny_extended), tmp_path / "training", reporter)
    assert "\n" not in str(failed.value)
    said = (tmp_path / "events.jsonl").read_text("utf-8")
    for part in ("frozen weights", "adapters", "optimiser state", "gradients"):
        assert part in said


def test_the_refusal_names_no_setting_where_none_helps(tiny_extended: ExtendedModel, gpu: Any) -> None:
    gpu(4_000_000)
    with pytest.raises(TrainingError, match=r"a smaller base\.model"):
        planned_size(recipe(dora={"rank": 4000, "alpha": 1.0}), tiny_extended, silent())
