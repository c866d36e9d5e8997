"""Divergence from the base, against sums made by hand and the plain logits of whole models."""

import math
from pathlib import Path

import pytest
import torch
from tiny import ENGLISH, TURKISH
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import ExtendedModel
from ekle.errors import CheckpointError
from ekle.evaluation.model import divergence
from ekle.evaluation.model.divergence import (
    collect_base_states,
    compare_divergence,
    compare_positions,
    measure_divergence,
)
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

SETTINGS = EvaluationSettings(context=32, batch_size=3, resamples=20)
TEXTS = {"english": ENGLISH, "both": [*ENGLISH[:2], TURKISH[0]]}


def loaded(folder: Path) -> tuple[object, object]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def test_a_place_matches_a_case_counted_by_hand() -> None:
    # Base: two rows with logits 0 and ln 3, so p = (1/4, 3/4). Model: logits 0, 0 and ln 2 for a new row,
    # so q = (1/4, 1/4, 1/2), q' = (1/2, 1/2) and m = 1/2.
    state = torch.ones(1, 1)
    base_head = torch.tensor([[0.0], [math.log(3)]])
    head = torch.tensor([[0.0], [0.0], [math.log(2)]])
    kl, mass, same = compare_positions(state, base_head, state, head)
    assert kl.item() == pytest.approx(0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))
    assert mass.item() == pytest.approx(0.5)
    assert same.item() == 0  # the base prefers the second row, the model's first comes first


def test_without_new_rows_nothing_goes_to_them() -> None:
    state, head = torch.randn(5, 3), torch.randn(7, 3)
    kl, mass, same = compare_positions(state, head, state, head)
    assert kl.tolist() == [0.0] * 5 and mass.tolist() == [0.0] * 5 and same.tolist() == [1.0] * 5


@pytest.mark.parametrize("tied", [False, True])
def test_the_sums_are_those_of_the_plain_logits(tiny_base: Path, tiny_extended: ExtendedModel) -> None:
    base, tokenizer = loaded(tiny_base)
    model, own = loaded(tiny_extended.model)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():  # type: ignore[attr-defined]
            weight.add_(0.02 * torch.randn_like(weight))
    reference = collect_base_states(base, tokenizer, TEXTS, SETTINGS)
    found = measure_divergence(reference, model, own, SETTINGS, silent())
    for document, kl, mass in zip(
        reference.documents["english"], found["english"].kl, found["english"].new_mass, strict=True
    ):
        ids = torch.tensor([document.ids])
        with torch.no_grad():
            p = base(input_ids=ids).logits[0].double().log_softmax(-1)  # type: ignore[operator]
            q = model(input_ids=ids).logits[0].double().softmax(-1)  # type: ignore[operator]
        rows = p.shape[1]
        old = q[:, :rows] / q[:, :rows].sum(1, keepdim=True)
        assert kl == pytest.approx((p.exp() * (p - old.log())).sum().item(), rel=1e-4)
        assert mass == pytest.approx(q[:, rows:].sum().item(), rel=1e-4)


def test_an_extension_before_training_moves_mass_and_nothing_else(
    tiny_base: Path, tiny_extended: ExtendedModel
) -> None:
    reference = collect_base_states(*loaded(tiny_base), TEXTS, SETTINGS)  # type: ignore[misc]
    found = measure_divergence(reference, *loaded(tiny_extended.model), SETTINGS, silent())  # type: ignore[misc]
    figures = compare_divergence({"extended": found}, SETTINGS)["extended"]
    for text in figures.values():
        assert text.kl.value == pytest.approx(0, abs=1e-6) and text.same_top_token.value == 1
        assert 0 < text.new_mass.value < 1
    assert figures["both"].left_out == 1  # the Turkish line holds new tokens
    assert figures["both"].documents == 2


def test_text_that_is_tokenized_differently_throughout_is_absent(
    tiny_base: Path, tiny_extended: ExtendedModel
) -> None:
    reference = collect_base_states(*loaded(tiny_base), {"tr": TURKISH[:3]}, SETTINGS)  # type: ignore[misc]
    found = measure_divergence(reference, *loaded(tiny_extended.model), SETTINGS, silent())  # type: ignore[misc]
    assert compare_divergence({"extended": found}, SETTINGS) == {}


def test_a_model_that_lost_rows_has_no_figure(tiny_base: Path, tiny_extended: ExtendedModel) -> None:
    reference = collect_base_states(*loaded(tiny_extended.model), TEXTS, SETTINGS)  # type: ignore[misc]
    assert measure_divergence(reference, *loaded(tiny_base), SETTINGS, silent()) == {}  # type: ignore[misc]


def test_chunks_become_smaller_where_memory_is_short(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = loaded(tiny_base)
    reference = collect_base_states(*base, TEXTS, SETTINGS)  # type: ignore[misc]
    whole = measure_divergence(reference, *base, SETTINGS, silent())  # type: ignore[misc]
    plain, sizes = divergence.compare_positions, []

    def small(states: torch.Tensor, *more: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sizes.append(len(states))
        if len(states) > 4:
            raise torch.OutOfMemoryError("no memory")
        return plain(states, *more)

    monkeypatch.setattr(divergence, "compare_positions", small)
    assert measure_divergence(reference, *base, SETTINGS, silent()) == whole  # type: ignore[misc]
    assert max(sizes) > 4


def test_rows_that_do_not_fit_next_to_the_model_are_multiplied_on_the_cpu(tiny_base: Path) -> None:
    base = loaded(tiny_base)
    reference = collect_base_states(*base, TEXTS, SETTINGS)  # type: ignore[misc]
    whole = measure_divergence(reference, *base, SETTINGS, silent())  # type: ignore[misc]

    class Full(torch.Tensor):
        def to(self, *_: object) -> torch.Tensor:  # type: ignore[override]
            raise torch.OutOfMemoryError("no memory")

    full = divergence.BaseStates(reference.head.as_subclass(Full), reference.documents)  # type: ignore[no-untyped-call]
    assert measure_divergence(full, *base, SETTINGS, silent()) == whole  # type: ignore[misc]


def test_logits_of_half_precision_are_multiplied_in_float32() -> None:
    torch.manual_seed(0)
    base_states, states = (8 * torch.randn(6, 16)).bfloat16(), (8 * torch.randn(6, 16)).bfloat16()
    # More rows than are widened together, so that the last ones are a block of their own.
    base_head, head = torch.randn(20_000, 16).bfloat16(), torch.randn(40_000, 16).bfloat16()
    kl, mass, same = compare_positions(base_states, base_head, states, head)
    p = (base_states.double() @ base_head.double().T).log_softmax(1)
    logits = states.double() @ head.double().T
    q = logits[:, :20_000].log_softmax(1)
    torch.testing.assert_close(kl, (p.exp() * (p - q)).sum(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mass, logits.softmax(1)[:, 20_000:].sum(1).float(), rtol=1e-4, atol=1e-7)
    assert same.tolist() == (p.argmax(1) == q.argmax(1)).float().tolist()


def test_broken_weights_are_reported_not_averaged(tiny_base: Path) -> None:
    reference = collect_base_states(*loaded(tiny_base), TEXTS, SETTINGS)  # type: ignore[misc]
    model, tokenizer = loaded(tiny_base)
    model.get_output_embeddings().weight.data[5] = float("nan")  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="NaN"):
        measure_divergence(reference, model, tokenizer, SETTINGS, silent())
