"""The base's tokenizer, and the vocabulary on top of it that all arms learn the rows of."""

import shutil

from ekle.artifacts import read_documents
from ekle.bpe.base import load_base
from ekle.files import whole_folder
from ekle.pipeline.vocab import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import Corpus
from ekle.recipe.vocabulary import Vocabulary as Settings

from .places import Places
from .sizes import Size
from .text import Text
from .trimmed import trimmed_qwen


def prepare_vocabulary(text: Text, size: Size, places: Places) -> None:
    """Make both, unless they are there; the vocabulary is learned with ekle's own code."""
    if not places.tokenizer.exists():
        documents = [
            *read_documents(text.english),
            *list(read_documents(text.base_turkish))[:: size.ground.pieces_every],
        ]
        base = trimmed_qwen(documents, size.ground.pieces)
        with whole_folder(places.tokenizer) as made:
            base.save(made)
    if not places.vocabulary.exists():
        corpus = Corpus(sources=[str(text.arm_turkish)], word_lists=[])
        settings = Settings(size=size.new_tokens, min_count=size.least_count, any_language=True)
        tokenizer = load_base(str(places.tokenizer))
        assert tokenizer.rows > size.ground.pieces // 2
        places.arms.mkdir(exist_ok=True)
        try:
            learn_from_text(corpus, tokenizer.name, settings, places.vocabulary, silent())
        except BaseException:
            shutil.rmtree(places.vocabulary, ignore_errors=True)
            raise
