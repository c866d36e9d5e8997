"""The alignment phase before the first step: the base teaches the extended model.

Both read the same text, each in its own tokenization. The teacher is the extended model without adapters and
new rows, so no second model is in memory. Held-out text decides whether what was learned is kept.
"""

import itertools
import math
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import load_base
from ekle.bpe.opening import open_tokenizer_file
from ekle.bpe.tokenizer_pair import AlignedEncoding, Ids, TokenizerPair
from ekle.errors import CheckpointError, DeviceMemoryError, InputError, TokenizerError, TrainingError
from ekle.files import atomic_folder, read_json, write_json
from ekle.model.checkpoint.adapter import load_adapter, save_adapter
from ekle.model.checkpoint.loading import load_tokenizer
from ekle.model.checkpoint.weights import LoadedEmbeddingMatrix
from ekle.model.encoding import prefix_token_id
from ekle.model.layers.dora import adapted_layers, disable_adapters, refresh_norms
from ekle.model.layers.hidden_states import (
    captured_outputs,
    depth_to_layer,
    hidden_state_distance,
    padded_batches,
    shared_boundaries,
    with_prefix_token,
)
from ekle.model.layers.loss import chunk_size, weighted_cross_entropy
from ekle.model.layers.new_rows import NewRows, RowAdam, SplitHead
from ekle.model.row_statistics import row_statistics, used_ids
from ekle.progress import ProgressReporter
from ekle.recipe.training import AlignmentSettings
from ekle.text.documents import passages as split_passages
from ekle.training.data.documents import Lines
from ekle.training.monitoring.held_out import HeldOut


class AlignmentLoss:
    """How far a model with split rows (`ekle.model.layers.new_rows.split_rows`) is from its base: two losses.

    Both compare at the places where both tokenizations have a token boundary:

    - The distance of hidden states after some of the layers (`hidden_state_distance`), from the end of a
    passage's
      first new token on, because before it both read the same tokens.
    - For each span between two such places, the difference of log-likelihoods in nats: the sum over the base
      tokens of the span, by the base, and the sum over its tokens in the new tokenization (mostly one), by
      the student. The loss is the Huber loss with threshold 1, because few spans differ much.

    Matching the likelihood of spans is from Minixhofer, Vulić and Ponti (2025, "Universal Cross-Tokenizer
    Distillation via Approximate Likelihood Matching"). If a word continues after the span, the likelihood of
    the base tokens includes that of every longer token that begins with them. The authors discount that; this
    does not.

    Args:
        model: a causal language model of transformers with split rows, with or without adapters.
        prefix_token: id of the token before every passage, the same in both tokenizations.
        settings: depths and weights.
    """

    def __init__(self, model: Any, prefix_token: int, settings: AlignmentSettings) -> None:
        head = model.get_output_embeddings()
        if not isinstance(head, SplitHead):
            raise TypeError("the rows of the model are not split")
        self._model, self._prefix_token, self._settings = model, prefix_token, settings
        self._head, self.first_new_id = head, len(head.base)
        layers = model.config.num_hidden_layers
        self._depths = sorted({depth_to_layer(depth, layers) for depth in settings.depths})

    def losses(self, passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor]:
        """Distance of hidden states, and loss of the span likelihoods, both scalars.

        The gradient of the second is exact but computed in the forward pass, so it allows one backward pass.
        """
        with torch.no_grad(), disable_adapters(self._model):
            base_ids = [passage.base for passage in passages]
            teacher_states, teacher_last = self._read(base_ids)
            nats = self._nats(base_ids, teacher_last, _BaseHead(self._head.base))
            wanted = _summed(nats, span_ids(passages, new=False))
        student_states, student_last = self._read([passage.new for passage in passages])
        boundaries = shared_boundaries(passages, self.first_new_id)
        distances = [
            hidden_state_distance(teacher, student, boundaries)
            for teacher, student in zip(teacher_states, student_states, strict=True)
        ]
        return torch.stack(distances).mean(), self._span_loss(passages, student_last, wanted)

    def _span_loss(self, passages: Sequence[AlignedEncoding], hidden: Tensor, wanted: Tensor) -> Tensor:
        """Mean over spans; `hidden` is the student's last state, `wanted` (spans,) are the teacher's nats."""
        spans = span_ids(passages, new=True).to(hidden.device)
        ids = [passage.new for passage in passages]
        with torch.no_grad():
            difference = _summed(self._nats(ids, hidden, self._head), spans) - wanted
            value = functional.huber_loss(difference, torch.zeros_like(difference))
            # The gradient of the loss by the nats of a span is the weight of each of its tokens.
            weights = (difference.clamp(-1, 1) / len(difference))[spans]
        weighted_loss = self._weighted(ids, hidden, self._head, weights)[0]
        return weighted_loss - weighted_loss.detach() + value

    def _nats(self, ids: Sequence[Ids], hidden: Tensor, head: nn.Module) -> Tensor:
        """-ln p of each token (tokens,), passage after passage."""
        count = sum(len(each) for each in ids)
        return self._weighted(ids, hidden, head, torch.ones(count, device=hidden.device))[1]

    def _weighted(
        self, ids: Sequence[Ids], hidden: Tensor, head: nn.Module, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sum of the tokens' losses times `weights`, and the losses."""
        before = torch.cat([hidden[row, : len(each)] for row, each in enumerate(ids)])
        labels = torch.from_numpy(np.concatenate(list(ids))).to(hidden.device)
        rows = self.first_new_id + len(self._head.new)
        return weighted_cross_entropy(before, head, labels, weights, chunk_size(rows, hidden.device))

    def _read(self, texts: Sequence[Ids]) -> tuple[list[Tensor], Tensor]:
        """Hidden states (B, T, D) after each depth, and the last; those of the prefix token are at 0."""
        ids, mask = with_prefix_token(texts, self._prefix_token, self._head.base.device)
        decoder = self._model.get_decoder()
        with captured_outputs([decoder.layers[depth - 1] for depth in self._depths]) as outputs:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return outputs, last


class _BaseHead(nn.Module):
    """An output layer of the base's output embeddings only."""

    def __init__(self, rows: nn.Parameter) -> None:
        super().__init__()
        self.weight = rows


def _summed(nats: Tensor, spans: Tensor) -> Tensor:
    """Nats of each span (spans,), from those of its tokens."""
    spans = spans.to(nats.device)
    return torch.zeros(int(spans[-1]) + 1, device=nats.device).index_add_(0, spans, nats)


def span_ids(passages: Sequence[AlignedEncoding], new: bool) -> Tensor:
    """The span of each token (tokens,), passage after passage; spans are numbered through all passages."""
    numbers, before = [], 0
    for passage in passages:
        ids, ends = (passage.new, passage.new_ends) if new else (passage.base, passage.base_ends)
        numbers.append(np.searchsorted(ends, np.arange(len(ids)), side="left") + before)
        before += len(ends)
    return torch.from_numpy(np.concatenate(numbers))


_RESULT = "alignment.json"
_CURVE_POINTS = 10
_CURE = "or set training.alignment.steps to 0"


_LEAST_PARTS = 10  # at most one document in so many is held out of the text


@dataclass
class AlignmentResult:
    """What the phase did.

    Attributes:
        tokens: read, in the new tokenization.
        base_tokens: read, in the base's.
        curve: the losses on the way.
        passages: texts that were read.
        bits_per_byte_before: of held-out text; None if nothing was measured.
        bits_per_byte_after: the same at the end; None if the model gave no finite number.
        kept: whether what was learned is kept, because it is better by that measure.
    """

    tokens: int
    base_tokens: int
    curve: list[dict[str, float]]
    passages: int = 0
    bits_per_byte_before: float | None = None
    bits_per_byte_after: float | None = None
    kept: bool = True

    def figures(self) -> dict[str, Any]:
        """What training.json records."""
        names = ("bits_per_byte_before", "bits_per_byte_after", "kept")
        return {name: getattr(self, name) for name in names}


def align(
    model: Any,
    rows: NewRows,
    passages: Iterable[AlignedEncoding],
    prefix_token: int,
    settings: AlignmentSettings,
    reporter: ProgressReporter,
    used_rows: Tensor | None = None,
    measure: Callable[[], float] | None = None,
) -> AlignmentResult:
    """Teach the new rows, and the adapters if `settings.learn` says so, for `settings.steps` steps.

    Neither loss is bits per byte, and both can fall while those rise. So they are measured before and after,
    and where they are no better after, rows and adapters are put back.

    Args:
        model: an extended model with split rows; other parameters are frozen, except adapters.
        rows: its new rows, changed in place.
        passages: text in both tokenizations, without end; a step takes `settings.batch_tokens` of it.
        prefix_token: see `AlignmentLoss`.
        settings: steps, learning rates, and what learns.
        reporter: receives progress.
        used_rows: ids (n,) of the base rows that have a token; None takes all base rows.
        measure: gives bits per byte of held-out text, infinity where they are not finite; None keeps what was
            learned in any case.

    Raises:
        TrainingError: a loss is not finite.
    """
    loss = AlignmentLoss(model, prefix_token, settings)
    adams = [RowAdam(table.data) for table in rows.parameters()]
    scales = [_rms(base, used_rows) for base in _base_rows(model, rows)]
    adapters = _adapters(model) if settings.learn == "rows_and_adapters" else []
    optimizer = torch.optim.AdamW(adapters, lr=1.0, weight_decay=0.0) if adapters else None
    result = AlignmentResult(0, 0, [])
    learning = [*rows.parameters(), *adapters]
    start = [parameter.detach().clone() for parameter in learning] if measure is not None else []
    result.bits_per_byte_before = measure() if measure is not None else None
    since_point: list[tuple[float, float]] = []
    batches = padded_batches(passages, settings.batch_tokens)
    with reporter.task("aligning", settings.steps, "steps") as task:
        for step, batch in enumerate(itertools.islice(batches, settings.steps)):
            distance, spans = loss.losses(batch)
            (settings.hidden_weight * distance + settings.span_weight * spans).backward()
            since_point.append((distance.item(), spans.item()))
            if not all(map(math.isfinite, since_point[-1])):
                raise TrainingError("the loss is not finite; lower training.alignment.rows_learning_rate")
            decay = 1 - step / settings.steps
            for table, adam, scale in zip(rows.parameters(), adams, scales, strict=True):
                if table.grad is not None:
                    used = table.grad.abs().amax(dim=1).nonzero()[:, 0]
                    adam.step(table.grad, used, settings.rows_learning_rate * scale * decay)
            if optimizer is not None:
                optimizer.param_groups[0]["lr"] = settings.adapters_learning_rate * decay
                optimizer.step()
                refresh_norms(model)
            for parameter in model.parameters():
                parameter.grad = None
            result.tokens += sum(len(passage.new) for passage in batch)
            result.base_tokens += sum(len(passage.base) for passage in batch)
            result.passages += len(batch)
            if (step + 1) * _CURVE_POINTS // settings.steps > len(result.curve):
                hidden, likelihood = np.mean(since_point, axis=0).tolist()
                point = {"step": step + 1.0, "distance": round(hidden, 5), "spans": round(likelihood, 5)}
                result.curve.append(point)
                since_point.clear()
            task.advance(1, f"distance {distance.item():.3f}, spans {spans.item():.3f} nats")
    if measure is not None and result.bits_per_byte_before is not None:
        before, after = result.bits_per_byte_before, measure()
        result.kept = after < before
        result.bits_per_byte_after = after if math.isfinite(after) else None
        if not result.kept:
            _put_back(learning, start)
            refresh_norms(model)
        outcome = "" if result.kept else "; so it is undone"
        reporter.say(
            f"the alignment took held-out text from {before:.4f} to {after:.4f} bits per byte{outcome}",
            before=before,
            after=result.bits_per_byte_after,
            kept=result.kept,
        )
    return result


@torch.no_grad()
def _put_back(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def align_or_load(
    extended: ExtendedModel,
    model: Any,
    rows: NewRows,
    text: Lines,
    settings: AlignmentSettings,
    record: dict[str, Any],
    folder: Path,
    reporter: ProgressReporter,
    held_out: HeldOut,
    left_out: Collection[str] = (),
    revision: str | None = None,
) -> AlignmentResult:
    """Run the phase, or load its result from `folder`, into `model` and `rows`.

    An interrupted phase starts again and ends with the same weights. A result of other settings or inputs is
    made again: no training step has used it, or the training would have been refused.

    Args:
        extended: the extended model, which names both tokenizers.
        model: as for `align`.
        rows: as for `align`.
        text: the documents, read again and again.
        settings: as for `align`.
        record: everything that the result depends on; written with it.
        folder: where the result is written, completely or not at all.
        reporter: receives progress.
        held_out: decides whether the result is kept.
        left_out: documents of `text` that are not learned from (`held_out_of_training`).
        revision: the revision of the base's tokenizer, if that is a hub id.

    Raises:
        InputError: the base's tokenizer is no longer there, or has changed.
        TokenizerError: there is no token to put before a passage (`ekle.model.encoding.prefix_token_id`).
        TrainingError: as for `align`, or the text has no new token.
    """
    about = folder / _RESULT
    if not about.exists() or read_json(about).get("record") != record:
        shutil.rmtree(folder, ignore_errors=True)
        new = open_tokenizer_file(extended.model / "tokenizer.json")
        tokenizer_pair = TokenizerPair(_base_tokenizer(extended, revision), new)
        passages = _repeated_passages(text, tokenizer_pair, settings.passage_characters, left_out)
        prefix_token = _prefix_token_id(extended.model)
        used_rows = used_ids(tokenizer_pair.new.get_vocab(with_added_tokens=True), rows.first_new_id)
        result = align(
            model,
            rows,
            passages,
            prefix_token,
            settings,
            reporter,
            used_rows,
            lambda: _bits_per_byte(held_out, model),
        )
        with atomic_folder(folder) as made:
            rows.save(made / "new_rows.safetensors")
            if any(True for _ in adapted_layers(model)):
                save_adapter(model, made / "adapter")
            write_json(made / _RESULT, {"record": record, **asdict(result)})
    rows.load(folder / "new_rows.safetensors")
    if (folder / "adapter").exists():
        load_adapter(model, folder / "adapter")
    return read_result(folder)


def read_result(folder: Path) -> AlignmentResult:
    """What `align_or_load` wrote into `folder`.

    That of 0.2 has no more than tokens and curve: whoever resumes there has counted no operations before.
    """
    names = {field.name for field in fields(AlignmentResult)}
    found = {name: value for name, value in read_json(folder / _RESULT).items() if name in names}
    return AlignmentResult(**{"base_tokens": 0, **found})


def held_out_of_training(text: Lines, size: int) -> tuple[list[str], list[str]]:
    """Documents to hold out of the training text, and the part of each that is measured.

    This is for a corpus that holds nothing out. At most a tenth of the documents, and about `size` bytes.

    Raises:
        TrainingError: there is only one.
    """
    if len(text) < 2:
        raise TrainingError(
            f"{text.path} is one document, and the alignment phase measures on another one than it learns "
            f"from; give more documents, or set corpus.held_out, {_CURE}"
        )
    documents: list[str] = []
    parts: list[str] = []
    for number in range(max(len(text) // _LEAST_PARTS, 1)):
        documents.append(text.text(number))
        left = size - sum(len(part.encode()) for part in parts)
        parts.append(documents[-1].encode()[:left].decode(errors="ignore"))
        if len(documents[-1].encode()) >= left:
            break
    return documents, parts


def _bits_per_byte(held_out: HeldOut, model: Any) -> float:
    """Bits per byte, infinity where the model gives no finite number."""
    try:
        return held_out.measure(model).bits_per_byte
    except DeviceMemoryError:
        raise
    except CheckpointError:
        return math.inf


def passages_with_new_tokens(
    documents: Iterable[str], tokenizer_pair: TokenizerPair, longest: int
) -> Iterator[AlignedEncoding]:
    """Passages of the documents in both tokenizations; of at most `longest` characters, ending at white
    space.

    Passages without a new token are left out: base and student read the same tokens there.
    """
    first_new_id = len(tokenizer_pair.base.get_vocab(with_added_tokens=True))
    for text in documents:
        for passage in tokenizer_pair.encode(list(split_passages(text, longest))):
            if (passage.new >= first_new_id).any():
                yield passage


def _repeated_passages(
    text: Lines, tokenizer_pair: TokenizerPair, longest: int, left_out: Collection[str]
) -> Iterator[AlignedEncoding]:
    """The passages of the text but for some documents, again and again."""
    for epoch in itertools.count():
        numbers = range(epoch * len(text), (epoch + 1) * len(text))
        has_passages = False
        documents = (each for each in map(text.text, numbers) if each not in left_out)
        for passage in passages_with_new_tokens(documents, tokenizer_pair, longest):
            has_passages = True
            yield passage
        if not has_passages:
            raise TrainingError(
                f"{text.path} has no passage with a new token, so there is nothing to align; train on text "
                f"in the language of the vocabulary, {_CURE}"
            )


def _base_tokenizer(extended: ExtendedModel, revision: str | None) -> Tokenizer:
    """The tokenizer that the vocabulary was learned over, from where it was then."""
    about = read_json(extended.folder / "extension.json")["base"]
    try:
        base = load_base(about["name"], revision)
    except InputError as error:
        raise InputError(f"the alignment phase reads the base's tokenizer, but {error}; {_CURE}") from error
    if base.fingerprint != about["fingerprint"]:
        raise InputError(
            f"the alignment phase reads the base's tokenizer, but {base.name} is {base.fingerprint} and the "
            f"vocabulary was learned over {about['fingerprint']}; put it back, {_CURE}"
        )
    return base.tokenizer()


def _prefix_token_id(folder: Path) -> int:
    """The token before each passage; as no other will do, a tokenizer without one is refused."""
    try:
        return prefix_token_id(load_tokenizer(folder))
    except TokenizerError as error:
        what = "the alignment phase puts a token before each passage"
        raise TokenizerError(f"{what}, but {error}, {_CURE}") from error


def _adapters(model: Any) -> list[torch.nn.Parameter]:
    layers = [layer for _, layer in adapted_layers(model)]
    return [each for layer in layers for each in (layer.lora_a, layer.lora_b, layer.magnitude)]


def _base_rows(model: Any, rows: NewRows) -> list[torch.Tensor]:
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    return [end.base for end in (ends[:1] if rows.tied else ends)]


def _rms(base: Tensor, used_rows: Tensor | None) -> float:
    """Root mean square of the base rows in use, by which the length of a step is measured."""
    return row_statistics(
        LoadedEmbeddingMatrix(base.detach()), torch.arange(len(base)) if used_rows is None else used_rows
    ).rms
