"""`[release]`: the folder that is shipped."""

from typing import Literal

from pydantic import PositiveFloat

from ekle.recipe.section import Section

ExportFormat = Literal["hf", "gguf", "int8", "int4"]
"""What `ekle export --format` takes; `ekle.release.export` says what is built."""


class ReleaseSettings(Section):
    """Format and precision of the released model."""

    dtype: Literal["base", "bf16", "fp32"] = "base"
    """`base` keeps the precision of the base model."""
    shard_gigabytes: PositiveFloat = 5.0
    """Largest safetensors file, in 10^9 bytes."""
