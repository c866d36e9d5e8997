"""New rows that learn together: they move by a linear map of features of their base tokens."""

from pathlib import Path

import pytest
import torch
from interrupted import killed_at
from safetensors.torch import load_file
from short_training import train
from torch import nn

from ekle.artifacts import ExtendedModel
from ekle.errors import RecipeError
from ekle.model.checkpoint.loading import load_model
from ekle.model.layers.new_rows import NewRows, read_new_rows, split_rows
from ekle.model.layers.row_features import base_token_features
from ekle.model.processes import join
from ekle.planning.case import SHARED_FEATURES
from ekle.recipe import make_recipe
from ekle.training.shared_rows import SharedRows, shared_features
from ekle.training.stage import Inputs

SHARED = {"shared_rows": True, "rows_learning_rate": 1e-3}


def parameters(*shapes: tuple[int, int]) -> NewRows:
    generator = torch.Generator().manual_seed(1)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    return NewRows(made[0], made[-1], first_new_id=9)


def test_rows_follow_their_map_and_the_map_gets_their_gradient() -> None:
    rows, features = parameters((5, 3)), torch.randn(5, 7, generator=torch.Generator().manual_seed(2))
    before = rows.input.detach().clone()
    shared = SharedRows(rows, [features], join())
    gradient = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    rows.input.grad = gradient.clone()
    shared.take_gradients()
    assert rows.input.grad is None
    (found,) = shared.maps
    assert found.grad is not None and torch.allclose(found.grad, features.T @ gradient, atol=1e-6)
    torch.optim.SGD(shared.maps, lr=0.1).step()
    shared.move_rows()
    assert torch.allclose(rows.input, before - 0.1 * features @ features.T @ gradient, atol=1e-5)
    assert not found.any(), "the next step begins at 0"


def test_without_a_gradient_nothing_moves() -> None:
    rows = parameters((5, 3), (5, 3))
    before = [own.detach().clone() for own in rows.parameters()]
    shared = SharedRows(rows, [torch.ones(5, 2)] * 2, join())
    shared.take_gradients()
    torch.optim.Muon(shared.maps, lr=1.0).step()
    shared.move_rows()
    assert all(torch.equal(own, was) for own, was in zip(rows.parameters(), before, strict=True))


def test_features_are_those_of_the_base_tokens_and_the_row_itself(tiny_extended: ExtendedModel) -> None:
    model = load_model(tiny_extended.model, torch.float32)
    rows = split_rows(model, tiny_extended.first_new_id)
    count = len(rows.input)
    base_tokens = [[3, 1 + number % 5, 2] for number in range(count - 1)] + [[]]  # the last has none
    found = shared_features(model, rows, base_tokens, torch.float32)
    assert len(found) == len(list(rows.parameters()))
    for features, own, ends in zip(
        found, rows.parameters(), (model.get_input_embeddings(), model.get_output_embeddings()), strict=False
    ):
        assert features.shape == (count, SHARED_FEATURES * own.shape[1])
        assert not features[-1].any() and features[:-1].any(dim=1).all()
        parts = [*base_token_features(ends.base, base_tokens[:-1]), own.detach()[:-1]]
        for part, of_it in zip(parts, features[:-1].chunk(SHARED_FEATURES, dim=1), strict=True):
            ratio = of_it.norm() / part.norm()
            assert torch.allclose(of_it, ratio * part, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_an_interrupted_training_ends_with_the_same_bits(
    inputs: Inputs, tmp_path: Path, optimizer: str
) -> None:
    whole = train(inputs, tmp_path / "whole", optimizer=optimizer, **SHARED)
    with killed_at(12):
        train(inputs, tmp_path / "parts", optimizer=optimizer, **SHARED)
    parts = train(inputs, tmp_path / "parts", optimizer=optimizer, **SHARED)
    for name in ("new_rows.safetensors", "adapter/adapter_model.safetensors"):
        first, second = (load_file(one.folder / name) for one in (whole, parts))
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_row_moves_though_its_token_is_not_seen(inputs: Inputs, tmp_path: Path) -> None:
    checkpoint = train(inputs, tmp_path, optimizer="adamw", **SHARED)
    kept = read_new_rows(checkpoint.folder / "new_rows.safetensors").tensors["input"]
    assert isinstance(inputs.model, ExtendedModel)
    before = load_model(inputs.model.model, torch.float32).get_input_embeddings().weight
    moved = (kept - before[inputs.model.first_new_id :]).norm(dim=1)
    assert (moved > 0).all()
    line = next(line for line in reversed(checkpoint.history) if "update_to_weight_rows" in line)
    assert line["update_to_weight_rows"] > 0 and line["rows_learning_rate"] <= SHARED["rows_learning_rate"]


def test_sophia_has_no_curvature_for_maps() -> None:
    with pytest.raises(RecipeError, match="set optimizer to muon or adamw"):
        make_recipe({"name": "x", "training": {"shared_rows": True, "optimizer": "sophia"}})
