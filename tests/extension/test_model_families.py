"""Every size of Qwen3, made small, and models of other families keep what they were, bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import BASE_ROWS, BPE_IDS, ENGLISH
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from ekle.artifacts import ExtendedModel, Vocabulary
from ekle.bpe.base import load_base
from ekle.errors import CheckpointError, TokenizerError
from ekle.extension.extend import extend_model
from ekle.files import read_json
from ekle.progress import silent
from ekle.recipe.extension import ExtensionSettings

# hidden, intermediate, heads, tied: those of the published models over 32; heads of 4 instead of 128
SIZES = {
    "0.6B": (32, 96, 16, True),
    "1.7B": (64, 192, 16, True),
    "4B": (80, 304, 32, True),
    "8B": (128, 384, 32, False),
    "14B": (160, 544, 40, False),
    "32B": (160, 800, 64, False),
}
COMMON: dict[str, Any] = {
    "vocab_size": BASE_ROWS,
    "num_hidden_layers": 2,
    "num_key_value_heads": 8,
    "max_position_embeddings": 512,
    "eos_token_id": BPE_IDS + 2,
    "pad_token_id": BPE_IDS,
}


def qwen3(size: str) -> Qwen3Config:
    hidden, intermediate, heads, tied = SIZES[size]
    return Qwen3Config(
        **COMMON,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_attention_heads=heads,
        head_dim=4,
        tie_word_embeddings=tied,
    )


OTHERS: dict[str, PreTrainedConfig] = {
    "Qwen 2.5, tied": Qwen2Config(
        **COMMON, hidden_size=64, intermediate_size=96, num_attention_heads=16, tie_word_embeddings=True
    ),
    "Qwen 2.5": Qwen2Config(
        **COMMON, hidden_size=64, intermediate_size=96, num_attention_heads=16, tie_word_embeddings=False
    ),
    "Llama 3": LlamaConfig(
        **COMMON, hidden_size=64, intermediate_size=96, num_attention_heads=16, tie_word_embeddings=False
    ),
    "Llama 3.2, tied": LlamaConfig(
        **COMMON, hidden_size=64, intermediate_size=96, num_attention_heads=16, tie_word_embeddings=True
    ),
}


def write(folder: Path, config: PreTrainedConfig, tiny_base: Path) -> Path:
    """A random model in bfloat16, in shards, with the tokenizer and the template of the tiny base."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.1)
    model.generation_config = GenerationConfig(eos_token_id=[BPE_IDS + 2, BPE_IDS], temperature=0.6)
    model.generation_config.do_sample = True
    model.save_pretrained(folder, max_shard_size="60KB")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tiny_base / name, folder / name)
    return folder


def check(base: Path, extended: ExtendedModel) -> None:
    """Logits over base ids, configuration, template and generation settings are those of the base."""
    old, new = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(extended.model)
    cuts = [(old(text)["input_ids"], new(text)["input_ids"]) for text in ENGLISH]
    for dtype in (torch.float32, torch.bfloat16):
        before = AutoModelForCausalLM.from_pretrained(base, dtype=dtype).eval()
        after = AutoModelForCausalLM.from_pretrained(extended.model, dtype=dtype).eval()
        for ids, fresh in cuts:
            given = torch.tensor([ids[:20] if ids != fresh else ids])
            with torch.no_grad():
                assert torch.equal(before(given).logits, after(given).logits[..., :BASE_ROWS])
    messages = [{"role": "user", "content": "Merhaba"}]
    told = [item.apply_chat_template(messages, tokenize=False) for item in (old, new)]
    assert told[0] == told[1]
    kept = [read_json(folder / "config.json") for folder in (base, extended.model)]
    rotary = kept[0].get("rope_parameters", {})  # transformers 4 reads rope_theta, and transformers 5 both
    older = {"rope_theta": rotary["rope_theta"]} if "rope_theta" in rotary else {}
    assert kept[1] == {**kept[0], "vocab_size": BASE_ROWS + 20, **older}
    for name in ("generation_config.json", "chat_template.jinja"):
        assert (extended.model / name).read_bytes() == (base / name).read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_qwen3_keeps_its_bytes_and_its_logits(
    size: str, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    base = write(tmp_path / "base", qwen3(size), tiny_base)
    assert len(list(base.glob("*.safetensors"))) > 1
    extended = extend_model(
        tiny_vocabulary.folder, base, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
    )
    before = {k: v for file in base.glob("*.safetensors") for k, v in load_file(file).items()}
    after = {k: v for file in extended.model.glob("*.safetensors") for k, v in load_file(file).items()}
    assert set(before) == set(after)
    assert ("lm_head.weight" in after) != SIZES[size][3]
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)].view(torch.int16), tensor.view(torch.int16))
    check(base, extended)


def test_a_tied_head_that_is_stored_twice_is_stored_once_afterwards(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    """As Qwen3-0.6B is published."""
    from safetensors.torch import save_file

    base = write(tmp_path / "base", qwen3("0.6B"), tiny_base)
    index = read_json(base / "model.safetensors.index.json")
    file = index["weight_map"]["model.embed_tokens.weight"]
    tensors = load_file(base / file)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, base / file, metadata={"format": "pt"})
    index["weight_map"]["lm_head.weight"] = file
    (base / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    extended = extend_model(
        tiny_vocabulary.folder, base, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
    )
    about = read_json(extended.folder / "extension.json")
    assert (about["tied"], about["dropped"]) == (True, ["lm_head.weight"])
    check(base, extended)


@pytest.mark.parametrize("family", OTHERS)
def test_other_models_with_the_same_parts_are_extended_alike(
    family: str, tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    base = write(tmp_path / "base", OTHERS[family], tiny_base)
    settings = ExtensionSettings(init="edges")
    extended = extend_model(tiny_vocabulary.folder, base, tmp_path / "out", settings, silent())
    check(base, extended)


def test_models_with_other_parts_are_refused(
    tiny_base: Path, tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    config = GPT2Config(vocab_size=BASE_ROWS, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    base = write(tmp_path / "base", config, tiny_base)
    with pytest.raises(CheckpointError, match=r"no model\.embed_tokens\.weight; ekle extends Qwen3-like"):
        extend_model(
            tiny_vocabulary.folder, base, tmp_path / "out", ExtensionSettings(init="hybrid"), silent()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_tokenizer_whose_ids_do_not_follow_from_merges_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """Llama 3's own looks words up before it merges."""
    spec = read_json(tiny_base / "tokenizer.json")
    spec["model"]["ignore_merges"] = True
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec), "utf-8")
    with pytest.raises(TokenizerError, match="ignore_merges"):
        load_base(str(tmp_path))
