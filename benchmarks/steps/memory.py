"""Memory of a training step, as `ekle plan` says and as measured: bytes of all tensors at the peak.

    python -m benchmarks.steps.memory                                small models
    python -m benchmarks.steps.memory --recipes --out docs/plan.md   and Qwen3-8B without its memory

Needs no data and no GPU. Takes about a minute, with --recipes some minutes.

Every row runs steps of ekle's training (`training_engine.py`), the last one with all of the optimiser's
state. bf16 is measured as on a GPU: with its precision, and for Qwen3-8B with its chunks of logits. The text
around the table is in `plan_page.py`.
"""

import argparse
import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.steps.plan_page import page
from benchmarks.steps.tensor_bytes import TensorBytes
from benchmarks.steps.training_engine import make_engine, planned_bytes
from ekle.model import chunk_sizes as chunks
from ekle.planning.case import Case
from ekle.planning.gpus import find_gpu
from ekle.planning.memory import phases
from ekle.planning.plan import make_plan
from ekle.planning.shapes import ModelShape, shape_of
from ekle.recipe import make_recipe
from ekle.recipe.recipe import load_recipe, shipped_recipes

_SHAPES = {
    "untied": ModelShape(3, 96, 6, 2, 16, 288, 1200, False),
    "tied": ModelShape(2, 64, 4, 2, 32, 192, 2000, True),
    "untied, a key head for each": ModelShape(2, 128, 4, 4, 32, 512, 600, False),
}
_CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"activation_checkpointing": True},
    {"precision": "bf16"},
    {"precision": "bf16", "activation_checkpointing": True, "state_precision": "bf16"},
    {"sequence_length": 200, "dora": {"rank": 32, "alpha": 1.0}, "activation_checkpointing": True},
    {"gradient_accumulation": 1, "optimizer": "adamw"},
)
_USUAL: dict[str, Any] = {
    "batch_size": 2,
    "gradient_accumulation": 2,
    "sequence_length": 64,
    "precision": "fp32",
    "activation_checkpointing": False,
    "dora": {"rank": 8, "alpha": 1.0},
}


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    planned: int
    measured: int
    phase: str

    @property
    def deviation(self) -> float:
        """Plan over measurement, minus one."""
        return self.planned / self.measured - 1

    def line(self) -> str:
        """The row of a Markdown table."""
        return (
            f"| {self.what} | {self.planned:,} | {self.measured:,} | {self.deviation:+.2%} | {self.phase} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", action="store_true", help="also the recipes of real models")
    parser.add_argument("--out", type=Path, help="a Markdown page; without it the table alone is printed")
    options = parser.parse_args()
    lines = ["| what | plan, bytes | measured, bytes | deviation | peak |", "|---|---:|---:|---:|---|"]
    console = Console(width=160, highlight=False)
    console.print(*lines, sep="\n")
    for row in itertools.chain(small_models(), recipe_models() if options.recipes else ()):
        lines.append(row.line())
        console.print(lines[-1])
    if options.out:
        options.out.write_text(page("\n".join(lines)), encoding="utf-8")


def small_models() -> Iterator[Row]:
    """Models that fit anywhere, with real memory."""
    for name, shape in _SHAPES.items():
        for changes in _CHANGES:
            yield compare(name, shape, changes)


def compare(name: str, shape: ModelShape, changes: dict[str, Any], new_rows: int = 150) -> Row:
    """Plan and measure a small model; `changes` are settings of the training."""
    recipe = make_recipe({"name": "x", "training": {**_USUAL, **changes}})
    case = Case(shape, new_rows, recipe.training, recipe.evaluation, recipe.training.batch_size)
    with _logits("cuda", as_on="cpu"):
        return _row(f"{name}: {_said(recipe.training)}", case, fake=False)


def recipe_models() -> Iterator[Row]:
    """The recipes for real models, with the micro-batch that fits 40 GB."""
    for name in shipped_recipes():
        recipe = load_recipe(name)
        if recipe.base.model != "tiny":
            case = make_plan(recipe, shape_of(recipe), find_gpu("40GB")).case
            # The second batch starts with the gradients of the first, as all later ones do.
            two = case.training.model_copy(update={"gradient_accumulation": 2})
            case = replace(case, training=two)
            with _logits("cpu", as_on="cuda"):
                yield _row(
                    f"{name}: {_said(recipe.training)}, micro-batch {case.micro_batch}", case, fake=True
                )


def _row(what: str, case: Case, *, fake: bool) -> Row:
    planned, measured = planned_bytes(case), measure(case, fake=fake)
    peak_phase = max(phases(case)[:-1], key=lambda phase: phase.bytes)
    return Row(what, planned, measured, peak_phase.name)


def measure(case: Case, *, fake: bool) -> int:
    """Bytes of all tensors at the peak, in real memory or without memory.

    Sophia has all of its state after its first estimate, the other optimisers after the first step.
    """
    dtype, device = torch.bfloat16 if case.uses_bf16 else torch.float32, torch.device("cpu")
    with FakeTensorMode(allow_non_fake_inputs=True) if fake else contextlib.nullcontext():
        engine = make_engine(case.shape, case.new_rows, case.training, case.micro_batch, dtype, device)
        with TensorBytes(engine.tensors, fake=fake) as count:
            for _ in range(1 if case.training.optimizer == "sophia" else 2):
                engine.step()
    peak: int = count.peak
    return peak


@contextlib.contextmanager
def _logits(device: str, as_on: str) -> Iterator[None]:
    """Inside, a chunk has as many logits on `device` as on `as_on`."""
    before = chunks.LOGITS_PER_CHUNK[device]
    chunks.LOGITS_PER_CHUNK[device] = chunks.LOGITS_PER_CHUNK[as_on]
    try:
        yield
    finally:
        chunks.LOGITS_PER_CHUNK[device] = before


def _said(settings: Any) -> str:
    parts = [f"{settings.batch_size} x {settings.gradient_accumulation} x {settings.sequence_length}"]
    parts += [f"rank {settings.dora.rank}", settings.precision, settings.optimizer]
    parts += ["checkpointing"] if settings.activation_checkpointing else []
    parts += ["state in bf16"] if settings.state_precision == "bf16" else []
    return ", ".join(parts)


if __name__ == "__main__":
    main()
