"""The sizes of the ablations: every number is here. `smoke` only shows that they run."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

SizeName = Literal["cpu", "flat", "gpu", "smoke"]
BaseName = Literal["knows", "hardly"]


@dataclass(frozen=True)
class Shape:
    """Of a Qwen3 with untied embeddings."""

    width: int
    layers: int

    @property
    def head_dim(self) -> int:
        """Channels of a head."""
        return 64 if self.width >= 512 else 32

    @property
    def intermediate(self) -> int:
        """Width of the gated layer, three times the stream's as in Qwen3."""
        return 3 * self.width


@dataclass(frozen=True)
class Pretraining:
    """What a base is trained on, and for how long."""

    steps: int
    turkish_share: float


@dataclass(frozen=True)
class SharedSettings:
    """Settings that both ablations share: the text, the base's tokenizer, the bases, the vocabulary."""

    shape: Shape
    base_tokens: int
    """Qwen's tokens, trimmed to the most frequent ones of the English text and of a part of the Turkish text.
    So Turkish takes many tokens per word, as with Qwen."""
    tokenizer_text_every: int
    """One of so many Turkish documents is in that part."""
    bases: dict[BaseName, Pretraining]
    base_text: int
    """Bytes of Turkish for the bases; English is read to its end."""
    variant_text: int
    """Bytes of other Turkish, for the vocabulary and the variants."""
    validation_bytes: int
    """Held-out text in each language on which rates and variants are chosen. No training reads twice as many
    bytes of English, so that the test text is among them."""
    test_bytes: int
    """Other held-out text, for the figures of the page; of English, as many bytes as are left."""
    sequence: int
    batch: int
    """Sequences per step of the bases."""
    rate: float
    new_tokens: int
    least_count: int
    """Occurrences that a new token must have in the text it is learned from."""

    @property
    def digest(self) -> str:
        """Changes with every number, so that other settings are another folder."""
        return digest(self)


@dataclass(frozen=True)
class Size:
    """Everything that decides what the ablation of new rows measures."""

    shared: SharedSettings
    batch: int
    """Sequences per step of the variants."""
    steps: int
    """Steps of the control; the others get as many as the same compute pays for."""
    rate: float
    """Of all weights but the new rows, where the variant does not say otherwise."""
    rows_rate: float
    replay_share: float
    probes: tuple[int, ...]
    """Steps at which held-out Turkish is measured on the way."""
    distilled_tokens: int
    distilled_depth: float
    """In variants that are `deep`, the share of the layers after which hidden states are compared. The others
    take the recipe's."""
    aligned_steps: int
    aligned_tokens: int
    """Tokens per step of the alignment."""
    merge_dropout: float
    rows_first: float
    """Shares, as in the recipe."""

    @property
    def digest(self) -> str:
        """Changes with every number, so that results of other sizes are never mixed."""
        return digest(self)


def size_named(name: SizeName) -> Size:
    """The size of a name.

    `cpu` is for two cores and takes the minutes that its page ends with. `flat` is for two cores, too; its
    model is smaller, so that its base learns until its curve is flat. `gpu` is for one large GPU. `smoke`
    takes seconds per variant.
    """
    return _SIZES[name]


_CPU = Size(
    shared=SharedSettings(
        shape=Shape(width=96, layers=3),
        base_tokens=4_000,
        tokenizer_text_every=20,
        bases={"knows": Pretraining(2_600, 0.6), "hardly": Pretraining(800, 0.04)},
        base_text=9_000_000,
        variant_text=9_000_000,
        validation_bytes=60_000,
        test_bytes=120_000,
        sequence=256,
        batch=8,
        rate=4e-3,
        new_tokens=800,
        least_count=100,
    ),
    batch=4,
    steps=1_000,
    rate=1e-3,
    rows_rate=5e-3,
    replay_share=0.2,
    probes=(50, 200, 500),
    distilled_tokens=120_000,
    distilled_depth=1.0,
    aligned_steps=80,
    aligned_tokens=1_024,
    merge_dropout=0.1,
    rows_first=0.1,
)

# Half the model of `cpu` and three times its training: it has learned what it can of Turkish. So its weights
# need smaller steps, and new rows need more steps; both were chosen on the validation text (docs/log.md).
_FLAT = replace(
    _CPU,
    shared=replace(
        _CPU.shared,
        shape=Shape(width=64, layers=2),
        bases={"knows": Pretraining(8_000, 0.6)},
        base_text=27_000_000,
    ),
    steps=3_000,
    rate=6.25e-5,
    rows_rate=1e-2,
    probes=(50, 200, 500, 1_000, 2_000),
)

_SIZES: dict[SizeName, Size] = {
    "cpu": _CPU,
    "flat": _FLAT,
    "gpu": Size(
        shared=SharedSettings(
            shape=Shape(width=512, layers=8),
            base_tokens=16_000,
            tokenizer_text_every=20,
            bases={"knows": Pretraining(3_000, 0.6), "hardly": Pretraining(1_000, 0.04)},
            base_text=50_000_000,
            variant_text=30_000_000,
            validation_bytes=200_000,
            test_bytes=400_000,
            sequence=512,
            batch=64,
            rate=1.5e-3,
            new_tokens=3_200,
            least_count=100,
        ),
        batch=8,
        steps=1_000,
        rate=4e-4,
        rows_rate=2e-3,
        replay_share=0.2,
        probes=(50, 200, 500),
        distilled_tokens=600_000,
        distilled_depth=1.0,
        aligned_steps=80,
        aligned_tokens=4_096,
        merge_dropout=0.1,
        rows_first=0.1,
    ),
    "smoke": Size(
        shared=SharedSettings(
            shape=Shape(width=32, layers=2),
            base_tokens=600,
            tokenizer_text_every=20,
            bases={"knows": Pretraining(6, 0.6), "hardly": Pretraining(3, 0.04)},
            base_text=30_000,
            variant_text=30_000,
            validation_bytes=1_500,
            test_bytes=1_500,
            sequence=64,
            batch=2,
            rate=3e-3,
            new_tokens=20,
            least_count=2,
        ),
        batch=2,
        steps=6,
        rate=1e-3,
        rows_rate=5e-3,
        replay_share=0.2,
        probes=(2, 500),
        distilled_tokens=600,
        distilled_depth=1.0,
        aligned_steps=2,
        aligned_tokens=256,
        merge_dropout=0.1,
        rows_first=0.3,
    ),
}


def digest(settings: Any) -> str:
    """Ten hex digits that change with every field of a dataclass."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:10]
