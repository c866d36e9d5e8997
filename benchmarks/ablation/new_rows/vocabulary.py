"""The base's tokenizer, and the vocabulary on top of it that all arms learn the rows of."""

import shutil

from benchmarks.ablation.new_rows.work_folders import WorkFolders
from benchmarks.ablation.sizes import Size
from benchmarks.ablation.text import Text
from benchmarks.ablation.tokenizer import trimmed_qwen
from ekle.artifacts import read_documents
from ekle.bpe.base import load_base
from ekle.files import atomic_folder
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings


def prepare_vocabulary(text: Text, size: Size, work_folders: WorkFolders) -> None:
    """Make both, unless they are there; the vocabulary is learned with ekle's own code."""
    if not work_folders.tokenizer.exists():
        documents = [
            *read_documents(text.english),
            *list(read_documents(text.base_turkish))[:: size.shared.tokenizer_text_every],
        ]
        base = trimmed_qwen(documents, size.shared.base_tokens)
        with atomic_folder(work_folders.tokenizer) as made:
            base.save(made)
    if not work_folders.vocabulary.exists():
        corpus = CorpusSettings(sources=[str(text.variant_turkish)], word_lists=[])
        settings = VocabularySettings(size=size.new_tokens, min_count=size.least_count, any_language=True)
        tokenizer = load_base(str(work_folders.tokenizer))
        assert tokenizer.rows > size.shared.base_tokens // 2
        work_folders.variants.mkdir(exist_ok=True)
        try:
            learn_from_text(corpus, tokenizer.name, settings, work_folders.vocabulary, silent())
        except BaseException:
            shutil.rmtree(work_folders.vocabulary, ignore_errors=True)
            raise
