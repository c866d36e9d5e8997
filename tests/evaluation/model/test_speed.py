"""Speed and memory: the arithmetic by hand, and that the passages are the same for both models."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TURKISH
from transformers.models.qwen3.modeling_qwen3 import Qwen3Model

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import load_tokenizer
from ekle.errors import DeviceMemoryError
from ekle.evaluation import evaluated_models
from ekle.evaluation.evaluated_models import EvaluatedModel
from ekle.evaluation.model import speed
from ekle.evaluation.model.speed import Speeds, cache_bytes, measure_memory, measure_speeds
from ekle.model.checkpoint.loading import load_config
from ekle.progress import silent
from ekle.recipe.evaluation import EvaluationSettings

TEXTS = {"prose": TURKISH}
SETTINGS = EvaluationSettings(speed_passages=12, speed_characters=15, speed_rounds=1, resamples=30)


def test_a_token_leaves_keys_and_values_of_every_layer_in_the_cache(tiny_base: Path) -> None:
    # keys and values x 2 layers x 1 head x 16 values x 2 bytes
    assert cache_bytes(load_config(tiny_base)) == 2 * 2 * 1 * 16 * 2


def test_memory_matches_a_case_counted_by_hand(tiny_base: Path, tiny_extended: ExtendedModel) -> None:
    folders = {"base": tiny_base, "trained": tiny_extended.model}
    tokenizers = [load_tokenizer(folder) for folder in folders.values()]
    tokens = [sum(len(one.encode(text)) for text in TURKISH) for one in tokenizers]
    characters = sum(map(len, TURKISH))
    found = measure_memory(folders, tokenizers, TEXTS, {"base": 1_000, "trained": 1_300}, SETTINGS)
    cache = found.kv_cache
    assert cache.base == pytest.approx(1_000 * 128 * tokens[0] / characters)
    assert cache.saved.value == pytest.approx(1 - tokens[1] / tokens[0])
    assert cache.saved.low <= cache.saved.value <= cache.saved.high
    assert found.weights.dump() == {"base": 1_000, "trained": 1_300, "change": pytest.approx(0.3)}
    a_character = 128 * (tokens[0] - tokens[1]) / characters
    assert found.break_even_characters == pytest.approx(300 / a_character)
    never = measure_memory(folders, tokenizers[::-1], TEXTS, {"base": 1, "trained": 2}, SETTINGS)
    assert never.break_even_characters is None


def test_speeds_are_characters_of_the_same_text(
    tiny_base: Path, tiny_extended: ExtendedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, str]] = []
    plain = speed.encode

    def spy(tokenizer: object, text: str) -> list[int]:
        read.append((str(len(tokenizer)), text))  # type: ignore[arg-type]
        return plain(tokenizer, text)

    monkeypatch.setattr(speed, "encode", spy)
    models = [EvaluatedModel("base", tiny_base), EvaluatedModel("trained", tiny_extended.model)]
    found = measure_speeds(models, TEXTS, SETTINGS, silent())
    assert (found.passages, found.characters, found.interleaved) == (12, 180, True)
    for speeds in (found.prefill, found.generation):
        assert speeds.gain.value == pytest.approx(speeds.trained / speeds.base - 1)
        assert speeds.gain.low <= speeds.gain.high
    by_size = {size: [text for own, text in read if own == size] for size in {own for own, _ in read}}
    first, second = by_size.values()
    assert first == second and len(first) == 13  # one untimed, twelve timed


def test_models_that_do_not_fit_together_are_timed_one_after_the_other(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text = Path.read_text

    def full(path: Path, *more: object, **rest: object) -> str:
        if path == Path("/proc/meminfo"):
            return "MemAvailable: 0 kB\n"
        return read_text(path, *more, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", full)
    models = [EvaluatedModel("base", tiny_base), EvaluatedModel("extended", tiny_base)]
    found = measure_speeds(models, TEXTS, SETTINGS, silent())
    assert found.interleaved is False and found.generation.base > 0


def test_models_that_fit_but_cannot_read_together_are_timed_one_after_the_other(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [EvaluatedModel("base", tiny_base), EvaluatedModel("extended", tiny_base)]
    plain = Qwen3Model.forward

    def full(*more: object, **rest: object) -> object:
        if rest["use_cache"] and sum("loaded" in vars(one) for one in models) > fits:
            raise torch.OutOfMemoryError("no memory")
        return plain(*more, **rest)

    monkeypatch.setattr(Qwen3Model, "forward", full)
    fits = 1
    found = measure_speeds(models, TEXTS, SETTINGS, silent())
    assert found.interleaved is False and set(found.prefill.dump()) == {"base", "extended", "gain"}
    fits = 0
    with pytest.raises(DeviceMemoryError, match=r"evaluation\.speed_characters"):
        measure_speeds(models, TEXTS, SETTINGS, silent())


def test_a_gpu_that_holds_one_of_two_models_lets_go_of_both(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: set[str] = set()
    pair = EvaluatedModel("base", tiny_base).loaded

    class Heavy:
        def __init__(self, name: str) -> None:
            self.name, self.closed = name, 0

        @property
        def loaded(self) -> object:
            if len(held | {self.name}) > fits:
                raise DeviceMemoryError("no memory")
            held.add(self.name)
            return pair

        def close(self) -> None:
            held.discard(self.name)
            self.closed += 1

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for fits, closed in ((1, 2), (2, 0)):  # both are let go, and each after its own turn
        both = [Heavy("base"), Heavy("extended")]
        found = measure_speeds(both, TEXTS, SETTINGS, silent())  # type: ignore[arg-type]
        assert found.interleaved is (fits == 2)
        assert [one.closed for one in both] == [closed, closed]


def test_a_model_that_does_not_fit_is_one_clear_line(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(evaluated_models, "load_trained", full)
    with pytest.raises(DeviceMemoryError, match=r"the base model.*take a larger one"):
        EvaluatedModel("base", tiny_base).loaded  # noqa: B018


def test_text_shorter_than_a_passage_is_timed_not_at_all(tiny_base: Path) -> None:
    models = [EvaluatedModel("base", tiny_base)] * 2
    assert measure_speeds(models, {"a": ["Deniz."]}, SETTINGS, silent()) == Speeds()


def test_the_text_goes_through_the_cache_as_generation_does(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []  # tokens in the cache, and tokens that are read behind them
    plain = Qwen3Model.forward

    def seen(*more: Any, **given: Any) -> Any:
        if given["use_cache"]:
            cache = given["past_key_values"]
            read.append((0 if cache is None else cache.get_seq_length(), given["input_ids"].shape[1]))
        return plain(*more, **given)

    monkeypatch.setattr(Qwen3Model, "forward", seen)
    measure_speeds(
        [EvaluatedModel("base", tiny_base), EvaluatedModel("extended", tiny_base)], TEXTS, SETTINGS, silent()
    )
    passages = 0
    while read:
        (cached, length), *rest = read
        assert cached == 0 and length > 1, "a passage is read at once"
        assert rest[:length] == [(place, 1) for place in range(length)], "and then token by token"
        read, passages = rest[length:], passages + 1
    assert passages == 2 * 13


def test_the_weights_are_what_lies_in_the_folder(tiny_base: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    assert EvaluatedModel("base", copy).size().weight_bytes == (copy / "model.safetensors").stat().st_size
