"""The alignment phase before the first step: the base teaches the extended model on the same text, which each
reads in its own tokenization.

The teacher is the student with adapters off and base rows alone, so no second model is in memory.
"""

import itertools
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from ekle.artifacts import ExtendedModel
from ekle.bpe.base import load_base
from ekle.bpe.tokenizer_pair import AlignedEncoding, Ids, TokenizerPair
from ekle.errors import InputError, TokenizerError, TrainingError
from ekle.files import atomic_folder, read_json, write_json
from ekle.model.checkpoint.adapter import load_adapter, save_adapter
from ekle.model.checkpoint.loading import load_tokenizer
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
from ekle.progress import ProgressReporter
from ekle.recipe.training import AlignmentSettings
from ekle.text.documents import passages as split_passages
from ekle.training.data.documents import Lines


class AlignmentLoss:
    """A model with split rows (`ekle.model.layers.new_rows.split_rows`), and how far it is from what it was.

    Two losses, at the places where both cuts have a boundary:

    - the squared distance of hidden states after some of the layers, as a share of their own square, from the
      end of a passage's first new token on (before it both read the same);
    - for each span between two such places, the difference of log-likelihood in nats: the sum over its base
      pieces, as the base has it, against the sum over the student's tokens, mostly one. Beyond one nat it
      counts as it is, below one as half its square (Huber), as few spans are far off.

    Matching the likelihood of spans is after Minixhofer, Vulić and Ponti (2025, "Universal Cross-Tokenizer
    Distillation via Approximate Likelihood Matching"). Where the text goes on inside the word, the base's
    pieces have also the mass of every longer token that begins with them; their way to discount that is not
    taken over.

    Args:
        model: a causal language model of transformers with split rows, adapters attached or not.
        prefix_token: id of a base token put before every passage; it is the same in both cuts.
        settings: depths and weights.
    """

    def __init__(self, model: Any, prefix_token: int, settings: AlignmentSettings) -> None:
        head = model.get_output_embeddings()
        if not isinstance(head, SplitHead):
            raise TypeError("the rows of the model are not split")
        self._model, self._prefix_token, self._settings = model, prefix_token, settings
        self._head, self.first = head, len(head.base)
        count = model.config.num_hidden_layers
        self._depths = sorted({depth_to_layer(depth, count) for depth in settings.depths})

    def losses(self, passages: Sequence[AlignedEncoding]) -> tuple[Tensor, Tensor]:
        """Distance of hidden states, and of span likelihoods, each a mean over its places.

        The second's gradient is exact, but made in the forward pass: one backward pass goes through it.
        """
        with torch.no_grad(), disable_adapters(self._model):
            cuts = [passage.base for passage in passages]
            teacher_states, teacher = self._read(cuts)
            nats = self._nats(cuts, teacher, _Base(self._head.base))
            wanted = _summed(nats, span_ids(passages, new=False))
        states, student = self._read([passage.new for passage in passages])
        boundaries = shared_boundaries(passages, self.first)
        distances = [
            hidden_state_distance(base, given, boundaries)
            for base, given in zip(teacher_states, states, strict=True)
        ]
        return torch.stack(distances).mean(), self._span_loss(passages, student, wanted)

    def _span_loss(self, passages: Sequence[AlignedEncoding], student: Tensor, wanted: Tensor) -> Tensor:
        """Mean over spans; `wanted` (spans,) are the teacher's nats."""
        number = span_ids(passages, new=True).to(student.device)
        ids = [passage.new for passage in passages]
        with torch.no_grad():
            difference = _summed(self._nats(ids, student, self._head), number) - wanted
            value = functional.huber_loss(difference, torch.zeros_like(difference))
            # The loss depends on each token's nats through its span: its slope there is the token's weight.
            weights = (difference.clamp(-1, 1) / len(difference))[number]
        weighted_loss = self._weighted(ids, student, self._head, weights)[0]
        return weighted_loss - weighted_loss.detach() + value

    def _nats(self, ids: Sequence[Ids], states: Tensor, head: nn.Module) -> Tensor:
        """-ln p of each token, passage after passage, (tokens,)."""
        count = sum(len(each) for each in ids)
        return self._weighted(ids, states, head, torch.ones(count, device=states.device))[1]

    def _weighted(
        self, ids: Sequence[Ids], states: Tensor, head: nn.Module, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum of the tokens' losses by `weights`, and the losses."""
        before = torch.cat([states[row, : len(each)] for row, each in enumerate(ids)])
        labels = torch.from_numpy(np.concatenate(list(ids))).to(states.device)
        rows = self.first + len(self._head.new)
        return weighted_cross_entropy(before, head, labels, weights, chunk_size(rows, states.device))

    def _read(self, texts: Sequence[Ids]) -> tuple[list[Tensor], Tensor]:
        """Hidden states (B, T, D) after each depth, and the last; the opening stands at 0."""
        ids, mask = with_prefix_token(texts, self._prefix_token, self._head.base.device)
        decoder = self._model.get_decoder()
        with captured_outputs([decoder.layers[depth - 1] for depth in self._depths]) as found:
            last = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        return found, last


class _Base(nn.Module):
    """The base's output rows alone, as an output layer."""

    def __init__(self, rows: nn.Parameter) -> None:
        super().__init__()
        self.weight = rows


def _summed(nats: Tensor, number: Tensor) -> Tensor:
    """Nats of each span, (spans,), from those of its tokens."""
    number = number.to(nats.device)
    return torch.zeros(int(number[-1]) + 1, device=nats.device).index_add_(0, number, nats)


def span_ids(passages: Sequence[AlignedEncoding], new: bool) -> Tensor:
    """For each token, passage after passage, the number of the shared span it lies in, counted over all."""
    numbers, before = [], 0
    for passage in passages:
        ids, ends = (passage.new, passage.new_ends) if new else (passage.base, passage.base_ends)
        numbers.append(np.searchsorted(ends, np.arange(len(ids)), side="left") + before)
        before += len(ends)
    return torch.from_numpy(np.concatenate(numbers))


_POINTS = 10  # of the curve that is reported
_CURE = "or set training.alignment.steps to 0"


@dataclass
class AlignmentResult:
    """What the phase did: tokens read in the new cut, and the losses on the way."""

    tokens: int
    base_tokens: int
    curve: list[dict[str, float]]


def align(
    model: Any,
    rows: NewRows,
    passages: Iterable[AlignedEncoding],
    prefix_token: int,
    settings: AlignmentSettings,
    reporter: ProgressReporter,
) -> AlignmentResult:
    """Teach the new rows, and the adapters if `settings.learn` says so, for `settings.steps` steps.

    Args:
        model: an extended model with split rows, its other parameters frozen but for adapters.
        rows: its new rows, changed in place.
        passages: text in both cuts, endless; as many go into a step as `settings.batch_tokens` takes.
        prefix_token: see `AlignmentLoss`.
        settings: how long, how fast, what.
        reporter: hears of the progress.

    Raises:
        TrainingError: the losses are no longer numbers.
    """
    aligner = AlignmentLoss(model, prefix_token, settings)
    adams = [RowAdam(table.data) for table in rows.parameters()]
    scales = [_rms(table) for table in _base_rows(model, rows)]
    learners = _adapters(model) if settings.learn == "rows_and_adapters" else []
    optimizer = torch.optim.AdamW(learners, lr=1.0, weight_decay=0.0) if learners else None
    done = AlignmentResult(0, 0, [])
    since_point: list[tuple[float, float]] = []
    batches = padded_batches(passages, settings.batch_tokens)
    with reporter.task("aligning", settings.steps, "steps") as task:
        for step, batch in enumerate(itertools.islice(batches, settings.steps)):
            distance, spans = aligner.losses(batch)
            (settings.hidden_weight * distance + settings.span_weight * spans).backward()
            since_point.append((distance.item(), spans.item()))
            if not all(map(math.isfinite, since_point[-1])):
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
                hidden, likelihood = np.mean(since_point, axis=0).tolist()
                point = {"step": step + 1.0, "distance": round(hidden, 5), "spans": round(likelihood, 5)}
                done.curve.append(point)
                since_point.clear()
            task.advance(1, f"distance {distance.item():.3f}, spans {spans.item():.3f} nats")
    return done


def align_or_load(
    extended: ExtendedModel,
    model: Any,
    rows: NewRows,
    text: Lines,
    settings: AlignmentSettings,
    record: dict[str, Any],
    folder: Path,
    reporter: ProgressReporter,
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
        reporter: hears of the progress.
        revision: of the base's tokenizer, where it is a hub id.

    Raises:
        InputError: the tokenizer of the base is no longer where it was, or no longer what it was.
        TokenizerError: there is no token to put before a passage (`ekle.model.encoding.prefix_token_id`).
        TrainingError: as `align`, or the text has no new token.
    """
    about = folder / "alignment.json"
    if not about.exists() or read_json(about).get("record") != record:
        shutil.rmtree(folder, ignore_errors=True)
        tokenizer_pair = TokenizerPair(_base_tokenizer(extended, revision), _tokenizer(extended.model))
        passages = _repeated_passages(text, tokenizer_pair, settings.passage_characters)
        done = align(model, rows, passages, _prefix_token_id(extended.model), settings, reporter)
        with atomic_folder(folder) as made:
            rows.save(made / "new_rows.safetensors")
            if any(True for _ in adapted_layers(model)):
                save_adapter(model, made / "adapter")
            write_json(
                made / "alignment.json", {"record": record, "tokens": done.tokens, "curve": done.curve}
            )
    rows.load(folder / "new_rows.safetensors")
    if (folder / "adapter").exists():
        load_adapter(model, folder / "adapter")


def passages_with_new_tokens(
    documents: Iterable[str], tokenizer_pair: TokenizerPair, longest: int
) -> Iterator[AlignedEncoding]:
    """The documents in passages of at most `longest` characters that end at white space, in both cuts.

    Passages without a new token are left out: base and student read them alike.
    """
    first = len(tokenizer_pair.base.get_vocab(with_added_tokens=True))
    for text in documents:
        for passage in tokenizer_pair.encode(list(split_passages(text, longest))):
            if (passage.new >= first).any():
                yield passage


def _repeated_passages(text: Lines, tokenizer_pair: TokenizerPair, longest: int) -> Iterator[AlignedEncoding]:
    """The passages of one pass over the text after another."""
    for epoch in itertools.count():
        numbers = range(epoch * len(text), (epoch + 1) * len(text))
        found = False
        for passage in passages_with_new_tokens(map(text.text, numbers), tokenizer_pair, longest):
            found = True
            yield passage
        if not found:
            raise TrainingError(
                f"{text.path} has no passage with a new token, so there is nothing to align; train on text "
                f"in the language of the vocabulary, {_CURE}"
            )


def _base_tokenizer(extended: ExtendedModel, revision: str | None) -> Tokenizer:
    """The tokenizer that the vocabulary was learned over, found where it was then."""
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
