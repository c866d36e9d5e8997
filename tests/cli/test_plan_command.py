"""`ekle plan` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.cli import main

Refused = Callable[..., None]


def test_it_says_whether_a_recipe_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "qwen3-8b-turkish", "--gpu", "40GB"]) == 0
    assert capsys.readouterr().out.startswith("fits 40")


def test_settings_on_the_command_line_count(tmp_path: Path) -> None:
    needed = []
    for rank in (8, 64):
        words = ["plan", "qwen3-0.6b-turkish", "--gpu", "t4", "--json", str(tmp_path / "plan.json")]
        assert main([*words, "--set", f"training.dora.rank={rank}"]) == 0
        needed.append(json.loads((tmp_path / "plan.json").read_text("utf-8"))["trainable"])
    assert needed[0] < needed[1]


def test_the_gpu_that_is_there_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ekle.model.device.first_gpu", lambda: (15_000_000_000, "Tesla T4", False))
    assert main(["plan", "qwen3-0.6b-turkish"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("fits Tesla T4")
    assert "Tesla T4 has no bf16 in hardware" in shown


def test_without_a_gpu_all_known_ones_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ekle.model.device.first_gpu", lambda: None)
    assert main(["plan", "quickstart"]) == 0
    shown = capsys.readouterr().out
    assert "no GPU found" in shown
    assert "h200" in shown


def test_mistakes_are_one_line(refused: Refused) -> None:
    refused(["plan", "nothing"], "there is no recipe")
    refused(["plan", "quickstart", "--gpu", "huge"], "--gpu huge", "a100-40")
    refused(["plan", "quickstart", "--gpu", "40GB", "--set", "training.steps=no"], "training.steps")
    refused(["plan", "quickstart", "--gpu", "40GB", "--set", "base.model=./nowhere"], "no model folder")
