"""What the stages hand on: folders with known content, and the types that read them.

1-corpus -> Corpus            counts, text to train on, text to measure on
2-vocabulary -> Vocabulary    the new tokens, and a tokenizer that produces them
3-base -> BaseModel           the unchanged model
4-extension -> ExtendedModel  the model with rows for the new tokens
5-training -> Checkpoint      adapters and new rows after training
5-control -> Checkpoint       adapters of the base, trained for the same compute; in runs with a control
6-evaluation -> Scorecard     what it is worth
7-release -> Release          the folder that is shipped
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ekle.artifacts.evaluation_report import EvaluationReport
from ekle.artifacts.renamed_keys import VOCABULARY_KEYS, rename_keys
from ekle.errors import InputError
from ekle.files import read_json
from ekle.recipe.section import warn_old_names

Stage = Literal["corpus", "vocabulary", "base", "extension", "training", "control", "evaluation", "release"]
ORDER: tuple[Stage, ...] = get_args(Stage)
WITHOUT_CONTROL: tuple[Stage, ...] = tuple(stage for stage in ORDER if stage != "control")
"""The stages of a run that trains no control."""


def folder_name(stage: Stage) -> str:
    """The stage's folder in a run folder, such as "2-vocabulary"; a control is beside its training."""
    return f"{WITHOUT_CONTROL.index('training' if stage == 'control' else stage) + 1}-{stage}"


@dataclass(frozen=True)
class Corpus:
    """Counted text and its held-out part.

    Documents are JSON lines `{"text": ..., "source": ...}`, NFC, never empty.
    """

    folder: Path

    @property
    def counts(self) -> Path:
        """Parquet: how often each pre-token occurs (`text`, `count`)."""
        return self.folder / "counts.parquet"

    @property
    def train(self) -> Path:
        """Documents to train on, in the language to learn."""
        return self.folder / "train.jsonl"

    @property
    def replay(self) -> Path:
        """Documents in other languages to mix into training; may hold none."""
        return self.folder / "replay.jsonl"

    @property
    def instructions(self) -> Path:
        """Conversations to mix into training, JSON lines of `ekle.text.conversations.Conversation`; absent
        where none were named."""
        return self.folder / "instructions.jsonl"

    def learned_from(self, instruction_share: float) -> list[Path]:
        """The files, of those that hold anything, that later stages learn from; `instruction_share` is the
        training's, and at 0 conversations are not read.
        """
        files = [self.train, self.replay, *([self.instructions] if instruction_share else [])]
        return [file for file in files if file.is_file() and file.stat().st_size]

    @property
    def stretches(self) -> dict[str, tuple[int, int]]:
        """Each entry of `corpus.sources` to its bytes in `train`: the first, and the one after the last."""
        return {name: (first, stop) for name, (first, stop) in self.summary["stretches"].items()}

    @property
    def held_out(self) -> dict[str, Path]:
        """Genre name to documents that no later stage may learn from, in the language to learn."""
        return {path.stem: path for path in sorted((self.folder / "held-out").glob("*.jsonl"))}

    @property
    def other(self) -> dict[str, Path]:
        """Name to held-out documents in other languages or code."""
        return {path.stem: path for path in sorted((self.folder / "other").glob("*.jsonl"))}

    @property
    def summary(self) -> dict[str, Any]:
        """Bytes, documents, words, sources and the base tokenizer's fingerprint (`corpus.json`)."""
        summary: dict[str, Any] = read_json(self.folder / "corpus.json")
        return summary


def read_documents(path: Path) -> Iterator[str]:
    """The texts of a documents file that a Corpus wrote."""
    with path.open(encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)["text"]


@dataclass(frozen=True)
class NewToken:
    """One line of `tokens.jsonl`: a learned token and the evidence for it."""

    id: int
    text: str
    """The text the token stands for, a leading space included."""
    category: str
    """word, suffix, root, complex or pattern; docs/categories.md defines them."""
    morphemes: list[str]
    """Surface morphemes of the token's text; empty where no analysis is known."""
    count: int
    """Times the finished tokenizer produces it on the text it was learned from."""
    tokens_saved: int
    """`count` times the number of base tokens it replaces, less one."""
    base_tokens: list[int]
    """Ids that the base tokenizer gives for the token's text."""
    harmony: str
    """Verdict on vowel harmony: harmonic, exception, violation or none (fewer than two vowels)."""
    foreign_hits: int
    """Times it is produced on the protected text."""
    labels: list[str] = field(default_factory=list)
    """What each morpheme is: ROOT, or a label of `turkish/data/suffixes.tsv`; empty where `morphemes` is."""

    def line(self) -> str:
        """The token as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Vocabulary:
    """The new tokens and the tokenizer that produces them."""

    folder: Path

    @property
    def tokenizer(self) -> Path:
        """A folder that `AutoTokenizer.from_pretrained` loads."""
        return self.folder / "tokenizer"

    @property
    def report(self) -> dict[str, Any]:
        """What was learned, from what, and what it saves (`report.json`).

        Raises:
            InputError: the file is missing or is not JSON.
        """
        written = read_json(self.folder / "report.json")
        report: dict[str, Any] = rename_keys(written, VOCABULARY_KEYS)
        if report != written:
            warn_old_names(self._made_at)
        return report

    @property
    def _made_at(self) -> Path:
        """The run folder, or the vocabulary's own where it was made without a run."""
        return self.folder.parent if self.folder.name == folder_name("vocabulary") else self.folder

    @property
    def first_new_id(self) -> int:
        """Id of the first new token; also the number of embedding rows of the base."""
        return int(self.report["first_new_id"])

    @property
    def size(self) -> int:
        """Number of new tokens."""
        return int(self.report["size"])

    def tokens(self) -> list[NewToken]:
        """The new tokens in the order of their ids (`tokens.jsonl`).

        Raises:
            InputError: the file is missing or damaged.
        """
        path = self.folder / "tokens.jsonl"
        if not path.exists():
            raise InputError(
                f"{self.folder} holds no vocabulary (tokens.jsonl is missing); make one with ekle vocab"
            )
        with path.open(encoding="utf-8") as handle:
            found = _json_lines(handle, path)
        if found and "base_pieces" in found[0]:  # to be read until ekle 0.3
            warn_old_names(self._made_at)
            for fields in found:
                fields["base_tokens"] = fields.pop("base_pieces")
        try:
            return [NewToken(**fields) for fields in found]
        except TypeError as error:
            fault = str(error).removeprefix("NewToken.__init__() ")
            raise InputError(f"{path} is damaged: a token {fault}; learn the vocabulary again") from error


def _json_lines(lines: Iterable[str], path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} is damaged in line {number:,}; learn the vocabulary again") from error
    return found


@dataclass(frozen=True)
class BaseModel:
    """The unchanged model: a folder with config.json and safetensors."""

    folder: Path
    name: str
    """What the recipe called it."""

    @property
    def model(self) -> Path:
        """The model folder: the one the user gave, or the one that was built or downloaded."""
        # Recorded as seen from here, so that a run and its model may move together.
        return Path(os.path.normpath(self.folder.resolve() / read_json(self.folder / "base.json")["model"]))


@dataclass(frozen=True)
class ExtendedModel:
    """The base model with embedding rows for the new tokens."""

    folder: Path

    @property
    def model(self) -> Path:
        """A folder that `AutoModelForCausalLM` and `AutoTokenizer` load."""
        return self.folder / "model"

    @property
    def first_new_id(self) -> int:
        """Id of the first new token; rows below it are the base model's, bit for bit."""
        return int(read_json(self.folder / "extension.json")["first_new_id"])

    @property
    def flops(self) -> float:
        """Floating-point operations of learning the new rows, passes of a teacher included; 0 for a rule in
        closed form."""
        return float(read_json(self.folder / "extension.json").get("flops", 0.0))


@dataclass(frozen=True)
class Checkpoint:
    """What training changed: adapters in PEFT's format, and the new rows."""

    folder: Path
    has_new_rows: bool = True
    """False where the model was the base, which has none."""

    @property
    def adapter(self) -> Path:
        """`adapter_config.json` and `adapter_model.safetensors`, as PEFT writes them."""
        return self.folder / "adapter"

    @property
    def rows(self) -> Path:
        """Safetensors with `input` (new tokens x hidden) and, when the head is untied, `output`."""
        return self.folder / "new_rows.safetensors"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The training log: one entry per logged step (`history.jsonl`); a line under way is left out."""
        with (self.folder / "history.jsonl").open(encoding="utf-8") as handle:
            return [json.loads(line) for line in handle if line.endswith("\n")]


@dataclass(frozen=True)
class Scorecard:
    """The measurements: `report.json`, and `report.html` for people."""

    folder: Path

    @property
    def report(self) -> EvaluationReport:
        """Everything that was measured.

        Raises:
            InputError: the file is missing, damaged, or of another format.
        """
        return EvaluationReport.read(self.folder / "report.json")


@dataclass(frozen=True)
class Release:
    """The folder that is shipped."""

    folder: Path

    @property
    def model(self) -> Path:
        """A folder that `AutoModelForCausalLM` and `AutoTokenizer` load."""
        return self.folder / "model"
