"""The corpus stage splits by the text of each document, and counts what is not held out."""

from pathlib import Path

import pytest

from ekle.artifacts import read_documents
from ekle.corpus.stage import Inputs, is_held_out, run
from ekle.errors import TextError
from ekle.progress import silent
from ekle.recipe import make_recipe


def test_a_document_is_either_trained_on_or_held_out(tmp_path: Path) -> None:
    recipe = make_recipe({"name": "t", "corpus": {"sources": ["bundled:tr"], "held_out": 0.2}})
    corpus = run(recipe, Inputs(), tmp_path, silent())
    train = list(read_documents(corpus.train))
    held = [text for path in corpus.held_out.values() for text in read_documents(path)]
    assert train and held and not set(train) & set(held)
    assert corpus.summary["documents"] == len(train)
    assert set(corpus.held_out) <= {"tr_education", "tr_daily_life", "tr_news", "tr_science"}
    assert set(corpus.other) <= {"en_education", "en_daily_life", "en_news", "en_science"}
    assert list(read_documents(corpus.replay))


def test_the_split_depends_on_the_text_alone() -> None:
    texts = [f"belge {number}" for number in range(2000)]
    share = sum(is_held_out(text, 0.1) for text in texts) / len(texts)
    assert 0.07 < share < 0.13
    assert not any(is_held_out(text, 0.0) for text in texts)


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leer.txt").write_text("\n \n", "utf-8")
    recipe = make_recipe({"name": "t", "corpus": {"sources": [str(tmp_path / "leer.txt")]}})
    with pytest.raises(TextError, match="no text"):
        run(recipe, Inputs(), tmp_path / "out", silent())
