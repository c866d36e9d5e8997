"""What a plan is made for: a recipe and a model, and what is still open."""

from dataclasses import dataclass
from typing import Literal

from ekle.model.chunk_sizes import chunk_tokens
from ekle.planning.shapes import ModelShape
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.training import TrainingSettings

Device = Literal["cpu", "cuda"]

SHARED_FEATURES = 4
"""Rows that a new row is mapped from where the new rows learn together (`ekle.training.shared_rows`)."""


@dataclass(frozen=True)
class Case:
    """One way to train: everything that the formulas need.

    Attributes:
        shape: the base.
        new_rows: trainable embedding rows, in each embedding matrix.
        training: the recipe's settings, with what the plan has changed.
        evaluation: context and batch size of the evaluations during training.
        micro_batch: sequences per forward pass, at most `training.batch_size`.
        device: where it runs. On a CPU, the formulas are for products in float32.
        gpus: number of GPUs that train together.
        has_bf16: whether the GPU multiplies bfloat16 in hardware; if not, training computes in float32.
        extension: the rule for the new rows, which may run the base; None counts none.
    """

    shape: ModelShape
    new_rows: int
    training: TrainingSettings
    evaluation: EvaluationSettings
    micro_batch: int
    device: Device = "cuda"
    gpus: int = 1
    has_bf16: bool = True
    extension: ExtensionSettings | None = None

    @property
    def uses_bf16(self) -> bool:
        """Whether products are computed in bfloat16."""
        return self.training.precision == "bf16" and self.device == "cuda" and self.has_bf16

    @property
    def bytes_per_number(self) -> int:
        """Bytes of one number in a frozen weight or an activation."""
        return 2 if self.uses_bf16 else 4

    @property
    def shard_count(self) -> int:
        """GPUs over which weights, gradients and optimiser states are sharded."""
        return self.gpus if self.training.parallel == "fsdp" else 1

    @property
    def has_attention_mask(self) -> bool:
        """Whether attention takes a mask that says where packed documents end, as PyTorch's own does."""
        return self.training.attention != "flash_attention_2"

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch."""
        return self.micro_batch * self.training.sequence_length

    @property
    def micro_batches(self) -> int:
        """Micro-batches per step, each with one backward pass."""
        return self.training.gradient_accumulation * -(-self.training.batch_size // self.micro_batch)

    @property
    def tokens_per_step(self) -> int:
        """Tokens per step of the optimiser, on one GPU."""
        settings = self.training
        return settings.batch_size * settings.gradient_accumulation * settings.sequence_length

    @property
    def total_rows(self) -> int:
        """Embedding rows of the extended model."""
        return self.shape.rows + self.new_rows

    @property
    def logits_chunk(self) -> int:
        """Tokens whose logits are in memory together."""
        return min(chunk_tokens(self.total_rows, self.device), self.tokens)

    @property
    def adapted(self) -> dict[str, tuple[int, int]]:
        """(in, out) of the linear layers of one block that have adapters."""
        targets = self.training.dora.targets
        return {name: size for name, size in self.shape.projections.items() if name in targets}

    @property
    def lora_parameters(self) -> int:
        """Parameters in A and B of all adapters."""
        ranks = self.training.dora.rank * sum(narrow + wide for narrow, wide in self.adapted.values())
        return self.shape.layers * ranks

    @property
    def magnitude_parameters(self) -> int:
        """Parameters in the magnitudes of all adapters; there are as many norms."""
        return self.shape.layers * sum(wide for _, wide in self.adapted.values())

    @property
    def new_row_parameters(self) -> int:
        """Parameters in one matrix of new rows."""
        return self.new_rows * self.shape.hidden

    @property
    def shared_features(self) -> int:
        """Numbers that a new row is mapped from, where the rows learn together; otherwise 0."""
        return SHARED_FEATURES * self.shape.hidden if self.training.shared_rows else 0

    @property
    def map_parameters(self) -> int:
        """Numbers of the maps that move the new rows, where these learn together; otherwise 0."""
        return self.shape.embedding_matrices * self.shared_features * self.shape.hidden

    @property
    def trainable_parameters(self) -> int:
        """Trainable parameters: new rows, and A, B and magnitudes of the adapters."""
        return (
            self.lora_parameters
            + self.magnitude_parameters
            + self.shape.embedding_matrices * self.new_row_parameters
        )
