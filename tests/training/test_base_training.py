"""The engine over a base as it is: no new rows, its own tokenizer."""

import json
from pathlib import Path

import pytest
import torch
from interrupted import assert_same, killed_at
from safetensors.torch import load_file
from short_training import recipe, train
from transformers import AutoTokenizer, Qwen3ForCausalLM
from worker_processes import BaseTraining, run_in_processes

from ekle.artifacts import BaseModel, Checkpoint, Corpus
from ekle.errors import RunFolderError
from ekle.model.checkpoint.merging import load_trained
from ekle.model.scoring.bits_per_byte import measure
from ekle.pipeline.base_training import train_base
from ekle.training.monitoring.held_out import held_out_documents
from ekle.training.stage import Inputs

CPU = torch.device("cpu")


@pytest.fixture
def inputs(tiny_corpus: Corpus, tiny_base_model: BaseModel) -> Inputs:
    return Inputs(tiny_corpus, tiny_base_model)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("optimizer", "rate"), [("sophia", 3e-3), ("adamw", 3e-3), ("muon", 1e-2)])
def test_a_base_learns_with_every_optimizer_and_merges_into_its_folder(
    inputs: Inputs, tmp_path: Path, optimizer: str, rate: float
) -> None:
    checkpoint = train(inputs, tmp_path, steps=20, optimizer=optimizer, learning_rate=rate)
    measured = [line["held_out_bits_per_byte"] for line in checkpoint.history if "held_out_tokens" in line]
    assert measured[-1] < measured[0] - 0.03
    assert not checkpoint.has_new_rows
    assert not checkpoint.rows.exists() and not (tmp_path / "new_tokens.jsonl").exists()
    merged, tokenizer = load_trained(inputs.model.model, checkpoint, torch.float32, CPU)
    texts = held_out_documents(inputs.corpus, 200_000)
    found = measure(merged, tokenizer, texts, context=1024, batch_size=8).bits_per_byte
    assert found == pytest.approx(min(measured), rel=1e-5)
    base = Qwen3ForCausalLM.from_pretrained(inputs.model.model, dtype=torch.float32)
    assert torch.equal(merged.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert torch.equal(merged.get_output_embeddings().weight, base.get_output_embeddings().weight)


def test_the_log_of_a_base_says_nothing_of_new_tokens(inputs: Inputs, tmp_path: Path) -> None:
    checkpoint = train(inputs, tmp_path)
    names = {name for line in checkpoint.history for name in line}
    assert {"learning_rate", "update_to_weight_matrices", "clipped_share", "turkish_tokens"} <= names
    assert not {name for name in names if "row" in name or "new_" in name}
    about = json.loads((tmp_path / "training.json").read_text("utf-8"))
    assert "new_tokens" not in about
    assert about["tokens"] == 8 * 2 * 2 * 40


def test_settings_of_new_tokens_change_nothing_for_a_base(inputs: Inputs, tmp_path: Path) -> None:
    plain = train(inputs, tmp_path / "plain", optimizer="adamw")
    of_new_tokens = {"rows_first": 0.5, "merge_dropout": 0.5, "alignment": {"steps": 3}, "shared_rows": True}
    train(inputs, tmp_path / "set", optimizer="adamw", **of_new_tokens)
    weights = [
        load_file(folder / "adapter" / "adapter_model.safetensors")
        for folder in (plain.folder, tmp_path / "set")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not (tmp_path / "set" / "aligned").exists()


@pytest.mark.parametrize("optimizer", ["sophia", "adamw", "muon"])
def test_an_interrupted_training_of_a_base_ends_with_the_same_bits(
    inputs: Inputs, tmp_path: Path, optimizer: str
) -> None:
    train(inputs, tmp_path / "whole", optimizer=optimizer)
    with killed_at(12):
        train(inputs, tmp_path / "killed", optimizer=optimizer)
    assert (tmp_path / "killed" / "checkpoints").is_dir()
    train(inputs, tmp_path / "killed", optimizer=optimizer)
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow(seconds=25)
@pytest.mark.parametrize("parallel", ["fsdp", "ddp"])
def test_two_processes_train_a_base_as_one_does(inputs: Inputs, tmp_path: Path, parallel: str) -> None:
    alone = train(inputs, tmp_path / "alone", parallel=parallel)
    assert isinstance(inputs.model, BaseModel)
    halved = recipe(parallel=parallel, gradient_accumulation=1)
    job = BaseTraining(halved, inputs.corpus.folder, inputs.model, tmp_path / "together")
    run_in_processes(2, [job])
    together = Checkpoint(tmp_path / "together", has_new_rows=False)
    for one, two in zip(alone.history, together.history, strict=True):
        assert one.get("held_out_bits_per_byte") == pytest.approx(two.get("held_out_bits_per_byte"), rel=1e-4)
        assert one.get("loss_per_token") == pytest.approx(two.get("loss_per_token"), rel=1e-4)


@pytest.mark.parametrize("tied", [False, True])
def test_a_base_is_trained_and_written_as_a_model_of_its_own(
    inputs: Inputs, tiny_base: Path, tmp_path: Path
) -> None:
    given = recipe()
    model = train_base(given, inputs.corpus, tiny_base, tmp_path / "settled", steps=5)
    assert model == tmp_path / "settled" / "model"
    loaded, tokenizer = Qwen3ForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    history = Checkpoint(tmp_path / "settled" / "training").history
    measured = [line["held_out_bits_per_byte"] for line in history if "held_out_tokens" in line]
    assert max(line["step"] for line in history) == 5
    texts = held_out_documents(inputs.corpus, 200_000)
    found = measure(loaded, tokenizer, texts, context=1024, batch_size=8).bits_per_byte
    assert found == pytest.approx(min(measured), rel=1e-5)
    assert (model / "tokenizer.json").read_bytes() == (tiny_base / "tokenizer.json").read_bytes()
    before = (model / "model.safetensors").stat().st_mtime_ns
    assert train_base(given, inputs.corpus, tiny_base, tmp_path / "settled", steps=5) == model
    assert (model / "model.safetensors").stat().st_mtime_ns == before


def test_a_begun_training_of_a_base_refuses_other_steps(
    inputs: Inputs, tiny_base: Path, tmp_path: Path
) -> None:
    with killed_at(12):
        train_base(recipe(), inputs.corpus, tiny_base, tmp_path / "out")
    with pytest.raises(RunFolderError, match=r"training\.steps 8 -> 9"):
        train_base(recipe(), inputs.corpus, tiny_base, tmp_path / "out", steps=9)
