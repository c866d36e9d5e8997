"""Training asks the plan before it loads anything."""

from pathlib import Path
from typing import Any

import pytest

from ekle.artifacts import Corpus, ExtendedModel
from ekle.errors import TrainingError
from ekle.progress import Report, silent
from ekle.recipe import make_recipe
from ekle.training import stage
from ekle.training.devices import room
from ekle.training.devices.room import sequences_at_once
from ekle.training.stage import Inputs, run
from ekle.training.step_batch import share_out


def recipe(**changes: Any) -> Any:
    settings = {"sequence_length": 256, "dora": {"rank": 8, "alpha": 8.0}, **changes}
    return make_recipe({"name": "x", "training": settings, "evaluation": {"context": 64}})


def at_once(recipe: Any, extended: ExtendedModel, report: Report) -> int:
    return sequences_at_once(recipe, extended, share_out(recipe.training, 1, None), 1, report)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a GPU with so many bytes appear."""

    def of(size: int) -> None:
        monkeypatch.setattr(room, "gpu_here", lambda: (size, "Small One"))

    return of


def test_without_a_gpu_the_recipe_decides(
    tiny_extended: ExtendedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "gpu_here", lambda: None)
    assert at_once(recipe(), tiny_extended, silent()) == 8
    assert at_once(recipe(micro_batch_size=3), tiny_extended, silent()) == 3
    assert at_once(recipe(micro_batch_size=30), tiny_extended, silent()) == 8


def test_fewer_sequences_go_through_a_smaller_gpu(tiny_extended: ExtendedModel, gpu: Any) -> None:
    found = []
    for size in (700_000_000, 609_000_000, 606_000_000):
        gpu(size)
        found.append(at_once(recipe(), tiny_extended, silent()))
    assert found[0] == 8
    assert found == sorted(found, reverse=True)
    assert found[-1] < 8


def test_what_the_recipe_allows_is_not_exceeded(tiny_extended: ExtendedModel, gpu: Any) -> None:
    gpu(10**9)
    assert at_once(recipe(micro_batch_size=2), tiny_extended, silent()) == 2


def test_a_gpu_that_is_too_small_is_refused_with_the_plan_before_anything_is_loaded(
    tiny_extended: ExtendedModel,
    tiny_corpus: Corpus,
    gpu: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu(200_000)
    monkeypatch.setattr(stage, "load_model", lambda *_: pytest.fail("the model is loaded"))
    (tmp_path / "training").mkdir()
    report = Report(events=tmp_path / "events.jsonl")
    with pytest.raises(TrainingError, match=r"Small One has 200.0.kB; .*`ekle plan`") as failed:
        run(recipe(), Inputs(tiny_corpus, tiny_extended), tmp_path / "training", report)
    assert "\n" not in str(failed.value)
    said = (tmp_path / "events.jsonl").read_text("utf-8")
    for part in ("frozen weights", "adapters", "state of the optimiser", "gradients"):
        assert part in said


def test_the_refusal_names_no_setting_where_none_helps(tiny_extended: ExtendedModel, gpu: Any) -> None:
    gpu(4_000_000)
    with pytest.raises(TrainingError, match=r"a smaller base\.model"):
        at_once(recipe(dora={"rank": 4000, "alpha": 1.0}), tiny_extended, silent())
