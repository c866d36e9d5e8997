"""The folder that `benchmarks.real.smollm` makes is the model that the GGUF file holds."""

import torch

from benchmarks.real.smollm import HEADS, KEY_VALUE_HEADS, renamed, table


def permuted(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """What llama.cpp's converter does to queries and keys of Llama's architecture."""
    shape = weight.shape
    return weight.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def test_rows_of_queries_and_keys_come_back_in_their_order() -> None:
    for part, heads in (("q", HEADS), ("k", KEY_VALUE_HEADS)):
        weight = torch.arange(heads * 8 * 3, dtype=torch.float32).reshape(heads * 8, 3)
        name, found = renamed(f"blk.7.attn_{part}.weight", permuted(weight, heads))
        assert name == f"model.layers.7.self_attn.{part}_proj.weight"
        assert torch.equal(found, weight) and not torch.equal(permuted(weight, heads), weight)


def test_other_tensors_only_get_their_names() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    for old, new in (
        ("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"),
        ("blk.12.ffn_norm.weight", "model.layers.12.post_attention_layernorm.weight"),
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ):
        name, found = renamed(old, weight)
        assert name == new and torch.equal(found, weight)


def test_the_table_has_a_line_per_model_and_two_cells_per_text() -> None:
    found = {
        "base": {"Turkish": (1_200, 2.5), "English": (300, 1.0)},
        "subword": {"Turkish": (800, 3.25), "English": (301, 1.125)},
    }
    assert table(found).splitlines() == [
        "| model | Turkish, tokens | Turkish, bits per byte | English, tokens | English, bits per byte |",
        "|---|---:|---:|---:|---:|",
        "| base | 1,200 | 2.500 | 300 | 1.000 |",
        "| subword | 800 | 3.250 | 301 | 1.125 |",
    ]
