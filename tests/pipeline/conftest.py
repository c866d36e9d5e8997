"""A run whose stages take no time: each writes a line that follows from its settings and its inputs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.artifacts import Stage
from ekle.pipeline import run as run_module
from ekle.pipeline.manifest import flat_settings
from ekle.pipeline.stages import INPUTS, SETTINGS
from ekle.progress import ProgressReporter
from ekle.recipe import Recipe, make_recipe


class StandIns:
    """Stages that record what was asked of them; `before` may make one fail."""

    def __init__(self) -> None:
        self.made: list[Stage] = []
        self.found: dict[Stage, list[str]] = {}
        self.before: Callable[[Stage, Path], None] = lambda stage, folder: None

    def make(
        self, stage: Stage, recipe: Recipe, place: Callable[[Stage], Path], reporter: ProgressReporter
    ) -> None:
        """Takes the place of `ekle.pipeline.stages.make`."""
        folder = place(stage)
        self.found[stage] = sorted(path.name for path in folder.iterdir())
        self.made.append(stage)
        self.before(stage, folder)
        read = [earlier for earlier in INPUTS[stage] if earlier != "control" or recipe.control.train]
        inputs = [(place(earlier) / "output.json").read_text() for earlier in read]
        content = {"settings": flat_settings(recipe, SETTINGS[stage]), "inputs": inputs}
        (folder / "output.json").write_text(json.dumps(content))


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """Stages without work, in the place of the real ones."""
    stages = StandIns()
    monkeypatch.setattr(run_module, "make", stages.make)
    return stages


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A source of two documents."""
    path = tmp_path / "text.txt"
    path.write_text("Evlerimizden birinde oturuyordu.\nSabah erkenden kalktı.\n", encoding="utf-8")
    return path


@pytest.fixture
def recipe_with(tiny_base: Path, text: Path) -> Callable[..., Recipe]:
    """Make a recipe over the tiny base and `text`, with `section.key=value` settings on top."""

    def make(*overrides: str) -> Recipe:
        content = {
            "name": "probe",
            "base": {"tokenizer": str(tiny_base), "model": str(tiny_base)},
            "corpus": {"sources": [str(text)], "replay": []},
        }
        return make_recipe(content, overrides)

    return make
