"""What comes with a base goes with it if it still holds, and the files of the result agree."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import BASE_ROWS, BPE_IDS, NEW_TOKENS, SPECIALS
from transformers import AutoModelForCausalLM, AutoTokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.placeholders import placeholder
from ekle.bpe.special_tokens import differing_ids
from ekle.cli import main
from ekle.extension.extend import extend_model
from ekle.extension.model_files import copy_config_and_tokenizer
from ekle.files import read_json, write_json
from ekle.model.checkpoint.loading import load_model, load_tokenizer
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

END, START, TURN = (BPE_IDS + offset for offset in range(3))  # <|endoftext|>, <|im_start|>, <|im_end|>
ROWS = BASE_ROWS + NEW_TOKENS
QUICK = ExtensionSettings(init="subword", gradient_tokens=0)


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A base that a test may change."""
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


@pytest.fixture
def files(base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path) -> Callable[[], Path]:
    """Writes the files of an extended model, without its weights."""

    def write() -> Path:
        model = tmp_path / "model"
        model.mkdir()
        copy_config_and_tokenizer(tiny_vocabulary.tokenizer, base, model, ROWS)
        return model

    return write


def change(file: Path, **values: Any) -> None:
    content = read_json(file) | values
    write_json(file, {key: value for key, value in content.items() if value != "gone"})


def ends(model: Path) -> tuple[int, Any, Any]:
    """The id of the end of a text in the three files."""
    files = [read_json(model / name) for name in ("config.json", "generation_config.json")]
    return AutoTokenizer.from_pretrained(model).eos_token_id, *(file["eos_token_id"] for file in files)


def test_the_special_tokens_of_a_base_stay_where_the_vocabulary_s_tokenizer_has_others(
    base: Path, files: Callable[[], Path]
) -> None:
    """As a Qwen3 base model and a vocabulary that was learned from `qwen3`."""
    change(
        base / "tokenizer_config.json",
        eos_token="<|endoftext|>",
        pad_token="<|im_start|>",
        model_max_length=99,
    )
    change(base / "config.json", eos_token_id=END, pad_token_id=START)
    change(base / "generation_config.json", eos_token_id=END, pad_token_id=START)
    model = files()
    assert ends(model) == (END, END, END)
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert (tokenizer.pad_token_id, tokenizer.model_max_length) == (START, 99)


@pytest.mark.parametrize(
    "form", [{"content": "<|endoftext|>"}, {"__type": "AddedToken", "content": "<|endoftext|>"}]
)
def test_a_special_token_with_its_properties_is_read(
    form: dict[str, Any], base: Path, files: Callable[[], Path]
) -> None:
    change(base / "tokenizer_config.json", eos_token={**form, "lstrip": False, "special": True})
    change(base / "config.json", eos_token_id=END)
    change(base / "generation_config.json", eos_token_id=END)
    assert ends(files()) == (END, END, END)


def test_special_tokens_in_a_file_of_their_own_are_read(base: Path, files: Callable[[], Path]) -> None:
    change(base / "tokenizer_config.json", eos_token="gone")
    write_json(base / "special_tokens_map.json", {"eos_token": "<|endoftext|>"})
    change(base / "config.json", eos_token_id=END)
    change(base / "generation_config.json", eos_token_id=END)
    assert ends(files()) == (END, END, END)


@pytest.mark.parametrize("said", [END, [END], [END, START]])
def test_a_base_without_a_tokenizer_ends_as_its_config_says(
    said: Any, base: Path, files: Callable[[], Path]
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (base / name).unlink()
    change(base / "config.json", eos_token_id=said)
    change(base / "generation_config.json", eos_token_id=said)
    assert ends(files()) == (END, said, said)


def test_the_word_none_is_no_special_token() -> None:
    """It is a token of Qwen's like any other, and what a missing name reads like in Python."""
    ids = {"None": 5, "<|im_end|>": TURN}
    settings: dict[str, Any] = {"bos_token": None, "eos_token": "<|im_end|>"}
    assert (
        differing_ids(settings, ids, {"bos_token_id": END, "eos_token_id": TURN, "pad_token_id": END}) == {}
    )


def test_files_of_a_base_that_differ_are_made_to_agree_and_that_is_said(
    base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(base / "config.json", eos_token_id=END, pad_token_id=START)
    change(base / "generation_config.json", eos_token_id=[END], pad_token_id=END)
    words = ["--vocab", str(tiny_vocabulary.folder), "--base", str(base), "--out", str(tmp_path / "out")]
    assert main(["extend", *words, "--init", "subword"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    model = tmp_path / "out" / "model"
    assert ends(model) == (TURN, [TURN, END], [TURN, END])
    assert read_json(model / "config.json")["pad_token_id"] == END
    assert f"eos_token_id is [{TURN}, {END}]" in said and "pad_token_id is" in said
    assert AutoModelForCausalLM.from_pretrained(model).generation_config.eos_token_id == [TURN, END]


def test_a_named_token_that_is_not_there_is_left_out(base: Path, files: Callable[[], Path]) -> None:
    """transformers would add it, with an id that has no row."""
    change(
        base / "tokenizer_config.json",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>", "<extra_0>"],
        added_tokens_decoder={
            "400": {"content": SPECIALS[0], "special": True},
            "900": {"content": "<extra_1>"},
        },
    )
    model = files()
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert len(tokenizer) == ROWS
    assert tokenizer.unk_token is None
    assert max(tokenizer.get_vocab().values()) == ROWS - 1


@pytest.mark.parametrize(
    "form",
    [
        ["<|im_start|>", "<|im_end|>"],
        [{"content": "<|im_start|>", "special": True}, "<|im_end|>"],
    ],
    ids=["texts", "with properties"],
)
def test_a_list_of_special_tokens_is_written_as_transformers_4_and_5_read_it(
    form: list[Any], base: Path, files: Callable[[], Path]
) -> None:
    """transformers 5 calls it `extra_special_tokens`, of which 4.57 expects an object."""
    change(
        base / "tokenizer_config.json",
        extra_special_tokens=form,
        tokenizer_class="TokenizersBackend",
        backend="tokenizers",
        is_local=True,
    )
    settings = read_json(files() / "tokenizer_config.json")
    assert settings["additional_special_tokens"] == ["<|im_start|>", "<|im_end|>"]
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert {"extra_special_tokens", "backend", "is_local"}.isdisjoint(settings)


def test_special_tokens_with_names_of_their_own_stay_an_object(base: Path, files: Callable[[], Path]) -> None:
    change(base / "tokenizer_config.json", extra_special_tokens={"image_token": "<|im_start|>"})
    assert read_json(files() / "tokenizer_config.json")["extra_special_tokens"] == {
        "image_token": "<|im_start|>"
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"rope_theta": 1e6, "rope_type": "default"}, {"rope_theta": 1e6}),
        (
            {"rope_theta": 1e6, "rope_type": "yarn", "factor": 4.0},
            {"rope_theta": 1e6, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
        ),
        ({"full_attention": {"rope_theta": 1e6}}, {}),
    ],
    ids=["plain", "scaled", "by layer"],
)
def test_config_says_the_rotary_settings_in_the_words_of_transformers_4_as_well(
    said: dict[str, Any], told: dict[str, Any], base: Path, files: Callable[[], Path]
) -> None:
    change(base / "config.json", rope_parameters=said, rope_theta="gone")
    config = read_json(files() / "config.json")
    assert config["rope_parameters"] == said
    assert {key: config[key] for key in ("rope_theta", "rope_scaling") if key in config} == told


def test_a_config_that_says_it_already_stays_to_the_byte(base: Path, files: Callable[[], Path]) -> None:
    config = read_json(base / "config.json")
    text = json.dumps({**config, "rope_theta": 1e6}, indent=1, sort_keys=True)
    (base / "config.json").write_text(text, "utf-8")
    assert (files() / "config.json").read_text("utf-8") == text.replace(
        f'"vocab_size": {BASE_ROWS}', f'"vocab_size": {ROWS}'
    )


STRAYS = ["README.md", "adapter_config.json", "optimizer.pt", "pytorch_model.bin", "trainer_state.json"]


def stray_files(folder: Path) -> None:
    for name in STRAYS:
        (folder / name).write_text(
            '{"base_model_name_or_path": "nowhere/else", "peft_type": "LORA"}', "utf-8"
        )
    (folder / "checkpoint-9").mkdir()
    (folder / ".cache").mkdir()
    (folder / "LICENSE").write_text("free", "utf-8")


@pytest.mark.parametrize("rule", ["subword", "distilled"])
def test_strays_stay_behind_and_are_named(
    rule: str, base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By an adapter's settings, transformers would look for the model elsewhere, also for a rule."""
    stray_files(base)
    out = tmp_path / "out"
    words = ["--vocab", str(tiny_vocabulary.folder), "--base", str(base), "--out", str(out), "--init", rule]
    quick = (
        ["--corpus", "bundled:tr", "--set", "extension.distillation.tokens=300"]
        if rule == "distilled"
        else []
    )
    assert main(["extend", *words, *quick]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said for name in [*STRAYS, "checkpoint-9/"])
    assert "an adapter (adapter_config.json) that is not merged" in said
    assert sorted(read_json(out / "extension.json")["left_behind"]) == sorted([*STRAYS, "checkpoint-9/"])
    assert sorted(path.name for path in (out / "model").iterdir()) == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    AutoModelForCausalLM.from_pretrained(out / "model")


def test_a_model_beside_an_adapter_is_loaded_without_it(base: Path, tiny_base: Path) -> None:
    stray_files(base)
    found, wanted = load_model(base, torch.float32), load_model(tiny_base, torch.float32)
    assert all(
        torch.equal(found.state_dict()[name], wanted.state_dict()[name]) for name in wanted.state_dict()
    )


def test_an_adapter_alone_is_refused_with_what_to_do(
    base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stray_files(base)
    (base / "config.json").unlink()
    words = ["--vocab", str(tiny_vocabulary.folder), "--base", str(base), "--out", str(tmp_path / "out")]
    assert main(["extend", *words, "--init", "subword"]) == 2
    assert "merge_and_unload" in capsys.readouterr().err


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("multiple", "rows"), [(1, 430), (8, 432), (64, 448), (430, 430), (1000, 1000)])
def test_rows_are_padded_to_a_multiple_with_tokens_that_no_text_becomes(
    multiple: int, rows: int, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"pad_to": multiple})
    extended = extend_model(tiny_vocabulary.folder, tiny_base, tmp_path / "out", settings, silent())
    tokenizer = AutoTokenizer.from_pretrained(extended.model)
    model = AutoModelForCausalLM.from_pretrained(extended.model)
    assert len(tokenizer) == max(tokenizer.get_vocab().values()) + 1 == model.config.vocab_size == rows
    for number in range(ROWS, rows):
        assert tokenizer.convert_ids_to_tokens(number) == placeholder(number)
        assert number not in tokenizer(placeholder(number))["input_ids"]
    about = read_json(extended.folder / "extension.json")
    assert (about["size"], about["rows"], about["padding"]) == (NEW_TOKENS, rows, rows - ROWS)
    before = load_file(tiny_base / "model.safetensors")
    for name, tensor in load_file(extended.model / "model.safetensors").items():
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            hole = before[name][BPE_IDS + len(SPECIALS) :].mean(dim=0)
            assert len(tensor) == rows
            torch.testing.assert_close(tensor[ROWS:], hole.expand(rows - ROWS, -1))


def test_an_odd_number_of_rows_is_said_once_and_the_cure_works(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(tiny_base), "--init", "subword"]
    assert main([*words, "--out", str(tmp_path / "odd")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("430 embedding rows, no multiple of 8") == 1
    assert "--set extension.pad_to=8 makes it 432" in said
    assert main([*words, "--out", str(tmp_path / "even"), "--set", "extension.pad_to=8"]) == 0
    assert "no multiple" not in capsys.readouterr().out
    assert read_json(tmp_path / "even" / "model" / "config.json")["vocab_size"] == 432


@pytest.mark.parametrize("value", ["0", "-8", "1.5", "x"])
def test_a_multiple_that_is_none_is_refused(
    value: str,
    tiny_base: Path,
    tiny_vocabulary: Vocabulary,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["extend", "--vocab", str(tiny_vocabulary.folder), "--base", str(tiny_base), "--init", "subword"]
    assert main([*words, "--out", str(tmp_path / "out"), "--set", f"extension.pad_to={value}"]) == 2
    assert "extension.pad_to" in capsys.readouterr().err


def test_twenty_thousand_tokens_are_rows_that_need_no_padding() -> None:
    assert QUICK.padded(151_936 + 20_000) == 171_936
    assert 171_936 % 8 == 0
    assert QUICK.model_copy(update={"pad_to": 64}).padded(151_936 + 19_999) == 171_968


def test_truncation_and_padding_are_off_in_the_tokenizer_of_transformers(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    tokenizer.backend_tokenizer.save(str(base / "tokenizer.json"))
    inner = load_tokenizer(base).backend_tokenizer
    assert inner.truncation is None and inner.padding is None
