"""The tensors of a folder are held against its config.json."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ekle.errors import CheckpointError
from ekle.files import read_json, write_json
from ekle.model.checkpoint.loading import check_complete, superfluous_head
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS, open_weights


def checked(base: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Check the base with other tensors."""
    tensors = load_file(base / "model.safetensors")
    change(tensors)
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    with open_weights(folder) as weights:
        check_complete(weights)


@pytest.mark.parametrize("tied", [False, True])
def test_a_whole_model_passes_and_so_do_buffers_of_older_checkpoints(tiny_base: Path, tmp_path: Path) -> None:
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}
    checked(tiny_base, tmp_path / "m", lambda tensors: tensors.update(buffer))


def test_what_is_missing_is_named_and_counted(tiny_base: Path, tmp_path: Path) -> None:
    def drop(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if name.startswith("model.layers.1.")]:
            del tensors[name]

    with pytest.raises(CheckpointError, match=r"lacks model\.layers\.1\.\S+ and 10 more of its tensors"):
        checked(tiny_base, tmp_path / "m", drop)


@dataclass
class TwoEnds:
    """A model folder whose config.json and weights may disagree on whether both ends are one matrix."""

    folder: Path

    def checked(self) -> frozenset[str]:
        with open_weights(self.folder) as weights:
            return superfluous_head(weights)

    def set_tied(self, tied: bool) -> None:
        write_json(
            self.folder / "config.json",
            {**read_json(self.folder / "config.json"), "tie_word_embeddings": tied},
        )


@pytest.fixture
def two_ends(tiny_base: Path, tmp_path: Path) -> Callable[[bool, str], TwoEnds]:
    """A model by what config.json says, and by its output embeddings: "none", "copy" or "own"."""

    def make(tied: bool, head: str) -> TwoEnds:
        found = TwoEnds(Path(shutil.copytree(tiny_base, tmp_path / f"{tied}-{head}")))
        tensors = load_file(found.folder / "model.safetensors")
        tensors.pop(OUTPUT_EMBEDDINGS, None)
        if head != "none":
            tensors[OUTPUT_EMBEDDINGS] = tensors[INPUT_EMBEDDINGS] * (1.5 if head == "own" else 1)
        save_file(tensors, found.folder / "model.safetensors", metadata={"format": "pt"})
        found.set_tied(tied)
        return found

    return make


def test_ends_that_agree_with_the_configuration_pass(two_ends: Callable[[bool, str], TwoEnds]) -> None:
    assert two_ends(True, "none").checked() == two_ends(False, "own").checked() == frozenset()
    assert two_ends(False, "copy").checked() == frozenset()  # untied ends may begin alike
    assert two_ends(True, "copy").checked() == {OUTPUT_EMBEDDINGS}


@pytest.mark.parametrize(("tied", "head", "words"), [(True, "own", "differs"), (False, "none", "has no")])
def test_ends_that_contradict_the_configuration_are_refused_with_the_cure(
    tied: bool, head: str, words: str, two_ends: Callable[[bool, str], TwoEnds]
) -> None:
    """transformers loads either without an error, the second one with random numbers."""
    model = two_ends(tied, head)
    with pytest.raises(CheckpointError, match=words) as refusal:
        model.checked()
    assert f"set tie_word_embeddings to {'false' if tied else 'true'} there" in str(refusal.value)
    model.set_tied(not tied)
    assert model.checked() == frozenset()


def test_a_head_of_another_type_or_shape_is_no_copy(two_ends: Callable[[bool, str], TwoEnds]) -> None:
    model = two_ends(True, "copy")
    tensors = load_file(model.folder / "model.safetensors")
    for other in (tensors[OUTPUT_EMBEDDINGS].half(), tensors[OUTPUT_EMBEDDINGS][:-1].clone()):
        save_file({**tensors, OUTPUT_EMBEDDINGS: other}, model.folder / "model.safetensors")
        with pytest.raises(CheckpointError, match="differs"):
            model.checked()
