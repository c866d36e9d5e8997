"""One training step with LoRA, PEFT's DoRA and ours: time and peak memory.

    python benchmarks/dora.py                  layers of Qwen3-8B's width on a GPU, of 0.6B's on a CPU
    python benchmarks/dora.py --shape tiny     narrower ones, in a minute

A step is `--accumulation` forward and backward passes with activation checkpointing, one step of
AdamW, and for ours the refresh of the norms. Every row runs in a process of its own, so that its peak
memory is its own: on a GPU what PyTorch allocated, otherwise what the process had in memory at most.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never, get_args

import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from ekle.model.dora import attach, refresh_norms
from ekle.model.loss import chunk_size, chunked_cross_entropy
from ekle.recipe.training import Dora

Kind = Literal["LoRA (PEFT)", "DoRA (PEFT)", "DoRA (ekle)"]

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "head_dim": 64},
    "0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "head_dim": 128},
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_attention_heads": 32, "head_dim": 128},
}


@dataclass(frozen=True)
class Figures:
    """Median and least seconds a step, bytes at the peak, and the loss of the last step.

    The ratios are of the least, which other work on the same machine disturbs least.
    """

    seconds: float
    least: float
    peak: int
    loss: float


def main() -> None:
    options = _options()
    if options.kind is not None:
        figures = measure(options.kind, options.ranks[0], options)
        print(json.dumps(figures.__dict__))
        return
    console = Console(width=140, highlight=False)
    device = (
        torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    )
    console.print(
        f"Qwen3 {options.shape}, {options.layers} layers, {options.batch} x {options.tokens} tokens x "
        f"{options.accumulation} a step, activation checkpointing, {options.dtype}, {device}"
    )
    console.print(
        "| rank | kind | s a step, least | median | PEFT's DoRA / this | this / LoRA | peak | loss |"
    )
    console.print("|---|---|---|---|---|---|---|---|")
    for rank in options.ranks:
        rows = {kind: _in_own_process(kind, rank) for kind in get_args(Kind)}
        lora, peft = rows["LoRA (PEFT)"].least, rows["DoRA (PEFT)"].least
        for kind, found in rows.items():
            console.print(
                f"| {rank} | {kind} | {found.least:.3f} | {found.seconds:.3f} | {peft / found.least:.2f} | "
                f"{found.least / lora:.2f} | {found.peak / 2**30:.2f} GiB | {found.loss:.6f} |"
            )


def measure(kind: Kind, rank: int, options: argparse.Namespace) -> Figures:
    """Run the steps of one kind in this process."""
    device = torch.device(options.device)
    model, refresh = build(kind, rank, options)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (options.batch, options.tokens), generator=generator)
    batch = ids.to(device)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3)
    seconds, loss = [], float("nan")
    for _ in range(options.steps + 1):
        _wait(device)
        started = time.perf_counter()
        for _ in range(options.accumulation):
            loss = _forward_and_backward(model, batch, options)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        refresh()
        _wait(device)
        seconds.append(time.perf_counter() - started)
    peak = (
        torch.cuda.max_memory_allocated()
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return Figures(statistics.median(seconds[1:]), min(seconds[1:]), peak, loss)


def build(kind: Kind, rank: int, options: argparse.Namespace) -> tuple[Any, Callable[[], None]]:
    """A model with its adapters, and what must be done after each step of the optimiser."""
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    shape = SHAPES[options.shape]
    torch.manual_seed(0)
    config = Qwen3Config(
        **shape,
        vocab_size=4096,
        num_hidden_layers=options.layers,
        num_key_value_heads=max(shape["num_attention_heads"] // 4, 1),
        tie_word_embeddings=True,
    )
    with torch.device(options.device):
        model = Qwen3ForCausalLM(config).to(dtype).requires_grad_(False)
    settings = Dora(rank=rank, alpha=float(rank))
    match kind:
        case "DoRA (ekle)":
            attach(model, settings, generator=torch.Generator().manual_seed(2))
        case "LoRA (PEFT)" | "DoRA (PEFT)":
            from peft import LoraConfig, get_peft_model

            peft = LoraConfig(
                r=rank,
                lora_alpha=settings.alpha,
                target_modules=list(settings.targets),
                use_rslora=True,
                use_dora=kind == "DoRA (PEFT)",
            )
            model = get_peft_model(model, peft).base_model.model
        case _:
            assert_never(kind)
    _start_alike(model)
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    return model, lambda: refresh_norms(model)


def _start_alike(model: nn.Module) -> None:
    """Give A the same values in every kind, so that the losses can be held against each other."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_a" in name or "lora_A" in name:
                start = torch.empty(parameter.shape).normal_(
                    std=parameter.shape[1] ** -0.5, generator=generator
                )
                parameter.copy_(start)


def _forward_and_backward(model: Any, ids: Tensor, options: argparse.Namespace) -> float:
    # PEFT keeps its adapters in float32 and counts on autocast, as transformers' Trainer switches it on.
    mixed = options.dtype == "bf16"
    with torch.autocast(ids.device.type, torch.bfloat16) if mixed else contextlib.nullcontext():
        embedded = model.model.embed_tokens(ids).requires_grad_()
        hidden = model.model(inputs_embeds=embedded, use_cache=False).last_hidden_state[:, :-1]
        states = hidden.reshape(-1, hidden.shape[-1])
        chunk = chunk_size(model.config.vocab_size, ids.device)
        loss = chunked_cross_entropy(states, model.lm_head, ids[:, 1:].reshape(-1), chunk)
    (loss / options.accumulation).backward()
    return loss.item()


def _in_own_process(kind: str, rank: int) -> Figures:
    command = [sys.executable, str(Path(__file__)), *sys.argv[1:], "--kind", kind, "--ranks", str(rank)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _options() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[16, 64, 256, 512])
    parser.add_argument("--shape", choices=list(SHAPES), default="8b" if cuda else "0.6b")
    parser.add_argument("--layers", type=int, default=4 if cuda else 2)
    parser.add_argument("--batch", type=int, default=8 if cuda else 1)
    parser.add_argument("--tokens", type=int, default=2048 if cuda else 256)
    parser.add_argument("--accumulation", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5 if cuda else 3)
    parser.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16" if cuda else "fp32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu")
    parser.add_argument("--kind", choices=list(get_args(Kind)), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
