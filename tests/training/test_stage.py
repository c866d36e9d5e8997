"""The whole training stage on the tiny model."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from interrupted import assert_same, killed_at
from peft import PeftModel
from safetensors.torch import load_file, save_file
from short_training import recipe, train
from transformers import AutoTokenizer, Qwen3ForCausalLM

from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.errors import CheckpointError, RecipeError, RunFolderError, SpaceError, TrainingError
from ekle.model.checkpoint.merging import load_trained
from ekle.model.scoring.bits_per_byte import measure
from ekle.progress import silent
from ekle.training import stage
from ekle.training.micro_batches import Passes
from ekle.training.monitoring.held_out import held_out_documents
from ekle.training.stage import Inputs, run


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("optimizer", "rate"), [("sophia", 3e-3), ("adamw", 3e-3), ("muon", 1e-2)])
def test_training_lowers_the_loss_and_writes_what_the_next_stages_read(
    inputs: Inputs, tmp_path: Path, optimizer: str, rate: float
) -> None:
    checkpoint = train(inputs, tmp_path, steps=20, optimizer=optimizer, learning_rate=rate)
    held_out = [line for line in checkpoint.history if "held_out_bits_per_byte" in line]
    assert held_out[-1]["held_out_bits_per_byte"] < held_out[0]["held_out_bits_per_byte"] - 0.03
    steps = [line["step"] for line in checkpoint.history if "loss_per_token" in line]
    assert steps == list(range(2, 21, 2))
    about = json.loads((tmp_path / "training.json").read_text("utf-8"))
    assert about["steps"] == 20
    assert about["tokens"] == 20 * 2 * 2 * 40
    assert about["replay_tokens"] == pytest.approx(0.2 * about["tokens"], abs=60)
    model, _ = load_trained(inputs.model.model, checkpoint, torch.float32, torch.device("cpu"))
    assert type(model) is Qwen3ForCausalLM


def test_a_log_line_holds_what_a_person_wants_to_see(uninterrupted: Path) -> None:
    line = next(line for line in Checkpoint(uninterrupted).history if "loss_per_token" in line)
    figures = [
        "bits_per_byte",
        "grad_norm",
        "learning_rate",
        "rows_learning_rate",
        "clipped_share",
        "new_row_norm",
        "tokens_per_second",
        "bytes_per_second",
        "memory_bytes",
    ]
    assert all(line[name] > 0 for name in figures)
    assert 0 < line["clipped_share"] <= 1


def test_the_loss_of_the_log_is_the_loss_of_the_model(inputs: Inputs, tmp_path: Path) -> None:
    """With the schedule's rate at nothing, the first line is the loss of the extended model itself."""
    checkpoint = train(
        inputs, tmp_path, learning_rate=1e-12, neftune={"alpha": 0}, replay_share=0.0, evaluate_steps=8
    )
    model, tokenizer = load_trained(inputs.model.model, None, torch.float32, torch.device("cpu"))
    texts = [json.loads(line)["text"] for line in inputs.corpus.train.read_text("utf-8").splitlines()]
    trained_on = [line["bits_per_byte"] for line in checkpoint.history if "bits_per_byte" in line]
    whole = measure(model, tokenizer, texts, context=40, batch_size=8).bits_per_byte
    assert sum(trained_on) / len(trained_on) == pytest.approx(whole, rel=0.03)
    held_out = measure(
        model, tokenizer, held_out_documents(inputs.corpus, 200_000), context=1024, batch_size=8
    )
    assert checkpoint.history[0]["held_out_bits_per_byte"] == pytest.approx(held_out.bits_per_byte, rel=1e-6)


def test_the_best_evaluation_is_that_of_the_weights_that_are_kept(inputs: Inputs, tmp_path: Path) -> None:
    """A rate far too high spoils the model, so that the best weights are not the last ones."""
    checkpoint = train(inputs, tmp_path, learning_rate=0.2, schedule="constant", steps=9)
    about = json.loads((tmp_path / "training.json").read_text("utf-8"))
    evaluations = {
        line["step"]: line["held_out_bits_per_byte"]
        for line in checkpoint.history
        if "held_out_bits_per_byte" in line
    }
    best = min(evaluations, key=lambda step: evaluations[step])
    assert about["weights_from_step"] == best < 9
    model, tokenizer = load_trained(inputs.model.model, checkpoint, torch.float32, torch.device("cpu"))
    found = measure(model, tokenizer, held_out_documents(inputs.corpus, 200_000), context=1024, batch_size=8)
    assert found.bits_per_byte == pytest.approx(evaluations[best], rel=1e-5)


def test_peft_reads_the_adapter(inputs: Inputs, uninterrupted: Path) -> None:
    checkpoint = Checkpoint(uninterrupted)
    model = Qwen3ForCausalLM.from_pretrained(inputs.model.model, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(model, checkpoint.adapter).merge_and_unload()
    ours, _ = load_trained(inputs.model.model, checkpoint, torch.float32, torch.device("cpu"))
    name = "model.layers.1.mlp.up_proj.weight"
    torch.testing.assert_close(ours.get_parameter(name), theirs.get_parameter(name), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "other", [{"optimizer": "adamw"}, {"optimizer": "muon"}, {"state_precision": "bf16"}]
)
def test_other_optimisers_and_a_state_in_half_precision_go_on_exactly_too(
    inputs: Inputs, tmp_path: Path, other: dict[str, str]
) -> None:
    train(inputs, tmp_path / "whole", **other)
    with killed_at(12):
        train(inputs, tmp_path / "killed", **other)
    train(inputs, tmp_path / "killed", **other)
    assert_same(tmp_path / "killed", tmp_path / "whole")


def test_a_run_with_a_curriculum_goes_on_exactly(inputs: Inputs, tmp_path: Path, uninterrupted: Path) -> None:
    easy = {"curriculum": {"pacing": "root", "start": 0.2, "share": 0.7}}
    train(inputs, tmp_path / "whole", **easy)
    with killed_at(12):
        train(inputs, tmp_path / "killed", **easy)
    train(inputs, tmp_path / "killed", **easy)
    assert_same(tmp_path / "killed", tmp_path / "whole")
    folders = (tmp_path / "whole", uninterrupted)
    rows = [load_file(Checkpoint(folder).rows)["input"] for folder in folders]
    assert not torch.equal(*rows), "the order matters"


def test_only_sophia_keeps_its_state_in_half_precision() -> None:
    with pytest.raises(RecipeError, match="with adamw, set state_precision to fp32"):
        recipe(state_precision="bf16", optimizer="adamw")


def test_the_same_recipe_gives_the_same_weights(inputs: Inputs, tmp_path: Path, uninterrupted: Path) -> None:
    train(inputs, tmp_path / "second")
    assert_same(uninterrupted, tmp_path / "second")


def test_a_checkpoint_holds_the_random_state_that_the_seed_begins(uninterrupted: Path) -> None:
    """Nothing but dropout draws from it, and this model has none."""
    before = torch.get_rng_state()
    torch.manual_seed(recipe().seed)
    wanted = torch.get_rng_state()
    torch.set_rng_state(before)
    kept = load_file(uninterrupted / "checkpoints" / "step-000008" / "random.safetensors")
    assert torch.equal(kept["cpu"], wanted)


def test_another_seed_gives_other_weights(inputs: Inputs, tmp_path: Path, uninterrupted: Path) -> None:
    first = Checkpoint(uninterrupted)
    (tmp_path / "second").mkdir()
    other = recipe().model_copy(update={"seed": 1})
    second = run(other, inputs, tmp_path / "second", silent())
    assert not torch.equal(load_file(first.rows)["input"], load_file(second.rows)["input"])


def test_activation_checkpointing_and_smaller_parts_change_nothing_but_memory(
    inputs: Inputs, tmp_path: Path, uninterrupted: Path
) -> None:
    with_it = train(inputs, tmp_path / "with", activation_checkpointing=True)
    without = Checkpoint(uninterrupted)
    assert torch.equal(load_file(with_it.rows)["input"], load_file(without.rows)["input"])


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_corpus: Corpus,
    _extended_models: dict[bool, ExtendedModel],
) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(Inputs(tiny_corpus, _extended_models[False]), folder)
    return folder


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("accumulate", 1),  # before the first checkpoint
        ("accumulate", 8),  # between two batches of a step, after the best weights of step 3
        ("accumulate", 12),
        ("save_random_state", 1),  # half a checkpoint written
        ("save_random_state", 4),
        ("save_adapter", 4),  # the best weights half written
        ("measure", 3),  # in the middle of an evaluation
        ("write_results", 1),  # all steps done, nothing handed over
    ],
)
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    inputs: Inputs,
    tmp_path: Path,
    uninterrupted: Path,
    place: str,
    call: int,
) -> None:
    owners = {"accumulate": Passes, "write_results": stage, "measure": stage.HeldOut}
    owner = owners.get(place, sys.modules["ekle.training.run_state"])
    with killed_at(call, owner, place):
        train(inputs, tmp_path)
    assert not (tmp_path / "training.json").exists()
    assert not list(tmp_path.rglob(".*.partial"))
    train(inputs, tmp_path)
    assert_same(tmp_path, uninterrupted)
    kept = ("loss_per_token", "bits_per_byte", "held_out_bits_per_byte")
    ours, theirs = (
        {(line["step"], name): line[name] for line in Checkpoint(f).history for name in kept if name in line}
        for f in (tmp_path, uninterrupted)
    )
    assert ours.keys() == theirs.keys()
    held_out = [key for key in ours if key[1].startswith("held_out")]
    assert all(ours[key] == theirs[key] for key in held_out)


def test_only_the_last_checkpoints_and_the_best_are_kept(uninterrupted: Path) -> None:
    names = sorted(path.name for path in (uninterrupted / "checkpoints").iterdir())
    assert [name for name in names if name.startswith("step")] == ["step-000006", "step-000008"]
    best = json.loads((uninterrupted / "training.json").read_text("utf-8"))["weights_from_step"]
    assert f"best-{best:06}" in names
    assert len(names) <= 4


def test_a_finished_run_is_handed_over_again_without_training(
    inputs: Inputs, tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    monkeypatch.delattr(Passes, "accumulate")
    train(inputs, tmp_path)
    assert_same(tmp_path, uninterrupted)


def test_other_settings_are_refused_and_every_changed_key_is_named(
    inputs: Inputs, tmp_path: Path, uninterrupted: Path
) -> None:
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    with pytest.raises(
        RunFolderError, match=r"training\.dora\.rank 2 -> 4; training\.learning_rate"
    ) as error:
        train(inputs, tmp_path, learning_rate=1e-3, dora={"rank": 4, "alpha": 2.0})
    assert "--redo training" in str(error.value)
    train(inputs, tmp_path, log_steps=1, checkpoint_steps=100, keep_checkpoints=5)  # nothing to the weights
    train(inputs, tmp_path, tracker="tensorboard", memory_lines=3)


def test_a_training_goes_on_that_was_begun_before_a_setting_was_there(
    inputs: Inputs, tmp_path: Path, uninterrupted: Path
) -> None:
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    for file in tmp_path.glob("checkpoints/*/progress.json"):
        progress = json.loads(file.read_text("utf-8"))
        del progress["record"]["training.shared_rows"]
        file.write_text(json.dumps(progress), "utf-8")
    train(inputs, tmp_path)
    with pytest.raises(RunFolderError, match=r"training\.shared_rows False -> True"):
        train(inputs, tmp_path, shared_rows=True, optimizer="adamw")


def test_a_damaged_checkpoint_is_named(inputs: Inputs, tmp_path: Path, uninterrupted: Path) -> None:
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "checkpoints").glob("step-*"):
        progress = json.loads((path / "progress.json").read_text("utf-8"))
        (path / "progress.json").write_text(json.dumps({**progress, "finished": False, "step": 6}), "utf-8")
        (path / "optimizer.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="step-000008 is damaged"):
        train(inputs, tmp_path)


def test_a_full_disk_leaves_the_earlier_checkpoint(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(inputs, tmp_path, steps=4)
    shutil.rmtree(tmp_path / "adapter")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(SpaceError, match="free some"):
        train(inputs, tmp_path / "other", steps=4)
    assert not list(tmp_path.glob("other/checkpoints/*"))


def test_training_stops_when_patience_is_used_up(inputs: Inputs, tmp_path: Path) -> None:
    checkpoint = train(
        inputs, tmp_path, learning_rate=0.2, schedule="constant", steps=40, patience=2, evaluate_steps=2
    )
    about = json.loads((tmp_path / "training.json").read_text("utf-8"))
    assert about["stopped_early"]
    assert about["steps"] == about["weights_from_step"] + 4 < 40
    assert checkpoint.history[-1]["step"] == about["steps"]


def test_only_the_rows_learn_in_the_first_phase(inputs: Inputs, tmp_path: Path) -> None:
    train(inputs, tmp_path, steps=4, rows_first=0.5, checkpoint_steps=2, keep_checkpoints=9)
    at_two, at_four = (
        load_file(tmp_path / f"checkpoints/step-00000{step}/adapter/adapter_model.safetensors")
        for step in (2, 4)
    )
    assert all(not tensor.any() for name, tensor in at_two.items() if "lora_B" in name)
    assert all(tensor.any() for name, tensor in at_four.items() if "lora_B" in name)
    rows = load_file(tmp_path / "checkpoints/step-000002/new_rows.safetensors")["input"]
    start = Qwen3ForCausalLM.from_pretrained(inputs.model.model).get_input_embeddings().weight[410:]
    assert not torch.equal(rows, start)


def test_rows_have_a_learning_rate_of_their_own(inputs: Inputs, tmp_path: Path) -> None:
    history = train(inputs, tmp_path, rows_learning_rate=6e-3).history
    line = next(line for line in history if "learning_rate" in line)
    assert line["rows_learning_rate"] == pytest.approx(2 * line["learning_rate"])


def test_a_corpus_shorter_than_one_step_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"tokens but one step takes .* lower training\.batch_size"):
        train(inputs, tmp_path, batch_size=500)
    assert not (tmp_path / "training.json").exists()


def test_a_model_that_gives_no_number_is_refused_at_once(inputs: Inputs, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(inputs.model.folder, broken)
    path = broken / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("nan"))
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="NaN"):
        train(Inputs(inputs.corpus, ExtendedModel(broken)), tmp_path / "first")
    corpus = tmp_path / "corpus"
    shutil.copytree(inputs.corpus.folder, corpus)
    shutil.rmtree(corpus / "held-out")
    with pytest.raises(TrainingError, match="not a finite number from the first step"):
        train(Inputs(Corpus(corpus), ExtendedModel(broken)), tmp_path / "second")


def test_weights_that_training_has_spoilt_are_named_as_such(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = stage.HeldOut.measure

    def spoil(self: stage.HeldOut, model: Any) -> Any:
        found = measured(self, model)
        with torch.no_grad():
            model.get_input_embeddings().new.fill_(float("inf"))
        return found

    monkeypatch.setattr(stage.HeldOut, "measure", spoil)
    monkeypatch.setattr("ekle.training.monitoring.guard.Guard.skip_reason", lambda *_: None)
    with pytest.raises(TrainingError, match=r"went wrong before step 3: .*training\.learning_rate"):
        train(inputs, tmp_path)


def test_a_batch_that_does_not_fit_goes_through_in_parts_with_the_same_result(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ekle.training.objective import Objective

    quiet = {"neftune": {"alpha": 0}, "optimizer": "adamw", "steps": 3, "batch_size": 4}
    whole = train(inputs, tmp_path / "whole", **quiet)
    original, largest = Objective.forward, 2

    def small_device(self: Objective, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if len(input_ids) > largest:
            raise torch.OutOfMemoryError("too small")
        return original(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(Objective, "forward", small_device)
    parts = train(inputs, tmp_path / "parts", **quiet)
    torch.testing.assert_close(
        load_file(parts.rows)["input"], load_file(whole.rows)["input"], atol=1e-5, rtol=0
    )
    assert [line.get("tokens") for line in parts.history] == [line.get("tokens") for line in whole.history]
    losses = [
        [line["loss_per_token"] for line in c.history if "loss_per_token" in line] for c in (parts, whole)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)

    largest = 0
    with pytest.raises(TrainingError, match=r"a single sequence of 40 tokens does not fit"):
        train(inputs, tmp_path / "none", **quiet)


def test_an_evaluation_that_processes_share_is_not_made_smaller_by_one_of_them(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def small_device(*_: Any, input_ids: torch.Tensor, **__: Any) -> None:
        sizes.append(len(input_ids))
        raise torch.OutOfMemoryError("too small")

    model = Qwen3ForCausalLM.from_pretrained(tiny_base)
    monkeypatch.setattr(type(model.get_decoder()), "forward", small_device)
    held_out = stage.HeldOut(["Evde.", "Okulda."], AutoTokenizer.from_pretrained(tiny_base), 16, 2, False)
    with pytest.raises(TrainingError, match=r"lower evaluation\.batch_size \(2\)"):
        held_out.figures(model, 0)
    assert sizes == [2]


def test_a_narrow_model_is_trained_in_fp32_on_a_cpu_and_a_line_says_so(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every CPU, so that small models come out the same on all machines."""
    from ekle.progress import ProgressReporter

    said = []
    for has_bf16 in (True, False):
        monkeypatch.setattr("ekle.model.device.has_bf16_matmuls", lambda device, has=has_bf16: has)
        folder = tmp_path / str(has_bf16)
        folder.mkdir()
        run(
            recipe(precision="bf16", steps=1),
            inputs,
            folder,
            ProgressReporter(events=folder / "events.jsonl"),
        )
        said.append((folder / "events.jsonl").read_text("utf-8"))
        assert json.loads((folder / "training.json").read_text("utf-8"))["precision"] == "float32"
    assert "training in fp32: on a CPU, a model 32 wide gains nothing by bf16" in said[0]
    assert "training in fp32: this CPU has no bf16 in hardware" in said[1]


def test_without_replay_or_held_out_text_training_goes_on(inputs: Inputs, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(inputs.corpus.folder, corpus)
    (corpus / "replay.jsonl").write_text("", "utf-8")
    shutil.rmtree(corpus / "held-out")
    checkpoint = train(Inputs(Corpus(corpus), inputs.model), tmp_path / "run")
    about = json.loads((tmp_path / "run" / "training.json").read_text("utf-8"))
    assert about["turkish_tokens"] == about["tokens"]
    assert "replay_tokens" not in about
    assert about["weights_from_step"] == 8
    assert not any("held_out_bits_per_byte" in line for line in checkpoint.history)
