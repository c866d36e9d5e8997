"""Seconds and peak memory of `ekle extend`, by rule for new rows, on a checkpoint of a real model's shape.

    python -m benchmarks.extension --folder DIR                       Qwen3-8B: 33 GB of disk, then removed
    python -m benchmarks.extension --folder DIR --layers 1            its embeddings with one layer: 6 GB
    python -m benchmarks.extension --folder DIR --shape 0.6b --init subword hybrid

Needs that room on the disk, and --corpus for `focus`. With Qwen3-8B a rule takes 5 to 10 minutes on two
cores, and less memory than 3 GB. docs/rows.md has the table.

The weights are noise, sharded as published. Each of the 20,000 tokens is two neighbouring base tokens. Each
row of the table is measured in its own process, which gives its peak memory.
"""

import argparse
import itertools
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, Qwen3Config

from benchmarks.own_process import last_line
from ekle.artifacts import NewToken
from ekle.bpe.base import load_base, save_tokenizer
from ekle.bpe.byte_alphabet import decode_token
from ekle.bpe.graft import Merge, graft
from ekle.files import write_json
from ekle.model.checkpoint.safetensors_file import StreamedTensor
from ekle.model.checkpoint.weights import write_weights
from ekle.recipe.extension import Heuristic

SHAPES: dict[str, dict[str, int | bool]] = {
    "0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "tied": True},
    "4b": {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "tied": True},
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "tied": False},
}
ROWS, TOKENS = 151_936, 20_000
_SHARD_BYTES = 4_000_000_000  # as Qwen3-8B is published
_PART_ROWS = 8_192


def main() -> None:
    options = _options()
    if options.child:
        _extend(options.child)
        return
    console = Console(width=120, highlight=False)
    options.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.folder) as temporary:
        work = Path(temporary)
        console.print("making the checkpoint and the vocabulary")
        size = write_checkpoint(work / "base", options.shape, options.layers)
        write_vocabulary(work / "vocabulary")
        console.print(f"Qwen3-{options.shape}, {size / 1e9:.1f} GB in bfloat16, {TOKENS:,} new tokens\n")
        console.print("| init | seconds | peak memory, GB |\n|---|---:|---:|")
        for method in options.init:
            seconds, peak = measure(work, method, options.corpus)
            console.print(f"| {method} | {seconds:,.0f} | {peak / 1e9:.2f} |")


def measure(work: Path, method: str, corpus: str | None) -> tuple[float, int]:
    """Seconds and peak bytes of memory of one `ekle extend`; the result is removed."""
    words = ["extend", "--vocab", str(work / "vocabulary"), "--base", str(work / "base")]
    words += ["--out", str(work / "out"), "--init", method]
    words += ["--corpus", corpus] if corpus and method == "focus" else []
    started = time.perf_counter()
    peak = last_line("benchmarks.extension", ["--folder", "-", "--child", json.dumps(words)])
    seconds = time.perf_counter() - started
    shutil.rmtree(work / "out")
    return seconds, int(peak)


def _extend(words: str) -> None:
    """In the child: the command itself, then its peak memory."""
    from ekle.cli import main as ekle

    code = ekle(json.loads(words))
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    sys.exit(code)


def write_checkpoint(folder: Path, shape: str, layers: int | None) -> int:
    """A Qwen3 folder without a tokenizer, its weights noise; returns their bytes."""
    folder.mkdir()
    about = dict(SHAPES[shape])
    tied = bool(about.pop("tied"))
    about["num_hidden_layers"] = layers or about["num_hidden_layers"]
    config = Qwen3Config(
        **about,
        vocab_size=ROWS,
        num_attention_heads=16 if tied else 32,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=tied,
        dtype="bfloat16",
    )
    config.architectures = ["Qwen3ForCausalLM"]
    config.save_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    tensors = ((name, StreamedTensor(size, torch.bfloat16, _noise(size))) for name, size in shapes.items())
    write_weights(folder, tensors, _SHARD_BYTES)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _noise(shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    """Noise of standard deviation 0.02 in parts: sampled once, and rolled by one column per part."""
    if len(shape) == 1:
        yield torch.ones(shape, dtype=torch.bfloat16)
        return
    count = min(shape[0], _PART_ROWS)
    block = torch.randn(count, shape[1], generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    for start in range(0, shape[0], count):
        yield block.roll(start // count + 1, dims=1)[: min(count, shape[0] - start)].contiguous()


def write_vocabulary(folder: Path) -> None:
    """A vocabulary over Qwen's tokenizer: 20,000 tokens, each made of two base tokens."""
    base = load_base("qwen3")
    base_tokens = [(number, decode_token(token)) for token, number in base.vocab.items() if number > 256]
    known = {raw for _, raw in base_tokens}
    merges: list[Merge] = []
    tokens: list[NewToken] = []
    for (left_id, left), (right_id, right) in itertools.pairwise(base_tokens):
        if left + right in known or not (left + right).isascii():
            continue
        known.add(left + right)
        text = (left + right).decode("ascii")
        merges.append(Merge(left, right))
        number = base.rows + len(tokens)
        tokens.append(NewToken(number, text, "pattern", [], 100, 100, [left_id, right_id], "none", 0))
        if len(tokens) == TOKENS:
            break
    save_tokenizer(folder / "tokenizer", *graft(base, merges), base.chat_template)
    (folder / "tokens.jsonl").write_text("".join(token.line() + "\n" for token in tokens), "utf-8")
    about = {"name": base.name, "fingerprint": base.fingerprint}
    write_json(folder / "report.json", {"size": TOKENS, "first_new_id": base.rows, "base": about})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="scratch folder on a disk with room")
    parser.add_argument("--shape", choices=list(SHAPES), default="8b")
    parser.add_argument("--layers", type=int, help="fewer layers than the shape has")
    parser.add_argument("--init", nargs="+", choices=get_args(Heuristic), default=["subword"])
    parser.add_argument("--corpus", help="text for focus")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
