"""Time and error of DoRA's norm of W + s B A: row by row, as ekle computes it, against the factored form.

    python -m benchmarks.dora_norm --out docs/dora-norm.md

Needs no data: the weights are random. Takes about a minute on a CPU.

Both keep nothing of the size of W. The factored form is

    ||W + s B A||^2 = ||W||^2 + 2 s rowsum((W A^T) * B) + s^2 rowsum((B A A^T) * B)

with ||W||^2 computed once. They take turns in one process, on one matrix of each shape. W is in the dtype
that the device trains in, A and B are in float32.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.device import wait_for
from benchmarks.markdown import publish, wrap
from ekle.model.device import device_name
from ekle.model.layers.dora import DoraLinear
from ekle.recipe.training import DoraSettings

SHAPES = {"0.6b": ((1024, 3072), (3072, 1024)), "8b": ((4096, 12288), (12288, 4096))}
"""Inputs and outputs of the gate and down projections."""

PROSE = """\
# The norm of DoRA, row by row and factored

Written by `python -m benchmarks.dora_norm` on {device}, PyTorch {version}; W in {dtype}, A and B in float32.
Milliseconds: the least of {rounds} turns, and their median in brackets. Error: the largest relative distance
of a row's norm from float64. Products: multiplications of the factored form over those row by row, by
formula. [Decision 0009](decisions/0009-the-norm-row-by-row.md) is based on this page.

| in x out | rank | row by row, ms | factored, ms | factored / row by row | products | error | factored |
|---|---:|---:|---:|---:|---:|---:|---:|
"""


def main() -> None:
    options = _options()
    device = torch.device(options.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    lines = []
    for inputs, outputs in (sides for shape in options.shapes for sides in SHAPES[shape]):
        for rank in options.ranks:
            layer = _layer(inputs, outputs, rank, device, dtype)
            squares = layer.linear.weight.float().square().sum(1)
            row_wise, factored = _times(
                [layer.refresh_norm, partial(factored_norm, layer, squares)],
                options.rounds,
                device,
            )
            exact = _exact_norm(layer)
            layer.refresh_norm()
            errors = [_error(norm, exact) for norm in (layer.norm, factored_norm(layer, squares))]
            # r in out against r (in out + r in + r out).
            products = (inputs * outputs + rank * (inputs + outputs)) / (inputs * outputs)
            lines.append(
                f"| {inputs:,} x {outputs:,} | {rank} | {_shown(row_wise)} | {_shown(factored)} | "
                f"{min(factored) / min(row_wise):.2f} | {products:.2f} | {errors[0]:.0e} | {errors[1]:.0e} |"
            )
            print(lines[-1], flush=True)
    if options.out:
        about = PROSE.format(
            device=device_name(device),
            version=torch.__version__,
            dtype="bfloat16" if dtype == torch.bfloat16 else "float32",
            rounds=options.rounds,
        )
        publish(wrap(about) + "\n".join(lines) + "\n", options.out)


@torch.no_grad()
def factored_norm(layer: DoraLinear, squares: Tensor) -> Tensor:
    """Norms (out,) by the factored form, in float32.

    Args:
        layer: with its A and B.
        squares: ||W||^2 of each row (out,).
    """
    a, b, scale = layer.lora_a.float(), layer.lora_b.float(), layer.scale
    cross = ((layer.linear.weight.float() @ a.T) * b).sum(1)
    own = ((b @ (a @ a.T)) * b).sum(1)
    return (squares + 2 * scale * cross + scale**2 * own).clamp(min=0).sqrt()


def _layer(inputs: int, outputs: int, rank: int, device: torch.device, dtype: torch.dtype) -> DoraLinear:
    """A layer whose B is not zero."""
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        linear.weight.normal_(std=0.02, generator=generator)
    settings = DoraSettings(rank=rank, alpha=2 * rank**0.5)
    layer = DoraLinear(linear.to(device, dtype), settings, torch.float32, generator)
    with torch.no_grad():
        layer.lora_b.copy_(torch.empty(layer.lora_b.shape).normal_(std=0.002, generator=generator))
    return layer


def _times(ways: list[Callable[[], object]], rounds: int, device: torch.device) -> list[list[float]]:
    """Milliseconds of each way, in turns, after one turn of warm-up."""
    found: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for way, times in zip(ways, found, strict=True):
            wait_for(device)
            started = time.perf_counter()
            way()
            wait_for(device)
            if turn:
                times.append(1000 * (time.perf_counter() - started))
    return found


def _exact_norm(layer: DoraLinear) -> Tensor:
    a, b = layer.lora_a.detach().double(), layer.lora_b.detach().double()
    norm: Tensor = (layer.linear.weight.double() + layer.scale * (b @ a)).norm(dim=1)
    return norm


def _error(norm: Tensor, exact: Tensor) -> float:
    return float(((norm.double() - exact).abs() / exact).max())


def _shown(times: list[float]) -> str:
    return f"{min(times):.1f} ({statistics.median(times):.1f})"


def _options() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", choices=list(SHAPES), nargs="+", default=list(SHAPES))
    parser.add_argument("--ranks", type=int, nargs="+", default=[16, 64, 256, 512])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if cuda else "cpu")
    parser.add_argument("--out", type=Path, help="a Markdown file; the rows are printed either way")
    return parser.parse_args()


if __name__ == "__main__":
    main()
