"""What all parts share: bases, text, vocabulary, extended models, and how bits per byte are measured."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from benchmarks.device import default_device
from benchmarks.real.parts import Parts, Result, digest_of
from benchmarks.real.sizes import Ends, Rule, Size
from benchmarks.real.text import ENGLISH, Purpose, Text
from ekle.artifacts import Checkpoint, ExtendedModel, Vocabulary, read_documents
from ekle.errors import InputError
from ekle.extension.extend import extend_model
from ekle.files import digest, read_json
from ekle.model.checkpoint.merging import load_trained
from ekle.model.scoring.bits_per_byte import measure
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import ProgressReporter
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.vocabulary import Profile, VocabularySettings

_BATCH = 8  # windows that are measured together


@dataclass(frozen=True)
class Workspace:
    """Folders, sizes, and what has been made in them."""

    work: Path
    data: Path
    size: Size
    text: Text
    given: Mapping[Ends, Path]
    """The model folders of the bases, as they were given."""
    settled: Mapping[Ends, Path]
    """The model folders of the settled bases."""
    parts: Parts
    reporter: ProgressReporter

    @cached_property
    def settled_digests(self) -> dict[Ends, str]:
        """Of the weights of the settled bases."""
        return {ends: weights_digest(folder) for ends, folder in self.settled.items()}

    @property
    def text_digest(self) -> str:
        """Of all text that what follows the settling reads."""
        return self.text.digest("learn", "validation", "test")

    def vocabulary_settings(self, profile: Profile) -> VocabularySettings:
        """How the new tokens are learned; they are protected from taking English apart."""
        settings = VocabularySettings(
            size=self.size.new_tokens,
            profile=profile,
            min_count=self.size.min_count,
            protect=[str(self.text.learn.replay)],
        )
        return settings if self.size.word_lists else settings.model_copy(update={"languages": {}})

    def corpus_settings(self) -> CorpusSettings:
        """What vocabularies are learned from."""
        settings = CorpusSettings(
            sources=[str(self.text.learn.train)], replay=[str(self.text.learn.replay)], held_out=0.0
        )
        return settings if self.size.word_lists else settings.model_copy(update={"word_lists": []})

    def vocabulary(self, profile: Profile = "portable") -> Vocabulary:
        """The new tokens of a profile, learned once."""
        settings, folder = self.vocabulary_settings(profile), self.work / f"vocabulary-{profile}"

        def make() -> Result:
            shutil.rmtree(folder, ignore_errors=True)
            began = time.monotonic()
            learn_from_text(
                self.corpus_settings(), str(self.settled["tied"]), settings, folder, self.reporter
            )
            report = Vocabulary(folder).report
            before, after = report["growth"][0]["tokens"], report["growth"][-1]["tokens"]
            return {
                "tokens": report["size"],
                "tokens_saved": 1 - after / before,
                "seconds": round(time.monotonic() - began, 1),
                "tokens_digest": digest(folder / "tokens.jsonl")[:16],
            }

        name = "vocab" if profile == "portable" else f"vocab/{profile}"
        inputs = {
            "settings": settings.model_dump(mode="json", exclude={"protect"}),
            "text": self.text.digest("learn"),
            "tokenizer": digest(self.settled["tied"] / "tokenizer.json")[:16],
        }
        self.parts.keep(name, inputs, make)
        if not folder.exists():
            raise InputError(
                f"{folder} is gone, and {self.parts.folder / 'vocab.json'} tells of it; remove that as well"
            )
        return Vocabulary(folder)

    def vocabulary_digest(self, profile: Profile = "portable") -> str:
        """Of the new tokens of a profile."""
        return digest(self.vocabulary(profile).folder / "tokens.jsonl")[:16]

    def extended(self, rule: Rule, ends: Ends, profile: Profile = "portable") -> tuple[ExtendedModel, Result]:
        """The settled base with new rows by a rule, and what is recorded about that.

        The folder is made again if it has been removed. An interrupted rule goes on where it was.
        """
        vocabulary = self.vocabulary(profile)
        name = f"{rule.name}-{digest_of({'profile': profile, 'rule': dict(rule.settings)})[:8]}"
        folder = self.work / "extended" / ends / name.replace(" ", "-").replace(",", "")
        inputs = {
            "rule": dict(rule.settings),
            "base": self.settled_digests[ends],
            "vocabulary": self.vocabulary_digest(profile),
            "text": self.text.digest("learn"),
        }

        def make() -> Result:
            shutil.rmtree(folder, ignore_errors=True)
            began = time.monotonic()
            corpus = self.text.learn
            extend_model(
                vocabulary.folder,
                self.settled[ends],
                folder,
                ExtensionSettings.model_validate(dict(rule.settings)),
                self.reporter,
                lambda: read_documents(corpus.train),
                replay=lambda: read_documents(corpus.replay),
            )
            return {
                "seconds": round(time.monotonic() - began, 1),
                **learned(ExtendedModel(folder)),
            }

        part = f"extended-{ends}/{profile} {rule.name}"
        about = self.parts.keep(part, inputs, make)
        if not folder.exists():
            make()
        return ExtendedModel(folder), about

    def bits(
        self, model: Path, purpose: Purpose, checkpoint: Checkpoint | None = None, context: int = 2_048
    ) -> Result:
        """Bits per byte in float32: of each Turkish text, their mean, and of English.

        Every token of a passage is scored, behind <|endoftext|>.
        """
        loaded, tokenizer = load_trained(model, checkpoint, torch.float32, default_device())

        def of(name: str) -> float:
            documents = self.text.passages(purpose, name)
            found = measure(loaded, tokenizer, documents, context=context, batch_size=_BATCH)
            return round(found.bits_per_byte, 5)

        genres = {name: of(name) for name in self.text.genres}
        mean = round(sum(genres.values()) / len(genres), 5)
        return {"genres": genres, "turkish": mean, "english": of(ENGLISH)}


def learned(model: ExtendedModel) -> Result:
    """What the rule for the new rows recorded about its learning."""
    about = read_json(model.folder / "extension.json")
    return {key: about[key] for key in ("mapped", "distillation", "flops") if key in about}


def weights_digest(model: Path) -> str:
    """Of all weights of a model folder.

    Raises:
        InputError: it has none.
    """
    files = sorted(model.glob("*.safetensors"))
    if not files:
        raise InputError(f"{model} has no safetensors; give a model folder, as make_base.py writes it")
    return "-".join(digest(file)[:16] for file in files)
