"""Shapes of models: the known ones, those of folders, and what is refused."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, Qwen3ForCausalLM

from ekle.errors import CheckpointError, InputError
from ekle.planning.shapes import ModelShape, known_models, read_shape, shape_of
from ekle.recipe import make_recipe
from ekle.recipe.recipe import load_recipe

# Qwen3 Technical Report and the model cards: parameters, and those without embeddings, in billions.
REPORTED = {
    "0.6B": (0.6, 0.44),
    "1.7B": (1.7, 1.4),
    "4B": (4.0, 3.6),
    "8B": (8.2, 6.95),
    "14B": (14.8, 13.2),
    "32B": (32.8, 31.2),
}


def shape(model: str) -> ModelShape:
    return shape_of(make_recipe({"name": "x", "base": {"model": model}}))


@pytest.mark.parametrize("size", REPORTED)
def test_a_known_shape_has_as_many_parameters_as_its_maker_says(size: str) -> None:
    whole, without = REPORTED[size]
    found = shape(f"Qwen/Qwen3-{size}")
    assert found.parameter_count / 1e9 == pytest.approx(whole, rel=0.02)
    rows = found.embedding_matrices * found.rows * found.hidden
    assert (found.parameter_count - rows) / 1e9 == pytest.approx(without, rel=0.02)


def test_a_base_model_has_the_shape_of_its_chat_model() -> None:
    assert shape("Qwen/Qwen3-8B-Base") == shape("Qwen/Qwen3-8B")
    assert "Qwen/Qwen3-4B-Instruct-2507" in known_models()


@pytest.mark.parametrize("tied", [False, True])
def test_the_shape_of_a_folder_counts_every_parameter_of_the_model(tiny_base: Path) -> None:
    model = Qwen3ForCausalLM(AutoConfig.from_pretrained(tiny_base))
    assert shape(str(tiny_base)).parameter_count == sum(parameter.numel() for parameter in model.parameters())


def test_the_tiny_model_has_the_shape_of_its_recipe() -> None:
    found = shape_of(load_recipe("quickstart"))
    assert (found.layers, found.hidden, found.rows, found.tied) == (2, 64, 151_936, False)


def test_what_a_shape_says_in_the_words_of_a_config_is_read_as_that_shape(tmp_path: Path) -> None:
    whole = shape("Qwen/Qwen3-4B")
    (tmp_path / "config.json").write_text(json.dumps(whole.config), "utf-8")
    assert read_shape(tmp_path / "config.json") == whole


def test_a_config_without_head_dim_means_equal_heads(tmp_path: Path) -> None:
    config = {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
        "vocab_size": 10,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    found = read_shape(tmp_path / "config.json")
    assert (found.head_dim, found.key_value_heads, found.tied) == (16, 4, False)


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"num_experts": 128}', "utf-8")
    with pytest.raises(CheckpointError, match="a mixture of experts"):
        shape(str(tmp_path))


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"d_model": 64}', "utf-8")
    with pytest.raises(CheckpointError, match="hidden_size"):
        shape(str(tmp_path))


def test_a_hub_id_that_is_neither_known_nor_given_names_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(*words: str, **more: object) -> str:
        raise ConnectionError("no hub")

    monkeypatch.setattr("ekle.planning.shapes.hf_hub_download", silent)
    with pytest.raises(InputError, match="without the hub ekle knows Qwen/Qwen3-0"):
        shape("nobody/nothing")
    with pytest.raises(InputError, match="there is no model folder"):
        shape("./nowhere")


def test_an_unknown_hub_id_is_asked_for_its_config(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = str(tiny_base / "config.json")
    monkeypatch.setattr("ekle.planning.shapes.hf_hub_download", lambda name, file, revision: given)
    assert shape("somebody/something") == read_shape(tiny_base / "config.json")
