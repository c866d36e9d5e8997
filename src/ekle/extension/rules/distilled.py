"""A new row is learned from what the base makes of the token's pieces."""

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ekle.bpe.two_cuts import TwoCuts
from ekle.errors import TrainingError
from ekle.extension.distillation import Distiller
from ekle.extension.distillation_state import DistillationState, Progress, stamp_of
from ekle.progress import Report
from ekle.recipe.extension import Distillation

_POINTS = 20  # of the curve that is reported


def distilled_rows(
    distiller: Distiller,
    passages: Sequence[TwoCuts],
    scales: Mapping[str, float],
    settings: Distillation,
    seed: int,
    scratch: Path,
    report: Report,
) -> tuple[dict[str, Tensor], Progress]:
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
        report: hears of the progress.

    Raises:
        TrainingError: no passage holds a new token, or the loss is no longer a number.
    """
    if not passages:
        raise TrainingError("no new token occurs in the text; give more of it, or text of the right language")
    total = settings.tokens or settings.passes * sum(len(passage.new) for passage in passages)
    state = DistillationState(scratch, stamp_of(distiller, passages, scales, settings, seed))
    progress = state.load(distiller)
    if progress.step:
        report.say(f"Distilling goes on from step {progress.step:,}")
    saved = time.monotonic()
    started = saved - progress.seconds
    stretch = progress.stretch
    with report.task("distilling rows", total, "tokens") as task:
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


def _batches(passages: Sequence[TwoCuts], tokens: int, seed: int, skip: int) -> Iterator[list[TwoCuts]]:
    """Batches of at most `tokens`, padding included, in a new order each pass; the first `skip` are left out.

    Never ends. A passage longer than a batch is a batch by itself.
    """
    for turn in itertools.count():
        order = np.random.default_rng([seed, turn]).permutation(len(passages)).tolist()
        batch: list[TwoCuts] = []
        for place in order:
            longest = max(len(passage.new) for passage in [*batch, passages[place]])
            if batch and longest * (len(batch) + 1) > tokens:
                if skip <= 0:
                    yield batch
                skip -= 1
                batch = []
            batch.append(passages[place])
        if skip <= 0:
            yield batch
        skip -= 1


def _point(step: int, stretch: Sequence[tuple[float, float]]) -> dict[str, float]:
    distance, entropy = np.mean(stretch, axis=0).tolist()
    point = {"step": float(step), "distance": round(distance, 5)}
    return point if math.isnan(entropy) else point | {"cross_entropy": round(entropy, 4)}
