"""`[base]`: the tokenizer and the model that are to learn Turkish."""

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section


class TinyModelSettings(Section):
    """The shape and the short pre-training of the toy that replaces a real Qwen3 (`model = "tiny"`)."""

    hidden_size: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 2
    key_value_heads: PositiveInt = 1
    head_dim: PositiveInt = 64
    intermediate_size: PositiveInt = 192
    tied: bool = False
    steps: NonNegativeInt = 200
    batch_tokens: PositiveInt = 4096
    sequence_length: PositiveInt = 128
    learning_rate: float = Field(default=3e-3, gt=0)


class BaseModelSettings(Section):
    """Where tokenizer and weights come from.

    `tokenizer`: "qwen3" (the vocabulary that the `dashscope` package carries), a folder, or a hub id.
    `model`: "tiny" (built and briefly trained here), a folder, or a hub id.
    """

    tokenizer: str = "qwen3"
    model: str = "tiny"
    revision: str | None = None
    tiny: TinyModelSettings = TinyModelSettings()
