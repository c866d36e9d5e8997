"""The held-out text that evaluations during training measure, and early stopping by it."""

from dataclasses import dataclass
from typing import Any

import torch

from ekle.artifacts import Corpus, read_documents
from ekle.errors import CheckpointError, DeviceMemoryError, TrainingError
from ekle.model.scoring.bits_per_byte import Likelihood, measure_documents, total
from ekle.training.kernels import uncompiled


@dataclass
class EarlyStopping:
    """Follows held-out bits per byte; over after `patience` evaluations without a better one (0: never)."""

    patience: int
    best: float | None = None
    best_step: int | None = None
    waited: int = 0
    """Evaluations since the best."""

    def record(self, step: int, value: float) -> bool:
        """Note the evaluation at `step`; True if it is the best so far."""
        if self.best is None or value < self.best:
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self.best, self.best_step, self.waited = state["best"], state["best_step"], state["waited"]

    @property
    def is_over(self) -> bool:
        """Whether the patience is used up."""
        return 0 < self.patience <= self.waited


@dataclass(frozen=True)
class HeldOut:
    """Documents, and how the model reads them."""

    documents: list[str]
    tokenizer: Any
    context: int
    """Tokens in a window."""
    batch_size: int
    """Windows in a micro-batch."""
    may_shrink: bool = True
    """Whether a micro-batch becomes smaller when memory runs out. With sharded weights it must not: a process
    that made more passes than the others would wait for ever."""

    def measure(self, model: Any) -> Likelihood:
        """The likelihood of all documents together.

        Raises:
            TrainingError: a micro-batch does not fit, and may not become smaller.
        """
        try:
            with uncompiled():
                parts = measure_documents(
                    model,
                    self.tokenizer,
                    self.documents,
                    context=self.context,
                    batch_size=self.batch_size,
                    may_shrink=self.may_shrink,
                )
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "an evaluation does not fit into the GPU's memory, and one process that shares the weights "
                f"cannot make it smaller alone; lower evaluation.batch_size ({self.batch_size}) and run again"
            ) from error
        return total(parts)

    def figures(self, model: Any, step: int) -> dict[str, float]:
        """The figures of an evaluation after `step` steps, by their names in the training log.

        Raises:
            CheckpointError: the model gave no finite number from the start, or (DeviceMemoryError) not one
                document fits the device.
            TrainingError: it gives none since training, or as `measure`.
        """
        try:
            found = self.measure(model)
        except CheckpointError as error:
            if step == 0 or isinstance(error, DeviceMemoryError):
                raise
            raise TrainingError(
                f"training went wrong before step {step:,}: {error}; lower training.learning_rate "
                "and start over with ekle run RECIPE --redo training"
            ) from error
        return {
            "held_out_bits_per_byte": found.bits_per_byte,
            "held_out_loss_per_token": found.loss_per_token,
            "held_out_tokens": found.tokens,
            "held_out_bytes": found.bytes,
        }


def held_out_documents(corpus: Corpus, limit: int) -> list[str]:
    """The first documents of each genre, about `limit` bytes in all, with an equal share for each genre.

    The document that exceeds a genre's share is truncated, so that one long text does not outweigh all.
    """
    chosen = []
    for path in corpus.held_out.values():
        left = max(limit // len(corpus.held_out), 1)
        for text in read_documents(path):
            part = text.encode()[:left].decode(errors="ignore")
            if part:
                chosen.append(part)
            left -= len(text.encode())
            if left <= 0:
                break
    return chosen
