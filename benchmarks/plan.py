"""What `ekle plan` says against what a training step takes: bytes of tensors at the peak.

    python benchmarks/plan.py                          small models, with memory, in a minute
    python benchmarks/plan.py --whole --out docs/plan-measured.md   and Qwen3-8B, tensors without memory

Every row is two steps of the engine (`benchmarks/steps.py`), the second with all of the optimiser's state.
Where the precision is bf16 the sizes are those of a GPU: its chunks of logits, its precision.
"""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.steps import make_engine
from benchmarks.tensors import TensorBytes
from ekle.model import chunks
from ekle.planning.case import Case
from ekle.planning.gpus import find_gpu
from ekle.planning.memory import always, moments
from ekle.planning.parts import total
from ekle.planning.plan import make_plan
from ekle.planning.shapes import Shape, shape_of
from ekle.recipe import make_recipe
from ekle.recipe.load import load_recipe

_SMALL = Shape(3, 96, 6, 2, 16, 288, 1200, False)
_TIED = Shape(2, 64, 4, 2, 32, 192, 2000, True)
_WIDE = Shape(2, 128, 4, 4, 32, 512, 600, False)


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    planned: int
    measured: int
    moment: str

    @property
    def apart(self) -> float:
        """How far the plan is off, as a share of what was measured."""
        return self.planned / self.measured - 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--whole", action="store_true", help="the recipes of Qwen3-8B too, without memory")
    parser.add_argument("--out", type=Path, help="a Markdown file; printed as well")
    options = parser.parse_args()
    lines = ["| what | plan, bytes | measured, bytes | apart | highest |", "|---|---:|---:|---:|---|"]
    console = Console(width=160, highlight=False)
    console.print(*lines, sep="\n")
    for row in [*small(), *(whole() if options.whole else [])]:
        lines.append(f"| {row.what} | {row.planned:,} | {row.measured:,} | {row.apart:+.2%} | {row.moment} |")
        console.print(lines[-1])
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def small() -> Iterator[Row]:
    """Models that fit anywhere, with real memory."""
    for shape, name in ((_SMALL, "untied"), (_TIED, "tied"), (_WIDE, "untied, no groups")):
        for changes in (
            {},
            {"activation_checkpointing": True},
            {"precision": "bf16"},
            {"precision": "bf16", "activation_checkpointing": True, "state_precision": "bf16"},
            {"sequence_length": 200, "dora": {"rank": 32, "alpha": 1.0}, "activation_checkpointing": True},
            {"gradient_accumulation": 1, "optimizer": "adamw"},
        ):
            settings = {"batch_size": 2, "gradient_accumulation": 2, "sequence_length": 64, **changes}
            yield compare(name, shape, settings)


def compare(name: str, shape: Shape, settings: dict[str, Any], new_rows: int = 150) -> Row:
    """Plan and measure a small model."""
    defaults = {"precision": "fp32", "activation_checkpointing": False, "dora": {"rank": 8, "alpha": 1.0}}
    training = make_recipe({"name": "x", "training": {**defaults, **settings}})
    case = Case(shape, new_rows, training.training, training.evaluation, training.training.batch_size)
    with _cells_of_a_processor():
        found = measure(case, fake=False)
        return _row(f"{name}: {_said(settings)}", case, found)


def whole() -> Iterator[Row]:
    """Recipes of Qwen3-8B, in 40 GB."""
    for name in ("qwen3-8b-turkish", "qwen3-0.6b-turkish"):
        recipe = load_recipe(name)
        case = make_plan(recipe, shape_of(recipe), find_gpu("40GB")).case
        yield _row(f"{name}, {case.micro_batch} at once", case, measure(case, fake=True))


def measure(case: Case, *, fake: bool) -> int:
    """Bytes of all tensors at the peak of two steps."""
    dtype, device = torch.bfloat16 if case.half else torch.float32, torch.device("cpu")
    with FakeTensorMode(allow_non_fake_inputs=True) if fake else contextlib.nullcontext():
        engine = make_engine(case.shape, case.new_rows, case.training, case.micro_batch, dtype, device)
        with (
            _cells_of_a_gpu() if fake else contextlib.nullcontext(),
            TensorBytes(engine.tensors, fake=fake) as count,
        ):
            for _ in range(2):
                engine.step()
    return count.peak


def _row(what: str, case: Case, measured: int) -> Row:
    highest = max((moment for moment in moments(case)[:-1]), key=lambda moment: moment.bytes)
    return Row(what, total(always(case)) + highest.bytes, measured, highest.name)


@contextlib.contextmanager
def _cells_of_a_gpu() -> Iterator[None]:
    with _cells("cpu", chunks._LOGITS["cuda"]):
        yield


@contextlib.contextmanager
def _cells_of_a_processor() -> Iterator[None]:
    with _cells("cuda", chunks._LOGITS["cpu"]):
        yield


@contextlib.contextmanager
def _cells(device: str, cells: int) -> Iterator[None]:
    before = chunks._LOGITS[device]
    chunks._LOGITS[device] = cells
    try:
        yield
    finally:
        chunks._LOGITS[device] = before


def _said(settings: dict[str, Any]) -> str:
    parts = [
        f"{settings['batch_size']} x {settings['sequence_length']} x {settings['gradient_accumulation']}"
    ]
    parts += [settings["precision"]] if "precision" in settings else []
    parts += [f"rank {settings['dora']['rank']}"] if "dora" in settings else []
    parts += ["checkpointing"] if settings.get("activation_checkpointing") else []
    parts += ["state in bf16"] if "state_precision" in settings else []
    parts += [settings["optimizer"]] if "optimizer" in settings else []
    return ", ".join(parts)


if __name__ == "__main__":
    main()
