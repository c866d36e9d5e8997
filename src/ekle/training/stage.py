"""Stage 3: continued training of the extended model."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ekle.artifacts import Checkpoint, Corpus, ExtendedModel
from ekle.errors import RunFolderError
from ekle.files import digest
from ekle.model.activations import recompute_activations
from ekle.model.dora import attach
from ekle.model.load import load_model, load_tokenizer
from ekle.model.rows import NewRows, new_rows, split_rows
from ekle.progress import Report, silent
from ekle.recipe import Recipe
from ekle.recipe.section import dotted
from ekle.recipe.training import FREE
from ekle.training.alignment.align import align_once
from ekle.training.checkpoints import Checkpoints, load_progress
from ekle.training.devices.kernels import (
    Attention,
    check_liger,
    choose_attention,
    float32_products,
    use_kernels,
)
from ekle.training.devices.processes import Processes, join
from ekle.training.devices.room import sequences_at_once
from ekle.training.devices.sharding import is_sharded, shard
from ekle.training.objective import Objective, byte_lengths
from ekle.training.parts import Parts
from ekle.training.results import write_results
from ekle.training.step_batch import StepBatch, share_out
from ekle.training.text.ahead import ahead
from ekle.training.text.documents import Lines
from ekle.training.text.mixture import make_sources, read_easy_first
from ekle.training.text.packing import Batches, Cursor, Packed, pack
from ekle.training.trainer import ContinuedTraining
from ekle.training.watching.held_out import HeldOut, held_out_documents
from ekle.training.watching.history import History
from ekle.training.watching.new_tokens import NewTokens

_ALIGNS_BY = ("training.alignment.", "training.dora.", "seed", "corpus", "extended")
"""Keys, or their beginnings, of what the alignment phase depends on."""
_AHEAD = 4  # batches that are made before they are asked for


@dataclass(frozen=True)
class Inputs:
    """Text to train on, and the model to train."""

    corpus: Corpus
    extended: ExtendedModel


def run(recipe: Recipe, inputs: Inputs, folder: Path, report: Report) -> Checkpoint:
    """Train adapters and new rows; an interrupted run in `folder` goes on where its last checkpoint is.

    Writes adapter/, new_rows.safetensors, history.jsonl, new_tokens.jsonl and training.json. The weights
    are those of the best held-out evaluation; without held-out text, those of the last step.

    Raises:
        TrainingError: too little text for one step, no finite loss, or no memory for one sequence (by the
            plan, before anything is loaded, or as it turns out).
        RunFolderError: `folder` holds a training that was begun with other settings.
        CheckpointError: the extended model or a checkpoint is damaged.
        SpaceError: the disk has no room for the next checkpoint.
    """
    settings = recipe.training
    processes = join()
    device = processes.device
    checkpoints = Checkpoints(folder / "checkpoints", settings.keep_checkpoints)
    resume = checkpoints.last()
    record = _record(recipe, inputs)
    progress: dict[str, Any] = load_progress(resume) if resume else {"step": 0, "cursor": {}}
    history = History(folder / "history.jsonl")
    if resume:
        _check_same(progress["record"], record, folder)
        report.say(f"going on from step {progress['step']:,}", step=progress["step"])
    if processes.is_main:
        checkpoints.clean()
        history.cut(progress["step"] if resume else -1)
    else:
        report = silent()
    processes.wait()

    sizes = share_out(settings, processes.count, progress.get("sequences"))
    at_once = processes.least(sequences_at_once(recipe, inputs.extended, sizes, processes.count, report))
    dtype = _precision(recipe, device, report)
    attention = choose_attention(settings, device, dtype)
    check_liger(settings, device)
    objective, rows, tokenizer = _objective(recipe, inputs.extended, dtype, attention)
    new_tokens = NewTokens(rows.first_new_id, rows.input.to(dtype), device)
    if settings.alignment.steps and not resume:
        _align(recipe, inputs, objective.to(device), rows, record, folder / "aligned", processes, report)
    use_kernels(objective.language_model, settings, device)
    if processes.count > 1 and settings.parallel == "fsdp":
        shard(objective, device)
        rows = new_rows(objective.language_model)
    else:
        objective.to(device)
    held_out = _held_out(recipe, inputs.corpus, tokenizer, is_sharded(objective), report)
    cursor = Cursor(**progress["cursor"])
    packed = _packed(recipe, inputs, tokenizer, sizes, cursor, folder / "curriculum", processes, report)
    with closing(ahead(packed, _AHEAD * sizes.batch_size * processes.count)) as sequences:
        training = ContinuedTraining(
            Parts(
                objective=objective,
                rows=rows,
                new_tokens=new_tokens,
                batches=Batches(sequences, sizes.batch_size, processes.number, processes.count),
                held_out=held_out,
                settings=settings,
                sizes=sizes,
                seed=recipe.seed,
                precision=dtype,
                checkpoints=checkpoints,
                history=history,
                report=report,
                record=record,
            ),
            processes,
        )
        training.run_state.passes.at_once = at_once
        with float32_products(settings, device):
            training.run(resume)
    if processes.is_main:
        write_results(training.run_state, folder, tokenizer)
    processes.wait()
    return Checkpoint(folder)


def _objective(
    recipe: Recipe, extended: ExtendedModel, dtype: torch.dtype, attention: Attention
) -> tuple[Objective, NewRows, Any]:
    """The extended model, ready to be trained; its new rows; and its tokenizer."""
    model, tokenizer = load_model(extended.model, dtype, attention), load_tokenizer(extended.model)
    model.requires_grad_(False)
    rows = split_rows(model, extended.first_new_id)
    attach(model, recipe.training.dora, generator=torch.Generator().manual_seed(recipe.seed))
    if recipe.training.activation_checkpointing:
        recompute_activations(model)
    lengths = byte_lengths(tokenizer, extended.first_new_id + len(rows.input))
    return Objective(model, recipe.training.neftune, lengths), rows, tokenizer


def _align(
    recipe: Recipe,
    inputs: Inputs,
    objective: Objective,
    rows: NewRows,
    record: dict[str, Any],
    folder: Path,
    processes: Processes,
    report: Report,
) -> None:
    """The alignment phase, by the main process; the others take what it leaves."""
    text = Lines(inputs.corpus.train, recipe.seed)
    objective.train()  # or activation checkpointing rests
    with processes.main_first():
        model, settings = objective.language_model, recipe.training.alignment
        of_it = {key: value for key, value in record.items() if key.startswith(_ALIGNS_BY)}
        align_once(inputs.extended, model, rows, text, settings, of_it, folder, report, recipe.base.revision)


def _held_out(
    recipe: Recipe, corpus: Corpus, tokenizer: Any, is_sharded: bool, report: Report
) -> HeldOut | None:
    """What the training is watched on; None where the corpus holds nothing out."""
    documents = held_out_documents(corpus, recipe.training.evaluate_bytes)
    if not documents:
        report.say("the corpus holds no text out: nothing to stop early by, and the last weights are kept")
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
    report: Report,
) -> Iterator[Packed]:
    """All sources in sequences, from `cursor` on; the order of a curriculum is kept in the folder `kept`."""
    tokens = sizes.sequences * sizes.length
    sources = make_sources(recipe, inputs.corpus, inputs.extended, tokenizer, tokens, report)
    with processes.main_first():
        read_easy_first(sources, recipe, tokens, kept, cursor, processes.is_main, report)
    return pack(sources, length=sizes.length, cursor=cursor)


def _precision(recipe: Recipe, device: torch.device, report: Report) -> torch.dtype:
    """The precision of the frozen weights and of the products; what learns is always float32."""
    if recipe.training.precision == "fp32":
        return torch.float32
    if device.type == "cpu":
        report.say("training in fp32: on a CPU, bf16 is slower and less exact")
        return torch.float32
    return torch.bfloat16


def _record(recipe: Recipe, inputs: Inputs) -> dict[str, Any]:
    """Everything the weights depend on, by dotted name, as JSON gives it back."""
    sections = {
        "seed": recipe.seed,
        "training": recipe.training.model_dump(mode="json", exclude=set(FREE)),
        "evaluation": recipe.evaluation.model_dump(mode="json", include={"context"}),
        "corpus": digest(inputs.corpus.folder / "corpus.json"),
        "extended": digest(inputs.extended.folder / "extension.json"),
    }
    flat: dict[str, Any] = json.loads(json.dumps(dict(dotted(sections))))
    return flat


def _check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    """Raise RunFolderError, naming every difference, unless a begun training has these settings."""
    changed = [
        f"{key} {before.get(key)} -> {now.get(key)}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise RunFolderError(
            f"{folder} holds a training that was begun with other settings ({'; '.join(changed)}); "
            "set them back, or start it over with --redo training"
        )
