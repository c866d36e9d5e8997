"""Instructions are written by the tokenizer's own template, and only answers are learned."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import BaseTokenizer
from ekle.corpus.instructions import conversations
from ekle.errors import TrainingError
from ekle.model.layers.loss import IGNORED
from ekle.training.data.conversations import Conversations, Message, split_answers, template
from ekle.training.data.documents import Lines

TURNS: list[Message] = [
    {"role": "system", "content": "Kısa cevap ver."},
    {"role": "user", "content": "Türkiye'nin başkenti neresi?"},
    {"role": "assistant", "content": "Ankara."},
    {"role": "user", "content": "Ankara'da deniz var mı?"},
    {"role": "assistant", "content": "<think>\nİç Anadolu'da.\n</think>\n\nHayır, yok."},
]


def render(messages: list[Message]) -> str:
    return "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)


def thinking(messages: list[Message]) -> str:
    """As Qwen3's template does: no thoughts in earlier turns, empty ones in a last turn without."""
    last, text = len(messages) - 1, ""
    for place, turn in enumerate(messages):
        thought, closing, said = turn["content"].rpartition("</think>\n\n")
        thought = thought.removeprefix("<think>\n").removesuffix("\n") if closing else ""
        if turn["role"] == "assistant" and place == last:
            said = f"<think>\n{thought}\n</think>\n\n{said}"
        text += f"<|im_start|>{turn['role']}\n{said}<|im_end|>\n"
    return text


def learned(messages: list[Message], how: Any) -> list[str]:
    found = split_answers(messages, how, "<|im_end|>")
    assert "".join(text for text, _ in found) == how(messages)
    return [text for text, is_learned in found if is_learned]


def test_every_answer_is_learned_with_its_end_and_nothing_else() -> None:
    assert learned(TURNS, render) == ["Ankara.<|im_end|>", TURNS[-1]["content"] + "<|im_end|>"]


def test_a_template_that_rewrites_thoughts_is_followed() -> None:
    thoughts = "İç Anadolu'da.\n</think>\n\nHayır, yok.<|im_end|>"
    assert learned(TURNS, thinking) == ["Ankara.<|im_end|>", thoughts]
    assert learned(TURNS[:3], thinking) == ["Ankara.<|im_end|>"]  # the empty thought is given, not learned


def test_answers_that_look_alike_are_told_apart() -> None:
    turns = [*TURNS[1:3], *TURNS[1:3], *TURNS[1:3]]
    assert learned(turns, render) == ["Ankara.<|im_end|>"] * 3


def test_a_template_that_hides_an_answer_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"does not show where an answer is; set training"):
        split_answers(TURNS, lambda messages: render(messages[:2]), "<|im_end|>")


def reading(
    folder: Path, model: Path, turns: list[list[Message]], answers_only: bool = True
) -> Conversations:
    path = folder / "instructions.jsonl"
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns), "utf-8")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))

    def encode(texts: list[str]) -> list[list[int]]:
        return [tokenizer.encode(text).ids for text in texts]

    how = template(AutoTokenizer.from_pretrained(model))
    return Conversations(Lines(path, 0), encode, how, "<|im_end|>", answers_only)


def test_a_label_is_the_token_that_follows_or_does_not_count(
    tiny_extended: ExtendedModel, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_extended.model / "tokenizer.json"))
    whole = tokenizer.encode(render(TURNS)).ids
    found = reading(tmp_path, tiny_extended.model, [TURNS]).tokens(0)
    assert found.inputs == whole[:-1]
    assert all(label in (IGNORED, after) for label, after in zip(found.labels, whole[1:], strict=True))
    answers = tokenizer.decode(
        [label for label in found.labels if label != IGNORED], skip_special_tokens=False
    )
    assert answers == "".join(learned(TURNS, render))
    everything = reading(tmp_path, tiny_extended.model, [TURNS], answers_only=False).tokens(0)
    assert everything.labels == whole[1:]


def test_a_tokenizer_without_a_template_is_refused() -> None:
    class Bare:
        chat_template = None

    with pytest.raises(TrainingError, match=r"no chat template.*training\.instruction_share"):
        template(Bare())


def test_real_instructions_are_tokenized_as_one_text_would_be(base: BaseTokenizer, shared_data: Path) -> None:
    tokenizer = base.tokenizer()
    for path in sorted(shared_data.glob("instruct/*.jsonl")):
        for place, (turns, _) in enumerate(conversations([str(path)])):
            found = split_answers(turns, render, "<|im_end|>")
            pieces = [number for text, _ in found for number in tokenizer.encode(text).ids]
            assert pieces == tokenizer.encode(render(turns)).ids, turns
            assert [text for text, is_learned in found if is_learned] == [turns[-1]["content"] + "<|im_end|>"]
            if place == 100:
                break
