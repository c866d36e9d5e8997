"""The rule `distilled`: the passages it reads, the state it resumes from, the loop that learns."""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from ekle.bpe.encode import batches
from ekle.bpe.tokenizer_pair import AlignedEncoding, TokenizerPair
from ekle.errors import TrainingError
from ekle.extension.rules.held_out import LEAST_PARTS, SEQUENCE_TOKENS, split_held_out
from ekle.extension.rules.packing import Encode, packed_once
from ekle.extension.rules.rounds import TIMED_STEPS, round_is_over, tokens_in
from ekle.extension.rules.saved_state import SavedState
from ekle.extension.rules.teacher_student import Distiller
from ekle.extension.rules.text_sample import first_bytes, sample_text
from ekle.model.checkpoint.safetensors_file import raw_bytes
from ekle.model.layers.hidden_states import padded_batches
from ekle.progress import ProgressReporter
from ekle.recipe.extension import DistillationSettings
from ekle.text.documents import passages


def held_out_passages(documents: Iterable[str], settings: DistillationSettings, seed: int) -> list[str]:
    """A random choice of the passages in `settings.text_bytes` of text: some, or at most a tenth of them.

    Raises:
        TrainingError: the text has only one passage.
    """
    texts = first_bytes(documents, settings.text_bytes)
    all_passages = (each for text in texts for each in passages(text, settings.passage_characters))
    sample = sample_text(all_passages, LEAST_PARTS * settings.held_out_bytes, seed)
    held_out, _ = split_held_out(sample, settings.held_out_bytes)
    if not held_out:
        raise TrainingError(
            "the rule distilled learns from text and measures on another part of it; give it more than "
            f"{settings.passage_characters} characters (--corpus, or corpus.sources in a recipe)"
        )
    return held_out


def snippets(
    documents: Iterable[str],
    tokenizer_pair: TokenizerPair,
    first_new_id: int,
    count: int,
    settings: DistillationSettings,
    reporter: ProgressReporter,
    held_out: Collection[str] = frozenset(),
) -> list[AlignedEncoding]:
    """Passages in both tokenizations, until every new token is in `settings.passages` of them.

    A passage is kept if it has a token that needs more passages, so frequent tokens occur far more often.
    Passages end at white space and have at most `settings.passage_characters`.

    Args:
        documents: the text; read up to `settings.text_bytes`.
        tokenizer_pair: base and extended tokenizer.
        first_new_id: id of the first new token.
        count: number of new tokens.
        settings: number and length of the passages.
        reporter: receives progress.
        held_out: passages to leave out.
    """
    seen = np.zeros(count, dtype=np.int64)
    kept: list[AlignedEncoding] = []
    bytes_left, left_out = settings.text_bytes, frozenset(held_out)
    with reporter.task("looking for the new tokens", count, "tokens") as task:
        all_passages = (each for text in documents for each in passages(text, settings.passage_characters))
        for texts in batches(all_passages):
            chosen: list[str] = []
            for text, ids in zip(texts, tokenizer_pair.encode_new(texts), strict=True):
                new = np.unique(np.array(ids, dtype=np.int64)) - first_new_id
                new = new[new >= 0]
                if len(ids) > 1 and text not in left_out and (seen[new] < settings.passages).any():
                    chosen.append(text)
                    before = int((seen >= settings.passages).sum())
                    seen[new] += 1
                    task.advance(int((seen >= settings.passages).sum()) - before)
            kept += tokenizer_pair.encode(chosen)
            bytes_left -= sum(len(text.encode()) for text in texts)
            if bytes_left <= 0 or (seen >= settings.passages).all():
                break
    without = int((seen == 0).sum())
    rare = int((seen < settings.passages).sum()) - without
    reporter.say(
        f"{len(kept):,} passages; {rare:,} new tokens are in fewer than {settings.passages} of them, "
        f"{without:,} in none",
        passages=len(kept),
        rare=rare,
        without=without,
    )
    return kept


def replay_passages(
    documents: Iterable[str], tokenizer_pair: TokenizerPair, tokens: int, characters: int
) -> list[AlignedEncoding]:
    """Passages of at most `characters`, with or without new tokens, until they have about `tokens` tokens."""
    kept: list[AlignedEncoding] = []
    for text in documents:
        if tokens <= 0:
            break
        aligned = [
            passage
            for passage in tokenizer_pair.encode(list(passages(text, characters)))
            if len(passage.new) > 1
        ]
        tokens -= sum(len(passage.new) for passage in aligned)
        kept += aligned
    return kept


_FILE = "distilled.safetensors"


@dataclass
class DistillationProgress:
    """The progress of the distillation.

    Attributes:
        step: steps done.
        tokens: tokens read, in the new tokenization.
        planned: tokens after which it ends; None until a budget of minutes has become one of tokens.
        seconds: time taken.
        curve: distance and cross-entropy by step, each averaged since the entry before.
        measurements: bits per byte of held-out text, by step; the first are those of the start.
        best: the lowest of them so far.
        best_step: the step that it was measured after.
        stretch: distance and cross-entropy of the steps since the last entry.
    """

    step: int = 0
    tokens: int = 0
    planned: int | None = None
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    measurements: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_step: int = 0
    stretch: list[tuple[float, float]] = field(default_factory=list)


class DistillationState:
    """The state in a folder; a state with another fingerprint is ignored.

    Args:
        folder: the folder of the state.
        fingerprint: identifies what is learned from what; see `distillation_fingerprint`.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._state = SavedState(folder / _FILE, fingerprint)

    def save(self, distiller: Distiller, best: Mapping[str, Tensor], progress: DistillationProgress) -> None:
        """Write rows, averages of the optimiser, the best rows and the progress; raises as `SavedState`."""
        of_best = {f"best/{name}": rows for name, rows in best.items()}
        self._state.save({**_tensors(distiller), **of_best}, asdict(progress))

    def load(self, distiller: Distiller) -> tuple[DistillationProgress, dict[str, Tensor]] | None:
        """Load the state into `distiller`; its progress and best rows, or None where there is no state."""
        if (found := self._state.load()) is None:
            return None
        tensors, facts = found
        try:
            progress = DistillationProgress(**facts)
            stored = {name: tensors[name] for name in _tensors(distiller)}
            best = {name: tensors[f"best/{name}"] for name in distiller.rows()}
        except (KeyError, TypeError):
            return None
        for name, tensor in _tensors(distiller).items():  # only when all of them are there
            tensor.copy_(stored[name])
        progress.stretch = [(distance, entropy) for distance, entropy in progress.stretch]
        return progress, best


def _tensors(distiller: Distiller) -> dict[str, Tensor]:
    """The tensors that change from step to step, by their names in the file."""
    tensors = {f"{name}/rows": rows for name, rows in distiller.rows().items()}
    for name, adam in distiller.adams.items():
        tensors |= {f"{name}/{part}": value for part, value in adam.state.items()}
    return tensors


def distillation_fingerprint(
    distiller: Distiller,
    passages: Sequence[AlignedEncoding],
    held_out: Sequence[str],
    scales: Mapping[str, float],
    settings: DistillationSettings,
    seed: int,
) -> str:
    """A digest of everything that decides the result: settings, text, base, starting rows."""
    settings_that_count = settings.model_dump(exclude={"save_minutes"})
    fixed = [settings_that_count, seed, dict(scales), distiller.fixed(), list(held_out)]
    total = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode())
    for passage in passages:
        total.update(passage.base.tobytes())
        total.update(passage.new.tobytes())
    for name, rows in sorted(distiller.rows().items()):
        total.update(name.encode())
        total.update(raw_bytes(rows.cpu()))
    return total.hexdigest()


_CURVE_POINTS = 20


def distilled_rows(
    distiller: Distiller,
    passages: Sequence[AlignedEncoding],
    held_out: Sequence[str],
    encode: Encode,
    scales: Mapping[str, float],
    settings: DistillationSettings,
    seed: int,
    scratch: Path,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], DistillationProgress]:
    """New rows (new tokens, width) in float32 by the name of their matrix, and the progress at the end.

    Token Distillation (Dobler, Elliott and de Melo 2025, "Token Distillation: Attention-aware Input
    Embeddings For New Tokens"). The base reads a passage in its own tokenization, the student in the new one.
    New input embeddings learn to bring the student's hidden states, after a share of the layers, to the
    base's at the same places of the text. The authors learn from snippets in the base's tokenization with one
    new token in each. Here the whole passage is in the new tokenization, so that it teaches all its new
    tokens in one another's context. New output embeddings learn by cross-entropy to predict the next token of
    the new tokenization from the base's last hidden states. Base rows are part of that softmax and do not
    change.

    Per token, the base runs one forward pass. The student runs a forward and a backward pass through its
    share of the layers; with a third of them, all this costs two forward passes of the model. The full base
    is in memory (16 GB for 8B in bfloat16 on a GPU).

    Neither loss is the one that counts, and rows of which a budget shows few can lose by both. So the whole
    model reads held-out text at the start and after each of four rounds, and the rows with the fewest bits
    per byte are returned, be they those of the start.

    The rate falls to 0 with the tokens read. A budget of minutes becomes one of tokens after a few steps, by
    their speed. The state is written to `scratch` every few minutes, at each measurement and at the end. An
    interrupted run resumes from there, with the same result.

    Args:
        distiller: the base, and the rows to start from.
        passages: text with the new tokens, in both tokenizations.
        held_out: text to measure (`held_out_passages`).
        encode: of the extended tokenizer.
        scales: root mean square of the base rows in use, by matrix.
        settings: budget and learning rate.
        seed: seed of the order of the passages.
        scratch: folder of the state.
        reporter: receives progress.

    Raises:
        TrainingError: there are no passages, or the loss is not finite.
    """
    if not passages:
        raise TrainingError("no new token occurs in the text; give more of it, or text of the right language")
    total = settings.tokens or settings.passes * sum(len(passage.new) for passage in passages)
    measured = packed_once(held_out, encode, distiller.prefix_token, SEQUENCE_TOKENS)
    fingerprint = distillation_fingerprint(distiller, passages, held_out, scales, settings, seed)
    state = DistillationState(scratch, fingerprint)
    kept = state.load(distiller)
    progress, best = kept if kept is not None else (DistillationProgress(), _copies(distiller.rows()))
    if kept is None:
        progress.planned = total if settings.minutes is None else None
        progress.best = _measure(distiller, measured, progress, reporter)
    else:
        reporter.say(f"Distilling resumes at step {progress.step:,}")
    saved = time.monotonic()
    started = saved - progress.seconds
    since_point = progress.stretch
    with reporter.task("distilling embeddings", total, "tokens") as task:
        task.advance(progress.tokens)
        for batch in _batches(passages, settings.batch_tokens, seed, progress.step):
            planned = total if progress.planned is None else progress.planned
            if progress.tokens >= planned:
                break
            decay = 1 - progress.tokens / planned
            rates = {name: settings.learning_rate * scale * decay for name, scale in scales.items()}
            since_point.append(distiller.step(batch, rates))
            if not math.isfinite(since_point[-1][0]):
                raise TrainingError("the loss is not finite; lower extension.distillation.learning_rate")
            count = sum(len(passage.new) for passage in batch)
            progress.step, progress.tokens = progress.step + 1, progress.tokens + count
            progress.seconds = time.monotonic() - started
            is_timed = progress.step >= TIMED_STEPS or progress.tokens >= total
            if progress.planned is None and settings.minutes is not None and is_timed:
                planned = min(total, tokens_in(settings.minutes, progress.seconds, progress.tokens))
                progress.planned = task.total = planned
            if progress.tokens * _CURVE_POINTS // max(planned, 1) > len(progress.curve):
                progress.curve.append(_point(progress.step, since_point))
                since_point.clear()
            task.advance(count, f"distance {np.mean([d for d, _ in since_point[-20:]] or [0]):.3f}")
            if round_is_over(progress.tokens, progress.planned, len(progress.measurements) - 1):
                found = _measure(distiller, measured, progress, reporter)
                if found < progress.best:
                    best, progress.best, progress.best_step = _copies(distiller.rows()), found, progress.step
            elif time.monotonic() - saved <= 60 * settings.save_minutes:
                continue
            state.save(distiller, best, progress)
            saved = time.monotonic()
    state.save(distiller, best, progress)  # the model is written next, which takes minutes
    if since_point:
        progress.curve.append(_point(progress.step, since_point))
    if not progress.best_step:
        reporter.say("distilling made the rows no better by held-out text; those of the start are kept")
    return {name: rows.cpu() for name, rows in best.items()}, progress


def _measure(
    distiller: Distiller,
    held_out: tuple[Tensor, int],
    progress: DistillationProgress,
    reporter: ProgressReporter,
) -> float:
    """Bits per byte of held-out sequences and their bytes, which `progress` notes."""
    found = distiller.bits_per_byte(*held_out)
    progress.measurements.append({"step": progress.step, "held_out_bits_per_byte": round(found, 5)})
    reporter.say(
        f"{progress.tokens:,} tokens: {found:.4f} bits per byte on text held out",
        held_out_bits_per_byte=found,
    )
    return found


def _copies(rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: table.clone() for name, table in rows.items()}


def _batches(
    passages: Sequence[AlignedEncoding], tokens: int, seed: int, skip: int
) -> Iterator[list[AlignedEncoding]]:
    """Batches without end, in a new order each pass; the first `skip` are left out."""
    batches = (
        batch
        for epoch in itertools.count()
        for batch in padded_batches(_shuffled(passages, [seed, epoch]), tokens)
    )
    return itertools.islice(batches, skip, None)


def _shuffled(passages: Sequence[AlignedEncoding], seed: Sequence[int]) -> Iterator[AlignedEncoding]:
    for place in np.random.default_rng(seed).permutation(len(passages)).tolist():
        yield passages[place]


def _point(step: int, losses: Sequence[tuple[float, float]]) -> dict[str, float]:
    distance, entropy = np.mean(losses, axis=0).tolist()
    point = {"step": float(step), "distance": round(distance, 5)}
    return point if math.isnan(entropy) else point | {"cross_entropy": round(entropy, 4)}
