"""What all variants share: the base that knows Turkish, its text, vocabularies and extensions."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ablation.bases import BaseFolders, prepare_bases
from benchmarks.ablation.recipes.scaling import TrainingSize, TrainingSizeName, training_size_named
from benchmarks.ablation.sizes import size_named
from benchmarks.ablation.text import Text, held_out_turkish, prepare_text, save_documents, up_to
from benchmarks.ablation.tokenizer import prepare_vocabulary
from ekle.artifacts import Corpus, ExtendedModel, Vocabulary, read_documents
from ekle.extension.extend import extend_model
from ekle.files import atomic_folder, read_json, write_json
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.extension import ExtensionSettings
from ekle.recipe.vocabulary import QuotaSettings, VocabularySettings


@dataclass(frozen=True)
class Workspace:
    """Folders with everything that a variant needs but its recipe."""

    bases: BaseFolders
    folder: Path
    size: TrainingSize

    @property
    def base(self) -> Path:
        """The model folder of the base."""
        return self.bases.base("knows") / "model"

    @property
    def width(self) -> int:
        """Channels of the base."""
        return int(read_json(self.base / "config.json")["hidden_size"])

    @property
    def corpus(self) -> Corpus:
        """What training reads: the variants' text, English replay, and the validation text."""
        return Corpus(self.folder / "corpus")

    def test_text(self, language: str) -> list[str]:
        """Held-out documents that no choice is made on, in `turkish` or `english`."""
        return list(read_documents(self.folder / "test" / f"{language}.jsonl"))

    def vocabulary(self, settings: VocabularySettings) -> Vocabulary:
        """The shared vocabulary; for the guide's strategy one of the same size, with the guide's quotas."""
        if settings.strategy == "free":
            return Vocabulary(self.bases.vocabulary)
        place = self.folder / "vocabulary-guide"
        if not place.exists():
            shared = self.bases.shared
            learned = VocabularySettings(
                size=shared.new_tokens,
                strategy="guide",
                quotas=_quotas(settings, shared.new_tokens),
                min_count=shared.least_count,
                any_language=True,
            )
            text = CorpusSettings(sources=[str(self.corpus.train)], word_lists=[])
            learn_from_text(text, str(self.bases.tokenizer), learned, place, silent())
        return Vocabulary(place)

    def extended(self, settings: ExtensionSettings, vocabulary: Vocabulary) -> ExtendedModel:
        """The base with rows for the new tokens; made once for all seeds of a variant."""
        made_by = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:10]
        place = self.folder / "extended" / f"{vocabulary.folder.name}-{settings.init}-{made_by}"
        if not place.exists():
            extend_model(
                vocabulary.folder,
                self.base,
                place,
                settings,
                silent(),
                lambda: read_documents(self.corpus.train),
                replay=lambda: read_documents(self.corpus.replay),
            )
        return ExtendedModel(place)


def prepare(data: Path, work: Path, name: TrainingSizeName) -> Workspace:
    """Make what is missing; the base takes some minutes, once.

    Raises:
        InputError: a file of the data is missing.
    """
    size, shared = training_size_named(name), size_named(name).shared
    folders = BaseFolders(work, name, shared)
    text = prepare_text(data, shared, folders.text)
    prepare_vocabulary(text, folders)
    prepare_bases(["knows"], text, folders, processes=1)
    workspace = Workspace(folders, work / f"recipes-{name}-{size.digest}", size)
    _write_text(workspace, text, data, shared.validation_bytes)
    return workspace


def _write_text(workspace: Workspace, text: Text, data: Path, validation_bytes: int) -> None:
    """The corpus folder that training reads, and a test text that no choice was made on."""
    if not workspace.corpus.folder.exists():
        with atomic_folder(workspace.corpus.folder) as made:
            (made / "held-out").mkdir()
            shutil.copyfile(text.variant_turkish, made / "train.jsonl")
            shutil.copyfile(text.english, made / "replay.jsonl")
            save_documents(made / "held-out" / "turkish.jsonl", text.held_out("turkish", "validation"))
            write_json(made / "corpus.json", {"text": "benchmarks.ablation"})
    place = workspace.folder / "test"
    if not place.exists():
        turkish = _further(held_out_turkish(data), validation_bytes, workspace.size.test_bytes)
        english = up_to(iter(text.held_out("english", "validation")), workspace.size.english_bytes)
        with atomic_folder(place) as made:
            save_documents(made / "turkish.jsonl", list(turkish))
            save_documents(made / "english.jsonl", english)


def _further(sources: list[Iterator[str]], skipped: int, size: int) -> Iterator[str]:
    """Documents of `size` bytes after the first `skipped` bytes, both divided evenly among the sources."""
    for source in sources:
        up_to(source, skipped // len(sources))
        yield from up_to(source, size // len(sources))


def _quotas(settings: VocabularySettings, size: int) -> QuotaSettings:
    """The recipe's quotas scaled to `size` tokens; words get what rounding leaves."""
    shares = settings.quotas.model_dump()
    whole = sum(shares.values())
    small = {name: count * size // whole for name, count in shares.items()}
    small["words"] += size - sum(small.values())
    return QuotaSettings(**small)
