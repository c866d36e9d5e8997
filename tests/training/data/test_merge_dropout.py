"""Merge dropout changes the tokens and not the text, as often as it is told to, and only while training."""

from pathlib import Path
from typing import Any

import pytest
from tiny import TURKISH
from tokenizers import Tokenizer

from ekle.artifacts import Corpus, ExtendedModel, Vocabulary
from ekle.bpe.graft import base_token_ids
from ekle.files import read_json
from ekle.progress import silent
from ekle.recipe import make_recipe
from ekle.training.data.documents import Documents, Lines
from ekle.training.data.merge_dropout import MergeDropout
from ekle.training.stage import Inputs, run

FIRST = 410


@pytest.fixture
def tokenizer(tiny_vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_vocabulary.tokenizer / "tokenizer.json"))


@pytest.fixture
def base_tokens(tiny_vocabulary: Vocabulary) -> dict[int, list[int]]:
    return base_token_ids(read_json(tiny_vocabulary.tokenizer / "tokenizer.json"), FIRST)


def ids(tokenizer: Tokenizer) -> list[int]:
    return [number for line in TURKISH for number in tokenizer.encode(line).ids]


def test_merges_lead_back_to_the_base_tokens(
    base_tokens: dict[int, list[int]], tiny_vocabulary: Vocabulary
) -> None:
    assert base_tokens == {token.id: token.base_tokens for token in tiny_vocabulary.tokens()}


def test_the_old_way_of_writing_merges_is_read_too(tiny_vocabulary: Vocabulary) -> None:
    spec = read_json(tiny_vocabulary.tokenizer / "tokenizer.json")
    old: dict[str, Any] = {
        "model": {**spec["model"], "merges": [" ".join(m) for m in spec["model"]["merges"]]}
    }
    assert base_token_ids(old, FIRST) == base_token_ids(spec, FIRST)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_text_is_the_same(
    tokenizer: Tokenizer, base_tokens: dict[int, list[int]], probability: float
) -> None:
    dropout = MergeDropout(base_tokens, probability, 0)
    for number, line in enumerate(TURKISH):
        encoded = tokenizer.encode(line).ids
        assert tokenizer.decode(dropout.transform(number, encoded)) == tokenizer.decode(encoded)


def test_all_or_nothing_at_the_ends_of_the_scale(
    tokenizer: Tokenizer, base_tokens: dict[int, list[int]], tiny_base: Path
) -> None:
    base = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    for line in TURKISH:
        encoded = tokenizer.encode(line).ids
        assert MergeDropout(base_tokens, 0.0, 0).transform(3, encoded) == encoded
        assert MergeDropout(base_tokens, 1.0, 0).transform(3, encoded) == base.encode(line).ids


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_each_occurrence_falls_apart_with_the_probability_that_is_set(
    tokenizer: Tokenizer, base_tokens: dict[int, list[int]], probability: float
) -> None:
    encoded = ids(tokenizer)
    new = sum(number >= FIRST for number in encoded)
    dropout = MergeDropout(base_tokens, probability, 0)
    kept = [sum(number >= FIRST for number in dropout.transform(turn, encoded)) for turn in range(200)]
    share = 1 - sum(kept) / (200 * new)
    assert share == pytest.approx(probability, abs=4 * (probability / (200 * new)) ** 0.5)
    assert len(set(kept)) > 1  # each time anew


def test_a_document_falls_apart_alike_however_it_is_reached(
    tokenizer: Tokenizer, base_tokens: dict[int, list[int]], tiny_corpus: Corpus
) -> None:
    def encode(texts: list[str]) -> list[list[int]]:
        return [tokenizer.encode(text).ids for text in texts]

    transform = MergeDropout(base_tokens, 0.5, 0).transform
    lines = Lines(tiny_corpus.train, 0)
    forward, backward = (Documents(lines, encode, 0, transform) for _ in range(2))
    count = 2 * len(forward)
    assert [forward.ids(n) for n in range(count)] == [backward.ids(n) for n in reversed(range(count))][::-1]
    plain = Documents(lines, encode, 0)
    assert any(forward.ids(n) != plain.ids(n) for n in range(count))


def test_it_is_off_where_held_out_text_is_measured(
    tiny_corpus: Corpus, tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    """Before the first step both runs have the same model, so only the tokens can make a difference."""
    first = []
    for probability in (0.0, 0.9):
        training = {
            "steps": 2,
            "batch_size": 2,
            "gradient_accumulation": 1,
            "sequence_length": 40,
            "merge_dropout": probability,
            "dora": {"rank": 2},
            "precision": "fp32",
            "log_steps": 1,
        }
        folder = tmp_path / str(probability)
        folder.mkdir()
        recipe = make_recipe({"name": "test", "training": training})
        history = run(recipe, Inputs(tiny_corpus, tiny_extended), folder, silent()).history
        first.append(next(line for line in history if "held_out_bits_per_byte" in line))
        losses = [line["loss_per_token"] for line in history if "loss_per_token" in line]
        first[-1]["learned_from"] = losses[0]
    assert first[0]["held_out_bits_per_byte"] == first[1]["held_out_bits_per_byte"]
    assert first[0]["held_out_tokens"] == first[1]["held_out_tokens"]
    assert first[0]["learned_from"] != first[1]["learned_from"]
