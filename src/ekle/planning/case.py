"""What a plan is made for: a recipe on a model, and what is still free to choose."""

from dataclasses import dataclass
from typing import Literal

from ekle.model.chunks import chunk_tokens
from ekle.planning.shapes import Shape
from ekle.recipe.evaluation import Evaluation
from ekle.recipe.training import Training

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

    shape: Shape
    new_rows: int
    training: Training
    evaluation: Evaluation
    micro_batch: int
    device: Device = "cuda"
    gpus: int = 1

    @property
    def half(self) -> bool:
        """Whether products are made in bfloat16."""
        return self.training.precision == "bf16" and self.device == "cuda"

    @property
    def width(self) -> int:
        """Bytes of a frozen weight and of an activation."""
        return 2 if self.half else 4

    @property
    def shares(self) -> int:
        """Devices that share weights, gradients and states between them."""
        return self.gpus if self.training.parallel == "fsdp" else 1

    @property
    def masked(self) -> bool:
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
    def step_tokens(self) -> int:
        """Tokens of one step of the optimiser, on one device."""
        settings = self.training
        return settings.batch_size * settings.gradient_accumulation * settings.sequence_length

    @property
    def all_rows(self) -> int:
        """Rows of the extended model."""
        return self.shape.rows + self.new_rows

    @property
    def chunk(self) -> int:
        """Tokens whose logits are held at once."""
        return min(chunk_tokens(self.all_rows, self.device), self.tokens)

    @property
    def adapted(self) -> dict[str, tuple[int, int]]:
        """(in, out) of the layers of one block that carry adapters."""
        targets = self.training.dora.targets
        return {name: size for name, size in self.shape.projections.items() if name in targets}

    @property
    def matrix_numbers(self) -> int:
        """Numbers in A and B of all adapters."""
        ranks = self.training.dora.rank * sum(narrow + wide for narrow, wide in self.adapted.values())
        return self.shape.layers * ranks

    @property
    def magnitude_numbers(self) -> int:
        """Numbers in the magnitudes of all adapters; there are as many norms."""
        return self.shape.layers * sum(wide for _, wide in self.adapted.values())

    @property
    def row_numbers(self) -> int:
        """Numbers in one matrix of new rows."""
        return self.new_rows * self.shape.hidden

    @property
    def learning(self) -> int:
        """Numbers that learn."""
        return self.matrix_numbers + self.magnitude_numbers + self.shape.row_matrices * self.row_numbers
