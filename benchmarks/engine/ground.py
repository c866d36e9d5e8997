"""What all arms stand on: the laboratory's base that knows Turkish, its text, vocabularies and extensions.

This is the one file that knows how `benchmarks.adaptation` makes and keeps them.
"""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.adaptation.documents import save_documents, up_to
from benchmarks.adaptation.jobs import run_jobs
from benchmarks.adaptation.places import Job, Places
from benchmarks.adaptation.sizes import size_named as laboratory_size
from benchmarks.adaptation.starting import Bench
from benchmarks.adaptation.text import Text, held_out_turkish, prepare_text
from benchmarks.adaptation.vocabulary import prepare_vocabulary
from ekle.artifacts import Corpus, ExtendedModel, Vocabulary, read_documents
from ekle.extension.extend import extend_model
from ekle.files import read_json, whole_folder, write_json
from ekle.pipeline.vocab import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import Corpus as CorpusSettings
from ekle.recipe.extension import Extension
from ekle.recipe.vocabulary import Quotas
from ekle.recipe.vocabulary import Vocabulary as Settings

from .sizes import Size, SizeName, size_named


@dataclass(frozen=True)
class Ground:
    """Folders; what an arm needs beside its recipe."""

    laboratory: Places
    own: Path
    size: Size

    @property
    def base(self) -> Path:
        """The model folder of the base."""
        return self.laboratory.base("knows") / "model"

    @property
    def width(self) -> int:
        """Channels of the base."""
        return int(read_json(self.base / "config.json")["hidden_size"])

    @property
    def corpus(self) -> Corpus:
        """What the engine reads: the arms' text, English replay, and the held-out text to choose on."""
        return Corpus(self.own / "corpus")

    def page(self, language: str) -> list[str]:
        """Held-out documents that nothing is chosen by, in `turkish` or `english`."""
        return list(read_documents(self.own / "page" / f"{language}.jsonl"))

    def vocabulary(self, settings: Settings) -> Vocabulary:
        """The laboratory's, or for the guide's strategy one of its size by quotas of the same shares."""
        if settings.strategy == "free":
            return Vocabulary(self.laboratory.vocabulary)
        place = self.own / "vocabulary-guide"
        if not place.exists():
            about = self.laboratory.size
            learned = Settings(
                size=about.new_tokens,
                strategy="guide",
                quotas=_quotas(settings, about.new_tokens),
                min_count=about.least_count,
                any_language=True,
            )
            text = CorpusSettings(sources=[str(self.corpus.train)], word_lists=[])
            learn_from_text(text, str(self.laboratory.tokenizer), learned, place, silent())
        return Vocabulary(place)

    def extended(self, settings: Extension, vocabulary: Vocabulary) -> ExtendedModel:
        """The base with rows for the new tokens; made once, and the same for all seeds of an arm."""
        made_by = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:10]
        place = self.own / "extended" / f"{vocabulary.folder.name}-{settings.init}-{made_by}"
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


def prepare(data: Path, work: Path, name: SizeName) -> Ground:
    """Make what is missing; a base takes the laboratory some minutes, once.

    Raises:
        InputError: a file of the data is missing.
    """
    size, about = size_named(name), laboratory_size(name)
    places = Places(work, name, about)
    text = prepare_text(data, about.ground, places.text)
    prepare_vocabulary(text, about, places)
    vocabulary = Vocabulary(places.vocabulary)
    run_jobs(
        [Job("knows", None, 0)],
        lambda base: Bench(about, text, places.tokenizer, vocabulary, places.base(base)),
        places,
        1,
        lambda job: None,
    )
    ground = Ground(places, work / f"engine-{name}-{size.digest}", size)
    _write_text(ground, text, data, about.ground.choose)
    return ground


def _write_text(ground: Ground, text: Text, data: Path, chosen_on: int) -> None:
    """The corpus folder of the engine, and documents that the laboratory has not measured on."""
    if not ground.corpus.folder.exists():
        with whole_folder(ground.corpus.folder) as made:
            (made / "held-out").mkdir()
            shutil.copyfile(text.arm_turkish, made / "train.jsonl")
            shutil.copyfile(text.english, made / "replay.jsonl")
            save_documents(made / "held-out" / "turkish.jsonl", text.held_out("turkish", "choose"))
            write_json(made / "corpus.json", {"text": "benchmarks.adaptation"})
    place = ground.own / "page"
    if not place.exists():
        turkish = _further(held_out_turkish(data), chosen_on, ground.size.page)
        english = up_to(iter(text.held_out("english", "choose")), ground.size.english)
        with whole_folder(place) as made:
            save_documents(made / "turkish.jsonl", list(turkish))
            save_documents(made / "english.jsonl", english)


def _further(sources: list[Iterator[str]], skipped: int, size: int) -> Iterator[str]:
    """Behind `skipped` bytes, which are spread over the sources evenly, `size` bytes spread alike."""
    for source in sources:
        up_to(source, skipped // len(sources))
        yield from up_to(source, size // len(sources))


def _quotas(settings: Settings, size: int) -> Quotas:
    """The shares of the recipe's quotas, of a smaller vocabulary; words take what rounding leaves."""
    shares = settings.quotas.model_dump()
    whole = sum(shares.values())
    small = {name: count * size // whole for name, count in shares.items()}
    small["words"] += size - sum(small.values())
    return Quotas(**small)
