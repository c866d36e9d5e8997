"""Learning the maps through the frozen base: a step, the state that a killed run resumes from, the loop."""

import itertools
import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ekle.errors import TrainingError
from ekle.extension.rules.held_out import (
    SEQUENCE_TOKENS,
    SEQUENCES_AT_ONCE,
    bits_per_byte,
    losses_of_sequences,
    split_ends,
)
from ekle.extension.rules.mapped.maps import MappedRows
from ekle.extension.rules.rounds import TIMED_STEPS, round_is_over, tokens_in
from ekle.extension.rules.saved_state import SavedState
from ekle.model.processes import Processes
from ekle.progress import ProgressReporter
from ekle.recipe.extension import MappedSettings

_WARMUP_STEPS = 10
"""A map starts at 0, and the first updates of its numbers point the same way: a full step is too far."""


class MapLearner:
    """The frozen base, and the maps that learn to give its new tokens rows.

    Args:
        model: the base, on its device; no parameter requires a gradient.
        maps: by the name of their matrix; without `OUTPUT_EMBEDDINGS` the two ends are tied.
        prefix_token: id of the token at the start of every sequence.
        settings: learning rates.
        processes: who shares the sequences of a step.
    """

    def __init__(
        self,
        model: Any,
        maps: Mapping[str, MappedRows],
        prefix_token: int,
        settings: MappedSettings,
        processes: Processes,
    ) -> None:
        self._model, self._maps, self._processes = model, dict(maps), processes
        self._decoder, self._prefix_token = model.get_decoder(), prefix_token
        self._base = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        self.device = self._base[0].device
        # Muon moves every direction of a map by the same amount, however rarely the text shows it; under Adam
        # the maps learn more slowly (docs/log.md).
        self._optimizer = torch.optim.Muon(
            [rows.map for rows in maps.values()],
            lr=settings.learning_rate,
            momentum=0.9,
            weight_decay=0.0,
            adjust_lr_fn="original",
        )
        self._rate = settings.learning_rate

    @property
    def matrices(self) -> Collection[str]:
        """The names of the matrices that have new rows."""
        return self._maps.keys()

    def rows(self) -> dict[str, Tensor]:
        """The new rows (N, D) as they are, in float32, by the name of their matrix."""
        with torch.no_grad():
            return {name: maps() for name, maps in self._maps.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Maps and momenta, which change from step to step, by name; no momenta before the first step."""
        found = {f"{name}/map": rows.map.data for name, rows in self._maps.items()}
        for name, rows in self._maps.items():
            if momentum := self._optimizer.state[rows.map]:
                found[f"{name}/momentum"] = momentum["momentum_buffer"]
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what `tensors` gave; raises KeyError, and changes nothing, where a map is missing."""
        stored = {name: tensors[f"{name}/map"] for name in self._maps}
        for name, rows in self._maps.items():
            rows.map.data.copy_(stored[name])
            if (momentum := tensors.get(f"{name}/momentum")) is not None:
                self._optimizer.state[rows.map]["momentum_buffer"] = momentum.to(self.device, copy=True)

    def step(self, sequences: Tensor, rate: float) -> float:
        """Learn from packed sequences (B, T) of ids, with `rate` times the learning rates.

        Every process is given all of them and takes its share.

        Returns:
            The mean loss of a token, in nats.
        """
        rows = {name: maps() for name, maps in self._maps.items()}
        leaves = {name: nn.Parameter(table.detach()) for name, table in rows.items()}
        embedding, head = split_ends(*self._base, leaves)
        rank, count = self._processes.rank, self._processes.world_size
        total, labels = torch.zeros((), device=self.device), sequences[:, 1:].numel()
        own = sequences[rank::count]
        for part in own.split(SEQUENCES_AT_ONCE[self.device.type]) if len(own) else ():
            loss = losses_of_sequences(self._decoder, embedding, head, part.to(self.device), "sum")
            (loss / labels).backward()
            total += loss.detach() / labels
        gradients = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves.values()]
        self._processes.average(gradients)
        torch.autograd.backward(list(rows.values()), [gradient * count for gradient in gradients])
        self._optimizer.param_groups[0]["lr"] = self._rate * rate
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(self._processes.sum(total))

    def bits_per_byte(self, sequences: Tensor, text_bytes: int, rows: Mapping[str, Tensor] | None) -> float:
        """See `ekle.extension.rules.held_out.bits_per_byte`."""
        return bits_per_byte(self._model, rows, sequences, text_bytes, self._prefix_token, self._processes)


@dataclass
class LearningProgress:
    """The progress of the learning.

    Attributes:
        step: steps done.
        tokens: tokens read, in the extended tokenization.
        planned: tokens after which it ends; None until a budget of minutes has become one of tokens.
        seconds: time taken.
        curve: loss of a token in nats by step, averaged since the entry before, and held-out bits per byte.
        best: the lowest held-out bits per byte so far, the closed form's included.
        best_step: the step that it was measured after; 0 is the closed form.
        losses: of the steps since the last entry.
    """

    step: int = 0
    tokens: int = 0
    planned: int | None = None
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_step: int = 0
    losses: list[float] = field(default_factory=list)


class LearningState:
    """The state in a folder; a state with another fingerprint is ignored.

    Args:
        folder: the folder of the state.
        fingerprint: identifies what is learned from what.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._state = SavedState(folder / "mapped.safetensors", fingerprint)

    def save(self, learner: MapLearner, best: Mapping[str, Tensor], progress: LearningProgress) -> None:
        """Write maps, momenta, the best rows and the progress; raises as `SavedState`."""
        of_best = {f"best/{name}": rows for name, rows in best.items()}
        self._state.save({**learner.tensors(), **of_best}, asdict(progress))

    def load(self, learner: MapLearner) -> tuple[LearningProgress, dict[str, Tensor]] | None:
        """Load the state into `learner`; its progress and best rows, or None where there is no state."""
        if (found := self._state.load()) is None:
            return None
        tensors, facts = found
        try:
            progress = LearningProgress(**facts)
            best = {name: tensors[f"best/{name}"].to(learner.device) for name in learner.matrices}
            learner.load(tensors)
        except (KeyError, TypeError):
            return None
        return progress, best


def learn(
    learner: MapLearner,
    sequences: Iterator[Tensor],
    held_out: tuple[Tensor, int],
    settings: MappedSettings,
    state: LearningState,
    processes: Processes,
    reporter: ProgressReporter,
) -> tuple[dict[str, Tensor], LearningProgress]:
    """The best rows (N, D) by the name of their matrix, and the progress at the end.

    The budget has four rounds. After each one, held-out text is measured, and the rows are kept if they are
    better than the best before; the first of all are those of the closed form. So the result is never worse
    than that, by that text. The rate falls to 0 towards the end. A budget of minutes becomes one of tokens
    after a few steps, by their speed, so that an interrupted run ends where it would have ended, with the
    same bits.

    Args:
        learner: the base, and the maps.
        sequences: packed text without end, the same in every process.
        held_out: sequences of held-out text and their bytes (`packed_once`).
        settings: the budget.
        state: where it is saved, every few minutes, at each measurement and at the end.
        processes: who takes part; the main one saves.
        reporter: receives progress.

    Raises:
        TrainingError: the loss is not finite.
        SpaceError: the disk is full.
    """
    kept = state.load(learner)
    progress, best = kept if kept is not None else (LearningProgress(), learner.rows())
    if kept is None:
        progress.best = learner.bits_per_byte(*held_out, best)
        progress.planned = settings.tokens
    elif progress.step:
        reporter.say(f"Learning the maps resumes at step {progress.step:,}")
    main = processes.rank == 0
    each = max(settings.batch_tokens // SEQUENCE_TOKENS, 1)
    saved = time.monotonic()
    started = saved - progress.seconds
    for _ in range(progress.step * each):
        next(sequences)
    with reporter.task("learning the maps", progress.planned, "tokens") as task:
        task.advance(progress.tokens)
        while progress.planned is None or progress.tokens < progress.planned:
            done = progress.tokens / progress.planned if progress.planned else 0.0
            rate = min(1.0, (progress.step + 1) / _WARMUP_STEPS) * (1 - done)
            loss = learner.step(torch.stack(list(itertools.islice(sequences, each))), rate)
            if not math.isfinite(loss):
                raise TrainingError("the loss is not finite; lower extension.mapped.learning_rate")
            progress.step, progress.tokens = progress.step + 1, progress.tokens + each * SEQUENCE_TOKENS
            progress.losses.append(loss)
            progress.seconds = time.monotonic() - started
            if progress.planned is None and progress.step >= TIMED_STEPS:
                wanted = tokens_in(settings.minutes, progress.seconds, progress.tokens)
                progress.planned = int(processes.from_main(float(wanted)))
                task.total = progress.planned
            task.advance(each * SEQUENCE_TOKENS, f"loss {loss:.3f}")
            if round_is_over(progress.tokens, progress.planned, len(progress.curve)):
                rows = learner.rows()
                found = learner.bits_per_byte(*held_out, rows)
                mean = sum(progress.losses) / len(progress.losses)
                progress.curve.append(
                    {"step": progress.step, "loss": round(mean, 4), "held_out_bits_per_byte": round(found, 5)}
                )
                progress.losses.clear()
                if found < progress.best:
                    progress.best, progress.best_step, best = found, progress.step, rows
                reporter.say(
                    f"{progress.tokens:,} tokens: {found:.4f} bits per byte on text held out",
                    held_out_bits_per_byte=found,
                )
            elif time.monotonic() - saved < 60 * settings.save_minutes:
                continue
            if main:
                state.save(learner, best, progress)
            saved = time.monotonic()
    return best, progress
