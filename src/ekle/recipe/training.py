"""`[training]`: continued training of the extended model."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from ekle.recipe.section import Section

Projection = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
Schedule = Literal["cosine", "linear", "constant"]
Optimizer = Literal["sophia", "adamw", "muon"]
Parallel = Literal["fsdp", "ddp"]
Tracker = Literal["none", "tensorboard", "trackio", "wandb", "mlflow", "swanlab"]
Learners = Literal["rows", "rows_and_adapters"]
Precision = Literal["bf16", "fp32"]

RUNTIME_SETTINGS: frozenset[str] = frozenset(
    {
        "checkpoint_minutes",
        "checkpoint_steps",
        "keep_checkpoints",
        "log_steps",
        "memory_lines",
        "micro_batch_size",
        "parallel",
        "tracker",
    }
)
"""Settings of how a training works, so one that is begun or done may get others. They change nothing about
the weights, except that a rollback (`guard`) returns to what was saved last."""


class DoraSettings(Section):
    """Weight-decomposed low-rank adaptation (Liu et al. 2024) of the linear projections."""

    rank: PositiveInt = 64
    """Inner width of A and B: what an adapter can learn, and what it weighs."""
    alpha: float = Field(default=64.0, gt=0)
    """Strength of the adapters, as a multiple of the scale that `rslora` gives."""
    rslora: bool = True
    """Scale by alpha / sqrt(rank) (Kalajdzievski 2023) instead of alpha / rank."""
    targets: Annotated[list[Projection], Field(min_length=1)] = [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ]
    """Projections of every decoder layer that get an adapter."""


class NeftuneSettings(Section):
    """Noise on the embedding output while training (Jain et al. 2023)."""

    alpha: float = Field(default=5.0, ge=0)
    """0 switches it off."""
    noise: Literal["uniform", "gaussian"] = "uniform"
    """`uniform` on [-1, 1] is the paper's; `gaussian` has the same scale as its standard deviation."""


class SophiaSettings(Section):
    """Sophia-G (Liu et al. 2023), the second-order optimiser with a clipped update."""

    betas: tuple[float, float] = (0.965, 0.99)
    """Decay per step of the average gradient, and decay per estimate of the average curvature."""
    rho: float = Field(default=0.04, gt=0)
    """Weight of the curvature; a smaller one clips more of the update."""
    hessian_every: PositiveInt = 10
    """Steps from one estimate of the curvature to the next."""
    bias_correction: bool = True
    """Correct the Hessian average for its start at zero; the original does not."""
    epsilon: float = Field(default=1e-12, gt=0)
    """Least curvature times rho, by which the gradient is divided."""


class AdamWSettings(Section):
    """AdamW (Loshchilov and Hutter 2019); with `optimizer = "muon"`, for magnitudes and new rows."""

    betas: tuple[float, float] = (0.9, 0.999)
    """Decay per step of the averages of the gradient and of its square."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Added to the root of the average square, by which the gradient is divided."""


class MuonSettings(Section):
    """Muon (Jordan et al. 2024) for the factors of the adapters."""

    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Decay per step of the sum of gradients that an update is made of."""
    nesterov: bool = True
    """Look one step of the momentum ahead."""
    iterations: PositiveInt = 5
    """Newton-Schulz steps that make an update orthogonal."""


class CurriculumSettings(Section):
    """Easy text first (Platanios et al. 2019), by the measures of `ekle.turkish.complexity`."""

    pacing: Literal["off", "linear", "root"] = "off"
    """How the share of the documents that may be read grows: evenly, or faster at first."""
    start: float = Field(default=0.1, gt=0, le=1)
    """Share of the documents, the easiest, that the first step may read."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of the steps after which every document may be read."""


class AlignmentSettings(Section):
    """Before the first step, the base teaches the extended model; each reads the text in its tokens.

    Hidden states are made alike at shared token boundaries, and so is the likelihood of the text between.
    """

    steps: NonNegativeInt = 0
    """0 leaves the phase out."""
    batch_tokens: PositiveInt = 4096
    """Tokens per step, padding included, as the new tokenizer splits the text."""
    passage_characters: PositiveInt = 480
    """Longest passage of a document that is read at once."""
    learn: Learners = "rows"
    """What learns: the new rows alone, or the adapters with them."""
    depths: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] = [1 / 3, 1.0]
    """Shares of the layers after which hidden states are compared."""
    hidden_weight: float = Field(default=1.0, ge=0)
    """Weight of the distance of hidden states, which is a share of their own square."""
    span_weight: float = Field(default=1.0, ge=0)
    """Weight of the difference of likelihoods, in nats per span."""
    rows_learning_rate: float = Field(default=0.05, gt=0)
    """Length of a row's step in root mean squares of the base rows; falls to 0 towards the end."""
    adapters_learning_rate: float = Field(default=1e-4, gt=0)
    """The same for the adapters, as AdamW takes it."""


class GuardSettings(Section):
    """Steps that go wrong are skipped; after too many in a row the run rolls back and lowers its rate."""

    window: PositiveInt = 50
    """Good steps by whose losses the next one is judged; before there are as many, no loss is too high."""
    spike_nats: float = Field(default=0.5, gt=0)
    """A loss is a spike if it is more than so many nats per token above the median of the window..."""
    spike_deviations: float = Field(default=8.0, gt=0)
    """... and more than so many standard deviations, as estimated from the median deviation."""
    bad_steps: PositiveInt = 5
    """Bad steps in a row after which the run rolls back to its last checkpoint."""
    rate_factor: float = Field(default=0.5, gt=0, le=1)
    """Factor of the learning rate after each rollback."""
    max_rollbacks: NonNegativeInt = 3
    """Rollbacks before the training is given up."""

    RENAMED = {"lower": "rate_factor", "returns": "max_rollbacks"}


class TrainingSettings(Section):
    """Everything that `ekle train` needs to know."""

    steps: PositiveInt = 1000
    """Steps of the optimiser, unless training stops early."""
    batch_size: PositiveInt = 8
    """Sequences per device in one batch; a step learns from this times the accumulation and the devices."""
    micro_batch_size: PositiveInt | Literal["auto"] = "auto"
    """Sequences of a batch in one forward pass, at most all of it; it changes memory and time alone. "auto"
    tries on a GPU what fits. When memory runs out, it is halved from then on."""
    gradient_accumulation: PositiveInt = 4
    """Batches per step: it takes batch_size x gradient_accumulation sequences per device."""
    parallel: Parallel = "fsdp"
    """What several processes share: with `fsdp` weights and states too, with `ddp` only the sequences."""
    sequence_length: PositiveInt = 2048
    """Tokens per sequence, after packing."""
    optimizer: Optimizer = "sophia"
    """Turns gradients into updates; each has a section of its own."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Of the adapters, at its highest."""
    rows_learning_rate: float | None = Field(default=None, gt=0)
    """Learning rate of the new rows; None means the same as the adapters'."""
    shared_rows: bool = False
    """New rows move by a linear map of what the base knows of their base tokens, which Muon learns, instead
    of each by itself; with `optimizer` muon or adamw."""
    rows_first: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps, at the start, in which only the new rows learn."""
    merge_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability with which a new token is read as its base tokens; the model then keeps both readings."""
    schedule: Schedule = "cosine"
    """How the learning rate goes on after the warm-up: down to 0 in one of two shapes, or as it is."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Share of a weight that a step takes away, times the learning rate; of A and B alone."""
    gradient_clip: float = Field(default=1.0, gt=0)
    """Greatest norm of the gradient of a step; a longer one is shortened to it."""
    precision: Precision = "bf16"
    """Of frozen weights and products, where the device has bf16; what learns is always float32."""
    state_precision: Precision = "fp32"
    """Of the two averages that Sophia keeps for each number that learns; bf16 takes half the memory."""
    activation_checkpointing: bool = True
    """Compute the inside of a layer again in the backward pass instead of keeping it: slower, far smaller."""
    attention: Literal["auto", "sdpa", "flash_attention_2"] = "auto"
    """`auto` takes FlashAttention 2 on a GPU where it is installed, otherwise PyTorch's own attention."""
    tf32: bool = True
    """Let a GPU multiply float32 matrices in TF32; norms of DoRA stay exact."""
    compile: bool = False
    """Compile the decoder layers (torch.compile): minutes at the start for faster steps after."""
    liger: bool = False
    """Liger's kernels for norms, positions and the MLP; CUDA only."""
    replay_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the training tokens that comes from the replay text."""
    instruction_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training tokens that comes from the instructions, what is not learned of them included."""
    answers_only: bool = True
    """Learn only what the assistant says in the instructions; the rest is read and not learned."""
    source_weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """How much of the other tokens comes from each entry of `corpus.sources`, which are then read separately;
    without weights they are one text, and each has the share of its size."""
    checkpoint_minutes: float = Field(default=30.0, gt=0)
    """Longest time from one checkpoint to the next."""
    checkpoint_steps: PositiveInt = 500
    """A checkpoint is made whenever the number of steps is a multiple of this."""
    keep_checkpoints: PositiveInt = 2
    """Newest checkpoints that stay on the disk, besides the best weights."""
    evaluate_steps: PositiveInt = 250
    """Steps from one evaluation on held-out text to the next."""
    patience: NonNegativeInt = 4
    """Evaluations without a better held-out bits per byte before training stops; 0 never stops."""
    evaluate_bytes: PositiveInt = 200_000
    """Bytes of held-out text that each evaluation during training reads."""
    log_steps: PositiveInt = 10
    """Steps from one line of the log to the next."""
    tracker: Tracker = "none"
    """A program that draws the log while it grows; its package must be installed."""
    memory_lines: NonNegativeInt = 30
    """Log lines that the slope of the memory in use is taken over; 0 watches for no leak."""
    dora: DoraSettings = DoraSettings()
    neftune: NeftuneSettings = NeftuneSettings()
    curriculum: CurriculumSettings = CurriculumSettings()
    sophia: SophiaSettings = SophiaSettings()
    adamw: AdamWSettings = AdamWSettings()
    muon: MuonSettings = MuonSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    guard: GuardSettings = GuardSettings()

    def without_new_tokens(self) -> Self:
        """The same without what is about new tokens, for a model that has none."""
        alignment = self.alignment.model_copy(update={"steps": 0})
        return self.model_copy(
            update={"shared_rows": False, "rows_first": 0.0, "merge_dropout": 0.0, "alignment": alignment}
        )

    @model_validator(mode="after")
    def _leave_something_to_learn(self) -> Self:
        if self.replay_share + self.instruction_share >= 1:
            raise ValueError(
                f"replay_share {self.replay_share:g} and instruction_share {self.instruction_share:g} leave "
                "nothing for corpus.sources; lower one"
            )
        return self

    @model_validator(mode="after")
    def _has_an_optimizer_for_its_maps(self) -> Self:
        if self.shared_rows and self.optimizer == "sophia":
            raise ValueError("shared_rows needs Muon beside the optimizer; set optimizer to muon or adamw")
        return self

    @model_validator(mode="after")
    def _has_an_optimizer_for_its_state(self) -> Self:
        if self.state_precision == "bf16" and self.optimizer != "sophia":
            raise ValueError(
                f"only sophia keeps its state in bf16; with {self.optimizer}, set state_precision to fp32"
            )
        return self
