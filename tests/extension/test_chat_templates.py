"""The chat template of the extended model is the base's, wherever the base keeps it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.errors import TokenizerError
from ekle.extension.model_files import copy_config_and_tokenizer
from ekle.files import read_json, write_json

ASK = "{{ messages[0].content }}?"
CALL = "{{ messages[0].content }}!"
NAMED = [{"name": "default", "template": ASK}, {"name": "tool_use", "template": CALL}]


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A base without a template."""
    folder = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    (folder / "chat_template.jinja").unlink()
    return folder


def put_inside(base: Path, template: Any) -> None:
    """As published Qwen3 models have it."""
    config = read_json(base / "tokenizer_config.json")
    write_json(base / "tokenizer_config.json", {**config, "chat_template": template})


def extended(base: Path, vocabulary: Vocabulary) -> Path:
    model = base.with_name("model")
    model.mkdir()
    copy_config_and_tokenizer(vocabulary.tokenizer, base, model, 430)
    return model


@pytest.mark.parametrize("template", [ASK, NAMED], ids=["a text", "a list"])
def test_templates_inside_the_tokenizer_s_settings_arrive(
    template: Any, base: Path, tiny_vocabulary: Vocabulary
) -> None:
    put_inside(base, template)
    model = extended(base, tiny_vocabulary)
    told = [AutoTokenizer.from_pretrained(folder).chat_template for folder in (base, model)]
    assert told[0] == told[1]
    assert told[1] == (ASK if template == ASK else {"default": ASK, "tool_use": CALL})
    assert load_base(str(base)).chat_template == ASK


def test_templates_in_files_come_before_those_and_arrive_to_the_byte(
    base: Path, tiny_vocabulary: Vocabulary
) -> None:
    put_inside(base, ASK)
    (base / "chat_template.jinja").write_bytes(CALL.encode() + b"\r\n")
    (base / "additional_chat_templates").mkdir()
    (base / "additional_chat_templates" / "tool_use.jinja").write_bytes(ASK.encode())
    model = extended(base, tiny_vocabulary)
    for name in ("chat_template.jinja", "additional_chat_templates/tool_use.jinja"):
        assert (model / name).read_bytes() == (base / name).read_bytes()


def test_a_base_without_a_template_gets_the_vocabulary_s(base: Path, tiny_vocabulary: Vocabulary) -> None:
    model = extended(base, tiny_vocabulary)
    name = "chat_template.jinja"
    assert (model / name).read_bytes() == (tiny_vocabulary.tokenizer / name).read_bytes()


@pytest.mark.parametrize("template", [7, [ASK], [{"name": "../../x", "template": ASK}]])
def test_what_is_no_template_is_refused(template: Any, base: Path, tiny_vocabulary: Vocabulary) -> None:
    put_inside(base, template)
    with pytest.raises(TokenizerError, match="neither a text nor a list"):
        extended(base, tiny_vocabulary)
    with pytest.raises(TokenizerError, match="neither a text nor a list"):
        load_base(str(base))
