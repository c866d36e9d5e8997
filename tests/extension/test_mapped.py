"""Mapped rows come near the base, are never worse than their closed form, and lose nothing to a kill."""

import itertools
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import ENGLISH, TURKISH
from torch import Tensor

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.errors import TextError, TrainingError
from ekle.extension.extend import extend_model
from ekle.extension.rules.mapped.closed_form import (
    Tokens,
    features,
    mapped_start,
    ridge,
    separating_direction,
    unit_direction,
)
from ekle.extension.rules.mapped.evidence import TokenCounts, log_shares
from ekle.extension.rules.mapped.learning import MapLearner
from ekle.extension.rules.packing import mixed, packed, packed_once
from ekle.extension.rules.text_sample import sample_text
from ekle.files import read_json
from ekle.model.checkpoint.loading import load_model, load_tokenizer
from ekle.model.checkpoint.weights import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings, MappedSettings

both = pytest.mark.parametrize("tied", [False, True])
QUICK = MappedSettings(tokens=256 * 40, batch_tokens=512, held_out_bytes=4000, learning_rate=0.05)


def extend(
    vocabulary: Vocabulary,
    base: Path,
    out: Path,
    settings: MappedSettings = QUICK,
    texts: list[str] = TURKISH,
    **other: Any,
) -> ExtendedModel:
    given = ExtensionSettings(init="mapped", mapped=settings, seed=1, **other)
    return extend_model(
        vocabulary.folder, base, out, given, silent(), lambda: iter(texts), replay=lambda: iter(ENGLISH)
    )


def about(extended: ExtendedModel) -> dict[str, Any]:
    found: dict[str, Any] = read_json(extended.folder / "extension.json")["mapped"]
    return found


def rows(extended: ExtendedModel, name: str) -> Tensor:
    return load_file(extended.model / "model.safetensors")[name][410:]


def clock() -> Callable[[], float]:
    """Time that goes on by a tenth of a second whenever somebody looks."""
    ticks = itertools.count()
    return lambda: next(ticks) / 10


@both
def test_learning_brings_the_rows_nearer_to_the_base_than_the_closed_form(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    found = about(extend(tiny_vocabulary, tiny_base, tmp_path / "out"))
    assert found["bits_per_byte"] < found["closed_form_bits_per_byte"]
    assert found["tokens"] == QUICK.tokens
    assert found["rows_from_step"] > 0
    assert [point["step"] for point in found["curve"]] == [5, 10, 15, 20]
    assert found["replay"]["bits_per_byte"] > 0


@both
def test_rows_that_learning_makes_worse_are_not_kept(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    closed_form = extend(
        tiny_vocabulary, tiny_base, tmp_path / "closed", QUICK.model_copy(update={"tokens": 0})
    )
    assert "tokens" not in about(closed_form)
    wild = QUICK.model_copy(update={"learning_rate": 50.0})
    spoilt = extend(tiny_vocabulary, tiny_base, tmp_path / "out", wild)
    found = about(spoilt)
    assert found["rows_from_step"] == 0
    assert all(point["held_out_bits_per_byte"] > found["bits_per_byte"] for point in found["curve"])
    assert torch.equal(rows(spoilt, INPUT_EMBEDDINGS), rows(closed_form, INPUT_EMBEDDINGS))


@both
@pytest.mark.parametrize("minutes", [None, 0.1])
def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(
    tied: bool,
    minutes: float | None,
    tiny_base: Path,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = {"tokens": None, "minutes": minutes} if minutes else {}
    monkeypatch.setattr("ekle.extension.rules.mapped.learning.time", SimpleNamespace(monotonic=clock()))
    settings = QUICK.model_copy(update={"save_minutes": 1e-9, **budget})
    step, calls = MapLearner.step, 0

    def stop(self: MapLearner, *given: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(MapLearner, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        extend(tiny_vocabulary, tiny_base, tmp_path / "out", settings)
    again = extend(tiny_vocabulary, tiny_base, tmp_path / "out", settings)
    assert calls - 1 == about(again)["steps"]  # none was done twice
    assert not (tmp_path / ".out.rows").exists()
    monkeypatch.setattr(MapLearner, "step", step)
    monkeypatch.setattr("ekle.extension.rules.mapped.learning.time", SimpleNamespace(monotonic=clock()))
    whole = extend(tiny_vocabulary, tiny_base, tmp_path / "whole", settings)
    assert about(whole)["steps"] == about(again)["steps"] > 8
    stored = [load_file(each.model / "model.safetensors") for each in (again, whole)]
    for name in {INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS} & stored[0].keys():
        assert torch.equal(stored[0][name], stored[1][name])


def test_evidence_is_not_gathered_twice(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MapLearner, "step", interrupted)
        extend(tiny_vocabulary, tiny_base, tmp_path / "out")
    monkeypatch.setattr("ekle.extension.rules.mapped.rule.readings", interrupted)
    assert about(extend(tiny_vocabulary, tiny_base, tmp_path / "out"))["steps"] == 20


def test_another_rule_for_the_output_rows_is_not_learned_over(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    extended = extend(tiny_vocabulary, tiny_base, tmp_path / "out", output="subword")
    given = ExtensionSettings(init="subword")
    plain = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "plain", given, silent())
    assert torch.equal(rows(extended, OUTPUT_EMBEDDINGS), rows(plain, OUTPUT_EMBEDDINGS))
    assert not torch.equal(rows(extended, INPUT_EMBEDDINGS), rows(plain, INPUT_EMBEDDINGS))


def test_too_little_text_is_refused(tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="more than one document"):
        extend(tiny_vocabulary, tiny_base, tmp_path / "out", texts=TURKISH[:1])
    assert not (tmp_path / "out").exists()


def test_without_examples_rows_start_as_means_of_their_base_tokens(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekle.extension.rules.mapped.rule.merged_parts", lambda _: {})
    without = QUICK.model_copy(update={"tokens": 0})
    extended = extend(tiny_vocabulary, tiny_base, tmp_path / "out", without)
    given = ExtensionSettings(init="subword")
    plain = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "plain", given, silent())
    if about(extended)["features"].keys() == {INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS}:
        found, wanted = rows(extended, INPUT_EMBEDDINGS), rows(plain, INPUT_EMBEDDINGS)
        assert torch.allclose(found.float(), wanted.float(), atol=1e-3)


def test_text_is_looked_through_to_its_end_for_a_new_token(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    closed_form = QUICK.model_copy(update={"tokens": 0})
    extend(tiny_vocabulary, tiny_base, tmp_path / "out", closed_form, ENGLISH[:1] * 3 + TURKISH)
    with pytest.raises(TextError, match="no new token occurs"):
        extend(tiny_vocabulary, tiny_base, tmp_path / "none", closed_form, ENGLISH[:1] * 3)


def test_a_base_that_is_known_by_its_parts_is_found_again() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(60, 8, generator=generator)
    parts = torch.randint(0, 40, (300, 2), generator=generator)
    truth = torch.randn(24, 8, generator=generator)
    none = torch.empty(0, 0, 8)

    def inputs(pairs: Tensor) -> list[Tensor]:
        return features(table, Tokens(pairs.tolist(), none))

    wanted = torch.cat(inputs(parts), dim=1) @ truth + 3.0
    new = torch.randint(40, 60, (20, 2), generator=generator)
    found = mapped_start(inputs(parts), wanted, inputs(new), 1e-6)
    assert torch.allclose(found, torch.cat(inputs(new), dim=1) @ truth + 3.0, atol=1e-2)


@pytest.mark.parametrize("count", [4, 40])
def test_ridge_is_the_same_in_primal_and_dual_form(count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(count, 10, generator=generator), torch.randn(count, 3, generator=generator)
    penalty = 0.1 * inputs.square().sum() / 10
    whole = torch.linalg.solve(inputs.T @ inputs + penalty * torch.eye(10), inputs.T @ targets)
    assert torch.allclose(ridge(inputs, targets, 0.1), whole, atol=1e-4)


def test_a_share_of_the_direction_is_a_bias() -> None:
    states = torch.randn(500, 16, generator=torch.Generator().manual_seed(0)) + 4.0
    assert (states @ unit_direction(states) - 1).abs().mean() < 0.2


def test_a_share_of_the_other_direction_is_a_bias_in_other_texts_alone() -> None:
    own, other = torch.randn(2, 500, 16, generator=torch.Generator().manual_seed(0)) + 4.0
    own[:, 3] += 5.0
    direction = separating_direction(own, other)
    assert (own @ direction).abs().mean() < 0.2
    assert (other @ direction - 1).abs().mean() < 0.2


@pytest.mark.parametrize("tied", [False])
def test_the_closed_form_of_an_untied_model_keeps_new_tokens_out_of_other_languages(
    tied: bool, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    share: dict[float, float] = {}
    for replay_share in (0.0, 0.2):  # without it, nothing is known of other languages
        settings = QUICK.model_copy(update={"tokens": 0, "replay_share": replay_share})
        found = extend(tiny_vocabulary, tiny_base, tmp_path / str(replay_share), settings)
        model, tokenizer = load_model(found.model, torch.float32), load_tokenizer(found.model)
        ids = torch.tensor([tokenizer("\n".join(ENGLISH))["input_ids"][:400]])
        with torch.no_grad():
            share[replay_share] = float(model(ids).logits.softmax(-1)[..., 410:].sum(-1).mean())
    assert share[0.2] < 0.5 * share[0.0]


def test_shares_are_logs_of_counts_and_never_above_none() -> None:
    counts = TokenCounts(torch.tensor([999, 9]), torch.tensor([99, 500, 0]), 1)
    found = log_shares(counts, torch.tensor([0, 1, 0]))
    assert torch.allclose(found, torch.tensor([99.5 / 1000, 1.0, 0.5 / 1000]).log())


def test_a_sample_has_its_size_and_every_source() -> None:
    texts = [f"{number:04}" for number in range(5000)]
    found = sample_text(texts, 4000, seed=3)
    assert len(found) == 1000
    assert 350 < sum(int(text) < 2500 for text in found) < 650
    assert found != sorted(found)
    assert found == sample_text(texts, 4000, seed=3)
    assert sorted(sample_text(texts, 10**9, seed=3)) == texts


def test_packed_text_loses_no_token() -> None:
    texts = ["abcdefg", "hi", "jklmnopqrstuvw"]

    def encode(text: str) -> list[int]:
        return [ord(letter) for letter in text]

    sequences, size = packed_once(texts, encode, 0, 5)
    assert sequences.shape[1] == 5
    assert bool((sequences[:, 0] == 0).all())
    assert "".join(chr(number) for number in sequences.flatten().tolist() if number) == "".join(texts)
    assert size == sum(map(len, texts))
    stream = list(islice(packed(texts, encode, 0, 5, seed=0), 40))
    assert all(len(each) == 5 and int(each[0]) == 0 for each in stream)
    letters = "".join(chr(number) for each in stream for number in each.tolist() if number)
    counts = [letters.count(letter) for letter in "abghijw"]
    assert min(counts) > 5
    assert max(counts) - min(counts) <= 1


def test_replay_has_its_share() -> None:
    def endless(value: int) -> Iterator[Tensor]:
        while True:
            yield torch.tensor([value])

    found = [int(each) for each in islice(mixed(endless(0), endless(1), 0.2), 50)]
    assert sum(found) == 10
    assert found.index(1) == 4
    assert not any(int(each) for each in islice(mixed(endless(0), None, 0.2), 50))


def test_the_operations_are_those_of_evidence_learning_and_updates(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    closed_form = extend(
        tiny_vocabulary, tiny_base, tmp_path / "closed", QUICK.model_copy(update={"tokens": 0})
    )
    learned = extend(tiny_vocabulary, tiny_base, tmp_path / "out")
    operations = [read_json(each.folder / "extension.json")["flops"] for each in (closed_form, learned)]
    config = read_json(tiny_base / "config.json")
    width, new = config["hidden_size"], 20
    least = 2 * 2 * about(learned)["tokens"] * (config["vocab_size"] + new) * width  # output rows, both ways
    assert operations[0] > 0
    assert operations[1] - operations[0] > least
