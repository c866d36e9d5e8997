"""Stage 5, training, in a run: recipe, corpus and extended model become adapters and new rows.

The control, the base with its own tokenizer, is trained by the same engine. It has no new rows.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor

from ekle.artifacts import BaseModel, Checkpoint, Corpus, ExtendedModel
from ekle.bpe.graft import base_token_ids
from ekle.errors import RunFolderError
from ekle.files import atomic_folder, digest, read_json, write_json
from ekle.model.checkpoint.loading import load_config, load_model, load_tokenizer
from ekle.model.device import lacks_bf16
from ekle.model.distributed import is_main_process
from ekle.model.layers.activation_checkpointing import enable_activation_checkpointing
from ekle.model.layers.dora import attach
from ekle.model.layers.new_rows import NewRows, new_rows, read_new_rows, split_rows
from ekle.model.processes import Processes, join
from ekle.planning.flops import TrainingCost, cost_of, countable_shape, step_cost
from ekle.progress import ProgressReporter, silent
from ekle.recipe import Recipe
from ekle.recipe.recipe import default_settings, recorded_settings
from ekle.recipe.section import dotted
from ekle.recipe.training import RUNTIME_SETTINGS, TrainingSettings
from ekle.training.alignment import AlignmentResult, align_or_load, held_out_of_training, read_result
from ekle.training.checkpoints import Checkpoints, load_progress
from ekle.training.data.data_mixture import apply_curriculum, make_sources
from ekle.training.data.documents import Lines
from ekle.training.data.packing import Batches, Cursor, Packed, pack, prefetch
from ekle.training.kernels import (
    Attention,
    check_liger,
    choose_attention,
    float32_matmuls,
    use_kernels,
)
from ekle.training.loop import train
from ekle.training.micro_batches import StepBatch, planned_micro_batch_size, split_step
from ekle.training.monitoring.held_out import HeldOut, held_out_documents
from ekle.training.monitoring.new_tokens import NewTokens
from ekle.training.monitoring.training_log import TrainingLog
from ekle.training.objective import Objective, byte_lengths
from ekle.training.parallel import is_sharded, shard
from ekle.training.run_state import RunSetup, RunState
from ekle.training.shared_rows import shared_features


def write_results(state: RunState, folder: Path, tokenizer: Any) -> None:
    """Write adapter/, training.json, and of an extended model new_rows.safetensors and new_tokens.jsonl.

    The weights are those of the best evaluation, or of the last step if there was none.

    Raises:
        CheckpointError: the weights are no longer there.
    """
    setup, early_stopping = state.setup, state.early_stopping
    source = (
        setup.checkpoints.last()
        if early_stopping.best_step is None
        else setup.checkpoints.best(early_stopping.best_step)
    )
    assert source is not None
    shutil.rmtree(folder / "adapter", ignore_errors=True)
    with atomic_folder(folder / "adapter") as adapter:
        shutil.copytree(source / "adapter", adapter, dirs_exist_ok=True)
    device, of_new_tokens = state.meter.device, {}
    if setup.rows is not None and setup.new_tokens is not None:
        rows = folder / "new_rows.safetensors"
        shutil.copyfile(source / rows.name, rows)
        kept, first = read_new_rows(rows).tensors["input"], setup.rows.first_new_id
        texts = [tokenizer.decode([number]) for number in range(first, first + len(kept))]
        setup.new_tokens.write(folder / "new_tokens.jsonl", kept, texts)
        of_new_tokens = {"new_tokens": setup.new_tokens.figures(kept, lambda counts: counts)}
    write_json(
        folder / "training.json",
        {
            "steps": state.step,
            "steps_planned": setup.settings.steps,
            "stopped_early": state.step < setup.settings.steps,
            "weights_from_step": state.step if early_stopping.best_step is None else early_stopping.best_step,
            "best_bits_per_byte": early_stopping.best,
            "went_back": state.guard.rollbacks,
            **of_new_tokens,
            **_alignment_figures(setup.settings, folder),
            **state.cursor.figures(),
            **state.spent(lambda total: total),  # the main process has it all since the last save
            **(
                {f"flops_of_{name}": value for name, value in asdict(setup.cost).items()}
                if setup.cost
                else {}
            ),
            "sequences": setup.sizes.sequences,
            "seconds": round(state.meter.all_seconds, 3),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "processes": state.processes.world_size,
            "precision": str(setup.precision).removeprefix("torch."),
            "settings": setup.record,
        },
    )


def _alignment_figures(settings: TrainingSettings, folder: Path) -> dict[str, Any]:
    """What training.json says about the alignment phase; nothing where there was none, or 0.2 made it."""
    if not settings.alignment.steps or not (folder / _ALIGNED).exists():
        return {}
    found = read_result(folder / _ALIGNED)
    return {"alignment": found.figures()} if found.bits_per_byte_before is not None else {}


_ALIGNED = "aligned"
_ALIGNS_BY = (
    "training.alignment.",
    "training.dora.",
    "training.evaluate_bytes",
    "evaluation.",
    "seed",
    "corpus",
    "extended",
)
"""What the alignment phase depends on: keys of the record, or their beginnings."""
_PREFETCHED = 4  # batches that are ready before they are asked for


@dataclass(frozen=True)
class Inputs:
    """Text to train on, and the model to train; a base is trained as it is, with its own tokenizer."""

    corpus: Corpus
    model: ExtendedModel | BaseModel


def run(
    recipe: Recipe,
    inputs: Inputs,
    folder: Path,
    reporter: ProgressReporter,
    *,
    step_sequences: int | None = None,
) -> Checkpoint:
    """Train adapters and new rows. An interrupted run in `folder` goes on from its last checkpoint.

    Writes adapter/, new_rows.safetensors, history.jsonl, new_tokens.jsonl and training.json. The weights
    are those of the best held-out evaluation; without held-out text, those of the last step. A base has no
    new rows: it gets adapters alone, and settings of new tokens say nothing about it. `step_sequences` are
    those of a step, whatever the number of processes; None leaves them to the recipe.

    Raises:
        TrainingError: too little text for one step, no finite loss, or too little memory for one sequence
            (by plan before anything is loaded, or later in fact).
        RunFolderError: `folder` holds a training that was begun with other settings.
        CheckpointError: the model or a checkpoint is damaged.
        SpaceError: the disk has no room for the next checkpoint.
    """
    if isinstance(inputs.model, BaseModel):
        recipe = recipe.model_copy(update={"training": recipe.training.without_new_tokens()})
    settings = recipe.training
    processes = join()
    device = processes.device
    checkpoints = Checkpoints(folder / "checkpoints", settings.keep_checkpoints)
    resume = checkpoints.last()
    record = _record(recipe, inputs)
    progress: dict[str, Any] = load_progress(resume) if resume else {"step": 0, "cursor": {}}
    history = TrainingLog(folder / "history.jsonl")
    if resume:
        _check_same(progress["record"], record, folder)
        reporter.say(f"going on from step {progress['step']:,}", step=progress["step"])
    if is_main_process():
        checkpoints.clean()
        history.truncate(progress["step"] if resume else -1)
    else:
        reporter = silent()
    processes.wait()

    sizes = split_step(settings, processes.world_size, progress.get("sequences", step_sequences))
    micro_batch_size = processes.minimum(
        planned_micro_batch_size(recipe, inputs.model, sizes, processes.world_size, reporter)
    )
    dtype = _precision(recipe, inputs.model, device, reporter)
    attention = choose_attention(settings, device, dtype)
    check_liger(settings, device)
    objective, rows, tokenizer = _objective(recipe, inputs.model, dtype, attention)
    features = _row_features(inputs.model, objective, rows, dtype) if settings.shared_rows else []
    new_tokens = NewTokens(rows.first_new_id, rows.input.to(dtype), device) if rows is not None else None
    aligned: AlignmentResult | None = None
    if rows is not None and settings.alignment.steps and not resume:
        objective.to(device)
        aligned = _align(recipe, inputs, objective, rows, record, folder / _ALIGNED, processes, reporter)
    cost = _cost(recipe, inputs.model, sizes, aligned, progress.get("alignment_flops", 0.0))
    use_kernels(objective.language_model, settings, device)
    if processes.world_size > 1 and settings.parallel == "fsdp":
        shard(objective, device)
        rows = new_rows(objective.language_model) if rows is not None else None
    else:
        objective.to(device)
    held_out = _held_out(recipe, inputs.corpus, tokenizer, is_sharded(objective), reporter)
    cursor = Cursor(**progress["cursor"])
    packed = _packed(recipe, inputs, tokenizer, sizes, cursor, folder / "curriculum", processes, reporter)
    with closing(prefetch(packed, _PREFETCHED * sizes.batch_size * processes.world_size)) as sequences:
        state = RunState(
            RunSetup(
                objective=objective,
                rows=rows,
                row_features=features,
                new_tokens=new_tokens,
                batches=Batches(sequences, sizes.batch_size, processes.rank, processes.world_size),
                held_out=held_out,
                settings=settings,
                sizes=sizes,
                micro_batch_size=micro_batch_size,
                seed=recipe.seed,
                precision=dtype,
                checkpoints=checkpoints,
                history=history,
                reporter=reporter,
                cost=cost,
                record=record,
            ),
            processes,
        )
        with float32_matmuls(settings, device):
            train(state, resume)
    if is_main_process():
        write_results(state, folder, tokenizer)
    processes.wait()
    return Checkpoint(folder, has_new_rows=rows is not None)


def _objective(
    recipe: Recipe, trained: ExtendedModel | BaseModel, dtype: torch.dtype, attention: Attention
) -> tuple[Objective, NewRows | None, Any]:
    """The model, ready to be trained; the new rows of an extended one; and its tokenizer."""
    model, tokenizer = load_model(trained.model, dtype, attention), load_tokenizer(trained.model)
    model.requires_grad_(False)
    lengths = byte_lengths(tokenizer, len(model.get_input_embeddings().weight))
    rows = split_rows(model, trained.first_new_id) if isinstance(trained, ExtendedModel) else None
    attach(model, recipe.training.dora, generator=torch.Generator().manual_seed(recipe.seed))
    if recipe.training.activation_checkpointing:
        enable_activation_checkpointing(model)
    return Objective(model, recipe.training.neftune, lengths), rows, tokenizer


def _row_features(
    trained: ExtendedModel | BaseModel, objective: Objective, rows: NewRows | None, dtype: torch.dtype
) -> list[Tensor]:
    """What new rows that learn together are mapped from, as the training begins; nothing for a base."""
    if rows is None or isinstance(trained, BaseModel):
        return []
    base_tokens = base_token_ids(read_json(trained.model / "tokenizer.json"), trained.first_new_id)
    ordered = [base_tokens.get(trained.first_new_id + number, []) for number in range(len(rows.input))]
    return shared_features(objective.language_model, rows, ordered, dtype)


def _align(
    recipe: Recipe,
    inputs: Inputs,
    objective: Objective,
    rows: NewRows,
    record: dict[str, Any],
    folder: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> AlignmentResult:
    """The alignment phase. The main process makes it, and the others load what it left."""
    assert isinstance(inputs.model, ExtendedModel), "a base has no new rows to align"
    text = Lines(inputs.corpus.train, recipe.seed)
    objective.train()  # activation checkpointing does nothing in evaluation mode
    left_out: list[str] = []
    parts = held_out_documents(inputs.corpus, recipe.training.evaluate_bytes)
    if not parts:
        left_out, parts = held_out_of_training(text, recipe.training.evaluate_bytes)
    reading = recipe.evaluation
    held_out = HeldOut(parts, load_tokenizer(inputs.model.model), reading.context, reading.batch_size)
    with processes.main_process_first():
        model, settings = objective.language_model, recipe.training.alignment
        of_it = {key: value for key, value in record.items() if key.startswith(_ALIGNS_BY)}
        return align_or_load(
            inputs.model,
            model,
            rows,
            text,
            settings,
            of_it,
            folder,
            reporter,
            held_out,
            left_out,
            recipe.base.revision,
        )


def _cost(
    recipe: Recipe,
    model: ExtendedModel | BaseModel,
    sizes: StepBatch,
    aligned: AlignmentResult | None,
    alignment: float,
) -> TrainingCost | None:
    """The operations of the training; `alignment` are those that a resumed one has counted."""
    shape = countable_shape(model.model)
    if shape is None:
        return None
    frozen, extension = shape.rows, 0.0
    if isinstance(model, ExtendedModel):
        frozen, extension = model.first_new_id, model.flops
    new = shape.rows - frozen
    if aligned is not None and aligned.passages:
        each = cost_of(shape, aligned.tokens // aligned.passages)
        alignment = aligned.tokens * each.aligning(frozen, new, aligned.base_tokens / aligned.tokens)
    return TrainingCost(extension, alignment, step_cost(shape, recipe.training, frozen, new, sizes.sequences))


def _held_out(
    recipe: Recipe, corpus: Corpus, tokenizer: Any, is_sharded: bool, reporter: ProgressReporter
) -> HeldOut | None:
    """The text that evaluations measure; None if the corpus holds nothing out."""
    documents = held_out_documents(corpus, recipe.training.evaluate_bytes)
    if not documents:
        reporter.say("the corpus holds no text out: no early stopping, and the last weights are kept")
        return None
    reading = recipe.evaluation
    return HeldOut(documents, tokenizer, reading.context, reading.batch_size, may_shrink=not is_sharded)


def _packed(
    recipe: Recipe,
    inputs: Inputs,
    tokenizer: Any,
    sizes: StepBatch,
    cursor: Cursor,
    kept: Path,
    processes: Processes,
    reporter: ProgressReporter,
) -> Iterator[Packed]:
    """All sources packed into sequences, from `cursor` on; `kept` is for the order of a curriculum."""
    tokens = sizes.sequences * sizes.length
    sources = make_sources(recipe, inputs.corpus, inputs.model, tokenizer, tokens, reporter)
    with processes.main_process_first():
        apply_curriculum(sources, recipe, tokens, kept, cursor, is_main_process(), reporter)
    return pack(sources, length=sizes.length, cursor=cursor)


def _precision(
    recipe: Recipe, model: ExtendedModel | BaseModel, device: torch.device, reporter: ProgressReporter
) -> torch.dtype:
    """The precision of frozen weights and matrix products; what learns is always float32."""
    match recipe.training.precision:
        case "fp32":
            return torch.float32
        case "bf16":
            why = lacks_bf16(device, load_config(model.model).hidden_size)
            if why:
                reporter.say(f"training in fp32: {why}")
            return torch.float32 if why else torch.bfloat16
        case _:
            assert_never(recipe.training.precision)


def _record(recipe: Recipe, inputs: Inputs) -> dict[str, Any]:
    """Everything the weights depend on, by dotted name, as JSON gives it back."""
    sections = {
        "seed": recipe.seed,
        "training": recipe.training.model_dump(mode="json", exclude=set(RUNTIME_SETTINGS)),
        "evaluation": recipe.evaluation.model_dump(mode="json", include={"context"}),
        "corpus": digest(inputs.corpus.folder / "corpus.json"),
        **_model_digest(inputs.model),
    }
    flat: dict[str, Any] = json.loads(json.dumps(dict(dotted(sections))))
    return flat


def _model_digest(model: ExtendedModel | BaseModel) -> dict[str, str]:
    if isinstance(model, ExtendedModel):
        return {"extended": digest(model.folder / "extension.json")}
    return {"base": digest(model.folder / "base.json")}


def _check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise RunFolderError, naming every difference, unless a begun training has these settings."""
    defaults = default_settings()  # of settings that an older ekle did not have
    before = {key: defaults[key] for key in now if key in defaults} | recorded_settings(before, folder.parent)
    changed = [
        f"{key} {before.get(key)} -> {now.get(key)}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(
            f"{folder} holds a training that was begun with other settings ({'; '.join(changed)}); "
            "set them back, or start it over with ekle run RECIPE --redo training"
        )
