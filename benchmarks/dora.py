"""Seconds and peak memory of a training step with LoRA, PEFT's DoRA and ours.

    python -m benchmarks.dora --out docs/dora.md    layers of Qwen3-8B's width on a GPU, of 0.6B's on a CPU
    python -m benchmarks.dora --shape tiny          narrower layers
    python -m benchmarks.dora --base DIR            layers with the widths of the model in a folder

Needs no data: the weights are random. Takes about half an hour on two CPU cores, `tiny` some minutes.

A step is `--accumulation` forward and backward passes with activation checkpointing, one step of AdamW, and
for ours the refresh of the norms. Every kind runs in its own process, which gives its peak memory: on a GPU
what PyTorch allocated, otherwise the largest resident set. The kinds take turns, round after round, so that
other work on the machine disturbs all of them alike.
"""

import argparse
import contextlib
import itertools
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, assert_never, get_args

import torch
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.device import wait_for
from benchmarks.markdown import paragraph, publish
from benchmarks.own_process import last_line
from ekle.model.device import device_name
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import attach, refresh_norms
from ekle.model.layers.loss import chunk_size, chunked_cross_entropy
from ekle.planning.shapes import read_shape
from ekle.recipe.training import DoraSettings, TrainingSettings
from ekle.training.kernels import use_kernels

Kind = Literal["LoRA (PEFT)", "DoRA (PEFT)", "DoRA (ekle)", "DoRA (ekle), compiled"]

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 256, "intermediate_size": 768, "num_attention_heads": 4, "head_dim": 64},
    "0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "head_dim": 128},
    "8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_attention_heads": 32, "head_dim": 128},
}


@dataclass(frozen=True)
class Figures:
    """Seconds of the first step and of each later one; peak bytes; the loss of the last step."""

    first: float
    seconds: list[float]
    peak: int
    loss: float

    def __add__(self, other: "Figures") -> "Figures":
        """Two rounds of one kind together."""
        first, peak = min(self.first, other.first), max(self.peak, other.peak)
        return Figures(first, self.seconds + other.seconds, peak, other.loss)


def main() -> None:
    options = _options()
    if options.kind is not None:
        print(json.dumps(asdict(measure(options.kind, options.ranks[0], options))))
        return
    found: dict[tuple[int, Kind], Figures] = {}
    for turn, rank in itertools.product(range(options.rounds), options.ranks):
        for kind in options.kinds:
            figures = _in_own_process(kind, rank)
            found[rank, kind] = found[rank, kind] + figures if turn else figures
            print(f"round {turn + 1}, rank {rank}, {kind}: {min(figures.seconds):.3f} s", file=sys.stderr)
    page = _page(found, options)
    publish(page, options.out)


def _page(found: dict[tuple[int, Kind], Figures], options: argparse.Namespace) -> str:
    """The page. Its ratios are of the least seconds, which other work on the machine disturbs least."""
    device = device_name(torch.device(options.device))
    lines = [
        "# A training step with LoRA, PEFT's DoRA and ours",
        "",
        paragraph(
            f"Written by `python -m benchmarks.dora` on {device}, PyTorch {torch.__version__}: Qwen3 with "
            f"the width of {options.base.name if options.base else options.shape}, {options.layers} layers, "
            f"{options.batch} x {options.tokens} tokens x {options.accumulation} per step, "
            f"activation checkpointing, {options.dtype}. Seconds are the least and the median "
            f"of {options.rounds * options.steps} steps in {options.rounds} rounds; "
            "the first step of a process includes compiling."
        ),
        "",
        "| rank | kind | least, s | median | first | PEFT's DoRA / this | this / LoRA | peak, GiB | loss |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (rank, kind), figures in found.items():
        least = min(figures.seconds)
        ratios = [
            f"{top / bottom:.2f}" if top and bottom else ""
            for top, bottom in (
                (_least(found, rank, "DoRA (PEFT)"), least),
                (least, _least(found, rank, "LoRA (PEFT)")),
            )
        ]
        lines.append(
            f"| {rank} | {kind} | {least:.3f} | {statistics.median(figures.seconds):.3f} | "
            f"{figures.first:.1f} | {' | '.join(ratios)} | {figures.peak / 2**30:.2f} | {figures.loss:.6f} |"
        )
    return "\n".join(lines) + "\n"


def _least(found: dict[tuple[int, Kind], Figures], rank: int, kind: Kind) -> float | None:
    return min(found[rank, kind].seconds) if (rank, kind) in found else None


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
        wait_for(device)
        started = time.perf_counter()
        for _ in range(options.accumulation):
            loss = _forward_and_backward(model, batch, options)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        refresh()
        wait_for(device)
        seconds.append(time.perf_counter() - started)
    peak = (
        torch.cuda.max_memory_allocated()
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return Figures(seconds[0], seconds[1:], peak, loss)


def build(kind: Kind, rank: int, options: argparse.Namespace) -> tuple[Any, Callable[[], None]]:
    """A model with its adapters, and a function to call after each step of the optimiser."""
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    torch.manual_seed(0)
    config = Qwen3Config(
        **_widths(options), vocab_size=4096, num_hidden_layers=options.layers, tie_word_embeddings=True
    )
    with torch.device(options.device):
        model = Qwen3ForCausalLM(config).to(dtype).requires_grad_(False)
    settings = DoraSettings(rank=rank, alpha=float(rank))
    match kind:
        case "DoRA (ekle)" | "DoRA (ekle), compiled":
            attach(model, settings, generator=torch.Generator().manual_seed(2))
            compiled = kind == "DoRA (ekle), compiled"
            use_kernels(model, TrainingSettings(compile=compiled), torch.device(options.device))
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
    _same_initialisation(model)
    model.train()
    enable_activation_checkpointing(model)
    return model, lambda: refresh_norms(model)


def _widths(options: argparse.Namespace) -> dict[str, int]:
    """What a configuration says of the layers."""
    if options.base is not None:
        found = read_shape(options.base / "config.json").config
        return {name: found[name] for name in (*SHAPES["tiny"], "num_key_value_heads")}
    shape = SHAPES[options.shape]
    return {**shape, "num_key_value_heads": max(shape["num_attention_heads"] // 4, 1)}


def _same_initialisation(model: nn.Module) -> None:
    """Give A the same values in every kind, so that their losses can be compared."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_a" in name or "lora_A" in name:
                start = torch.empty(parameter.shape).normal_(
                    std=parameter.shape[1] ** -0.5, generator=generator
                )
                parameter.copy_(start)


def _forward_and_backward(model: Any, ids: Tensor, options: argparse.Namespace) -> float:
    # PEFT keeps its adapters in float32 and relies on autocast, which transformers' Trainer switches on.
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
    mine = ["--kind", kind, "--ranks", str(rank)]  # of repeated options the last counts
    return Figures(**json.loads(last_line("benchmarks.dora", [*sys.argv[1:], *mine])))


def _options() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[16, 64, 256, 512])
    parser.add_argument("--shape", choices=list(SHAPES), default="8b" if cuda else "0.6b")
    parser.add_argument("--base", type=Path, help="a model folder; its config.json gives the widths")
    parser.add_argument("--layers", type=int, default=4 if cuda else 2)
    parser.add_argument("--batch", type=int, default=8 if cuda else 1)
    parser.add_argument("--tokens", type=int, default=2048 if cuda else 256)
    parser.add_argument("--accumulation", type=int, default=4)
    parser.add_argument("--steps", type=int, default=5 if cuda else 3)
    parser.add_argument("--dtype", choices=["bf16", "fp32"], default="bf16" if cuda else "fp32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", choices=list(get_args(Kind)), nargs="+", default=list(get_args(Kind)))
    parser.add_argument("--out", type=Path, help="a Markdown file; printed when absent")
    parser.add_argument("--kind", choices=list(get_args(Kind)), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
