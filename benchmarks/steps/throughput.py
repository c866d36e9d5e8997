"""Tokens per second, share of peak and peak memory of a recipe, against PEFT's DoRA in transformers' Trainer.

    python -m benchmarks.steps.throughput                 Qwen3-8B, random weights, 171,936 rows, in 40 GB
    python -m benchmarks.steps.throughput --shape tiny    a small model on a CPU

Needs no data; Qwen3-8B needs a GPU of 40 GB. `tiny` takes seconds.

A row of ekle runs ekle's training step (`training_engine.py`) with the micro-batch that `ekle plan` chooses.
The curvature estimate is timed by itself and counted as often as the recipe makes it. PEFT's row has the
guide's adapters over the same model, the new rows by `trainable_token_indices`, AdamW, bf16 by autocast and
activation checkpointing. Its micro-batch is halved until it fits. If none fits, the row runs again without
the limit, and says so. On a GPU every row has its own process, and PyTorch's allocator enforces the limit.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
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
from ekle.model.device import has_bf16_matmuls
from ekle.planning.case import Case
from ekle.planning.compute import training_flops_per_token
from ekle.planning.gpus import Gpu, find_gpu, gpu_of_size
from ekle.planning.plan import make_plan
from ekle.planning.shapes import ModelShape, shape_of
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
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    console.print(f"Qwen3 {options.shape}, random weights, on {here}, torch {torch.__version__}")
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
    gpu = _device(options.limit)
    try:
        return _peft(options, gpu) if kind == PEFT else _ekle(kind, options, gpu)
    except (torch.OutOfMemoryError, TrainingError):  # the latter if a single sequence does not fit
        return Figures()


def _ekle(name: str, options: argparse.Namespace, gpu: Gpu) -> Figures:
    case = _case(name, options, gpu)
    device, dtype = default_device(), torch.bfloat16 if case.uses_bf16 else torch.float32
    engine = make_engine(case.shape, case.new_rows, case.training, case.micro_batch, dtype, device)
    every: int = case.training.sophia.hessian_every if isinstance(engine.optimizer, Sophia) else 0

    def steps() -> float:
        engine.step()  # warm-up, with the curvature estimate
        plain: float = _timed(engine.step, options.steps) / options.steps
        if not every:
            return plain
        engine.steps = every
        return plain + max(_timed(engine.step) - plain, 0.0) / every

    seconds, allocated, reserved = _peaks(steps, engine.tensors)
    case = replace(case, micro_batch=engine.passes.micro_batch_size)
    return _figures(case, gpu, seconds, allocated, reserved, planned_bytes(case))


def _peft(options: argparse.Namespace, gpu: Gpu) -> Figures:
    """The guide's recipe with PEFT and transformers."""
    from peft import LoraConfig, get_peft_model

    case = replace(_case(GUIDE, options, gpu), micro_batch=options.micro_batch_size)
    settings, shape = case.training, case.shape
    dtype = torch.bfloat16 if case.uses_bf16 else torch.float32
    model = make_model(shape, case.new_rows, dtype, default_device())
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
    clock = _Clock()
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=1 + options.steps,
            per_device_train_batch_size=case.micro_batch,
            gradient_accumulation_steps=case.micro_batches,
            bf16=case.uses_bf16,
            gradient_checkpointing=settings.activation_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
            optim="adamw_torch",
            learning_rate=settings.learning_rate,
            use_cpu=default_device().type == "cpu",
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
        _, allocated, reserved = _peaks(lambda: trainer.train() and 0.0, present)
    return _figures(case, gpu, clock.seconds() / options.steps, allocated, reserved, 0)


class _Clock(TrainerCallback):  # type: ignore[misc] # transformers ships no types
    """Notes when each step of the optimiser ends."""

    def __init__(self) -> None:
        self._done: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        wait_for(default_device())
        self._done.append(time.perf_counter())

    def seconds(self) -> float:
        """From the end of the first step, which warms up, to that of the last."""
        return self._done[-1] - self._done[0]


def _figures(case: Case, gpu: Gpu, seconds: float, allocated: int, reserved: int, planned: int) -> Figures:
    speed = case.tokens_per_step / seconds
    share = speed * training_flops_per_token(case) / (gpu.flops if case.uses_bf16 else gpu.fp32_flops)
    return Figures(True, case.micro_batch, speed, share, allocated, reserved, planned)


def _peaks(work: Callable[[], float], present: list[torch.Tensor]) -> tuple[float, int, int]:
    """What `work` returns, and the most memory while it ran: allocated, and reserved on a GPU."""
    if torch.cuda.is_available():
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
        found = _in_own_process(given) if torch.cuda.is_available() else measure(kind, given)
        if found.fits or kind != PEFT or micro_batch_size == 1:
            return found
        micro_batch_size //= 2


def _in_own_process(options: argparse.Namespace) -> Figures:
    arguments = ["--kind", options.kind, "--limit", options.limit, "--shape", options.shape]
    arguments += ["--steps", str(options.steps), "--micro-batch-size", str(options.micro_batch_size)]
    return Figures(**json.loads(last_line("benchmarks.steps.throughput", arguments)))


def _line(kind: str, limit: str, found: Figures) -> str:
    name = kind if kind == PEFT else f"ekle, {kind}"
    if not found.fits:
        return f"| {name} | 1 | out of memory | | | | | {limit} |"
    planned = f"{found.planned / 1e9:.2f}" if found.planned else ""
    return (
        f"| {name} | {found.micro_batch_size} | {found.tokens_per_second:,.0f} | {found.share:.1%} | "
        f"{found.allocated / 1e9:.2f} | {found.reserved / 1e9:.2f} | {planned} | {limit} |"
    )


def _case(name: str, options: argparse.Namespace, gpu: Gpu) -> Case:
    case = make_plan(*_recipe(name, options), gpu).case
    return case if torch.cuda.is_available() else replace(case, device="cpu")


def _recipe(name: str, options: argparse.Namespace) -> tuple[Any, ModelShape]:
    recipe = load_recipe(name)
    if options.shape != "tiny":
        return recipe, shape_of(recipe)
    dora = recipe.training.dora.model_copy(update={"rank": 8})
    training = recipe.training.model_copy(update={**_TINY_SETTINGS, "dora": dora})
    vocabulary = recipe.vocabulary.model_copy(update={"size": 50})
    return recipe.model_copy(update={"training": training, "vocabulary": vocabulary}), _TINY


def _device(limit: str) -> Gpu:
    """The GPU of this machine, held to the limit; without a GPU, a size to plan with."""
    if not torch.cuda.is_available():
        return find_gpu("1000GB" if limit == "none" else limit)
    whole = torch.cuda.get_device_properties(0).total_memory
    size = whole if limit == "none" else min(find_gpu(limit).bytes, whole)
    torch.cuda.set_per_process_memory_fraction(size / whole)
    return gpu_of_size(size, torch.cuda.get_device_name(), has_bf16_matmuls(torch.device("cuda")))


def _example(case: Case) -> dict[str, list[int]]:
    ids = torch.randint(0, case.total_rows, (case.training.sequence_length,)).tolist()
    return {"input_ids": ids, "labels": ids}


def _timed(work: Callable[[], Any], times: int = 1) -> float:
    wait_for(default_device())
    started = time.perf_counter()
    for _ in range(times):
        work()
    wait_for(default_device())
    return time.perf_counter() - started


def _options() -> argparse.Namespace:
    recipes = [name for name in (GUIDE, f"{GUIDE}-recommended") if name in shipped_recipes()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=["8b", "tiny"], default="8b")
    parser.add_argument("--limit", default="40GB", help="memory that may be used, as for ekle plan --gpu")
    parser.add_argument("--recipes", nargs="+", default=recipes)
    parser.add_argument("--steps", type=int, default=2, help="timed steps, after one of warm-up")
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--micro-batch-size", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
