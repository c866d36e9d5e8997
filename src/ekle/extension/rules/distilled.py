"""The rule `distilled`: the passages it reads, the loop that learns from them, the state it resumes from."""

import hashlib
import itertools
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ekle.bpe.encode import batches
from ekle.bpe.tokenizer_pair import AlignedEncoding, TokenizerPair
from ekle.errors import TrainingError
from ekle.extension.rules.teacher_student import Distiller
from ekle.files import atomic_file
from ekle.model.checkpoint.safetensors_file import raw_bytes
from ekle.model.layers.hidden_states import padded_batches
from ekle.progress import ProgressReporter
from ekle.recipe.extension import DistillationSettings
from ekle.text.documents import passages


def snippets(
    documents: Iterable[str],
    tokenizer_pair: TokenizerPair,
    first: int,
    count: int,
    settings: DistillationSettings,
    reporter: ProgressReporter,
) -> list[AlignedEncoding]:
    """Passages, both cuts of each, until every new token stands in `settings.snippets` of them.

    A passage is kept if it holds a token that still lacks some, so frequent tokens come up far more often.
    Passages end at white space and are at most `settings.snippet_characters` long.

    Args:
        documents: the text; read up to `settings.text_bytes`.
        tokenizer_pair: base and extended tokenizer.
        first: id of the first new token.
        count: number of new tokens.
        settings: how many, how long.
        reporter: hears of the progress.
    """
    seen = np.zeros(count, dtype=np.int64)
    kept: list[AlignedEncoding] = []
    left = settings.text_bytes
    with reporter.task("looking for the new tokens", count, "tokens") as task:
        parts = (part for text in documents for part in passages(text, settings.snippet_characters))
        for texts in batches(parts):
            chosen: list[str] = []
            for text, ids in zip(texts, tokenizer_pair.encode_new(texts), strict=True):
                new = np.unique(np.array(ids, dtype=np.int64)) - first
                new = new[new >= 0]
                if len(ids) > 1 and (seen[new] < settings.snippets).any():
                    chosen.append(text)
                    before = int((seen >= settings.snippets).sum())
                    seen[new] += 1
                    task.advance(int((seen >= settings.snippets).sum()) - before)
            kept += tokenizer_pair.encode(chosen)
            left -= sum(len(text.encode()) for text in texts)
            if left <= 0 or (seen >= settings.snippets).all():
                break
    without = int((seen == 0).sum())
    rare = int((seen < settings.snippets).sum()) - without
    reporter.say(
        f"{len(kept):,} passages; {rare:,} new tokens stand in fewer than {settings.snippets} of them, "
        f"{without:,} in none",
        passages=len(kept),
        rare=rare,
        without=without,
    )
    return kept


def replay_passages(
    documents: Iterable[str], tokenizer_pair: TokenizerPair, tokens: int, characters: int
) -> list[AlignedEncoding]:
    """Passages of at most `characters`, whatever they hold, until they have about `tokens` tokens."""
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
    """How far the learning is.

    `curve` holds steps with distance and cross-entropy, averaged since the entry before; `stretch` what came
    since the last.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    stretch: list[tuple[float, float]] = field(default_factory=list)


class DistillationState:
    """The state in a folder; one with another stamp is passed over.

    Args:
        folder: where it lies.
        stamp: says what is learned from what; see `stamp_of`.
    """

    def __init__(self, folder: Path, stamp: str) -> None:
        self._path, self._stamp = folder / _FILE, stamp

    def save(self, distiller: Distiller, progress: DistillationProgress) -> None:
        """Write rows, averages of the optimiser and progress.

        Raises:
            SpaceError: the disk is full; the state before stays.
        """
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(distiller).items()}
        about = {"stamp": self._stamp, "progress": json.dumps(asdict(progress))}
        with atomic_file(self._path) as temporary:
            save_file(kept, temporary, metadata=about)

    def load(self, distiller: Distiller) -> DistillationProgress:
        """Put the state into `distiller` and say how far it is; the beginning, where there is none."""
        try:
            with safe_open(self._path, framework="pt") as handle:
                about = handle.metadata() or {}
                if about.get("stamp") != self._stamp:
                    return DistillationProgress()
                progress = DistillationProgress(**json.loads(about["progress"]))
                kept = {name: handle.get_tensor(name) for name in _tensors(distiller)}
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return DistillationProgress()  # never begun, or cut off by a failing disk
        for name, tensor in _tensors(distiller).items():  # not before all of them are read
            tensor.copy_(kept[name])
        progress.stretch = [(distance, entropy) for distance, entropy in progress.stretch]
        return progress


def _tensors(distiller: Distiller) -> dict[str, Tensor]:
    """What changes from step to step, by the name that it has in the file."""
    tensors = {f"{name}/rows": rows for name, rows in distiller.rows().items()}
    for name, adam in distiller.adams.items():
        tensors |= {f"{name}/{part}": value for part, value in adam.state.items()}
    return tensors


def distillation_fingerprint(
    distiller: Distiller,
    passages: Sequence[AlignedEncoding],
    scales: Mapping[str, float],
    settings: DistillationSettings,
    seed: int,
) -> str:
    """A digest of everything that the rows in the end follow from: settings, passages, base, first rows."""
    about = settings.model_dump(exclude={"save_minutes"})
    fixed = [about, seed, dict(scales), distiller.fixed()]
    total = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode())
    for passage in passages:
        total.update(passage.base.tobytes())
        total.update(passage.new.tobytes())
    for name, rows in sorted(distiller.rows().items()):
        total.update(name.encode())
        total.update(raw_bytes(rows.cpu()))
    return total.hexdigest()


_POINTS = 20  # of the curve that is reported


def distilled_rows(
    distiller: Distiller,
    passages: Sequence[AlignedEncoding],
    scales: Mapping[str, float],
    settings: DistillationSettings,
    seed: int,
    scratch: Path,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], DistillationProgress]:
    """New rows (new tokens, width) in float32 by the name of their matrix, and how they came about.

    Token Distillation (Dobler, Elliott and de Melo 2025, "Token Distillation: Attention-aware Input
    Embeddings For New Tokens"): the base reads a passage in its own cut, the student in the new one, and the
    new input rows learn to bring the student's hidden states, after a share of the layers, to where the
    base's are at the same places of the text. The authors learn from snippets in the base's cut with one
    new token in them; here the whole passage is in the new cut, so that it teaches all its new tokens, and in
    each other's company. Output rows learn by cross-entropy: from the base's last states, the token that the
    new cut has next. Base rows take part in that softmax and do not move.

    A token costs the base one forward pass, and the student, for its share of the layers, a forward and a
    backward one: at a third, twice a forward pass of the whole. The base is in memory whole (bfloat16 on a
    GPU: 16 GB for 8B).

    The state is written to `scratch` every few minutes and at the end; an interrupted run goes on from
    there, with the same result if `settings.minutes` sets no end.

    Args:
        distiller: the base, and the rows to start from.
        passages: text that holds the new tokens, in both cuts.
        scales: root mean square of the base rows in use, by matrix.
        settings: budget and pace.
        seed: of the order of the passages.
        scratch: a folder for the state.
        reporter: hears of the progress.

    Raises:
        TrainingError: no passage holds a new token, or the loss is no longer a number.
    """
    if not passages:
        raise TrainingError("no new token occurs in the text; give more of it, or text of the right language")
    total = settings.tokens or settings.passes * sum(len(passage.new) for passage in passages)
    state = DistillationState(scratch, distillation_fingerprint(distiller, passages, scales, settings, seed))
    progress = state.load(distiller)
    if progress.step:
        reporter.say(f"Distilling goes on from step {progress.step:,}")
    saved = time.monotonic()
    started = saved - progress.seconds
    stretch = progress.stretch
    with reporter.task("distilling rows", total, "tokens") as task:
        task.advance(progress.tokens)
        for batch in _batches(passages, settings.batch_tokens, seed, progress.step):
            progress.seconds = time.monotonic() - started
            done = progress.tokens / total
            if settings.minutes is not None:
                done = max(done, progress.seconds / 60 / settings.minutes)
            if done >= 1:
                break
            rates = {name: settings.learning_rate * scale * (1 - done) for name, scale in scales.items()}
            stretch.append(distiller.step(batch, rates))
            if not math.isfinite(stretch[-1][0]):
                raise TrainingError("distilling gives no number; lower extension.distillation.learning_rate")
            count = sum(len(passage.new) for passage in batch)
            progress.step, progress.tokens = progress.step + 1, progress.tokens + count
            if progress.tokens * _POINTS // total > len(progress.curve):
                progress.curve.append(_point(progress.step, stretch))
                stretch.clear()
            task.advance(count, f"distance {np.mean([d for d, _ in stretch[-20:]] or [0]):.3f}")
            if time.monotonic() - saved > 60 * settings.save_minutes:
                state.save(distiller, progress)
                saved = time.monotonic()
    state.save(distiller, progress)  # a model is written next, which takes minutes
    if stretch:
        progress.curve.append(_point(progress.step, stretch))
    return {name: rows.cpu() for name, rows in distiller.rows().items()}, progress


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


def _point(step: int, stretch: Sequence[tuple[float, float]]) -> dict[str, float]:
    distance, entropy = np.mean(stretch, axis=0).tolist()
    point = {"step": float(step), "distance": round(distance, 5)}
    return point if math.isnan(entropy) else point | {"cross_entropy": round(entropy, 4)}
