"""`ekle vocab`: text in, vocabulary out, without a run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer, load_base
from ekle.corpus.count import count_sources
from ekle.files import atomic_folder, short_names
from ekle.progress import ProgressReporter
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import TextReader, check_sources
from ekle.vocabulary.learn import learn_vocabulary


def learn_from_text(
    corpus: CorpusSettings,
    base: str | BaseTokenizer,
    settings: VocabularySettings,
    out: Path,
    reporter: ProgressReporter,
    counted: Sequence[Path] = (),
    *,
    held_out: Mapping[str, Path] | None = None,
    other: Mapping[str, Path] | None = None,
) -> Vocabulary:
    """Count `corpus.sources`, learn from them, and write the vocabulary folder `out`.

    Args:
        corpus: what is read, and how.
        base: the tokenizer to extend, or its name.
        settings: of the vocabulary.
        out: a new folder.
        reporter: receives progress.
        counted: files of counts to add.
        held_out: by name, the texts to report the saving on; None takes those of `corpus`.
        other: by name, the texts to report changes in; None takes those of `corpus`.

    Raises:
        EkleError: whatever is wrong with text, tokenizer, settings or `out`; nothing is left behind.
    """
    held_out = _by_name(corpus.held_out_files) if held_out is None else held_out
    other = _by_name(corpus.other_files) if other is None else other
    measured = [str(file) for file in (*held_out.values(), *other.values())]
    check_sources([*corpus.sources, *measured, *settings.protect, *settings.keep, *settings.gold])
    reader = TextReader(reporter.say, corpus.text_field, corpus.keep_misdecoded)
    with atomic_folder(out) as folder:
        tokenizer = load_base(base) if isinstance(base, str) else base
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
            held_out=_texts(held_out, reader, turkish=True),
            other=_texts(other, reader, turkish=False),
            about_text=found.about,
            reader=reader,
        )
    return Vocabulary(out)


def _by_name(files: Sequence[str]) -> dict[str, Path]:
    return dict(zip(short_names(files), map(Path, files), strict=True))


def _texts(files: Mapping[str, Path], reader: TextReader, *, turkish: bool) -> dict[str, list[str]]:
    """The documents of each file by its name."""
    return {
        name: [document.text for document in reader.documents([str(file)], turkish=turkish)]
        for name, file in files.items()
    }
