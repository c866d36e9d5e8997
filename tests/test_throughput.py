"""The benchmark for a GPU runs on a CPU, too, with a small model."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.steps import precision, throughput
from benchmarks.steps.training_engine import make_engine
from ekle.planning.shapes import read_shape
from ekle.recipe.training import DoraSettings, TrainingSettings

CPU = torch.device("cpu")
SMALLER = ["training.batch_size=2", "training.gradient_accumulation=1", "training.sequence_length=24"]
SMALLER += ["training.dora.rank=4", "vocabulary.size=30"]


@pytest.fixture
def qwen2(tmp_path: Path) -> Path:
    """A folder with a small Qwen2, which has biases and no norms of queries and keys."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=120,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "small-qwen2")
    return tmp_path / "small-qwen2"


def test_ekle_and_peft_are_timed_on_a_small_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["throughput", "--shape", "tiny", "--steps", "1", "--recipes", throughput.GUIDE]
    monkeypatch.setattr(sys, "argv", words)
    throughput.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ours, theirs = rows[1:]
    assert ours[1].strip() == f"ekle, {throughput.GUIDE}"
    assert theirs[1].strip() == throughput.PEFT
    for row in (ours, theirs):
        assert int(row[2]) == 2
        assert float(row[3].replace(",", "")) > 0


def test_a_row_that_does_not_fit_is_tried_again_without_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(kind: str, options: object) -> throughput.Figures:
        limited = vars(options)["limit"] != "none" and kind == throughput.PEFT
        return throughput.Figures(not limited, 1, 100.0, 0.4, 10**9, 10**9)

    monkeypatch.setattr(throughput, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["throughput", "--shape", "tiny", "--recipes", throughput.GUIDE])
    throughput.main()
    shown = capsys.readouterr().out
    assert f"| {throughput.PEFT} | 1 | out of memory | | | | | 40GB |" in shown
    assert f"| {throughput.PEFT} | 1 | 100 | 40.0% | 1.00 | 1.00 |  | none |" in shown
    assert f"| ekle, {throughput.GUIDE} | 1 | 100 | 40.0% | 1.00 | 1.00 |  | 40GB |" in shown


def test_the_model_of_a_folder_is_timed(
    qwen2: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["throughput", "--base", str(qwen2), "--device", "cpu", "--steps", "1"]
    words += ["--recipes", "qwen3-0.6b-turkish", "--set", *SMALLER]
    monkeypatch.setattr(sys, "argv", words)
    throughput.main()
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("small-qwen2, on ")
    rows = [line.split("|") for line in lines if line.startswith("| ")]
    ours, theirs = rows[1:]
    assert ours[1].strip() == "ekle, qwen3-0.6b-turkish"
    assert theirs[1].strip() == throughput.PEFT
    for row in (ours, theirs):
        assert int(row[2]) == 2
        assert float(row[3].replace(",", "")) > 0
        assert row[4].strip() == "", "no maker's figure for a CPU"


def test_a_step_trains_the_weights_of_the_folder(qwen2: Path) -> None:
    """The base as it lies there, biases included, and 30 rows more that learn."""
    settings = TrainingSettings(
        batch_size=2,
        gradient_accumulation=1,
        sequence_length=24,
        optimizer="adamw",
        dora=DoraSettings(rank=4, alpha=4.0),
    )
    engine = make_engine(read_shape(qwen2 / "config.json"), 30, settings, 2, torch.float32, CPU, qwen2)
    model = engine.objective.language_model
    embeddings = model.get_input_embeddings()
    before = embeddings.new.detach().clone()
    assert before.shape == (30, 32)
    engine.step()
    written = Qwen2ForCausalLM.from_pretrained(qwen2).state_dict()
    assert torch.equal(embeddings.base, written["model.embed_tokens.weight"])
    bias = "model.layers.1.self_attn.q_proj.bias"
    assert torch.equal(model.get_decoder().layers[1].self_attn.q_proj.linear.bias, written[bias])
    assert embeddings.new.isfinite().all()
    assert not torch.equal(embeddings.new, before)


def test_the_precisions_are_timed_by_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["precision", "--widths", "64", "--tokens", "16", "--steps", "1"])
    precision.main()
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    assert row[1].strip() == "64"
    assert float(row[4]) > 0
