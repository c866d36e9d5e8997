"""The plan against the bytes of all tensors in real training."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import BASE_ROWS, NEW_TOKENS, tiny_config
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen3ForCausalLM

from benchmarks.steps.memory import compare
from benchmarks.steps.tensor_bytes import TensorBytes
from ekle.artifacts import Corpus, ExtendedModel
from ekle.planning.case import Case
from ekle.planning.memory import persistent, phases, total
from ekle.planning.shapes import ModelShape
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.training import stage
from ekle.training.run_state import RunState
from ekle.training.stage import Inputs, run

SMALL = ModelShape(2, 64, 4, 2, 32, 192, BASE_ROWS, tied=False)
TIED = ModelShape(3, 48, 3, 3, 16, 160, BASE_ROWS, tied=True)
SETTINGS = {
    "steps": 2,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "sequence_length": 64,
    "evaluate_steps": 1,
    "evaluate_bytes": 300,
    "patience": 0,
    "activation_checkpointing": False,
    "dora": {"rank": 8, "alpha": 8.0},
}


def extended_of(shape: ModelShape, tiny: ExtendedModel, folder: Path) -> ExtendedModel:
    """The tiny extended model with the weights of another shape."""
    shutil.copytree(tiny.folder, folder)
    config = tiny_config(shape.tied)
    config.hidden_size, config.intermediate_size = shape.hidden, shape.intermediate
    config.num_hidden_layers, config.layer_types = shape.layers, ["full_attention"] * shape.layers
    config.num_attention_heads, config.num_key_value_heads = shape.heads, shape.key_value_heads
    config.head_dim, config.vocab_size = shape.head_dim, BASE_ROWS + NEW_TOKENS
    kept = json.loads((folder / "model" / "tokenizer_config.json").read_text("utf-8"))
    Qwen3ForCausalLM(config).save_pretrained(folder / "model")
    (folder / "model" / "tokenizer_config.json").write_text(json.dumps(kept), "utf-8")
    return ExtendedModel(folder)


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        (SMALL, {}),
        (SMALL, {"activation_checkpointing": True, "sequence_length": 160}),
        (SMALL, {"micro_batch_size": 1, "dora": {"rank": 48, "alpha": 8.0}, "state_precision": "bf16"}),
        (TIED, {"gradient_accumulation": 1}),
        (TIED, {"activation_checkpointing": True, "optimizer": "adamw", "micro_batch_size": 2}),
        (TIED, {"optimizer": "muon", "dora": {"rank": 4, "alpha": 4.0, "targets": ["q_proj", "down_proj"]}}),
    ],
    ids=["untied", "checkpointing", "rank 48", "tied", "tied adamw", "tied muon, two layers adapted"],
)
def test_real_training_takes_what_the_plan_says(
    shape: ModelShape,
    changes: dict[str, Any],
    tiny_extended: ExtendedModel,
    tiny_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evaluations and checkpoints included: everything that is alive while the trainer runs."""
    recipe = make_recipe({"name": "x", "training": {**SETTINGS, **changes}, "evaluation": {"context": 32}})
    measured = []
    train = stage.train

    def counted(state: RunState, resume: Path | None) -> None:
        objective = state.setup.objective
        with TensorBytes([*objective.parameters(), *objective.buffers()]) as count:
            train(state, resume)
        measured.append(count.peak)

    monkeypatch.setattr(stage, "train", counted)
    extended = extended_of(shape, tiny_extended, tmp_path / "extended")
    (tmp_path / "training").mkdir()
    run(recipe, Inputs(tiny_corpus, extended), tmp_path / "training", silent())

    training = recipe.training
    size = training.batch_size if training.micro_batch_size == "auto" else training.micro_batch_size
    case = Case(shape, NEW_TOKENS, training, recipe.evaluation, size, device="cpu")
    planned = total(persistent(case)) + max(phase.bytes for phase in phases(case))
    assert planned == pytest.approx(measured[0], rel=0.1)


@pytest.mark.parametrize(
    "changes", [{"activation_checkpointing": True, "state_precision": "bf16"}, {"sequence_length": 128}]
)
def test_a_step_in_bfloat16_takes_what_the_plan_says(changes: dict[str, Any]) -> None:
    settings = {"batch_size": 2, "gradient_accumulation": 2, "sequence_length": 64, "precision": "bf16"}
    assert abs(compare("small", SMALL, {**settings, **changes}).deviation) < 0.1


def test_the_bytes_counted_are_those_that_the_allocator_gives(tmp_path: Path) -> None:
    """PyTorch's profiler sees every allocation, those inside of kernels too."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        with TensorBytes() as count:
            kept = [torch.zeros(100_000 + number) for number in range(5)]
            product = torch.stack([tensor[:100_000] for tensor in kept]).sin().exp()
            del kept
            product = (product @ product.T).softmax(dim=0)
        del product
    profiler.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text("utf-8"))["traceEvents"]
    allocated = max(event["args"]["Total Allocated"] for event in events if event.get("name") == "[memory]")
    assert count.peak == pytest.approx(allocated, rel=0.01)
    assert count.now == 0
