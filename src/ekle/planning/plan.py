"""Whether a recipe fits a GPU, and which settings make it fit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ekle.page.formatting import size
from ekle.planning.case import Case
from ekle.planning.compute import ComputeCost, compute
from ekle.planning.disk import disk_usage, host_memory
from ekle.planning.gpus import Gpu, known_gpus
from ekle.planning.memory import EVALUATION, MemoryPhase, Part, persistent, phases, total
from ekle.planning.shapes import ModelShape
from ekle.recipe import Recipe
from ekle.recipe.training import TrainingSettings

CUDA_CONTEXT_BYTES = 600_000_000
"""Assumed bytes of a CUDA context with the workspaces of its libraries."""
FRAGMENTATION = 0.03
"""Assumed share of the tensors' bytes that is lost between them (with expandable segments)."""


@dataclass(frozen=True)
class Plan:
    """What a recipe needs with the settings of `case`, on `gpu` if there is one."""

    case: Case
    gpu: Gpu | None
    persistent: tuple[Part, ...]
    phases: tuple[MemoryPhase, ...]
    allowance: tuple[Part, ...]
    changes: tuple[str, ...] = ()
    """Settings, as --set takes them, that were changed so that it fits."""

    @property
    def tensors(self) -> int:
        """Bytes of all tensors at the peak."""
        return total(self.persistent) + self.peak.bytes

    @property
    def peak(self) -> MemoryPhase:
        """The phase with most in memory."""
        return max(self.phases, key=lambda phase: phase.bytes)

    @property
    def needed(self) -> int:
        """Bytes of GPU memory, allowances included."""
        return self.tensors + total(self.allowance)

    @property
    def fits(self) -> bool:
        """Whether the GPU has that much; True without a GPU."""
        return self.gpu is None or self.needed <= self.gpu.bytes

    @property
    def compute(self) -> list[ComputeCost]:
        """What takes time on the GPU; empty without a GPU."""
        return compute(self.case, self.gpu) if self.gpu else []

    @property
    def disk(self) -> list[Part]:
        """What takes space on the disk."""
        return disk_usage(self.case)

    @property
    def host(self) -> list[Part]:
        """What is in the memory of the host, at different times."""
        return host_memory(self.case)


def make_plan(recipe: Recipe, shape: ModelShape, gpu: Gpu | None, gpus: int = 1) -> Plan:
    """The plan that fits with the fewest changed settings, and among those with the largest micro-batch.

    Changes are tried in the order of their cost: activation checkpointing (a third more time), an optimiser
    state in bfloat16 (stochastic rounding), both. Where nothing fits, the plan has all changes and
    micro-batches of one sequence.

    Args:
        recipe: what is to be trained.
        shape: the shape of its base.
        gpu: the GPU that it has to fit; None plans for micro-batches of the full batch.
        gpus: number of GPUs that train together; the recipe says whether they share weights and states.
    """
    for training in _variants(recipe.training):
        plan = plan_as_configured(recipe.model_copy(update={"training": training}), shape, gpu, gpus)
        plan = replace(plan, changes=_changes(recipe.training, training))
        if plan.fits:
            break
    return plan


def plan_as_configured(recipe: Recipe, shape: ModelShape, gpu: Gpu | None, gpus: int = 1) -> Plan:
    """The plan without changed settings, with the largest micro-batch that fits, or with one sequence."""
    for count in _micro_batches(recipe.training):
        case = Case(
            shape,
            recipe.extension.padded(shape.rows + recipe.vocabulary.size) - shape.rows,
            recipe.training,
            recipe.evaluation,
            count,
            gpus=gpus,
            has_bf16=gpu is None or gpu.bf16,
            extension=recipe.extension,
        )
        plan = _plan(case, gpu)
        if plan.fits:
            break
    return plan


def with_new_rows(recipe: Recipe, count: int) -> Recipe:
    """The recipe with `count` new tokens, for a model that is extended already."""
    return recipe.model_copy(update={"vocabulary": recipe.vocabulary.model_copy(update={"size": count})})


def remedies(plan: Plan) -> Iterator[str]:
    """Single changes of the recipe that make the plan fit, as --set takes them."""
    case, settings = plan.case, plan.case.training
    if settings.optimizer != "sophia":
        cheaper = settings.model_copy(update={"optimizer": "sophia", "state_precision": "bf16"})
        if _plan(replace(case, training=cheaper), plan.gpu).fits:
            yield "training.optimizer=sophia training.state_precision=bf16"
    rank = settings.dora.rank
    while rank > 1:
        rank //= 2
        dora = settings.dora.model_copy(update={"rank": rank})
        narrower = replace(case, training=settings.model_copy(update={"dora": dora}))
        if _plan(narrower, plan.gpu).fits:
            yield f"training.dora.rank={rank}"
            break
    length = settings.sequence_length
    while length > 128:
        length //= 2
        shorter = replace(case, training=settings.model_copy(update={"sequence_length": length}))
        if _plan(shorter, plan.gpu).fits:
            yield f"training.sequence_length={length}"
            break


def larger_gpu(plan: Plan) -> Iterator[str]:
    """The smallest known GPU on which the plan fits, as ekle plan takes it; nothing where there is none."""
    for gpu in sorted(known_gpus(), key=lambda each: each.bytes):
        if _plan(replace(plan.case, has_bf16=gpu.bf16), gpu).fits:
            yield f"--gpu {gpu.name}"
            break


def memory_shortage(plan: Plan, recipe: Recipe, shape: ModelShape) -> str | None:
    """One line on what is missing and what helps, if the tensors of `plan` exceed the GPU; else None.

    Args:
        plan: the plan of `recipe` without changed settings.
        recipe: what is to be trained.
        shape: the shape of its base.
    """
    gpu = plan.gpu
    if gpu is None or plan.tensors <= gpu.bytes:
        return None
    changed = make_plan(recipe, shape, gpu, plan.case.gpus)
    cures = [" ".join(changed.changes)] if changed.fits else list(remedies(changed))
    cures = cures or ["a smaller base.model"]
    return (
        f"training needs {size(plan.tensors)} of memory and {gpu.name} has {size(gpu.bytes)}; "
        f"it would fit with {' or '.join(cures)}; `ekle plan` shows every part"
    )


def _plan(case: Case, gpu: Gpu | None) -> Plan:
    always, during = tuple(persistent(case)), tuple(phases(case))
    tensors = total(always) + max(phase.bytes for phase in during)
    allowance = (
        Part("CUDA context and libraries", CUDA_CONTEXT_BYTES, "assumed"),
        Part(
            "fragmentation",
            round(FRAGMENTATION * tensors),
            f"assumed: {FRAGMENTATION:.0%} of the tensors",
        ),
    )
    plan = Plan(case, gpu, always, during, allowance)
    windows = case.evaluation.batch_size
    if not plan.fits and windows > 1 and plan.peak.name == EVALUATION:
        # An evaluation that runs out of memory continues with half as many windows.
        fewer = case.evaluation.model_copy(update={"batch_size": windows // 2})
        return _plan(replace(case, evaluation=fewer), gpu)
    return plan


def _variants(training: TrainingSettings) -> Iterator[TrainingSettings]:
    """The settings as they are, then with each change that saves memory."""
    can_halve = training.optimizer == "sophia" and training.state_precision == "fp32"
    for state in ({}, {"state_precision": "bf16"})[: 1 + can_halve]:
        yield training.model_copy(update=state)
        if not training.activation_checkpointing:
            yield training.model_copy(update={**state, "activation_checkpointing": True})


def _changes(before: TrainingSettings, after: TrainingSettings) -> tuple[str, ...]:
    changed = []
    if after.activation_checkpointing != before.activation_checkpointing:
        changed.append("training.activation_checkpointing=true")
    if after.state_precision != before.state_precision:
        changed.append("training.state_precision=bf16")
    return tuple(changed)


def _micro_batches(training: TrainingSettings) -> list[int]:
    """Micro-batch sizes that the recipe allows, one for each number of micro-batches; the largest first."""
    batch, chosen = training.batch_size, training.micro_batch_size
    sizes = dict.fromkeys(-(-batch // parts) for parts in range(1, batch + 1))
    return list(sizes) if chosen == "auto" else [size for size in {chosen: 0, **sizes} if size <= chosen]


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """The plan for other programs: bytes, seconds, operations."""

    def listed(parts: tuple[Part, ...] | list[Part]) -> list[dict[str, Any]]:
        return [{"name": part.name, "bytes": part.bytes, "formula": part.formula} for part in parts]

    case, settings = plan.case, plan.case.training
    return {
        "fits": plan.fits if plan.gpu else None,
        "needed_bytes": plan.needed,
        "tensor_bytes": plan.tensors,
        "gpu": {"name": plan.gpu.name, "bytes": plan.gpu.bytes} if plan.gpu else None,
        "gpus": case.gpus,
        "changes": list(plan.changes),
        "remedies": [] if plan.fits else [*remedies(plan), *larger_gpu(plan)],
        "precision": "bf16" if case.uses_bf16 else "fp32",
        "micro_batch": case.micro_batch,
        "activation_checkpointing": settings.activation_checkpointing,
        "state_precision": settings.state_precision,
        "parameters": case.shape.parameter_count,
        "trainable": case.trainable_parameters,
        "persistent": listed(plan.persistent),
        "phases": [
            {"name": phase.name, "bytes": phase.bytes, "parts": listed(phase.parts)} for phase in plan.phases
        ],
        "allowance": listed(plan.allowance),
        "host": listed(plan.host),
        "disk": listed(plan.disk),
        "compute": [{"name": c.name, "operations": c.operations, "seconds": c.seconds} for c in plan.compute],
    }
