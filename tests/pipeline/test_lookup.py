"""What a folder that the user names was made from."""

import json
import shutil
from pathlib import Path

import pytest

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.errors import InputError
from ekle.pipeline.lookup import recorded_base_model


def test_a_vocabulary_has_a_base_tokenizer(tiny_vocabulary: Vocabulary) -> None:
    name = tiny_vocabulary.report["base"]["name"]
    assert recorded_base_model(tiny_vocabulary.folder) == name
    assert recorded_base_model(tiny_vocabulary.tokenizer) == name


def test_an_extended_model_does_not_say_where_the_folder_of_its_base_is(
    tiny_extended: ExtendedModel,
) -> None:
    for place in (tiny_extended.folder, tiny_extended.model):
        with pytest.raises(InputError, match=r"in a folder .*--against FOLDER"):
            recorded_base_model(place)


def test_an_extended_model_of_the_hub_is_held_against_that_of_the_hub(
    tiny_extended: ExtendedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_extended.folder, tmp_path / "own")
    about = json.loads((tmp_path / "own" / "extension.json").read_text("utf-8"))
    (tmp_path / "own" / "extension.json").write_text(json.dumps({**about, "base_model": "Qwen/Qwen3-0.6B"}))
    monkeypatch.setattr("ekle.base.stage.resolve_model", lambda name: Path("cache") / name)
    assert recorded_base_model(tmp_path / "own") == Path("cache/Qwen/Qwen3-0.6B")


def test_what_says_nothing_is_asked_for_in_one_line(tiny_base: Path) -> None:
    with pytest.raises(InputError, match="does not say what it was made from; name it with --against"):
        recorded_base_model(tiny_base)
