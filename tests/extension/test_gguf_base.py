"""A base that transformers made from a GGUF file: plain weights are extended, packed ones are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file
from tiny import BASE_ROWS, BPE_IDS, HIDDEN, LAYERS, NEW_TOKENS, TURKISH, write_base, write_vocabulary
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from ekle.errors import CheckpointError
from ekle.extension.extend import extend_model
from ekle.files import read_json, write_json
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
SETTINGS = ExtensionSettings(init="hybrid", gradient_tokens=0)


def write_gguf(base: Path, file: Path) -> None:
    """The folder `base` as llama.cpp's converter writes it: rows without a token are [PAD403] and so on."""
    config, spec = read_json(base / "config.json"), read_json(base / "tokenizer.json")
    names = {number: token for token, number in spec["model"]["vocab"].items()}
    special = {token["id"]: token["content"] for token in spec["added_tokens"]}
    kinds = gguf.TokenType
    writer = gguf.GGUFWriter(str(file), "qwen3")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(
        [special.get(number) or names.get(number) or f"[PAD{number}]" for number in range(BASE_ROWS)]
    )
    writer.add_token_types(
        [
            kinds.CONTROL if number in special else kinds.NORMAL if number in names else kinds.UNUSED
            for number in range(BASE_ROWS)
        ]
    )
    writer.add_token_merges([" ".join(merge) for merge in spec["model"]["merges"]])
    writer.add_eos_token_id(BPE_IDS + 2)
    writer.add_pad_token_id(BPE_IDS)
    writer.add_chat_template((base / "chat_template.jinja").read_text("utf-8"))
    place = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, LAYERS)
    for name, tensor in load_file(base / "model.safetensors").items():
        writer.add_tensor(place.get_name(name, try_suffixes=(".weight",)), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What transformers saves of a GGUF file; its own reader takes every head to be 128 wide."""
    folder = tmp_path_factory.mktemp("gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "HEAD_DIM", 128)
        base = write_base(folder / "base")
    (folder / "file").mkdir()
    write_gguf(base, folder / "file" / "tiny.gguf")
    given: dict[str, Any] = {"gguf_file": "tiny.gguf"}
    plain = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder / "file", dtype=torch.float32, quantization_config=plain, **given
    )
    model.save_pretrained(folder / "unpacked")
    AutoTokenizer.from_pretrained(folder / "file", **given).save_pretrained(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.parametrize("learned_on", ["original", "unpacked"])
def test_a_base_of_a_gguf_file_is_extended_like_the_original(
    learned_on: str, unpacked: Path, tmp_path: Path
) -> None:
    original = unpacked.parent / "base"
    vocabulary = write_vocabulary(tmp_path / "vocab", original if learned_on == "original" else unpacked)
    made = extend_model(vocabulary.folder, unpacked, tmp_path / "out", SETTINGS, silent()).model
    rows, before = (load_file(each / "model.safetensors") for each in (made, original))
    name = "model.embed_tokens.weight"
    assert torch.equal(rows[name][:BASE_ROWS], before[name])
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert len(tokenizer) == len(rows[name]) == BASE_ROWS + NEW_TOKENS
    assert any(number >= BASE_ROWS for number in tokenizer(TURKISH[0])["input_ids"])


def test_packed_weights_are_refused_with_the_way_to_plain_ones(unpacked: Path, tmp_path: Path) -> None:
    vocabulary = write_vocabulary(tmp_path / "vocab", unpacked)
    folder = tmp_path / "packed"
    folder.mkdir()
    for path in unpacked.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    write_json(folder / "config.json", {**config, "quantization_config": {"quant_method": "gguf"}})
    with pytest.raises(CheckpointError, match=r"GGUF file .*GgufConfig\(dequantize=True\)"):
        extend_model(vocabulary.folder, folder, tmp_path / "out", SETTINGS, silent())
    assert not (tmp_path / "out").exists()
