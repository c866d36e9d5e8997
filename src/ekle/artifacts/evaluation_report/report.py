"""The report as a whole, and what makes it worth believing: texts, provenance, contamination, criteria."""

import warnings
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, JsonValue, RootModel, ValidationError

from ekle.artifacts.evaluation_report.control import ControlComparison
from ekle.artifacts.evaluation_report.figures import Figure, Part, other_name
from ekle.artifacts.evaluation_report.model import (
    Direction,
    GeneratedText,
    GreedySample,
    Inference,
    ModelSize,
    TaskResult,
    TextDivergence,
    TextLikelihood,
    Translation,
)
from ekle.artifacts.evaluation_report.tokenizer import Morphology, Peer, TextDrift, TokenSavings
from ekle.artifacts.renamed_keys import EVALUATION_KEYS, rename_keys
from ekle.errors import InputError, RenamedWarning
from ekle.files import read_json, write_json

FORMAT = 2
"""Of report.json; grows when a key changes its name or its meaning."""

_EARLIER_FORMAT = 1
"""Of ekle 0.1; to be read until ekle 0.3."""


class TextSize(Part):
    """How large a text is, and which it is."""

    documents: int
    """Its documents: lines of a .txt file, records of another."""
    bytes: int
    """Its UTF-8 bytes."""
    sha256: str | None = None
    """SHA-256 in hex over the documents, each ended by the byte FF, which no UTF-8 text holds."""


class MeasuredTexts(Part):
    """The texts that are measured on, by name."""

    held_out: dict[str, TextSize]
    """In the language to learn, a genre each."""
    other: dict[str, TextSize]
    """In other languages, or code."""

    @property
    def other_names(self) -> dict[str, str]:
        """The key of each of `other` where all texts share one object (`likelihood`, `contamination`)."""
        return {name: other_name(name, self.held_out) for name in self.other}


class Source(Part):
    """What was measured under one name."""

    place: str
    """The name of a folder, without its path on the machine, or a hub id."""
    tokenizer: str | None = None
    """SHA-256 in hex of its tokenizer as the tokenizers library writes it."""


class Provenance(Part):
    """Where figures come from: what two evaluations must share for their figures to be compared."""

    measured: dict[str, Source]
    """By name: every model and tokenizer."""
    files: dict[str, str]
    """By name: SHA-256 in hex of the files of gold, pairs and tasks."""
    device: str
    """What the models ran on."""
    dtype: str
    """What the weights were loaded in, such as bfloat16."""
    versions: dict[str, str]
    """By library: its version."""
    sacrebleu: dict[str, str] | None = None
    """By score: the signature that sacrebleu asks to be quoted with it."""


LogEntry = dict[str, JsonValue]
"""A line of a training log; `ekle.training.monitoring.history` lists its keys."""


class VocabularySummary(RootModel[dict[str, JsonValue]]):
    """What the vocabulary stage reported, word for word, without its long lists."""

    model_config = ConfigDict(frozen=True)

    @property
    def size(self) -> int | None:
        """Number of new tokens."""
        size = self.root.get("size")
        return size if isinstance(size, int) else None

    @property
    def profile(self) -> str | None:
        """`portable`, `compact` or `morphological`."""
        profile = self.root.get("profile")
        return profile if isinstance(profile, str) else None

    @property
    def text(self) -> JsonValue:
        """The text it was learned from: a name, or an object with `bytes`."""
        return self.root.get("text")

    @property
    def growth(self) -> list[dict[str, Any]]:
        """Tokens of the learning text by size of the vocabulary: a point each with `size` and `tokens`."""
        return self._points("growth")

    @property
    def size_trade_offs(self) -> list[dict[str, Any]]:
        """What fewer tokens would save and change: a point a size."""
        return self._points("size_trade_offs")

    def _points(self, key: str) -> list[dict[str, Any]]:
        points = self.root.get(key)
        return [point for point in points if isinstance(point, dict)] if isinstance(points, list) else []


class TrainingLogs(Part):
    """The logs of the trainings, as far as there are any."""

    base: list[LogEntry] | None = None
    """The pre-training of a base that was built here: `step` and `loss`, in nats per token."""
    extended: list[LogEntry] | None = None
    """The training after extension, a line a logged step."""
    control: list[LogEntry] | None = None
    """The training of the control, likewise."""


class Preservation(Part):
    """Whether the extended model still is its base, byte for byte, except for the new rows."""

    tensors: int
    """Tensors that should be the base's."""
    rows: int
    """Embedding rows that should be the base's."""
    changed: list[str]
    """Tensors of the extended model that differ from the record of its making."""
    base_changed: list[str] | None = None
    """Tensors of the base that differ from it; absent where the base is a tokenizer alone."""


class Contamination(Part):
    """How much of a text is also in the text that was learned from, by runs of eight words."""

    documents: int
    """Documents of eight words or more."""
    too_short: int
    """Documents of fewer words; they are in no share."""
    overlapping: Figure | None = None
    """The share of the documents that share such a run with the learned text; the interval is Wilson's."""
    mostly: Figure | None = None
    """The share of the documents that share half of their runs or more; the interval is Wilson's."""
    runs: float | None = None
    """The share of all runs that are also in the learned text."""


class Criterion(Part):
    """A success criterion of the guide, and whether it is met."""

    key: str
    """Its short name."""
    group: Literal["technical", "quality", "performance"]
    """What it is about."""
    name: str
    """Its name, for people."""
    target: str
    """The target, as the guide states it."""
    definition: str
    """What is measured for it here."""
    unit: Literal["share", "number"]
    """Of the value: a share, or a number in the unit of the definition."""
    why: str | None = None
    """What is missing, where the criterion was not measured."""
    value: Figure | None = None
    """What was measured."""
    met: bool | None = None
    """Whether the value is enough; absent where there is none."""
    certain: bool | None = None
    """Whether the whole interval is on the value's side of the limit; absent where there is no interval."""
    note: str | None = None
    """What else a reader should know."""

    @property
    def is_certain(self) -> bool:
        """False where the interval has values on both sides of the limit."""
        return self.certain is not False


Kind = Literal["headline", "good", "bad", "plain", "note"]


class Sentence(Part):
    """A sentence of the verdict."""

    kind: Kind
    """Whether it is good news, bad news or neither; the headline, or a note of caution."""
    text: str
    """The sentence."""


class EvaluationReport(Part):
    """Everything that an evaluation measured."""

    format: int
    """Of this file; grows when a key changes its name or its meaning."""
    title: str
    """What was evaluated."""
    ekle: str
    """The version of ekle that evaluated it."""
    settings: dict[str, JsonValue]
    """The `[evaluation]` section of the recipe, key by key."""
    texts: MeasuredTexts
    """The texts that were measured on."""
    provenance: Provenance | None = None
    """Where the figures come from."""
    vocabulary: VocabularySummary | None = None
    """What the vocabulary stage reported, without its long lists."""
    training: TrainingLogs | None = None
    """The logs of the trainings."""
    control: ControlComparison | None = None
    """Ours against the control while training, where a run has one."""
    tokens: TokenSavings | None = None
    """What the extended tokenizer saves on held-out text."""
    drift: dict[str, TextDrift] | None = None
    """By other text: how many lines are split differently; absent where one of the two tokenizers is not
    byte-level."""
    morphology: Morphology | None = None
    """Token boundaries against morphemes."""
    peers: dict[str, Peer] | None = None
    """By name: other tokenizers, against the same base."""
    preservation: Preservation | None = None
    """Whether the extended model still is its base, byte for byte."""
    contamination: dict[str, Contamination] | None = None
    """By text, and by `task: NAME` and `translation: LANGUAGE`: how much of it is also in the text that was
    learned from."""
    models: dict[str, ModelSize] | None = None
    """By model: its size."""
    likelihood: dict[str, dict[str, TextLikelihood]] | None = None
    """By model, by text and `all_held_out`: how well it reads the text."""
    divergence: dict[str, dict[str, TextDivergence]] | None = None
    """By model, by other text: how far its predictions have moved from the base's."""
    generation: dict[str, list[GreedySample]] | None = None
    """By model: greedy continuations of `evaluation.prompts`."""
    generated: dict[str, GeneratedText] | None = None
    """By model: figures of sampled text; under `held_out` those of text that people wrote."""
    translation: dict[str, dict[Direction, Translation]] | None = None
    """By model, by direction: how well it translates."""
    tasks: dict[str, TaskResult] | None = None
    """By task: questions with right answers."""
    inference: Inference | None = None
    """Speed and memory."""
    criteria: list[Criterion]
    """The guide's success criteria."""
    verdict: list[Sentence]
    """What the figures mean, in sentences."""

    @classmethod
    def read(cls, file: Path) -> Self:
        """The report in `file`; a RenamedWarning says so where ekle 0.1 wrote it.

        Raises:
            InputError: there is none, it is no evaluation's, it is of another format, or a key is wrong.
        """
        content = read_json(file)
        if not isinstance(content, dict) or not {"format", "texts", "settings"} <= set(content):
            raise InputError(
                f"{file} is no report of ekle evaluate; to compare tokenizers name a text with --text"
            )
        if content["format"] == _EARLIER_FORMAT:
            warnings.warn(
                f"{file} is of ekle 0.1 (format {_EARLIER_FORMAT}): "
                "its keys are read under their names of today",
                RenamedWarning,
                stacklevel=1,  # the same for all callers, so that a command says it once
            )
            content = rename_keys(content, EVALUATION_KEYS) | {"format": FORMAT}
        if content["format"] != FORMAT:
            raise InputError(
                f"{file} has format {content['format']} and this ekle reads {_EARLIER_FORMAT} and {FORMAT}; "
                "evaluate again"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise InputError(f"{file} is damaged at {key}: {first['msg']}; evaluate again") from error

    def write(self, file: Path) -> None:
        """Write the report as readable UTF-8 JSON, whole or not at all."""
        write_json(file, self.dump())
