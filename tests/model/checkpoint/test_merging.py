"""Training's results, put back into the model, against the model that was trained."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3ForCausalLM

from ekle.artifacts import Checkpoint, ExtendedModel
from ekle.errors import CheckpointError
from ekle.model.checkpoint.adapter import save_adapter
from ekle.model.checkpoint.merging import load_trained, merged_tensors
from ekle.model.layers.dora import adapted_layers, attach, refresh_norms
from ekle.model.layers.new_rows import split_rows
from ekle.recipe.training import DoraSettings

both_heads = pytest.mark.parametrize("tied", [False, True])
CPU = torch.device("cpu")


@dataclass
class Trained:
    """The model as it stands after training, and the checkpoint it left."""

    model: Any
    checkpoint: Checkpoint


@pytest.fixture
def trained(tiny_extended: ExtendedModel, tmp_path: Path) -> Trained:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    rows = split_rows(model, tiny_extended.first_new_id)
    attach(model, DoraSettings(rank=3, alpha=5.0, targets=["q_proj", "down_proj"]))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, layer in adapted_layers(model):
            layer.lora_b.normal_(std=0.2, generator=generator)
            layer.magnitude.mul_(1.1)
        for matrix in rows.parameters():
            matrix.normal_(generator=generator)
    refresh_norms(model)
    save_adapter(model, tmp_path / "adapter")
    rows.save(tmp_path / "new_rows.safetensors")
    return Trained(model, Checkpoint(tmp_path))


def some_ids() -> torch.Tensor:
    return torch.randint(0, 430, (2, 30), generator=torch.Generator().manual_seed(1))


@both_heads
def test_a_loaded_model_gives_the_outputs_of_the_trained_one(
    tiny_extended: ExtendedModel, trained: Trained
) -> None:
    model, _ = load_trained(tiny_extended.model, trained.checkpoint, torch.float32, CPU)
    torch.testing.assert_close(
        model(some_ids()).logits, trained.model(some_ids()).logits, atol=2e-5, rtol=1e-5
    )
    assert type(model) is Qwen3ForCausalLM


@both_heads
def test_merged_tensors_are_the_weights_of_the_loaded_model(
    tiny_extended: ExtendedModel, trained: Trained
) -> None:
    model, _ = load_trained(tiny_extended.model, trained.checkpoint, torch.float32, CPU)
    loaded = dict(model.named_parameters())
    merged = dict(merged_tensors(tiny_extended.model, trained.checkpoint))
    assert merged.keys() == loaded.keys()
    assert all(torch.equal(merged[name], loaded[name]) for name in merged)


@both_heads
def test_what_training_does_not_touch_stays_bit_for_bit(
    tiny_extended: ExtendedModel, trained: Trained
) -> None:
    before = load_file(tiny_extended.model / "model.safetensors")
    after = dict(merged_tensors(tiny_extended.model, trained.checkpoint))
    first = tiny_extended.first_new_id
    for name, tensor in before.items():
        if "embed_tokens" in name or "lm_head" in name:
            assert torch.equal(after[name][:first], tensor[:first])
            assert not torch.equal(after[name][first:], tensor[first:])
        elif "q_proj" in name or "down_proj" in name:
            assert not torch.equal(after[name], tensor)
        else:
            assert torch.equal(after[name], tensor)


def test_without_a_checkpoint_nothing_changes(tiny_extended: ExtendedModel) -> None:
    before = load_file(tiny_extended.model / "model.safetensors")
    after = dict(merged_tensors(tiny_extended.model, None))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("tied", [True])
def test_a_copy_of_tied_embeddings_is_left_out_and_not_merged(
    tiny_extended: ExtendedModel, trained: Trained, tmp_path: Path
) -> None:
    """Training changes one matrix; the copy would keep the rows from before."""
    folder = Path(shutil.copytree(tiny_extended.model, tmp_path / "copied"))
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    assert dict(merged_tensors(folder, None)).keys() == tensors.keys()
    merged = dict(merged_tensors(folder, trained.checkpoint))
    without = dict(merged_tensors(tiny_extended.model, trained.checkpoint))
    assert merged.keys() == without.keys()
    assert all(torch.equal(merged[name], without[name]) for name in merged)
    model, _ = load_trained(folder, trained.checkpoint, torch.float32, CPU)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_tokenizer_comes_along(tiny_extended: ExtendedModel, trained: Trained) -> None:
    model, tokenizer = load_trained(tiny_extended.model, trained.checkpoint, torch.float32, CPU)
    assert len(tokenizer) == model.config.vocab_size == 430


def test_rows_of_another_vocabulary_are_refused(tiny_extended: ExtendedModel, trained: Trained) -> None:
    rows = load_file(trained.checkpoint.rows)
    cut = {name: tensor[:-1].contiguous() for name, tensor in rows.items()}
    save_file(cut, trained.checkpoint.rows, metadata={"first_new_id": "410"})
    with pytest.raises(CheckpointError, match="does not fit"):
        next(merged_tensors(tiny_extended.model, trained.checkpoint))


def test_untied_rows_are_refused_for_a_tied_model(
    trained: Trained, _extended_models: dict[bool, ExtendedModel]
) -> None:
    with pytest.raises(CheckpointError, match="do not belong together"):
        next(merged_tensors(_extended_models[True].model, trained.checkpoint))


def test_an_adapter_of_a_deeper_model_is_refused(tiny_extended: ExtendedModel, trained: Trained) -> None:
    path = trained.checkpoint.adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    deeper = {name.replace("layers.1.", "layers.7."): tensor.clone() for name, tensor in tensors.items()}
    save_file({**tensors, **deeper}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="do not belong together"):
        next(merged_tensors(tiny_extended.model, trained.checkpoint))


def test_a_missing_checkpoint_is_refused(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no complete DoRA adapter"):
        load_trained(tiny_extended.model, Checkpoint(tmp_path / "absent"), torch.float32, CPU)


def test_weights_of_other_shapes_than_the_configuration_says_are_one_clear_error(
    tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_extended.model, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}), "utf-8")
    with pytest.raises(CheckpointError, match=r"other shapes than its config\.json"):
        load_trained(folder, None, torch.float32, CPU)
