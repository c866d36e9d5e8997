"""Extension grows the row matrices and changes nothing else; new rows follow their rule."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from allocations import Allocations
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import BaseModel, Corpus, ExtendedModel, Vocabulary
from ekle.errors import CheckpointError, RunFolderError
from ekle.extension.extend import extend_model
from ekle.extension.gradient_flow import check_gradient_flow, evenly_spaced
from ekle.extension.stage import Inputs, run
from ekle.model.layers.new_rows import NewRows, split_rows
from ekle.progress import silent
from ekle.recipe import Recipe
from ekle.recipe.extension import ExtensionSettings

both = pytest.mark.parametrize("tied", [False, True])


@pytest.fixture
def extended(tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> ExtendedModel:
    return extend_model(
        tiny_vocabulary.folder, tiny_base, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
    )


@both
def test_base_rows_and_all_other_tensors_are_the_base_s_bit_for_bit(
    tiny_base: Path, extended: ExtendedModel
) -> None:
    before = load_file(tiny_base / "model.safetensors")
    after = load_file(extended.model / "model.safetensors")
    assert set(before) == set(after)
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor)
        assert (len(after[name]) == 430) == (name in ("model.embed_tokens.weight", "lm_head.weight"))


@both
def test_a_new_row_is_the_mean_of_the_rows_of_its_base_tokens(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    settings = ExtensionSettings(init="subword")
    extended = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "out", settings, silent())
    before = load_file(tiny_base / "model.safetensors")
    after = load_file(extended.model / "model.safetensors")
    for name in set(before) & {"model.embed_tokens.weight", "lm_head.weight"}:
        for token in tiny_vocabulary.tokens():
            want = sum(before[name][piece] for piece in token.base_tokens) / len(token.base_tokens)
            assert torch.allclose(after[name][token.id], want, atol=1e-6)


@both
def test_text_without_new_tokens_gets_the_logits_of_the_base(
    tiny_base: Path, extended: ExtendedModel
) -> None:
    before = AutoModelForCausalLM.from_pretrained(tiny_base)
    after = AutoModelForCausalLM.from_pretrained(extended.model)
    old, new = AutoTokenizer.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(extended.model)
    text = "the sun and the north"
    ids = torch.tensor([old(text)["input_ids"]])
    assert new(text)["input_ids"] == ids[0].tolist()
    with torch.no_grad():
        assert torch.equal(before(ids).logits, after(ids).logits[..., :410])


@both
def test_rows_in_use_get_a_gradient_unused_ones_none_and_base_rows_never(
    tied: bool, tiny_vocabulary: Vocabulary, extended: ExtendedModel
) -> None:
    model = AutoModelForCausalLM.from_pretrained(extended.model)
    rows = split_rows(model, 410)
    used = [token.id for token in tiny_vocabulary.tokens()][:5]
    ids = torch.tensor([[7, *used, 9]])
    model(ids, labels=ids).loss.backward()
    assert model.get_input_embeddings().base.grad is None
    assert model.get_output_embeddings().base.grad is None
    for table in rows.parameters():
        assert table.grad is not None and table.grad.isfinite().all()
        assert table.grad[:5].any(dim=1).all()
    if not tied:  # a tied row is one of the softmax as well, where all are in use
        assert rows.input.grad is not None and not rows.input.grad[5:].any()


def test_no_row_matrix_is_ever_in_memory(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1.2 GB in an 8B model; here in blocks of 32 of the 410 rows, with rules that read all of them."""
    monkeypatch.setattr("ekle.model.checkpoint.weights.BLOCK_BYTES", 32 * 32 * 4)
    settings = ExtensionSettings(init="asymmetric", output="hybrid", gradient_tokens=5)
    with Allocations() as seen:
        extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "out", settings, silent())
    assert 64 * 32 <= seen.largest < 410 * 32 / 2, (seen.shape, seen.made_by)


def test_the_manifest_of_the_extension_says_what_was_kept(extended: ExtendedModel) -> None:
    about = json.loads((extended.folder / "extension.json").read_text("utf-8"))
    assert (about["first_new_id"], about["size"], about["rows"]) == (410, 20, 430)
    assert "/" not in about["base_model"], "a folder's name says enough; its place is this machine's"
    assert about["tensors_equal"] == len(about["digests"]) - 2
    assert extended.first_new_id == 410
    assert json.loads((extended.model / "config.json").read_text("utf-8"))["vocab_size"] == 430
    assert (extended.model / "generation_config.json").exists()
    assert (extended.model / "chat_template.jinja").exists()


def test_a_base_with_other_rows_is_refused_and_nothing_is_left(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:405].clone()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"405 rows in .*, 410 are wanted"):
        extend_model(
            tiny_vocabulary.folder, folder, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_row_that_is_not_finite_is_refused(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"][7, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="row 7 of"):
        extend_model(
            tiny_vocabulary.folder, folder, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
        )


def test_an_output_folder_in_use_is_refused(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("mine", "utf-8")
    with pytest.raises(RunFolderError, match="not empty"):
        extend_model(tiny_vocabulary.folder, tiny_base, tmp_path, ExtensionSettings(init="hybrid"), silent())


@both
@pytest.mark.parametrize("longest", [12, 1024])
def test_the_gradient_check_reaches_every_token(
    tied: bool,
    longest: int,
    extended: ExtendedModel,
    tiny_vocabulary: Vocabulary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ekle.extension.gradient_flow.MAX_SEQUENCE_TOKENS", longest)
    flow = check_gradient_flow(extended.model, tiny_vocabulary.tokens(), 3, silent())
    assert (flow["tokens"], flow["through_layers"]["tokens"], flow["through_layers"]["layers"]) == (20, 3, 2)
    assert flow["input"]["least"] > 0 and flow["through_layers"]["input"]["least"] > 0
    tensors = load_file(extended.model / "model.safetensors")
    tensors["model.embed_tokens.weight"][428, 3] = float("inf")
    save_file(tensors, extended.model / "model.safetensors")
    with pytest.raises(CheckpointError, match="new input embeddings get no finite gradient"):
        check_gradient_flow(extended.model, tiny_vocabulary.tokens(), 3, silent())


@both
@pytest.mark.parametrize("end", ["input", "output"])
def test_a_base_row_that_learns_is_found(
    tied: bool,
    end: str,
    extended: ExtendedModel,
    tiny_vocabulary: Vocabulary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def careless(model: Any, first: int) -> NewRows:
        rows = split_rows(model, first)
        embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
        (embedding if end == "input" else head).base.requires_grad_(True)
        return rows

    monkeypatch.setattr("ekle.extension.gradient_flow.split_rows", careless)
    with pytest.raises(CheckpointError, match="embeddings of the base got a gradient"):
        check_gradient_flow(extended.model, tiny_vocabulary.tokens(), 3, silent())


def test_a_sample_of_tokens_is_evenly_spread(tiny_vocabulary: Vocabulary) -> None:
    def places(count: int) -> list[int]:
        return [token.id - 410 for token in evenly_spaced(tiny_vocabulary.tokens(), count)]

    assert places(3) == [0, 6, 13]
    assert places(15) == [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18]
    assert places(99) == list(range(20))


def test_rows_that_cannot_learn_are_refused(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"].zero_()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="get no finite gradient"):
        extend_model(
            tiny_vocabulary.folder, folder, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_stage_that_refuses_keeps_what_it_goes_on_from_and_no_half_model(
    tiny_base_model: BaseModel,
    tiny_corpus: Corpus,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "model").mkdir()  # of an attempt that was killed
    (tmp_path / "parts").mkdir()
    (tmp_path / "extension.json").write_text("{}", "utf-8")
    inputs = Inputs(tiny_corpus, tiny_vocabulary, tiny_base_model)
    recipe = Recipe(name="x", extension=ExtensionSettings(init="hybrid"))
    with monkeypatch.context() as patched:
        patched.setattr("ekle.extension.extend.check_gradient_flow", _refuse)
        with pytest.raises(CheckpointError, match="no gradient"):
            run(recipe, inputs, tmp_path, silent())
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]
    run(recipe, inputs, tmp_path, silent())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["extension.json", "model"]


def _refuse(*given: object) -> None:
    raise CheckpointError("no gradient")
