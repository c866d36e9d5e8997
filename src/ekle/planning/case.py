"""What a plan is made for: a recipe on a model, and what is still free to choose."""

from dataclasses import dataclass
from typing import Literal

from ekle.model.chunk_sizes import chunk_tokens
from ekle.planning.shapes import ModelShape
from ekle.recipe.evaluation import EvaluationSettings
from ekle.recipe.training import TrainingSettings

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Case:
    """One way to train: everything that the formulas ask for.

    Attributes:
        shape: the base.
        new_rows: rows that learn, in each row matrix.
        training: the recipe's settings, or those with what a plan has changed.
        evaluation: windows of the evaluations during training.
        micro_batch: sequences that go through at once, of `training.batch_size`.
        device: where it runs. On a processor the products are made in float32.
        gpus: devices that train together.
    """

    shape: ModelShape
    new_rows: int
    training: TrainingSettings
    evaluation: EvaluationSettings
    micro_batch: int
    device: Device = "cuda"
    gpus: int = 1

    @property
    def uses_bf16(self) -> bool:
        """Whether products are made in bfloat16."""
        return self.training.precision == "bf16" and self.device == "cuda"

    @property
    def width(self) -> int:
        """Bytes of a frozen weight and of an activation."""
        return 2 if self.uses_bf16 else 4

    @property
    def shard_count(self) -> int:
        """Devices that share weights, gradients and states between them."""
        return self.gpus if self.training.parallel == "fsdp" else 1

    @property
    def has_attention_mask(self) -> bool:
        """Whether attention is told by a mask where packed documents end, as PyTorch's own is."""
        return self.training.attention != "flash_attention_2"

    @property
    def tokens(self) -> int:
        """Tokens that go through at once."""
        return self.micro_batch * self.training.sequence_length

    @property
    def passes(self) -> int:
        """Backward passes that add to one step's gradients."""
        return self.training.gradient_accumulation * -(-self.training.batch_size // self.micro_batch)

    @property
    def tokens_per_step(self) -> int:
        """Tokens of one step of the optimiser, on one device."""
        settings = self.training
        return settings.batch_size * settings.gradient_accumulation * settings.sequence_length

    @property
    def total_rows(self) -> int:
        """Rows of the extended model."""
        return self.shape.rows + self.new_rows

    @property
    def logits_chunk(self) -> int:
        """Tokens whose logits are held at once."""
        return min(chunk_tokens(self.total_rows, self.device), self.tokens)

    @property
    def adapted(self) -> dict[str, tuple[int, int]]:
        """(in, out) of the layers of one block that carry adapters."""
        targets = self.training.dora.targets
        return {name: size for name, size in self.shape.projections.items() if name in targets}

    @property
    def lora_parameters(self) -> int:
        """Numbers in A and B of all adapters."""
        ranks = self.training.dora.rank * sum(narrow + wide for narrow, wide in self.adapted.values())
        return self.shape.layers * ranks

    @property
    def magnitude_parameters(self) -> int:
        """Numbers in the magnitudes of all adapters; there are as many norms."""
        return self.shape.layers * sum(wide for _, wide in self.adapted.values())

    @property
    def new_row_parameters(self) -> int:
        """Numbers in one matrix of new rows."""
        return self.new_rows * self.shape.hidden

    @property
    def learning(self) -> int:
        """Numbers that learn."""
        return (
            self.lora_parameters
            + self.magnitude_parameters
            + self.shape.embedding_matrices * self.new_row_parameters
        )
