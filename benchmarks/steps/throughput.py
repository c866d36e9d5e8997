"""Tokens per second, share of peak and peak memory of a recipe, against PEFT's DoRA in transformers' Trainer.

    python -m benchmarks.steps.throughput                 Qwen3-8B, random weights, 171,936 rows, in 40 GB
    python -m benchmarks.steps.throughput --shape tiny    a small model on a CPU
    python -m benchmarks.steps.throughput --base DIR --recipes qwen3-0.6b-turkish    the model in a folder

Needs no data; Qwen3-8B needs a GPU of 40 GB. `tiny` takes seconds. A step on a CPU is made smaller with
`--set training.batch_size=1 training.gradient_accumulation=1 training.sequence_length=256`.

A row of ekle runs ekle's training step (`training_engine.py`) with the micro-batch that `ekle plan` chooses.
The curvature estimate is timed by itself and counted as often as the recipe makes it. PEFT's row has the
first recipe's adapters over the same model, the new rows by `trainable_token_indices`, AdamW, bf16 by
autocast and activation checkpointing. Its micro-batch is halved until it fits. If none fits, the row runs
again without the limit, and says so. On a GPU every row has its own process, and PyTorch's allocator enforces
the limit.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.device import default_device, wait_for
from benchmarks.own_process import last_line
from benchmarks.steps.tensor_bytes import TensorBytes
from benchmarks.steps.training_engine import make_engine, make_model, planned_bytes
from ekle.errors import TrainingError
from ekle.model.device import device_name, frozen_precision, has_bf16_matmuls
from ekle.planning.case import Case
from ekle.planning.compute import training_flops_per_token
from ekle.planning.gpus import Gpu, find_gpu, gpu_of_size
from ekle.planning.plan import make_plan
from ekle.planning.shapes import ModelShape, read_shape, shape_of
from ekle.recipe.recipe import load_recipe, shipped_recipes
from ekle.training.optimizers.sophia import Sophia

GUIDE = "qwen3-8b-turkish"
PEFT = "PEFT DoRA + Trainer"
_TINY = ModelShape(2, 64, 4, 2, 16, 192, 400, tied=False)
_TINY_SETTINGS = {
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 64,
    "precision": "fp32",
    "attention": "sdpa",
}


@dataclass(frozen=True)
class Figures:
    """The figures of a row; if memory ran out, `fits` is false and the others are 0."""

    fits: bool = False
    micro_batch_size: int = 0
    tokens_per_second: float = 0.0
    share: float = 0.0
    """Operations per second, with those of repeated forward passes, over the maker's figure."""
    allocated: int = 0
    """Bytes of tensors at the peak."""
    reserved: int = 0
    """Bytes that PyTorch took from the GPU for them."""
    planned: int = 0


def main() -> None:
    options = _options()
    if options.kind:
        figures = measure(options.kind, options)
        print(json.dumps(asdict(figures)))
        return
    console = Console(width=160, highlight=False)
    here = device_name(torch.device(options.device))
    what = f"Qwen3 {options.shape}, random weights" if options.base is None else options.base.name
    console.print(f"{what}, on {here}, torch {torch.__version__}")
    columns = "what | micro-batch | tokens/s | share of peak | tensors, GB | reserved, GB | plan, GB | limit"
    console.print(f"| {columns} |")
    console.print("|---|---:|---:|---:|---:|---:|---:|---|")
    for kind in (*options.recipes, PEFT):
        for limit in (options.limit, "none"):
            found = _largest(kind, limit, options)
            console.print(_line(kind, limit, found))
            if found.fits:
                break


def measure(kind: str, options: argparse.Namespace) -> Figures:
    """Run one row in this process."""
    gpu = _gpu(options)
    try:
        return _peft(options, gpu) if kind == PEFT else _ekle(kind, options, gpu)
    except (torch.OutOfMemoryError, TrainingError):  # the latter if a single sequence does not fit
        return Figures()


def _ekle(name: str, options: argparse.Namespace, gpu: Gpu) -> Figures:
    case = _case(name, options, gpu)
    device = torch.device(options.device)
    dtype = _dtype(case, device)
    engine = make_engine(
        case.shape, case.new_rows, case.training, case.micro_batch, dtype, device, options.base
    )
    every: int = case.training.sophia.hessian_every if isinstance(engine.optimizer, Sophia) else 0

    def steps() -> float:
        engine.step()  # warm-up, with the curvature estimate
        plain: float = _timed(engine.step, device, options.steps) / options.steps
        if not every:
            return plain
        engine.steps = every
        return plain + max(_timed(engine.step, device) - plain, 0.0) / every

    seconds, allocated, reserved = _peaks(steps, engine.tensors, device)
    case = replace(case, micro_batch=engine.passes.micro_batch_size)
    # For a CPU the plan has formulas in float32 alone.
    planned = planned_bytes(case) if case.uses_bf16 == (dtype == torch.bfloat16) else 0
    return _figures(case, gpu, seconds, allocated, reserved, planned)


def _peft(options: argparse.Namespace, gpu: Gpu) -> Figures:
    """The first recipe with PEFT and transformers."""
    from peft import LoraConfig, get_peft_model

    case = _case(options.recipes[0], options, gpu)
    case = replace(case, micro_batch=min(options.micro_batch_size, case.training.batch_size))
    settings, shape, device = case.training, case.shape, torch.device(options.device)
    dtype = _dtype(case, device)
    model = make_model(shape, case.new_rows, dtype, device, options.base)
    new = list(range(shape.rows, case.total_rows))
    model = get_peft_model(
        model,
        LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.dora.rank,
            lora_alpha=settings.dora.alpha,
            target_modules=list(settings.dora.targets),
            use_dora=True,
            use_rslora=settings.dora.rslora,
            trainable_token_indices=new if shape.tied else {"embed_tokens": new, "lm_head": new},
        ),
    )
    model.enable_input_require_grads()
    clock = _Clock(device)
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=1 + options.steps,
            per_device_train_batch_size=case.micro_batch,
            gradient_accumulation_steps=case.micro_batches,
            bf16=dtype == torch.bfloat16,
            gradient_checkpointing=settings.activation_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            optim="adamw_torch",
            learning_rate=settings.learning_rate,
            use_cpu=device.type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        examples = [
            _example(case) for _ in range(case.micro_batch * case.micro_batches * (1 + options.steps))
        ]
        trainer = Trainer(model=model, args=arguments, train_dataset=examples, callbacks=[clock])
        present = [*model.parameters(), *model.buffers()]
        _, allocated, reserved = _peaks(lambda: trainer.train() and 0.0, present, device)
    return _figures(case, gpu, clock.seconds() / options.steps, allocated, reserved, 0)


class _Clock(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Notes when each step of the optimiser ends."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._done = device, list[float]()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        wait_for(self._device)
        self._done.append(time.perf_counter())

    def seconds(self) -> float:
        """From the end of the first step, which warms up, to that of the last."""
        return self._done[-1] - self._done[0]


def _figures(case: Case, gpu: Gpu, seconds: float, allocated: int, reserved: int, planned: int) -> Figures:
    speed = case.tokens_per_step / seconds
    share = speed * training_flops_per_token(case) / (gpu.flops if case.uses_bf16 else gpu.fp32_flops)
    share = share if case.device == "cuda" else 0.0  # no maker's figure is known for a CPU
    return Figures(True, case.micro_batch, speed, share, allocated, reserved, planned)


def _peaks(
    work: Callable[[], float], present: list[torch.Tensor], device: torch.device
) -> tuple[float, int, int]:
    """What `work` returns, and the most memory while it ran: allocated, and reserved on a GPU."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        found = work()
        return found, torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    with TensorBytes(present) as count:
        found = work()
    return found, count.peak, 0


def _largest(kind: str, limit: str, options: argparse.Namespace) -> Figures:
    """The row with the largest micro-batch that fits; for ekle the plan chooses it."""
    micro_batch_size = 2 if options.shape == "tiny" else 8
    while True:
        given = argparse.Namespace(
            **{**vars(options), "kind": kind, "limit": limit, "micro_batch_size": micro_batch_size}
        )
        found = _in_own_process(given) if options.device == "cuda" else measure(kind, given)
        if found.fits or kind != PEFT or micro_batch_size == 1:
            return found
        micro_batch_size //= 2


def _in_own_process(options: argparse.Namespace) -> Figures:
    arguments = ["--kind", options.kind, "--limit", options.limit, "--shape", options.shape]
    arguments += ["--steps", str(options.steps), "--micro-batch-size", str(options.micro_batch_size)]
    arguments += ["--device", options.device, "--recipes", *options.recipes, "--set", *options.set]
    arguments += [] if options.base is None else ["--base", str(options.base)]
    return Figures(**json.loads(last_line("benchmarks.steps.throughput", arguments)))


def _line(kind: str, limit: str, found: Figures) -> str:
    name = kind if kind == PEFT else f"ekle, {kind}"
    if not found.fits:
        return f"| {name} | 1 | out of memory | | | | | {limit} |"
    planned = f"{found.planned / 1e9:.2f}" if found.planned else ""
    share = f"{found.share:.1%}" if found.share else ""
    return (
        f"| {name} | {found.micro_batch_size} | {found.tokens_per_second:,.0f} | {share} | "
        f"{found.allocated / 1e9:.2f} | {found.reserved / 1e9:.2f} | {planned} | {limit} |"
    )


def _case(name: str, options: argparse.Namespace, gpu: Gpu) -> Case:
    case = make_plan(*_recipe(name, options), gpu).case
    return case if options.device == "cuda" else replace(case, device="cpu")


def _dtype(case: Case, device: torch.device) -> torch.dtype:
    """The precision that training would take."""
    return torch.float32 if case.training.precision == "fp32" else frozen_precision(device, case.shape.hidden)


def _recipe(name: str, options: argparse.Namespace) -> tuple[Any, ModelShape]:
    recipe = load_recipe(name, options.set)
    if options.base is not None:
        return recipe, read_shape(options.base / "config.json")
    if options.shape != "tiny":
        return recipe, shape_of(recipe)
    dora = recipe.training.dora.model_copy(update={"rank": 8})
    training = recipe.training.model_copy(update={**_TINY_SETTINGS, "dora": dora})
    vocabulary = recipe.vocabulary.model_copy(update={"size": 50})
    return recipe.model_copy(update={"training": training, "vocabulary": vocabulary}), _TINY


def _gpu(options: argparse.Namespace) -> Gpu:
    """The GPU of this machine, held to the limit; for a CPU, a size to plan with."""
    limit = options.limit
    if options.device == "cpu":
        return find_gpu("1000GB" if limit == "none" else limit)
    whole = torch.cuda.get_device_properties(0).total_memory
    size = whole if limit == "none" else min(find_gpu(limit).bytes, whole)
    torch.cuda.set_per_process_memory_fraction(size / whole)
    return gpu_of_size(size, torch.cuda.get_device_name(), has_bf16_matmuls(torch.device("cuda")))


def _example(case: Case) -> dict[str, list[int]]:
    ids = torch.randint(0, case.total_rows, (case.training.sequence_length,)).tolist()
    return {"input_ids": ids, "labels": ids}


def _timed(work: Callable[[], Any], device: torch.device, times: int = 1) -> float:
    wait_for(device)
    started = time.perf_counter()
    for _ in range(times):
        work()
    wait_for(device)
    return time.perf_counter() - started


def _options() -> argparse.Namespace:
    recipes = [name for name in (GUIDE, f"{GUIDE}-recommended") if name in shipped_recipes()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=["8b", "tiny"], default="8b")
    parser.add_argument("--base", type=Path, help="a model folder to train instead of random weights")
    parser.add_argument("--device", choices=["cpu", "cuda"], default=default_device().type)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the recipes")
    parser.add_argument("--limit", default="40GB", help="memory that may be used, as for ekle plan --gpu")
    parser.add_argument("--recipes", nargs="+", default=recipes)
    parser.add_argument("--steps", type=int, default=2, help="timed steps, after one of warm-up")
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--micro-batch-size", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
