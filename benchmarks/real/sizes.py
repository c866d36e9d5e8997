"""Every number of the benchmark: line ranges, budgets, rates. `tiny` only shows that all parts run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ekle.recipe.extension import Heuristic

SizeName = Literal["cpu", "gpu", "tiny"]
Ends = Literal["tied", "untied"]
"""Whether input and output embeddings of the base are one matrix."""

ENDS: tuple[Ends, ...] = get_args(Ends)


@dataclass(frozen=True)
class Lines:
    """Lines of a file, counted from 0: the first, and the one after the last (None: to the end)."""

    first: int
    stop: int | None = None

    def __str__(self) -> str:
        return f"{self.first:,} to {self.stop:,}" if self.stop is not None else f"{self.first:,} to the end"


@dataclass(frozen=True)
class TextRanges:
    """What is read of each file of the data; no line has two purposes."""

    settle_turkish: Lines
    """Of tr/train.txt; everything after the settling reads the other lines of that file."""
    settle_english: Lines
    replay: Lines
    """English that vocabularies protect, and that rules and trainings mix in."""
    validation_english: Lines
    test_english: Lines
    validation: Mapping[str, Lines]
    """By genre; of tr/dev_GENRE.txt. Stages, settings and stopping are decided on these."""
    test: Mapping[str, Lines]


@dataclass(frozen=True)
class Rule:
    """A way to start the new rows, with its budget."""

    name: str
    settings: Mapping[str, Any]
    """Of `[extension]`."""


@dataclass(frozen=True)
class Size:
    """Sizes and settings of all parts."""

    ranges: TextRanges
    passage_bytes: int
    """Consecutive lines are joined into passages of at least so many bytes."""
    test_bytes: int
    """Of each text."""
    validation_bytes: int
    """Of each text."""
    new_tokens: int
    min_count: int
    word_lists: bool
    """Whether vocabularies count `wordfreq`'s lists and protect languages by them, as the defaults do."""
    sequence: int
    """Tokens."""
    sequences: int
    """Of a step."""
    settle_steps: int
    warmup_steps: int
    rank: int
    rate: float
    rows_rate: float
    replay_share: float
    learned_rules: tuple[Rule, ...]
    start: str
    """Name of the rule whose rows the trainings start from, one of `learned_rules`."""
    profile_rule: Rule
    probe_tokens: int
    winner_tokens: int
    winner_points: int
    """Evaluations of the winner and of its control."""
    winner_settings: Mapping[str, Any]
    """Of `[training]`, where the probes recommend others than those of all trainings."""
    continued_tokens: int
    """Of each greedy continuation."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """`[evaluation]` of the run that the report is about, on top of the defaults."""
    smollm: Mapping[str, int] = field(default_factory=dict)

    @property
    def step_tokens(self) -> int:
        """Tokens of one training step."""
        return self.sequence * self.sequences

    def steps(self, tokens: int) -> int:
        """Steps that read about so many tokens."""
        return max(1, round(tokens / self.step_tokens))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, those in closed form first."""
        return (*(Rule(name, {"init": name}) for name in get_args(Heuristic)), *self.learned_rules)

    def rule(self, name: str) -> Rule:
        """The rule of that name."""
        return next(rule for rule in self.rules if rule.name == name)


def size_named(name: SizeName) -> Size:
    """The size of that name: `cpu` is for two cores, `gpu` for one large GPU, `tiny` for tests."""
    return _SIZES[name]


def mapped(name: str, **settings: Any) -> Rule:
    """`mapped` with other settings."""
    return Rule(name, {"init": "mapped", "mapped": settings})


def distilled(name: str, **settings: Any) -> Rule:
    """`distilled` with other settings."""
    return Rule(name, {"init": "distilled", "distillation": settings})


_CPU = Size(
    ranges=TextRanges(
        settle_turkish=Lines(100_000, 120_000),
        settle_english=Lines(40_000, 60_000),
        replay=Lines(0, 40_000),
        validation_english=Lines(60_000, 70_000),
        test_english=Lines(70_000),
        validation={"wiki": Lines(0, 3_000), "review": Lines(0, 800), "qa": Lines(0, 400)},
        test={"wiki": Lines(3_000), "review": Lines(800), "qa": Lines(400)},
    ),
    passage_bytes=1_200,
    test_bytes=14_000,
    validation_bytes=8_000,
    new_tokens=20_000,
    min_count=100,
    word_lists=True,
    sequence=512,
    sequences=2,
    settle_steps=200,
    warmup_steps=8,
    rank=32,
    rate=4e-4,
    rows_rate=1e-3,
    replay_share=0.2,
    learned_rules=(
        mapped("mapped, 0 minutes", minutes=0),
        mapped("mapped, 30 minutes", minutes=30),
        mapped("mapped, 60 minutes", minutes=60),
        distilled("distilled, 14 minutes", minutes=14),
    ),
    start="mapped, 30 minutes",
    profile_rule=mapped("mapped, 10 minutes", minutes=10),
    probe_tokens=50_000,
    winner_tokens=200_000,
    winner_points=8,
    winner_settings={"shared_rows": True},
    continued_tokens=40,
    report={"context": 512, "bytes_per_text": 24_000, "translations": 20, "task_examples": 40},
)

_TINY_MAPPED = mapped("mapped, few tokens", tokens=200, examples=50, held_out_bytes=500, batch_tokens=128)

_SIZES: dict[SizeName, Size] = {
    "cpu": _CPU,
    # Budgets in tokens: minutes of a GPU would read far more text. Its steps are 16 times as large.
    "gpu": replace(
        _CPU,
        test_bytes=140_000,
        validation_bytes=40_000,
        sequences=32,
        warmup_steps=30,
        learned_rules=(
            mapped("mapped, no tokens", tokens=0),
            mapped("mapped, 0.5 M tokens", tokens=500_000, batch_tokens=8_192),
            mapped("mapped, 2 M tokens", tokens=2_000_000, batch_tokens=16_384),
            distilled("distilled, 0.25 M tokens", tokens=250_000),
        ),
        start="mapped, 2 M tokens",
        profile_rule=mapped("mapped, 0.5 M tokens", tokens=500_000, batch_tokens=8_192),
        winner_tokens=10_000_000,
        winner_points=12,
        report={"context": 512},
    ),
    "tiny": replace(
        _CPU,
        ranges=TextRanges(
            settle_turkish=Lines(0, 30),
            settle_english=Lines(0, 20),
            replay=Lines(20, 45),
            validation_english=Lines(45, 55),
            test_english=Lines(55),
            validation={"wiki": Lines(0, 6), "review": Lines(0, 6), "qa": Lines(0, 6)},
            test={"wiki": Lines(6), "review": Lines(6), "qa": Lines(6)},
        ),
        passage_bytes=200,
        test_bytes=300,
        validation_bytes=300,
        new_tokens=20,
        min_count=2,
        word_lists=False,
        sequence=32,
        settle_steps=4,
        warmup_steps=1,
        rank=2,
        learned_rules=(
            mapped("mapped, no tokens", tokens=0, examples=50, held_out_bytes=500),
            _TINY_MAPPED,
            distilled("distilled, few tokens", tokens=600, batch_tokens=256),
        ),
        start="mapped, few tokens",
        profile_rule=_TINY_MAPPED,
        probe_tokens=200,
        winner_tokens=400,
        winner_points=3,
        continued_tokens=4,
        report={
            "context": 64,
            "bytes_per_text": 400,
            "new_tokens": 4,
            "samples": 2,
            "sample_tokens": 4,
            "speed_passages": 2,
            "speed_characters": 40,
            "resamples": 20,
            "task_examples": 2,
            "translations": 2,
        },
        smollm={"tokens": 20, "lines": 4},
    ),
}
