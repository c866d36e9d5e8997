"""One arm: all weights are trained, for what the control's training costs, and measured on the way."""

import itertools
import math
from pathlib import Path
from typing import Any

import torch

from ekle.bpe.unmerge import base_pieces
from ekle.files import read_json, write_json
from ekle.model.load import load_tokenizer
from ekle.model.rows import NewRows
from ekle.training.objective import byte_lengths
from ekle.training.optimizers.schedule import rate_factor
from ekle.training.text.merge_dropout import MergeDropout
from ekle.training.text.packing import Batches, Cursor

from .arms import CONTROL, Arm
from .bases import bits, clock, device, held_out, learn, text_batches
from .compute import cost_of
from .sizes import Size
from .starting import Bench, start, tokenizer_of

_WARMUP = 0.05
_LEFT = 0.02  # share of the full rate at which an arm reads on to the control's bytes


def run_arm(arm: Arm, seed: int, bench: Bench, result: Path) -> None:
    """Train the arm and write the file `result`: bits per byte by step, operations, seconds.

    The budget is what the control's steps cost; what making rows takes is paid from it. The rate falls to 0
    where the budget ends. An arm that has by then read less than the control reads on at a small rate.
    """
    if result.exists():
        return
    torch.manual_seed(seed)
    size, began = bench.size, clock()
    model, rows, spent = start(arm, seed, bench)
    model.to(device())
    context, text = size.ground.sequence, bench.text
    tokenizer = load_tokenizer(_folder(arm, bench))
    ids, tokens = model.config.vocab_size, context * size.batch
    cost = cost_of(bench.shape, context)
    step_cost, budget = tokens * cost.training(ids), size.steps * tokens * cost.training(_base_rows(bench))
    compute_steps = max(1, math.floor((budget - spent) / step_cost))
    bytes_steps = size.steps if rows is None else _steps_to(_bytes_of_control(seed, bench), arm, seed, bench)
    steps = max(compute_steps, bytes_steps)
    probes = {0, *size.probes, bytes_steps, compute_steps} & set(range(steps + 1))
    turkish: dict[int, float] = {}
    chosen_by = {"start": bits(model, tokenizer, text, context, "turkish", "choose")}
    english = math.nan
    batches = iter(_batches(arm, seed, bench))
    learning = [p.requires_grad_(True) for p in model.parameters()]
    optimizer, rates = _optimizer(model, rows, arm, size)
    for step in range(steps + 1):
        if step in probes:
            turkish[step] = bits(model, tokenizer, text, context, "turkish", "page")
        if step == compute_steps:
            english = bits(model, tokenizer, text, context, "english", "page")
            chosen_by |= held_out(model, tokenizer, text, context)
        if step == steps:
            break
        if rows is not None and arm.rows_first:
            _learn_rows_only(model, rows, step < size.rows_first * compute_steps)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            left = rate_factor(step, compute_steps, _WARMUP, "linear") if step < compute_steps else _LEFT
            group["lr"] = rate * left
        learn(model, learning, optimizer, next(batches))
    write_json(
        result,
        {
            "arm": arm.name,
            "seed": seed,
            "turkish": {str(step): value for step, value in turkish.items()},
            "english": english,
            "choose": chosen_by,
            "compute_steps": compute_steps,
            "bytes_steps": bytes_steps,
            "steps": steps,
            "rows_share": spent / budget,
            "step_share": step_cost / budget,
            "seconds": clock() - began,
        },
    )


def _optimizer(
    model: Any, rows: NewRows | None, arm: Arm, size: Size
) -> tuple[torch.optim.Optimizer, list[float]]:
    """AdamW over all weights, and the full rate of each of its groups; new rows are the last group."""
    new = list(rows.parameters()) if rows is not None else []
    kept = {id(table) for table in new}
    groups = [{"params": [p for p in model.parameters() if id(p) not in kept]}]
    groups += [{"params": new}] if new else []
    rate = size.rate * arm.rate
    rates = [rate, size.rows_rate * arm.rows_rate if arm.rows_rate else rate]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    return optimizer, rates[: len(groups)]


def _learn_rows_only(model: Any, rows: NewRows, only: bool) -> None:
    kept = {id(table) for table in rows.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(not only or id(parameter) in kept)


def _batches(arm: Arm, seed: int, bench: Bench) -> Batches:
    size, present = bench.size, None
    folder = _folder(arm, bench)
    if arm.merge_dropout:
        pieces = base_pieces(read_json(folder / "tokenizer.json"), bench.vocabulary.first_new_id)
        present = MergeDropout(pieces, size.merge_dropout, seed).present
    return text_batches(
        tokenizer_of(folder),
        bench.text.arm_turkish,
        bench.text,
        size.ground.sequence,
        size.replay_share,
        seed + 1,
        size.batch,
        Cursor(),
        present,
    )


def _folder(arm: Arm, bench: Bench) -> Path:
    """Of the arm's tokenizer."""
    return bench.tokenizer if arm.init is None else bench.vocabulary.tokenizer


def _bytes_of_control(seed: int, bench: Bench) -> int:
    """Bytes of text that the control reads."""
    return sum(itertools.islice(_bytes(CONTROL, seed, bench), bench.size.steps))


def _steps_to(target: int, arm: Arm, seed: int, bench: Bench) -> int:
    """Steps after which the arm has read `target` bytes."""
    for step, total in enumerate(itertools.accumulate(_bytes(arm, seed, bench)), start=1):
        if total >= target:
            return step
    raise AssertionError("batches never end")


def _bytes(arm: Arm, seed: int, bench: Bench) -> Any:
    """Bytes of each step."""
    rows = _base_rows(bench) + bench.vocabulary.size
    lengths = byte_lengths(load_tokenizer(_folder(arm, bench)), rows)
    return (int(lengths[batch["labels"]].sum()) for batch in _batches(arm, seed, bench))


def _base_rows(bench: Bench) -> int:
    return bench.vocabulary.first_new_id
