"""How often new tokens are read, and how far their rows move."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ekle.errors import CheckpointError
from ekle.training.monitoring import new_tokens
from ekle.training.monitoring.new_tokens import NewTokens

CPU = torch.device("cpu")


def four_tokens() -> NewTokens:
    """Ids 10 to 13 that start at rows of length 5."""
    return NewTokens(10, torch.tensor([[3.0, 4.0]] * 4), CPU)


def test_only_new_tokens_are_counted() -> None:
    tokens = four_tokens()
    tokens.count([torch.tensor([[1, 10, 10], [9, 12, 0]]), torch.tensor([[10, 13, 9]])])
    figures = tokens.figures(torch.tensor([[3.0, 4.0]] * 4), lambda counts: counts)
    assert figures["new_tokens_seen_1"] == 0.75
    assert figures["new_tokens_seen_10"] == 0.0
    tokens.count([torch.full((99,), 12)])
    assert tokens.figures(torch.zeros(4, 2), lambda counts: counts)["new_tokens_seen_100"] == 0.25


def test_a_row_is_near_its_start_by_its_own_length() -> None:
    tokens = four_tokens()
    rows = torch.tensor([[3.0, 4.0], [3.04, 4.0], [3.06, 4.0], [0.0, 0.0]])
    assert tokens.distances(rows).tolist() == pytest.approx([0.0, 0.008, 0.012, 1.0], abs=1e-6)
    assert tokens.figures(rows, lambda counts: counts)["new_rows_near_start"] == 0.5


def test_the_start_is_a_copy() -> None:
    rows = torch.ones(2, 3)
    tokens = NewTokens(10, rows, CPU)
    rows += 1
    assert tokens.distances(rows).tolist() == pytest.approx([1.0, 1.0])


def counts(tokens: NewTokens, path: Path) -> Tensor:
    tokens.save(path)
    return load_file(path)["seen"]


def test_the_counts_of_two_processes_come_together_in_the_main_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "new_tokens.safetensors"
    both = [four_tokens(), four_tokens()]
    both[0].count([torch.tensor([10, 11])])
    both[1].count([torch.tensor([11])])
    total = counts(both[0], kept) + counts(both[1], kept)
    gathered, loaded = [], []
    for tokens, is_main in zip(both, (True, False), strict=True):
        monkeypatch.setattr(new_tokens, "is_main_process", lambda is_main=is_main: is_main)
        tokens.gather(lambda _: total)
        gathered.append(counts(tokens, kept).tolist())
    save_file({"seen": total}, kept)
    for is_main in (True, False):
        monkeypatch.setattr(new_tokens, "is_main_process", lambda is_main=is_main: is_main)
        tokens = four_tokens()
        tokens.load(kept)
        loaded.append(counts(tokens, tmp_path / "again.safetensors").tolist())
    assert gathered == loaded == [[1, 2, 0, 0], [0, 0, 0, 0]]


def test_each_token_gets_a_line(tmp_path: Path) -> None:
    tokens = four_tokens()
    tokens.count([torch.tensor([11, 11])])
    tokens.write(tmp_path / "new_tokens.jsonl", torch.tensor([[3.0, 4.0]] * 3 + [[6.0, 8.0]]), "abcç")
    lines = [json.loads(line) for line in (tmp_path / "new_tokens.jsonl").read_text("utf-8").splitlines()]
    assert lines[1] == {"id": 11, "text": "b", "seen": 2, "moved": 0.0}
    assert lines[3] == {"id": 13, "text": "ç", "seen": 0, "moved": 1.0}


def test_counts_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    save_file({"seen": torch.zeros(5, dtype=torch.int64)}, tmp_path / "new_tokens.safetensors")
    with pytest.raises(CheckpointError, match="counts 5 new tokens of 4"):
        four_tokens().load(tmp_path / "new_tokens.safetensors")
    with pytest.raises(CheckpointError, match="is damaged"):
        four_tokens().load(tmp_path / "missing.safetensors")


def test_a_row_that_pads_the_model_has_no_line(tmp_path: Path) -> None:
    texts = ["a", "b", "<|reserved_12|>", "<|reserved_13|>"]
    four_tokens().write(tmp_path / "new_tokens.jsonl", torch.tensor([[3.0, 4.0]] * 4), texts)
    lines = (tmp_path / "new_tokens.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["a", "b"]
