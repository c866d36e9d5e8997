"""`ekle vocab`: text in, vocabulary out, without a run folder."""

from collections.abc import Sequence
from pathlib import Path

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.corpus.count import count_sources
from ekle.files import atomic_folder
from ekle.progress import ProgressReporter
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import check_sources, documents, names_of
from ekle.vocabulary.learn import learn_vocabulary


def learn_from_text(
    corpus: CorpusSettings,
    base: str,
    settings: VocabularySettings,
    out: Path,
    reporter: ProgressReporter,
    counted: Sequence[Path] = (),
) -> Vocabulary:
    """Count `corpus.sources`, learn from them, and write the vocabulary folder `out`.

    Raises:
        EkleError: whatever is wrong with text, tokenizer, settings or `out`; nothing is left behind.
    """
    named = (corpus.held_out_files, corpus.other_files, settings.protect, settings.keep, settings.gold)
    check_sources([*corpus.sources, *(file for files in named for file in files)])
    with atomic_folder(out) as folder:
        tokenizer = load_base(base)
        found = count_sources(
            corpus,
            tokenizer,
            reporter,
            counted=counted,
            pre_tokenization=settings.pre_tokenization,
            any_language=settings.any_language,
        )
        learn_vocabulary(
            found.counts,
            tokenizer,
            settings,
            folder,
            reporter,
            held_out=_texts(corpus.held_out_files),
            other=_texts(corpus.other_files),
            about_text=found.about,
        )
    return Vocabulary(out)


def _texts(files: Sequence[str]) -> dict[str, list[str]]:
    """The documents of each file by its name."""
    return {
        name: [document.text for document in documents([file])]
        for name, file in zip(names_of(files), files, strict=True)
    }
