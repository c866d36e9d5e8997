"""What the default vocabulary promises on the text to measure with (a minute; skipped where it is absent)."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.pipeline.vocab import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import Corpus
from ekle.recipe.vocabulary import Vocabulary as Settings


@pytest.fixture(scope="module")
def vocabulary(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    corpus = Corpus(sources=[str(shared_data / "tr" / "train.txt")])
    return learn_from_text(corpus, "qwen3", Settings(), tmp_path_factory.mktemp("whole") / "v", silent())


def test_the_sentences_of_the_guide_take_as_few_pieces_as_it_says(vocabulary: Vocabulary) -> None:
    tokenizer = Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))
    wanted = {
        "Geliyorum eve, yarın görüşürüz.": 7,
        "Öğrenciler için hazırlanmış materyaller.": 8,
        "Türkiye'nin eğitim sisteminde gelişmeler.": 8,
    }
    pieces = {sentence: len(tokenizer.encode(sentence).ids) for sentence in wanted}
    assert all(pieces[sentence] <= most for sentence, most in wanted.items()), pieces


def test_every_token_is_reached_and_nearly_every_one_is_used_often(vocabulary: Vocabulary) -> None:
    assert vocabulary.size == 20_000
    assert vocabulary.report["unreachable"] == 0
    rare = [token for token in vocabulary.tokens() if token.count < 100]
    assert len(rare) == vocabulary.report["tokens_used_less_than_min_count"] <= 0.03 * vocabulary.size


def test_nearly_all_tokens_keep_to_vowel_harmony_and_the_rest_are_listed(vocabulary: Vocabulary) -> None:
    harmony = vocabulary.report["harmony"]
    assert harmony["complies"] >= 0.95
    assert len(harmony["not_compliant"]) == harmony["violation"]
    assert all(token["reason"] for token in harmony["not_compliant"])
