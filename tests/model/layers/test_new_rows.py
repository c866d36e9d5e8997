"""New rows split from frozen ones, compared with the model that has them in one matrix."""

from pathlib import Path
from typing import Any

import pytest
import torch
from allocations import Allocations
from transformers import Qwen3Config, Qwen3ForCausalLM

from ekle.artifacts import ExtendedModel
from ekle.errors import CheckpointError
from ekle.model.layers.dora import attach
from ekle.model.layers.new_rows import NewRows, RowAdam, read_new_rows, split_rows
from ekle.recipe.training import DoraSettings, NeftuneSettings, TrainingSettings
from ekle.training.objective import Objective
from ekle.training.optimizers.make import make_optimizer

both_heads = pytest.mark.parametrize("tied", [False, True])


def load(extended: ExtendedModel) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM.from_pretrained(extended.model, dtype=torch.float32)


def load_split(extended: ExtendedModel) -> tuple[Qwen3ForCausalLM, NewRows]:
    model = load(extended)
    return model, split_rows(model, extended.first_new_id)


def some_ids(model: Qwen3ForCausalLM) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, model.config.vocab_size, (3, 40), generator=generator)


@both_heads
def test_a_split_model_gives_the_same_logits(tiny_extended: ExtendedModel) -> None:
    whole = load(tiny_extended)
    split, _ = load_split(tiny_extended)
    ids = some_ids(whole)
    torch.testing.assert_close(split(ids).logits, whole(ids).logits)


@both_heads
def test_new_rows_get_the_gradient_of_the_whole_matrix(tiny_extended: ExtendedModel, tied: bool) -> None:
    whole = load(tiny_extended)
    split, rows = load_split(tiny_extended)
    ids, first = some_ids(whole), tiny_extended.first_new_id
    for model in (whole, split):
        model(ids, labels=ids).loss.backward()
    torch.testing.assert_close(rows.input.grad, whole.get_input_embeddings().weight.grad[first:])
    torch.testing.assert_close(rows.output.grad, whole.get_output_embeddings().weight.grad[first:])
    assert rows.tied is tied
    assert split.get_input_embeddings().base.grad is None


@both_heads
def test_base_rows_are_not_copied(tiny_extended: ExtendedModel) -> None:
    model = load(tiny_extended)
    pointer = model.get_input_embeddings().weight.data_ptr()
    split_rows(model, tiny_extended.first_new_id)
    assert model.get_input_embeddings().base.data_ptr() == pointer
    assert not model.get_input_embeddings().base.requires_grad


@both_heads
def test_the_optimiser_sees_the_new_rows_only(tiny_extended: ExtendedModel, tied: bool) -> None:
    model = load(tiny_extended)
    model.requires_grad_(False)
    rows = split_rows(model, tiny_extended.first_new_id)
    learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert learning == (20 if tied else 40) * model.config.hidden_size
    assert sum(parameter.numel() for parameter in rows.parameters()) == learning


@pytest.mark.parametrize("optimizer", ["sophia", "adamw", "muon"])
@both_heads
def test_no_step_of_training_makes_anything_as_large_as_the_matrix(tied: bool, optimizer: Any) -> None:
    """Seen from below: whatever forward pass, backward pass and optimiser allocate, views left out."""
    rows, new, width = 4_000, 30, 32
    shape = {"hidden_size": width, "intermediate_size": 48, "num_hidden_layers": 1, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": tied}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=rows, **shape, **heads)).requires_grad_(False)
    learning = split_rows(model, rows - new)
    attach(model, DoraSettings(rank=2, alpha=2.0))
    objective = Objective(model.train(), NeftuneSettings(), torch.ones(rows, dtype=torch.long))
    stepper = make_optimizer(objective, learning, TrainingSettings(optimizer=optimizer))
    ids = torch.randint(0, rows, (1, 20))
    noise = [torch.Generator().manual_seed(0)]
    with pytest.MonkeyPatch.context() as patch, Allocations() as made:
        patch.setattr(
            "ekle.training.objective.chunk_size", lambda *_: 4
        )  # logits of 4 tokens, an eighth of the matrix
        for _ in range(2):
            loss, _ = objective(ids, ids, torch.arange(20).unsqueeze(0), noise=noise)
            loss.backward()
            stepper.step()
            stepper.zero_grad()
    assert made.largest < (rows - new) * width / 4, f"{made.shape} by {made.made_by}"


@both_heads
def test_saved_rows_come_back(tiny_extended: ExtendedModel, tied: bool, tmp_path: Path) -> None:
    _, rows = load_split(tiny_extended)
    with torch.no_grad():
        rows.input.normal_()
        rows.output.normal_()
    rows.save(tmp_path / "new_rows.safetensors")
    _, fresh = load_split(tiny_extended)
    fresh.load(tmp_path / "new_rows.safetensors")
    assert torch.equal(fresh.input, rows.input)
    assert torch.equal(fresh.output, rows.output)
    stored = read_new_rows(tmp_path / "new_rows.safetensors")
    assert set(stored.tensors) == ({"input"} if tied else {"input", "output"})
    assert stored.first_new_id == tiny_extended.first_new_id


def test_rows_of_another_vocabulary_are_refused(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    model = load(tiny_extended)
    split_rows(model, tiny_extended.first_new_id + 3).save(tmp_path / "rows.safetensors")
    _, rows = load_split(tiny_extended)
    with pytest.raises(CheckpointError, match="another vocabulary"):
        rows.load(tmp_path / "rows.safetensors")


def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="no file of new rows"):
        read_new_rows(tmp_path / "rows.safetensors")
    with pytest.raises(CheckpointError, match="missing"):
        read_new_rows(tmp_path / "absent.safetensors")


def test_a_model_without_new_rows_is_refused(tiny_extended: ExtendedModel) -> None:
    model = load(tiny_extended)
    with pytest.raises(CheckpointError, match="none at id 430"):
        split_rows(model, 430)


def test_new_rows_are_kept_in_float32_over_a_bfloat16_base(tiny_extended: ExtendedModel) -> None:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.bfloat16)
    rows = split_rows(model, tiny_extended.first_new_id)
    ids = some_ids(model)
    model(ids, labels=ids).loss.backward()
    assert rows.input.dtype == rows.input.grad.dtype == torch.float32
    assert model.get_input_embeddings()(ids).dtype == torch.bfloat16


@both_heads
def test_a_split_model_still_generates(tiny_extended: ExtendedModel) -> None:
    whole = load(tiny_extended)
    split, _ = load_split(tiny_extended)
    ids = some_ids(whole)[:1, :5]
    texts = [model.generate(ids, max_new_tokens=8, do_sample=False) for model in (whole, split)]
    assert torch.equal(*texts)


def test_rows_that_are_always_used_move_as_under_plain_adam() -> None:
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=draw)
    plain = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([plain], lr=0.1, betas=(0.9, 0.95), eps=1e-12)
    rows = start.clone()
    ours = RowAdam(rows)
    for _ in range(7):
        plain.grad = torch.randn(5, 3, generator=draw)
        ours.step(plain.grad, torch.arange(5), 0.1)
        optimizer.step()
    assert torch.allclose(rows, plain.detach(), atol=1e-6)


def test_a_row_that_is_not_used_stays_and_its_first_step_has_full_length() -> None:
    rows = torch.zeros(2, 3)
    ours = RowAdam(rows)
    for _ in range(5):
        ours.step(torch.ones(2, 3), torch.tensor([0]), 0.1)
    assert torch.equal(rows[1], torch.zeros(3))
    ours.step(torch.ones(2, 3), torch.tensor([1]), 0.1)
    assert torch.allclose(rows[1], torch.full((3,), -0.1))
