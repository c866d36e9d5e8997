"""Operations and hours.

A multiplication with its addition counts as two operations. A frozen matrix is used twice per token: in the
forward pass and for the gradient of its input (4 operations per parameter instead of the usual 6). Activation
checkpointing repeats the forward pass and uses it once more. A and B are used three times, or four.
"""

from dataclasses import dataclass

from ekle.planning.case import Case
from ekle.planning.flops import cost_of
from ekle.planning.gpus import Gpu

SHARE_OF_PEAK = 0.4
"""Assumed share of the data sheet's peak that a step reaches; benchmarks/steps/throughput.py measures it."""
BYTES_PER_BASE_TOKEN = 3.2
"""Assumed bytes of Turkish text per token of Qwen3's tokenizer."""
BYTES_PER_TOKEN = 4.9
"""The same with 20,000 new tokens: 54 % more."""
_MAPPED_SEQUENCE = 256  # tokens that `mapped` reads at a time


@dataclass(frozen=True)
class ComputeCost:
    """Something that takes time."""

    name: str
    operations: float
    seconds: float
    formula: str


def compute(case: Case, gpu: Gpu) -> list[ComputeCost]:
    """All operations of a run, on one of `case.gpus` equal GPUs."""
    settings = case.training
    found = _new_rows(case, gpu)
    speed = SHARE_OF_PEAK * (gpu.flops if case.uses_bf16 else gpu.fp32_flops)
    tokens = settings.steps * case.tokens_per_step
    per_token = training_flops_per_token(case)
    what = f"{tokens:,} tokens x {per_token / 1e9:,.1f} billion"
    found.append(_compute_cost("training", tokens * per_token, speed, what))
    if settings.optimizer == "sophia":
        estimates = -(-settings.steps // settings.sophia.hessian_every)
        sampled = estimates * settings.batch_size * settings.sequence_length
        each = per_token + _head(case)
        what = f"{estimates:,} batches, {sampled:,} tokens x {each / 1e9:,.1f} billion"
        found.append(_compute_cost("curvature", sampled * each, speed, what))
    evaluations = 1 + -(-settings.steps // settings.evaluate_steps)
    read = evaluations * round(settings.evaluate_bytes / BYTES_PER_TOKEN)
    each = _forward(case, case.evaluation.context) + _head(case)
    what = f"{evaluations} x {settings.evaluate_bytes:,} bytes, {BYTES_PER_TOKEN} per token"
    found.append(_compute_cost("evaluation", read * each, speed, what))
    weights = case.shape.layers * sum(narrow * wide for narrow, wide in case.adapted.values())
    refreshed = settings.steps * 2 * settings.dora.rank * weights
    what = f"{settings.steps:,} x 2 x {settings.dora.rank} x {weights:,} in float32"
    found.append(_compute_cost("norms", refreshed, SHARE_OF_PEAK * gpu.fp32_flops, what))
    return found


def _new_rows(case: Case, gpu: Gpu) -> list[ComputeCost]:
    """Learning the new rows before the training, by a rule that runs the base.

    There is nothing where no setting says how long it takes: `distilled` without a budget reads its passages
    once, and how many there are depends on the text.
    """
    rule = case.extension
    if rule is None or not rule.runs_base:
        return []
    shape, speed = case.shape, SHARE_OF_PEAK * (gpu.flops if gpu.bf16 else gpu.fp32_flops)
    if rule.init == "mapped":
        tokens, minutes = rule.mapped.tokens, rule.mapped.minutes
        each = cost_of(shape, _MAPPED_SEQUENCE).mapping(shape.rows, case.new_rows)
    else:
        tokens, minutes = rule.distillation.tokens, rule.distillation.minutes or 0.0
        reading = round(rule.distillation.passage_characters / BYTES_PER_TOKEN)
        costs, ratio = cost_of(shape, reading), BYTES_PER_TOKEN / BYTES_PER_BASE_TOKEN
        each = costs.distilling(shape.rows, case.new_rows, rule.distillation.depth, ratio)
    if tokens is not None:
        what = f"{tokens:,} tokens x {each / 1e9:,.1f} billion"
        return [_compute_cost("new rows", tokens * each, speed, what)] if tokens else []
    seconds = 60 * minutes
    return [ComputeCost("new rows", seconds * speed, seconds, f"{minutes:g} minutes")] if minutes else []


def training_flops_per_token(case: Case) -> float:
    """Operations per token: forward pass, backward pass, and the repeated forward pass of checkpointing."""
    length, layers = case.training.sequence_length, case.shape.layers
    recomputed = _forward(case, length) if case.training.activation_checkpointing else 0
    frozen, adapters = 4 * case.shape.linear_parameters, 6 * case.lora_parameters
    # Two products over the sequence in the forward pass, five in the backward pass: one repeats the scores.
    attention = 14 * length * case.shape.queries * layers
    head = 2 * _head(case) + 2 * case.new_row_parameters
    return frozen + adapters + attention + recomputed + head


def _forward(case: Case, length: int) -> float:
    attention = 4 * length * case.shape.queries * case.shape.layers
    return 2 * (case.shape.linear_parameters + case.lora_parameters) + attention


def _head(case: Case) -> float:
    return 2 * case.total_rows * case.shape.hidden


def _compute_cost(name: str, operations: float, speed: float, formula: str) -> ComputeCost:
    return ComputeCost(name, operations, operations / speed, formula)
