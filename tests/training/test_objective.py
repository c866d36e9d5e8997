"""The loss that training lowers."""

import json

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen3ForCausalLM

from ekle.artifacts import ExtendedModel
from ekle.model.layers.loss import IGNORED
from ekle.model.layers.new_rows import split_rows
from ekle.recipe.training import NeftuneSettings
from ekle.training.objective import Objective, byte_lengths


@pytest.fixture
def objective(tiny_extended: ExtendedModel) -> Objective:
    model = Qwen3ForCausalLM.from_pretrained(tiny_extended.model, dtype=torch.float32)
    model.requires_grad_(False)
    split_rows(model, tiny_extended.first_new_id)
    tokenizer = AutoTokenizer.from_pretrained(tiny_extended.model)
    return Objective(model, NeftuneSettings(alpha=5.0), byte_lengths(tokenizer, 430)).train()


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 430, (2, 13), generator=generator)
    positions = torch.tensor([[*range(7), *range(5)], [*range(12)]])
    return {"input_ids": ids[:, :-1], "labels": ids[:, 1:], "position_ids": positions}


def seeded(seed: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(2 * seed + row) for row in range(2)]


def test_without_noise_it_is_the_mean_cross_entropy_of_the_model(objective: Objective) -> None:
    loss, tally = objective(**batch())
    inputs = {name: batch()[name] for name in ("input_ids", "position_ids")}
    logits = objective.language_model(**inputs, use_cache=False).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch()["labels"].flatten())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert tally.nats.item() == pytest.approx(24 * expected.item(), rel=1e-5)
    assert tally.tokens.item() == 24


def test_noise_is_added_only_where_a_generator_for_it_is_given(objective: Objective) -> None:
    quiet, again = objective(**batch())[0], objective(**batch())[0]
    noisy, same, other = (objective(**batch(), noise=seeded(seed))[0] for seed in (1, 1, 2))
    assert quiet == again
    assert noisy == same
    assert len({quiet.item(), noisy.item(), other.item()}) == 3


def test_a_curvature_pass_draws_its_labels_from_the_model(objective: Objective) -> None:
    entropy = []
    inputs = {name: batch()[name] for name in ("input_ids", "position_ids")}
    logits = objective.language_model(**inputs, use_cache=False).logits.log_softmax(dim=-1)
    expected = -(logits.exp() * logits).sum(dim=-1).mean().item()
    for seed in range(200):
        entropy.append(objective(**batch(), sample=seeded(seed))[0].item())
    assert sum(entropy) / len(entropy) == pytest.approx(expected, rel=0.03)


def test_byte_lengths_add_up_to_the_bytes_of_a_text(tiny_extended: ExtendedModel) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_extended.model / "tokenizer.json"))
    lengths = byte_lengths(AutoTokenizer.from_pretrained(tiny_extended.model), 430)
    for text in ("Evlerimizden birinde yaşlı bir adam", "ğüşiöçİ I'm 100 %", "日本\n\n  x"):
        assert int(lengths[tokenizer.encode(text).ids].sum()) == len(text.encode())
    vocabulary = json.loads((tiny_extended.model / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    assert all(lengths[token["id"]] == 0 for token in vocabulary)


def masked() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The batch with half of its labels left out, and which of them count."""
    inputs = batch()
    counts = torch.arange(24).view(2, 12) % 5 < 3
    inputs["labels"] = torch.where(counts, inputs["labels"], IGNORED)
    return inputs, counts


def test_labels_that_do_not_count_are_left_out_of_the_mean_and_of_every_sum(objective: Objective) -> None:
    inputs, counts = masked()
    loss, tally = objective(**inputs)
    forward = {name: inputs[name] for name in ("input_ids", "position_ids")}
    logits = objective.language_model(**forward, use_cache=False).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (tally.tokens, tally.read) == (counts.sum(), 24)
    assert tally.nats.item() == pytest.approx(expected.item() * counts.sum().item(), rel=1e-5)
    assert tally.text_bytes == objective.byte_lengths[batch()["labels"][counts]].sum()
    assert objective(**inputs, tokens=7)[0].item() == pytest.approx(tally.nats.item() / 7, rel=1e-5)


def test_noise_is_the_same_whatever_is_learned(objective: Objective) -> None:
    """Its scale goes by the length of the sequence, in which labels play no part."""
    inputs, counts = masked()
    rest = {**batch(), "labels": torch.where(counts, IGNORED, batch()["labels"])}
    halves = [objective(**each, tokens=1, noise=seeded(3))[0].item() for each in (inputs, rest)]
    assert sum(halves) == pytest.approx(objective(**batch(), tokens=1, noise=seeded(3))[0].item(), rel=1e-5)


def test_drawn_labels_stand_where_a_label_counts(objective: Objective) -> None:
    inputs, counts = masked()
    _, tally = objective(**inputs, sample=seeded(0))
    assert tally.tokens == counts.sum()
    everywhere = objective(**batch(), sample=seeded(0))[1]
    assert 0 < tally.nats < everywhere.nats


def test_a_part_where_nothing_counts_has_no_loss(objective: Objective) -> None:
    inputs = {**batch(), "labels": torch.full((2, 12), IGNORED)}
    loss, tally = objective(**inputs)
    assert loss == tally.nats == tally.tokens == tally.text_bytes == 0


def test_the_end_of_a_document_counts_as_a_token_but_not_as_text(objective: Objective) -> None:
    inputs = batch()
    inputs["labels"] = torch.full_like(inputs["labels"], 400)  # <|endoftext|>
    _, tally = objective(**inputs)
    assert tally.tokens.item() == 24
    assert tally.text_bytes.item() == tally.text_nats.item() == 0
