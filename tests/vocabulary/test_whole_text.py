"""What the default vocabulary promises on the text to measure with (a minute; skipped where it is absent)."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import load_base
from ekle.bpe.measure import count_tokens, measure_drift
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents

pytestmark = [pytest.mark.slow(seconds=48), pytest.mark.xdist_group("whole text")]


@pytest.fixture(scope="module")
def vocabulary(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    corpus = CorpusSettings(sources=[str(shared_data / "tr" / "train.txt")])
    return learn_from_text(
        corpus, "qwen3", VocabularySettings(), tmp_path_factory.mktemp("whole") / "v", silent()
    )


GENRES = ("wiki", "qa", "spoken", "legal", "review", "ud")
MOST_CHANGED = {"en": 0.0035, "code": 0.0004, "de": 0.015, "fr": 0.02}


def read(path: Path) -> list[str]:
    return [document.text for document in documents([str(path)])]


def test_it_saves_what_it_should_and_other_languages_hardly_pay(
    vocabulary: Vocabulary, shared_data: Path
) -> None:
    base = load_base("qwen3").tokenizer()
    tokenizer = Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))
    held_out = [text for genre in GENRES for text in read(shared_data / "tr" / f"dev_{genre}.txt")]
    assert count_tokens(tokenizer, held_out).saved(count_tokens(base, held_out)) >= 0.34
    for name, most in MOST_CHANGED.items():
        lines = read(shared_data / "other" / f"{name}.txt")[:20_000]
        assert measure_drift(base, tokenizer, lines).share <= most, name


def test_english_contractions_keep_their_ids(vocabulary: Vocabulary) -> None:
    base = load_base("qwen3").tokenizer()
    tokenizer = Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))
    for text in ("I'm", "don't", "we'll", "it's", "they've", "you're", "she'd", "IT'S", " o'clock"):
        assert tokenizer.encode(text).ids == base.encode(text).ids, text


def test_the_sentences_of_the_guide_take_as_few_tokens_as_it_says(vocabulary: Vocabulary) -> None:
    tokenizer = Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))
    wanted = {
        "Geliyorum eve, yarın görüşürüz.": 7,
        "Öğrenciler için hazırlanmış materyaller.": 8,
        "Türkiye'nin eğitim sisteminde gelişmeler.": 8,
    }
    tokens = {sentence: len(tokenizer.encode(sentence).ids) for sentence in wanted}
    assert all(tokens[sentence] <= most for sentence, most in wanted.items()), tokens


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
