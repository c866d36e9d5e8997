"""The two sizes of the laboratory, and a third one that only shows that it runs; every number is here."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

SizeName = Literal["cpu", "gpu", "smoke"]
BaseName = Literal["knows", "hardly"]


@dataclass(frozen=True)
class Shape:
    """A Qwen3 with untied rows."""

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
class Size:
    """Everything that decides what the laboratory measures."""

    shape: Shape
    pieces: int
    """Base tokens: Qwen's merges, trimmed to the pieces most frequent in the English text and a part of the
    Turkish one, so that Turkish is cut small, as it is by Qwen."""
    pieces_every: int
    """Of so many Turkish documents, one is in that part."""
    new_tokens: int
    least_count: int
    """Occurrences that a new token must have in the text it is learned from."""
    bases: dict[BaseName, Pretraining]
    base_text: int
    """Bytes of Turkish for the bases; English is read whole."""
    arm_text: int
    """Bytes of other Turkish, for the vocabulary and the arms."""
    sequence: int
    batch: int
    base_batch: int
    """Sequences a step, for arms and for bases."""
    base_rate: float
    arm_steps: int
    """Steps of the control; the others get what the same compute pays for."""
    arm_rate: float
    replay_share: float
    probes: tuple[int, ...]
    """Steps at which held-out Turkish is measured on the way."""
    held_out: int
    """Bytes of held-out text in each language."""
    distilled_tokens: int
    aligned_steps: int
    aligned_tokens: int
    """Tokens of an alignment step."""
    merge_dropout: float
    rows_first: float
    """Shares, as in the recipe."""

    @property
    def digest(self) -> str:
        """Changes with every number, so that results of other sizes are never mixed."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


def size_named(name: SizeName) -> Size:
    """`cpu` takes under an hour on two cores; `gpu` is made for one large GPU; `smoke` takes seconds."""
    return _SIZES[name]


_SIZES: dict[SizeName, Size] = {
    "cpu": Size(
        shape=Shape(width=96, layers=3),
        pieces=4_000,
        pieces_every=20,
        new_tokens=800,
        least_count=100,
        bases={"knows": Pretraining(2_600, 0.6), "hardly": Pretraining(800, 0.04)},
        base_text=9_000_000,
        arm_text=9_000_000,
        sequence=256,
        batch=4,
        base_batch=8,
        base_rate=4e-3,
        arm_steps=250,
        arm_rate=1e-3,
        replay_share=0.2,
        probes=(50, 500),
        held_out=60_000,
        distilled_tokens=40_000,
        aligned_steps=20,
        aligned_tokens=1_024,
        merge_dropout=0.1,
        rows_first=0.1,
    ),
    "gpu": Size(
        shape=Shape(width=512, layers=8),
        pieces=16_000,
        pieces_every=20,
        new_tokens=3_200,
        least_count=100,
        bases={"knows": Pretraining(3_000, 0.6), "hardly": Pretraining(1_000, 0.04)},
        base_text=50_000_000,
        arm_text=30_000_000,
        sequence=512,
        batch=32,
        base_batch=64,
        base_rate=1.5e-3,
        arm_steps=600,
        arm_rate=4e-4,
        replay_share=0.2,
        probes=(50, 500),
        held_out=200_000,
        distilled_tokens=600_000,
        aligned_steps=40,
        aligned_tokens=16_384,
        merge_dropout=0.1,
        rows_first=0.1,
    ),
    "smoke": Size(
        shape=Shape(width=32, layers=2),
        pieces=600,
        pieces_every=20,
        new_tokens=20,
        least_count=2,
        bases={"knows": Pretraining(6, 0.6), "hardly": Pretraining(3, 0.04)},
        base_text=30_000,
        arm_text=30_000,
        sequence=64,
        batch=2,
        base_batch=2,
        base_rate=3e-3,
        arm_steps=6,
        arm_rate=1e-3,
        replay_share=0.2,
        probes=(2, 500),
        held_out=1_500,
        distilled_tokens=600,
        aligned_steps=2,
        aligned_tokens=256,
        merge_dropout=0.1,
        rows_first=0.3,
    ),
}
