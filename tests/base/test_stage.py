"""The base stage builds the tiny model so that it has learned, and checks what it is given."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from ekle.artifacts import BaseModel, Corpus, read_documents
from ekle.base.stage import Inputs, run
from ekle.errors import CheckpointError, InputError
from ekle.files import read_json
from ekle.model.scoring.bits_per_byte import measure
from ekle.progress import silent
from ekle.recipe import make_recipe


def recipe(model: str, tokenizer: str):  # type: ignore[no-untyped-def]
    tiny = {
        "hidden_size": 32,
        "layers": 1,
        "intermediate_size": 64,
        "head_dim": 16,
        "steps": 60,
        "batch_tokens": 256,
    }
    base = {"model": model, "tokenizer": tokenizer, "tiny": {**tiny, "sequence_length": 32}}
    return make_recipe({"name": "t", "base": base})


def test_the_tiny_base_learns_and_is_the_same_each_time(
    tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    scores = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = run(recipe("tiny", str(tiny_base)), Inputs(tiny_corpus), tmp_path / name, silent())
        curve = read_json(made.folder / "base.json")["curve"]
        assert curve[-1]["loss"] < 0.8 * curve[0]["loss"]
        model = AutoModelForCausalLM.from_pretrained(made.model)
        assert model.config.vocab_size == 410
        texts = list(read_documents(tiny_corpus.train))[:8]
        tokenizer = AutoTokenizer.from_pretrained(made.model)
        scores.append(measure(model, tokenizer, texts, context=64, batch_size=4).loss_per_token)
    assert scores[0] == scores[1]
    # The full model must agree with what training saw, rows that never occurred included.
    assert scores[0] < curve[0]["loss"]


def test_a_folder_is_taken_as_it_is(tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path) -> None:
    made = run(recipe(str(tiny_base), str(tiny_base)), Inputs(tiny_corpus), tmp_path, silent())
    assert made.model == tiny_base.resolve()
    assert read_json(tmp_path / "base.json")["rows"] == 410


def test_a_run_and_its_model_may_move_together(tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "here" / "model")
    (tmp_path / "here" / "run").mkdir()
    model = str(tmp_path / "here" / "model")
    made = run(recipe(model, model), Inputs(tiny_corpus), tmp_path / "here" / "run", silent())
    assert read_json(made.folder / "base.json")["model"] == "../model"
    (tmp_path / "here").rename(tmp_path / "there")
    assert BaseModel(tmp_path / "there" / "run", "x").model == (tmp_path / "there" / "model").resolve()


def test_a_model_that_is_nowhere_is_refused(tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model folder"):
        run(recipe("./nowhere", str(tiny_base)), Inputs(tiny_corpus), tmp_path, silent())


def test_a_folder_without_weights_is_refused(tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        run(recipe(str(tmp_path), str(tiny_base)), Inputs(tiny_corpus), tmp_path, silent())


def test_a_folder_without_all_of_its_weights_is_refused(
    tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_base, tmp_path / "model"))
    tensors = load_file(model / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks model\.layers\.1\.mlp\.up_proj\.weight"):
        run(recipe(str(model), str(tiny_base)), Inputs(tiny_corpus), tmp_path, silent())
    assert not (tmp_path / "base.json").exists()


def test_a_folder_that_lacks_the_head_of_an_untied_model_is_refused(
    tiny_base: Path, tiny_corpus: Corpus, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(tiny_base, tmp_path / "model"))
    tensors = load_file(model / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(CheckpointError, match="set tie_word_embeddings to true"):
        run(recipe(str(model), str(tiny_base)), Inputs(tiny_corpus), tmp_path, silent())
    assert not (tmp_path / "base.json").exists()
