"""The alignment phase: passages through the aligner, step by step, and the rows move."""

import itertools
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import load_base
from ekle.bpe.two_cuts import Cutter, TwoCuts
from ekle.errors import InputError, TrainingError
from ekle.files import read_json, whole_folder, write_json
from ekle.model.adapter import load_adapter, save_adapter
from ekle.model.dora import adapted_layers, refresh_norms
from ekle.model.row_adam import RowAdam
from ekle.model.rows import NewRows
from ekle.progress import Report
from ekle.recipe.training import Alignment
from ekle.text.passages import passages as split_passages
from ekle.training.alignment.aligner import Aligner
from ekle.training.text.documents import Lines

_OPENING = "<|endoftext|>"
_POINTS = 10  # of the curve that is reported
_WITHOUT = "or set training.alignment.steps to 0"


@dataclass
class Aligned:
    """What the phase did: tokens read in the new cut, and the losses on the way."""

    tokens: int
    base_tokens: int
    curve: list[dict[str, float]]


def align(
    model: Any, rows: NewRows, passages: Iterable[TwoCuts], opening: int, settings: Alignment, report: Report
) -> Aligned:
    """Teach the new rows, and the adapters if `settings.learn` says so, for `settings.steps` steps.

    Args:
        model: an extended model with split rows, its other parameters frozen but for adapters.
        rows: its new rows, changed in place.
        passages: text in both cuts, endless; as many go into a step as `settings.batch_tokens` takes.
        opening: see `Aligner`.
        settings: how long, how fast, what.
        report: hears of the progress.

    Raises:
        TrainingError: the losses are no longer numbers.
    """
    aligner = Aligner(model, opening, settings)
    adams = [RowAdam(table.data) for table in rows.parameters()]
    scales = [_rms(table) for table in _base_rows(model, rows)]
    learners = _adapters(model) if settings.learn == "rows_and_adapters" else []
    optimizer = torch.optim.AdamW(learners, lr=1.0, weight_decay=0.0) if learners else None
    done = Aligned(0, 0, [])
    stretch: list[tuple[float, float]] = []
    batches = _batches(passages, settings.batch_tokens)
    with report.task("aligning", settings.steps, "steps") as task:
        for step, batch in enumerate(itertools.islice(batches, settings.steps)):
            distance, spans = aligner.losses(batch)
            (settings.hidden_weight * distance + settings.span_weight * spans).backward()
            stretch.append((distance.item(), spans.item()))
            if not all(map(math.isfinite, stretch[-1])):
                raise TrainingError("aligning gives no number; lower training.alignment.rows_learning_rate")
            left = 1 - step / settings.steps
            for table, adam, scale in zip(rows.parameters(), adams, scales, strict=True):
                if table.grad is not None:
                    used = table.grad.abs().amax(dim=1).nonzero()[:, 0]
                    adam.step(table.grad, used, settings.rows_learning_rate * scale * left)
            if optimizer is not None:
                optimizer.param_groups[0]["lr"] = settings.adapters_learning_rate * left
                optimizer.step()
                refresh_norms(model)
            for parameter in model.parameters():
                parameter.grad = None
            done.tokens += sum(len(passage.new) for passage in batch)
            done.base_tokens += sum(len(passage.base) for passage in batch)
            if (step + 1) * _POINTS // settings.steps > len(done.curve):
                hidden, likelihood = np.mean(stretch, axis=0).tolist()
                point = {"step": step + 1.0, "distance": round(hidden, 5), "spans": round(likelihood, 5)}
                done.curve.append(point)
                stretch.clear()
            task.advance(1, f"distance {distance.item():.3f}, spans {spans.item():.3f} nats")
    return done


def align_once(
    extended: ExtendedModel,
    model: Any,
    rows: NewRows,
    text: Lines,
    settings: Alignment,
    record: dict[str, Any],
    folder: Path,
    report: Report,
    revision: str | None = None,
) -> None:
    """Run the phase, or take what a run before it left in `folder`, and put it into `model` and `rows`.

    An interrupted phase begins anew and ends with the same weights. What was made from something else is
    made anew: no step of the training has built on it, or the training would have been refused.

    Args:
        extended: names the tokenizers.
        model: as for `align`.
        rows: as for `align`.
        text: the documents, read again and again.
        settings: as for `align`.
        record: everything that the result depends on, kept with it.
        folder: where the result is kept, whole or not at all.
        report: hears of the progress.
        revision: of the base's tokenizer, where it is a hub id.

    Raises:
        InputError: the tokenizer of the base is no longer where it was, or no longer what it was.
        TrainingError: as `align`, or the text has no new token.
    """
    about = folder / "alignment.json"
    if not about.exists() or read_json(about).get("record") != record:
        shutil.rmtree(folder, ignore_errors=True)
        cutter = Cutter(_base_tokenizer(extended, revision), _tokenizer(extended.model))
        named = cutter.base.token_to_id(_OPENING)
        passages = _endless(text, cutter, settings.passage_characters)
        done = align(model, rows, passages, named or 0, settings, report)
        with whole_folder(folder) as made:
            rows.save(made / "new_rows.safetensors")
            if any(True for _ in adapted_layers(model)):
                save_adapter(model, made / "adapter")
            write_json(
                made / "alignment.json", {"record": record, "tokens": done.tokens, "curve": done.curve}
            )
    rows.load(folder / "new_rows.safetensors")
    if (folder / "adapter").exists():
        load_adapter(model, folder / "adapter")


def cut_passages(documents: Iterable[str], cutter: Cutter, longest: int) -> Iterator[TwoCuts]:
    """The documents in passages of at most `longest` characters that end at white space, in both cuts.

    Passages without a new token are left out: base and student read them alike.
    """
    first = len(cutter.base.get_vocab(with_added_tokens=True))
    for text in documents:
        for passage in cutter.cut(list(split_passages(text, longest))):
            if (passage.new >= first).any():
                yield passage


def _endless(text: Lines, cutter: Cutter, longest: int) -> Iterator[TwoCuts]:
    """The passages of one pass over the text after another."""
    for turn in itertools.count():
        numbers = range(turn * len(text), (turn + 1) * len(text))
        found = False
        for passage in cut_passages(map(text.text, numbers), cutter, longest):
            found = True
            yield passage
        if not found:
            raise TrainingError(
                f"{text.path} has no passage with a new token, so there is nothing to align; train on text "
                f"in the language of the vocabulary, {_WITHOUT}"
            )


def _batches(passages: Iterable[TwoCuts], tokens: int) -> Iterator[list[TwoCuts]]:
    """Batches of at most `tokens`, padding included; a longer passage is a batch by itself."""
    batch: list[TwoCuts] = []
    for passage in passages:
        longest = max(len(each.new) for each in [*batch, passage])
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch = []
        batch.append(passage)
    if batch:
        yield batch


def _base_tokenizer(extended: ExtendedModel, revision: str | None) -> Tokenizer:
    """The tokenizer that the vocabulary was learned over, found where it was then."""
    about = read_json(extended.folder / "extension.json")["base"]
    try:
        base = load_base(about["name"], revision)
    except InputError as error:
        raise InputError(
            f"the alignment phase reads the base's tokenizer, but {error}; {_WITHOUT}"
        ) from error
    if base.fingerprint != about["fingerprint"]:
        raise InputError(
            f"the alignment phase reads the base's tokenizer, but {base.name} is {base.fingerprint} and the "
            f"vocabulary was learned over {about['fingerprint']}; put it back, {_WITHOUT}"
        )
    return base.tokenizer()


def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _adapters(model: Any) -> list[torch.nn.Parameter]:
    layers = [layer for _, layer in adapted_layers(model)]
    return [part for layer in layers for part in (layer.lora_a, layer.lora_b, layer.magnitude)]


def _base_rows(model: Any, rows: NewRows) -> list[torch.Tensor]:
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    return [end.base for end in (ends[:1] if rows.tied else ends)]


def _rms(table: torch.Tensor) -> float:
    """Root mean square over at most 4,096 rows, evenly spread."""
    return float(table[:: max(1, len(table) // 4096)].float().square().mean().sqrt())
