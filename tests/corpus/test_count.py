"""Text that is not Turkish is refused, text that repeats itself is capped, dirt gives no tokens."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekle.bpe.base import BaseTokenizer
from ekle.corpus.count import RepeatFilter, count_sources
from ekle.corpus.language import LEAST_SHARE, turkish_share
from ekle.counting import count_documents
from ekle.errors import TextError
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents
from ekle.turkish import casing
from ekle.vocabulary.learn import learn_vocabulary

PLAIN = str.maketrans("çğıöşüâîûÇĞİÖŞÜ", "cgiosuaiuCGIOSU")
FOOTER = "Bu sitede yer alan bütün içeriğin hakları saklıdır"


def share(base: BaseTokenizer, texts: list[str]) -> float:
    found = turkish_share(count_documents(texts, base, silent()).table)
    assert found is not None
    return found


def test_turkish_is_turkish_in_capitals_and_without_its_letters(base: BaseTokenizer) -> None:
    texts = [document.text for document in documents(["bundled:tr"])]
    for change in (
        str,
        casing.upper,
        lambda text: text.translate(PLAIN),
        lambda t: t.replace("i", "i\u0307"),
    ):
        assert share(base, [change(text) for text in texts]) > 0.6
    assert share(base, texts[:3]) > 0.6


def test_english_is_refused_with_its_share_and_read_on_request(base: BaseTokenizer) -> None:
    corpus = CorpusSettings(sources=["bundled:en"], word_lists=[])
    with pytest.raises(TextError, match=r"not Turkish: \d+% .*--any-language"):
        count_sources(corpus, base, silent())
    counted = count_sources(corpus, base, silent(), any_language=True)
    assert counted.about["turkish_share"] < 0.05


def test_a_handful_of_words_is_not_judged(base: BaseTokenizer) -> None:
    assert turkish_share(count_documents(["hello there"], base, silent()).table) is None


def test_real_text_falls_on_the_right_side(base: BaseTokenizer, shared_data: Path) -> None:
    for path in sorted(shared_data.glob("tr/dev_*.txt")) + sorted(shared_data.glob("other/*.txt")):
        lines = path.read_text("utf-8").splitlines()[:1000]
        assert (share(base, lines) >= LEAST_SHARE) == (path.parent.name == "tr"), path.name


def test_a_line_is_passed_on_up_to_the_limit_and_the_rest_is_reported() -> None:
    repeats = RepeatFilter(limit=3)
    passed = list(
        repeats.without_repeats([FOOTER] * 5 + [f"Bugünkü ilk haberimiz geldi\n{FOOTER}"] + ["Evet."] * 9)
    )
    assert passed == [FOOTER] * 3 + ["Bugünkü ilk haberimiz geldi"] + ["Evet."] * 9
    assert repeats.lines_left_out == 3
    assert 0 < repeats.summary()["share_left_out"] < 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab \n", max_size=30), max_size=10))
def test_different_lines_pass_untouched(texts: list[str]) -> None:
    once = list(dict.fromkeys(texts))
    repeats = RepeatFilter(limit=255)
    assert list(repeats.without_repeats(once)) == once


def test_a_repeated_line_wins_no_token(base: BaseTokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text((FOOTER + "\n") * 500, "utf-8")
    counted = count_sources(CorpusSettings(sources=[str(tmp_path / "t.txt")], word_lists=[]), base, silent())
    assert counted.counts.table["count"].max() == 10
    assert counted.about["repeats"]["lines_left_out"] == 490


def test_dirt_gives_no_tokens(base: BaseTokenizer, tmp_path: Path) -> None:
    dirt = ["i\u0307stanbul", "👍👍🏽", "שלום", "مرحبا", "ev\u200bler", "\x07zil", "\ufeffbaş", "при"]
    lines = [f"{word} kitaplarımızdan öğrencilerimizle {number}" for number in range(30) for word in dirt]
    counts = count_documents(lines, base, silent(), pre_tokenization="apostrophe")
    settings = VocabularySettings(size=5, min_count=2, languages={})
    learned = learn_vocabulary(counts, base, settings, tmp_path, silent())
    assert all(casing.clean(token.text.strip()).isalpha() for token in learned.tokens())
    assert all(letter < "\u0370" for token in learned.tokens() for letter in token.text)
    assert not any("\u0300" <= letter <= "\u036f" for token in learned.tokens() for letter in token.text)
    assert learned.report["text"]["pre_tokens_left_out"] > 0


def test_a_cap_of_none_leaves_every_line() -> None:
    lines = ["bu satır beş sözcükten uzundur"] * 40
    assert list(RepeatFilter(0).without_repeats(lines)) == lines
    assert len(list(RepeatFilter(10).without_repeats(lines))) == 10
