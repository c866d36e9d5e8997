"""A whole training run against one written out: PEFT's DoRA, full logits, the algorithms of the paper.

Nothing of ekle computes in the twin but the start of A and the text, which it is given batch by batch.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen3ForCausalLM

from ekle.artifacts import Corpus, ExtendedModel
from ekle.model.checkpoint.adapter import save_adapter
from ekle.model.layers.dora import attach
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.recipe.training import TrainingSettings
from ekle.training import objective, stage
from ekle.training.stage import Inputs, run

STEPS, ACCUMULATION, EVERY = 6, 2, 2
SETTINGS: dict[str, Any] = {
    "steps": STEPS,
    "batch_size": 2,
    "gradient_accumulation": ACCUMULATION,
    "sequence_length": 40,
    "learning_rate": 2e-3,
    "rows_learning_rate": 5e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.3,
    "gradient_clip": 0.5,
    "precision": "fp32",
    "activation_checkpointing": True,
    "evaluate_steps": 100,
    "log_steps": 1,
    "patience": 0,
    "dora": {"rank": 4, "alpha": 6.0},
    "neftune": {"alpha": 0},
    "sophia": {"betas": [0.9, 0.8], "rho": 2.0, "hessian_every": EVERY},
}

Batch = tuple[Tensor, Tensor, Tensor]
"""Ids, labels and positions, each (B, T); the labels of an estimate are drawn from the model."""


def train(inputs: Inputs, folder: Path, **changes: Any) -> tuple[TrainingSettings, list[float]]:
    """Train, and return the settings and the clipped share of every step."""
    recipe = make_recipe({"name": "test", "training": {**SETTINGS, **changes}})
    folder.mkdir()
    history = run(recipe, inputs, folder, silent()).history
    return recipe.training, [line["clipped_share"] for line in history if "clipped_share" in line]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """The batches of the run that follows, in the order in which the model reads them."""
    read: list[Batch] = []
    forward, sample_labels = objective.Objective.forward, objective.sample_labels

    def reading(self: Any, **batch: Any) -> Any:
        read.append((batch["input_ids"], batch["labels"], batch["position_ids"]))
        return forward(self, **batch)

    def drawing(*args: Any) -> Tensor:
        drawn = sample_labels(*args)
        ids, _, positions = read[-1]
        read[-1] = ids, drawn.view(ids.shape), positions
        return drawn

    monkeypatch.setattr(objective.Objective, "forward", reading)
    monkeypatch.setattr(objective, "sample_labels", drawing)
    return read


class Literal:
    """One parameter under Algorithm 3; `first` is the row from which on it learns."""

    def __init__(self, weight: nn.Parameter, rate: float, decay: float, first: int = 0) -> None:
        self.weight, self.rate, self.decay, self.first = weight, rate, decay, first
        self.momentum, self.curvature = (torch.zeros_like(weight[first:]) for _ in range(2))

    def gradient(self) -> Tensor:
        assert self.weight.grad is not None
        return self.weight.grad[self.first :]

    def estimate(self, tokens: int, settings: TrainingSettings) -> None:
        beta = settings.sophia.betas[1]
        self.curvature = beta * self.curvature + (1 - beta) * tokens * self.gradient() ** 2

    def step(self, estimates: int, settings: TrainingSettings) -> None:
        sophia, weight, gradient = settings.sophia, self.weight[self.first :], self.gradient()
        curvature = self.curvature / (1 - sophia.betas[1] ** estimates)
        momentum = sophia.betas[0] * self.momentum + (1 - sophia.betas[0]) * gradient
        update = (momentum / (sophia.rho * curvature).clamp(min=sophia.epsilon)).clamp(-1, 1)
        after = weight - self.rate * self.decay * weight - self.rate * update
        seen = torch.ones(len(weight), dtype=torch.bool)
        if self.first:  # a row that no token of the step used stays as it is
            seen = (gradient != 0).any(dim=1)
        self.momentum[seen] = momentum[seen]
        weight[seen] = after[seen]


def written_out(
    extended: ExtendedModel, settings: TrainingSettings, batches: list[Batch], folder: Path
) -> tuple[PeftModel, nn.Parameter, nn.Parameter]:
    """The model after all steps, with the whole matrices of its rows."""
    model = Qwen3ForCausalLM.from_pretrained(extended.model, dtype=torch.float32)
    start = Qwen3ForCausalLM.from_pretrained(extended.model, dtype=torch.float32)
    attach(start, settings.dora, generator=torch.Generator().manual_seed(0))
    save_adapter(start, folder)
    rows, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    peft = PeftModel.from_pretrained(model, folder, is_trainable=True)
    tables = {id(table): table.requires_grad_() for table in (rows, head)}
    learning = [
        Literal(p, settings.learning_rate, 0.0 if "magnitude" in name else settings.weight_decay)
        for name, p in peft.named_parameters()
        if "lora" in name
    ]
    assert settings.rows_learning_rate is not None
    learning += [Literal(t, settings.rows_learning_rate, 0.0, extended.first_new_id) for t in tables.values()]
    estimates = 0
    read = iter(batches)

    def add_gradient(share: float) -> int:
        ids, labels, positions = next(read)
        hidden = model.model(input_ids=ids, position_ids=positions, use_cache=False)[0]
        logits = functional.linear(hidden, head)
        (share * functional.cross_entropy(logits.flatten(0, 1), labels.flatten())).backward()
        return labels.numel()

    for step in range(STEPS):
        if step % EVERY == 0:
            tokens = add_gradient(1.0)
            estimates += 1
            with torch.no_grad():
                for each in learning:
                    each.estimate(tokens, settings)
            peft.zero_grad()
        for _ in range(ACCUMULATION):
            add_gradient(1 / ACCUMULATION)
        norm = torch.sqrt(sum((each.gradient() ** 2).sum() for each in learning))
        with torch.no_grad():
            for each in learning:
                each.weight.grad *= min(1.0, settings.gradient_clip / (norm.item() + 1e-6))
                each.step(estimates, settings)
        peft.zero_grad()
    assert next(read, None) is None
    return peft, rows, head


@pytest.mark.parametrize("tied", [False, True])
def test_a_run_is_the_run_that_is_written_out(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, batches: list[Batch], tmp_path: Path, tied: bool
) -> None:
    settings, clipped = train(Inputs(tiny_corpus, tiny_extended), tmp_path / "run")
    assert 0.05 < min(clipped) < max(clipped) < 0.95, "both branches of the clipping are used"
    peft, rows, head = written_out(tiny_extended, settings, batches, tmp_path / "start")
    last = tmp_path / "run" / "checkpoints" / f"step-{STEPS:06}"
    ours = load_file(last / "adapter" / "adapter_model.safetensors")
    theirs = {name.replace(".default", ""): p for name, p in peft.named_parameters() if "lora" in name}
    theirs = {name.replace("magnitude_vector.weight", "magnitude_vector"): p for name, p in theirs.items()}
    new = load_file(last / "new_rows.safetensors")
    ours["input"], theirs["input"] = new["input"], rows[tiny_extended.first_new_id :]
    if not tied:
        ours["output"], theirs["output"] = new["output"], head[tiny_extended.first_new_id :]
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        # A gradient that is all rounding may have either sign, and a clipped step shows it in full.
        apart = (tensor - theirs[name]).abs() > 2e-2 * settings.learning_rate
        assert apart.float().mean() < 0.002, name


def test_a_run_in_bfloat16_goes_the_same_way(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(tiny_corpus, tiny_extended)
    train(inputs, tmp_path / "fp32")
    monkeypatch.setattr(stage, "lacks_bf16", lambda device, width: "")  # so narrow a model does by itself
    _, clipped = train(inputs, tmp_path / "bf16", precision="bf16")
    about = json.loads((tmp_path / "bf16" / "training.json").read_text("utf-8"))
    assert about["precision"] == "bfloat16"
    assert all(0 < share < 1 for share in clipped)
    start = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    before = start.get_output_embeddings().weight[tiny_extended.first_new_id :]
    moved = []
    for name in ("fp32", "bf16"):
        rows = load_file(tmp_path / name / "checkpoints" / f"step-{STEPS:06}" / "new_rows.safetensors")
        assert all(tensor.dtype == torch.float32 for tensor in rows.values())
        moved.append((rows.get("output", rows["input"]) - before).flatten())
    assert functional.cosine_similarity(*moved, dim=0) > 0.9
