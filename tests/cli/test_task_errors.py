"""Task files with faults, and options without files: one line and exit code 2, before anything is written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.artifacts import ExtendedModel
from ekle.errors import InputError
from ekle.pipeline.manifest import input_files
from ekle.pipeline.preflight import preflight
from ekle.recipe import Recipe
from ekle.recipe.evaluation import EvaluationSettings

pytest.importorskip("lm_eval", reason="tasks need lm-evaluation-harness: pip install 'ekle[tasks]'")

Refused = Callable[..., None]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    file = tmp_path / "buz.jsonl"
    right = {"question": "Buz ne olur?", "choices": ["erir", "yanar"], "answer": "A"}
    file.write_text(json.dumps(right) + "\n" + json.dumps({**right, "answer": "E"}) + "\n", "utf-8")
    return file


def test_a_faulty_task_is_named_with_its_line(
    refused: Refused, text: Path, faulty: Path, tiny_base: Path, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["evaluate", str(tiny_extended.model), "--against", str(tiny_base), "--held-out", str(text)]
    words += ["--out", str(out)]
    refused([*words, "--task", f"buz={faulty}"], "buz.jsonl:2", "none of the 2 choices")
    refused([*words, "--english-task", f"buz={faulty}"], "buz.jsonl:2")
    refused([*words, "--task", str(faulty)], "--task NAME=FILE")
    refused([*words, "--task", f"a={faulty}", "--task", f"a={faulty}"], "two tasks are called a")
    refused([*words, "--task", "a=nowhere.jsonl"], "nowhere.jsonl")
    assert not out.exists()


def test_a_run_is_refused_before_its_first_stage_and_knows_the_file_as_an_input(
    faulty: Path, tmp_path: Path
) -> None:
    recipe = Recipe(name="tiny", evaluation=EvaluationSettings(english_tasks={"ice.en": str(faulty)}))
    with pytest.raises(InputError, match=r"buz\.jsonl:2"):
        preflight(recipe, {"evaluation"}, tmp_path)
    assert list(input_files("evaluation", recipe).values()) == [faulty]
