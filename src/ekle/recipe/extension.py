"""`[extension]`: how the new embedding rows start."""

import sys
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section

Heuristic = Literal[
    "mean",
    "statistical",
    "subword",
    "length_weighted",
    "first_piece",
    "last_piece",
    "edges",
    "asymmetric",
    "similarity",
    "hybrid",
    "focus",
]
"""Rules that compute rows from the base's rows, without running the model."""

Initialiser = Literal[Heuristic, "distilled", "mapped"]

RULES_READING_TEXT: frozenset[str] = frozenset({"focus", "distilled", "mapped"})
"""Rules that read the user's text."""

RULES_RUNNING_THE_BASE: frozenset[str] = frozenset({"distilled", "mapped"})
"""Rules that learn through the whole base, which has to fit the memory."""


class SimilaritySettings(Section):
    """Weights of the groups of tokens that `similarity` and `hybrid` mix; one without members has none."""

    base_tokens: float = Field(default=1.0, gt=0)
    """The token's own base tokens; above 0, because not every token has another group."""
    root: float = Field(default=1.0, ge=0)
    """Tokens with the same root."""
    suffix_chain: float = Field(default=0.5, ge=0)
    """Tokens with the same chain of suffixes."""
    harmony_variants: float = Field(default=1.0, ge=0)
    """For suffixes: the same suffixes in other vowels (-larından, -lerinden)."""
    members: PositiveInt = 8
    """Most members of a group; base tokens come first, then new ones, the most frequent first."""

    RENAMED = {"pieces": "base_tokens", "chain": "suffix_chain", "twins": "harmony_variants"}


class HybridSettings(Section):
    """What `hybrid` adds to the rows of `similarity`."""

    mean_share: float = Field(default=0.2, ge=0, le=1)
    """Share of the mean of the base rows in use."""
    noise: float = Field(default=0.05, ge=0)
    """Normal noise, in standard deviations of the base rows in use."""

    RENAMED = {"statistics": "mean_share"}


class FocusSettings(Section):
    """The static vectors by which `focus` finds similar tokens."""

    text_bytes: PositiveInt = 20_000_000
    """Bytes of text to read."""
    window: PositiveInt = 5
    """How many tokens apart two may be to count as neighbours."""
    min_count: PositiveInt = 10
    """Rarer tokens have no vector; a new token without one is the mean of its base tokens."""
    dimensions: PositiveInt = 128


class DistillationSettings(Section):
    """How `distilled` learns rows from what the base does with the base tokens."""

    start: Heuristic = "first_piece"
    """The rule that the rows start from."""
    depth: float = Field(default=1 / 3, gt=0, le=1)
    """Share of the layers after which hidden states are compared."""
    passages: PositiveInt = 16
    """Passages of text looked for, for each new token."""
    passage_characters: PositiveInt = 240
    """Longest passage."""
    text_bytes: PositiveInt = 100_000_000
    """Bytes of text to look through."""
    batch_tokens: PositiveInt = 4096
    """Tokens per step, padding included, as the new tokenizer splits the text."""
    passes: PositiveInt = 1
    """How often every passage is read."""
    tokens: PositiveInt | None = None
    """Tokens to learn from instead, as the new tokenizer splits the text."""
    minutes: float | None = Field(default=None, gt=0)
    """Minutes after which learning ends in any case; they become a number of tokens by the speed of the first
    steps."""
    held_out_bytes: PositiveInt = 60_000
    """Bytes of the text which are not learned from; the rows that need the fewest bits for them are kept."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Length of a step in root mean squares of the base rows in use; falls to 0 towards the end."""
    output_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross-entropy, next to the distance of hidden states, where one row serves both ends."""
    replay_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the tokens that come from text in other languages, if there is some. Text without new tokens
    teaches their output rows where the tokens do not occur; without it they harm those languages."""
    save_minutes: float = Field(default=5.0, gt=0)
    """Minutes from one saved state to the next; an interrupted distillation goes on from the last."""

    RENAMED = {"snippets": "passages", "snippet_characters": "passage_characters"}


class MappedSettings(Section):
    """How `mapped` finds rows near the base: shared linear maps, first in closed form, then learned."""

    minutes: float = Field(default=30.0, ge=0)
    """Minutes of learning, after the closed form; they become a number of tokens by the speed of the first
    steps. 0 leaves the closed form as it is."""
    tokens: NonNegativeInt | None = None
    """Tokens to learn from instead, as the new tokenizer splits the text; 0 leaves the closed form."""
    text_bytes: PositiveInt = 20_000_000
    """Bytes of text to keep of a random sample: to count tokens in, and to learn from."""
    held_out_bytes: PositiveInt = 60_000
    """Bytes of that text which are not learned from, and by which it is decided what is kept."""
    examples: PositiveInt = 16_000
    """Base tokens, the most frequent, from which the closed form learns."""
    depths: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] = [1 / 6, 1 / 3, 1 / 2]
    """Shares of the layers after which the model's own reading of a token is taken."""
    ridge: float = Field(default=0.03, gt=0)
    """Strength of the ridge regression."""
    batch_tokens: PositiveInt = 2048
    """Tokens per step."""
    learning_rate: float = Field(default=0.02, gt=0)
    """Of the maps at its highest, as Muon takes it; falls to 0 towards the end."""
    replay_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the tokens that come from text in other languages, if there is some; it keeps new tokens out
    of them."""
    save_minutes: float = Field(default=5.0, gt=0)
    """Minutes from one saved state to the next; an interrupted rule goes on from the last."""


class ExtensionSettings(Section):
    """`init` names the rule for the new rows; docs/rows.md says what each does and costs.

    `seed` feeds the rules that draw noise.
    """

    init: Initialiser = "mapped"
    output: Heuristic | None = None
    """Another rule for the output rows of an untied model; None means what `init` does there."""
    seed: NonNegativeInt = 0
    pad_to: PositiveInt = 1
    """The embedding rows of the model are padded to a multiple of this, with `<|reserved_N|>` tokens that no
    text becomes."""
    gradient_tokens: NonNegativeInt = 256
    """A check shows that every new row gets a gradient, and that so many of them, evenly spaced, get one
    through the first layers of the model; 0 leaves both out."""
    similarity: SimilaritySettings = SimilaritySettings()
    hybrid: HybridSettings = HybridSettings()
    focus: FocusSettings = FocusSettings()
    distillation: DistillationSettings = DistillationSettings()
    mapped: MappedSettings = MappedSettings()

    def padded(self, rows: int) -> int:
        """The number of embedding rows of a model that needs `rows`."""
        return -(-rows // self.pad_to) * self.pad_to

    @property
    def reads_text(self) -> bool:
        """Whether the rule for either end needs text to read."""
        return not RULES_READING_TEXT.isdisjoint({self.init, self.output})

    @property
    def runs_base(self) -> bool:
        """Whether the rule runs the base."""
        return self.init in RULES_RUNNING_THE_BASE

    @property
    def text_bytes(self) -> int:
        """Bytes of text that the rules for both ends read at most; 0 where none reads text."""
        limits = {
            "focus": self.focus.text_bytes,
            "distilled": self.distillation.text_bytes,
            "mapped": sys.maxsize,  # it samples from all of it
        }
        return max(limits.get(rule, 0) for rule in (self.init, self.output or self.init))
