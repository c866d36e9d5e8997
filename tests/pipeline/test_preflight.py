"""What is refused before the first stage, with nothing written."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelInfo

from ekle.errors import (
    CheckpointError,
    EkleError,
    InputError,
    RecipeError,
    SpaceError,
    TextError,
    TokenizerError,
    TrainingError,
)
from ekle.pipeline import manifest
from ekle.pipeline.run import run
from ekle.recipe import Recipe

Recipes = Callable[..., Recipe]


def _refused(recipe: Recipe, folder: Path, error: type[EkleError], words: str) -> None:
    """The run is refused with these words, and leaves no trace."""
    with pytest.raises(error, match=words):
        run(recipe, folder / "runs" / "run")
    assert not (folder / "runs").exists()


def test_a_missing_text_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    _refused(recipe_with("corpus.sources=['nowhere.txt']"), tmp_path, TextError, r"nowhere\.txt")
    assert stand_ins.made == []


def test_a_folder_without_text_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _refused(recipe_with(f"corpus.sources=['{tmp_path}/empty']"), tmp_path, TextError, "holds no text")


def test_a_file_that_cannot_be_read_is_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(manifest, "digest", refuse)
    _refused(recipe_with(), tmp_path, TextError, r"text\.txt cannot be read: Permission denied")


@pytest.mark.parametrize("rule", ["mapped", "distilled"])
def test_a_base_too_large_to_run_is_refused_for_a_rule_that_runs_it(
    rule: str, stand_ins, recipe_with: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.model.device.memory_bytes", lambda: 1000)
    recipe = recipe_with(f"extension.init={rule}")
    _refused(recipe, tmp_path, CheckpointError, rf"the rule {rule} runs .*extension\.init=subword")
    run(recipe_with("extension.init=subword"), tmp_path / "runs" / "run")
    assert "extension" in stand_ins.made


def test_a_base_without_tokenizer_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    _refused(recipe_with(f"base.tokenizer={tmp_path}/base"), tmp_path, TokenizerError, r"no tokenizer\.json")


def test_a_base_without_a_chat_template_cannot_write_instructions(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path, text: Path
) -> None:
    base = tmp_path / "plain"
    shutil.copytree(tiny_base, base)
    (base / "chat_template.jinja").unlink()
    (tmp_path / "i.jsonl").write_text('{"prompt": "x", "completion": "y"}', "utf-8")
    settings = [f"base.tokenizer={base}", f"base.model={base}", f"corpus.instructions=['{tmp_path}/i.jsonl']"]
    recipe = recipe_with(*settings, "training.instruction_share=0.1")
    _refused(recipe, tmp_path, TokenizerError, "plain has no chat template to write instructions with")
    run(recipe_with(*settings, "training.instruction_share=0"), tmp_path / "runs" / "cured")


def _with_instructions(
    recipe_with: Recipes, folder: Path, base: Path, *rows: Any, share: float = 0.1
) -> Recipe:
    """A recipe whose base is a copy of `base` with a chat template that knows no system prompts."""
    own = folder / "own"
    if not own.exists():
        shutil.copytree(base, own)
    (own / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('system is not supported') }}"
        "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        "utf-8",
    )
    (folder / "i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = [f"base.model={own}", f"corpus.instructions=['{folder}/i.jsonl']"]
    return recipe_with(*settings, f"training.instruction_share={share}")


GOOD = {"prompt": "Kaç?", "completion": "İki."}


def test_a_chat_template_that_raises_is_refused_with_the_row(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path
) -> None:
    rows = (GOOD, {**GOOD, "system": "Kısa."})
    recipe = _with_instructions(recipe_with, tmp_path, tiny_base, *rows)
    words = r"own raises in .*i\.jsonl, line 2: system is not supported; .* training\.instruction_share to 0"
    _refused(recipe, tmp_path, TrainingError, words)
    assert stand_ins.made == []
    cured = _with_instructions(recipe_with, tmp_path, tiny_base, *rows, share=0)
    run(cured, tmp_path / "runs" / "cured")


def test_a_row_that_is_no_conversation_is_refused_before_the_run(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path
) -> None:
    recipe = _with_instructions(recipe_with, tmp_path, tiny_base, GOOD, {"prompt": 7, "completion": "x"})
    _refused(recipe, tmp_path, TextError, r"i\.jsonl, line 2 has 7 in 'prompt'")


def test_what_the_template_cannot_keep_is_said_once(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path
) -> None:
    thought = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "reasoning": "b"}]}
    recipe = _with_instructions(recipe_with, tmp_path, tiny_base, thought, thought)
    made = run(recipe, tmp_path / "runs" / "run")
    said = [line for line in made.events.read_text("utf-8").splitlines() if "has no reasoning" in line]
    assert len(said) == 1 and "2 conversations" in said[0]


def test_a_model_that_is_nowhere_is_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    _refused(recipe_with("base.model=./nowhere"), tmp_path, InputError, "no model folder ./nowhere")


def test_a_hub_model_out_of_reach_is_refused_in_one_line(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the hub did not give it") as refusal:
        run(recipe_with("base.model=nobody/no-such-model"), tmp_path / "run")
    assert "\n" not in str(refusal.value)


def test_a_hub_text_out_of_reach_is_refused_in_one_line(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    recipe = recipe_with("corpus.replay=['hf:nobody/no-such-text:en']")
    _refused(recipe, tmp_path, TextError, "the hub did not give hf:nobody/no-such-text:en")


def test_a_model_without_safetensors_is_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path
) -> None:
    model = tmp_path / "pickled"
    model.mkdir()
    shutil.copy(tiny_base / "config.json", model)
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    _refused(recipe_with(f"base.model={model}"), tmp_path, CheckpointError, "no \\*\\.safetensors")


def test_a_model_and_a_tokenizer_that_do_not_fit_are_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path, tiny_base: Path
) -> None:
    model = tmp_path / "other"
    shutil.copytree(tiny_base, model)
    config = json.loads((model / "config.json").read_text("utf-8")) | {"vocab_size": 500}
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    _refused(recipe_with(f"base.model={model}"), tmp_path, CheckpointError, "has 500 embedding rows")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"tie_word_embeddings": True}, "differs from .*; set tie_word_embeddings to false there"),
        ({"num_hidden_layers": 3}, "lacks model.layers.2"),
        ({"quantization_config": {"quant_method": "awq"}}, r"quantised weights \(awq\); take the model that"),
    ],
    ids=["tied", "layers", "quantised"],
)
def test_a_model_that_contradicts_its_configuration_is_refused_before_the_text_is_read(
    config: dict[str, object],
    words: str,
    stand_ins,
    recipe_with: Recipes,
    tmp_path: Path,
    tiny_base: Path,
) -> None:
    model = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    written = json.loads((model / "config.json").read_text("utf-8")) | config
    if "layer_types" in written and len(written["layer_types"]) != written["num_hidden_layers"]:
        written["layer_types"] = ["full_attention"] * written["num_hidden_layers"]
    (model / "config.json").write_text(json.dumps(written), "utf-8")
    _refused(recipe_with(f"base.model={model}"), tmp_path, CheckpointError, words)
    assert stand_ins.made == []


def test_a_quantised_model_of_the_hub_is_refused_before_it_is_downloaded(
    stand_ins, recipe_with: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def info(self: HfApi, name: str, **_: object) -> ModelInfo:
        config = {"model_type": "qwen3", "quantization_config": {"quant_method": "fp8"}}
        return ModelInfo(id=name, config=config, siblings=[])

    monkeypatch.setattr(HfApi, "model_info", info)
    recipe = recipe_with("base.model=some/Model-FP8")
    _refused(recipe, tmp_path, CheckpointError, r"^some/Model-FP8 holds quantised weights \(fp8\)")


def test_quotas_that_miss_the_size_are_refused(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    recipe = recipe_with("vocabulary.strategy=guide", "vocabulary.size=500")
    _refused(recipe, tmp_path, RecipeError, "size is 500 but vocabulary.quotas add up to 20,000")


def test_a_disk_that_is_too_small_is_refused(
    stand_ins, recipe_with: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6 - 1000, 1000))
    _refused(recipe_with(), tmp_path, SpaceError, "2 copies of the model")


def test_a_gpu_that_cannot_hold_the_training_is_refused_before_the_text_is_read(
    stand_ins, recipe_with: Recipes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.model.device.first_gpu", lambda: (100_000, "Small One", True))
    recipe = recipe_with("extension.init=subword")  # which does not run the base
    _refused(recipe, tmp_path, TrainingError, r"training needs .* and Small One has 100\.0.kB")
    assert stand_ins.made == []
    run(recipe, tmp_path / "runs" / "run", until="extension")


def test_gold_and_pairs_are_read_before_the_first_stage(
    stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.tsv"
    wrong.write_text("evler\n", "utf-8")
    _refused(recipe_with(f"evaluation.gold=['{wrong}']"), tmp_path, TextError, r"wrong\.tsv:1")
    _refused(recipe_with(f"evaluation.parallel=['{wrong}']"), tmp_path, TextError, r"wrong\.tsv:1: a line")
    assert stand_ins.made == []


@pytest.mark.parametrize("setting", ["sources", "replay", "held_out_files", "other_files"])
def test_a_text_called_as_all_together_is_refused(
    setting: str, stand_ins, recipe_with: Recipes, tmp_path: Path
) -> None:
    text = tmp_path / "all_held_out.txt"
    text.write_text("Evlerimizden çıktık.\n", "utf-8")
    _refused(recipe_with(f"corpus.{setting}=['{text}']"), tmp_path, InputError, "all_held_out is the name")


def test_text_to_learn_alone_may_have_any_name(stand_ins, recipe_with: Recipes, tmp_path: Path) -> None:
    text = tmp_path / "all_held_out.txt"
    text.write_text("Evlerimizden çıktık.\n", "utf-8")
    run(recipe_with(f"corpus.sources=['{text}']", "corpus.held_out=0"), tmp_path / "run")
    assert "evaluation" in stand_ins.made
