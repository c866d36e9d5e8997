"""CPU seconds of a training step in fp32 and in bf16, by the width of the model, on this machine.

    python -m benchmarks.steps.precision                 widths 64 to 1,024, about a minute on a CPU
    python -m benchmarks.steps.precision --widths 896

Needs no data: the weights are random. A step is ekle's own (`training_engine.py`) over two blocks with DoRA
of rank 32, 8,192 embedding rows and 1,024 new ones. The two precisions take turns, and the least of
`--steps` counts, which other work on the machine disturbs least. `ekle.model.device.BF16_WIDTH` is taken
from here.
"""

import argparse
from collections.abc import Sequence

import torch

from benchmarks.device import clock, default_device, wait_for
from benchmarks.steps.training_engine import Engine, make_engine
from ekle.model.device import device_name
from ekle.planning.shapes import ModelShape
from ekle.recipe.training import DoraSettings, TrainingSettings

WIDTHS = (64, 96, 128, 256, 512, 1024)


def main() -> None:
    options = _options()
    device = default_device()
    print(f"{options.tokens} tokens per step on {device_name(device)}, torch {torch.__version__}")
    print("| width | fp32, ms | bf16, ms | fp32 / bf16 |")
    print("|---:|---:|---:|---:|")
    for width in options.widths:
        exact, half = seconds(width, options.tokens, options.steps, device)
        print(f"| {width:,} | {1000 * exact:,.0f} | {1000 * half:,.0f} | {exact / half:.2f} |")


def seconds(width: int, tokens: int, steps: int, device: torch.device) -> tuple[float, float]:
    """The least seconds (`benchmarks.device.clock`) of a step of `tokens` tokens, in fp32 and in bf16."""
    engines = [_engine(width, tokens, dtype, device) for dtype in (torch.float32, torch.bfloat16)]
    for engine in engines:
        engine.step()  # warm-up
    least = [min(turn) for turn in zip(*(_turn(engines, device) for _ in range(steps)), strict=True)]
    return least[0], least[1]


def _turn(engines: Sequence[Engine], device: torch.device) -> list[float]:
    found = []
    for engine in engines:
        wait_for(device)
        started = clock()
        engine.step()
        wait_for(device)
        found.append(clock() - started)
    return found


def _engine(width: int, tokens: int, dtype: torch.dtype, device: torch.device) -> Engine:
    heads = max(width // 64, 1)
    shape = ModelShape(2, width, heads, max(heads // 4, 1), 64, 3 * width, 8192, tied=True)
    settings = TrainingSettings(
        batch_size=1,
        gradient_accumulation=1,
        sequence_length=tokens,
        optimizer="adamw",
        activation_checkpointing=False,
        dora=DoraSettings(rank=32, alpha=32.0),
    )
    return make_engine(shape, 1024, settings, 1, dtype, device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--tokens", type=int, default=512, help="tokens of a step")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each precision, after a warm-up")
    return parser.parse_args()


if __name__ == "__main__":
    main()
