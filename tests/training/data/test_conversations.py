"""Conversations as tokens: a label is the token that follows, or does not count."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.chat_templates import default_template
from ekle.errors import TextError
from ekle.model.layers.loss import IGNORED
from ekle.text.conversation_rows import conversations
from ekle.text.conversations import Findings
from ekle.training.data.chat_template import ChatTemplate, TemplateMessage, chat_template
from ekle.training.data.conversations import Conversations
from ekle.training.data.documents import Lines

TURNS: list[TemplateMessage] = [
    {"role": "system", "content": "Kısa cevap ver."},
    {"role": "user", "content": "Türkiye'nin başkenti neresi?"},
    {"role": "assistant", "content": "Ankara."},
    {"role": "user", "content": "Ankara'da deniz var mı?"},
    {"role": "assistant", "content": "Hayır, yok."},
]


def render(messages: list[TemplateMessage], tools: object = None, prompt: bool = False) -> str:
    return "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)


def reading(
    folder: Path, model: Path, turns: list[list[TemplateMessage]], answers_only: bool = True
) -> Conversations:
    path = folder / "instructions.jsonl"
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns), "utf-8")
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))

    def encode(texts: list[str]) -> list[list[int]]:
        return [tokenizer.encode(text).ids for text in texts]

    template = chat_template(default_template(model), {"eos_token": "<|im_end|>"}, "tiny")
    return Conversations(Lines(path, 0), encode, template, answers_only)


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
    assert answers == "Ankara.<|im_end|>Hayır, yok.<|im_end|>"
    everything = reading(tmp_path, tiny_extended.model, [TURNS], answers_only=False).tokens(0)
    assert everything.labels == whole[1:]


def test_a_line_that_is_no_conversation_is_refused(tiny_extended: ExtendedModel, tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"instructions\.jsonl has a line that is no conversation"):
        reading(tmp_path, tiny_extended.model, [[{"role": "Ayşe"}]]).tokens(0)


def test_real_instructions_are_tokenized_as_one_text_would_be(base: BaseTokenizer, shared_data: Path) -> None:
    tokenizer, template = base.tokenizer(), ChatTemplate(render, "<|im_end|>")
    for path in sorted(shared_data.glob("instruct/*.jsonl")):
        for place, told in enumerate(conversations([str(path)], Findings())):
            found = template.pieces(told)
            pieces = [number for text, _ in found for number in tokenizer.encode(text).ids]
            assert pieces == tokenizer.encode(template.write(told)).ids, told.row
            answer = told.messages[-1].content + "<|im_end|>"
            assert [text for text, is_learned in found if is_learned] == [answer]
            if place == 100:
                break
