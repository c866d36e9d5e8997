"""A user's terms become single tokens, at the end of the merges, or are refused by name."""

from pathlib import Path

import pytest
from tiny import TURKISH
from tokenizers import Tokenizer

from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.errors import VocabularyError
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents
from ekle.vocabulary.constraints.keep import check_terms, keep_terms, read_terms
from ekle.vocabulary.learn import learn_vocabulary

pytestmark = pytest.mark.xdist_group("keep")

SETTINGS = VocabularySettings(size=300, min_count=2, languages={})


@pytest.fixture(scope="module")
def counts(base: BaseTokenizer) -> Counts:
    return count_documents(
        (d.text for d in documents(["bundled:tr"])),
        base,
        silent(),
        pre_tokenization=SETTINGS.pre_tokenization,
    )


def test_each_term_is_one_token_with_and_without_a_space_and_the_size_stays(
    base: BaseTokenizer, counts: Counts, tmp_path: Path
) -> None:
    terms = ["müfredat", "Şanlıurfa", "the", "öğretmen", "Çekoslovakyalılaştıramadıklarımız"]
    (tmp_path / "terms.txt").write_text("\n".join([*terms, "", "müfredat"]), "utf-8")
    settings = SETTINGS.model_copy(update={"keep": [str(tmp_path / "terms.txt")], "protect_strict": True})
    learned = learn_vocabulary(counts, base, settings, tmp_path, silent())
    tokenizer = Tokenizer.from_file(str(learned.tokenizer / "tokenizer.json"))
    for term in terms:
        for text in (term, f" {term}"):
            assert len(tokenizer.encode(text).ids) == 1, text
    inside = tokenizer.encode("Bu müfredat, yeni müfredat.").ids
    forms = {form["text"]: form for form in learned.report["keep"]["forms"]}
    assert inside.count(forms[" müfredat"]["id"]) == 2
    assert forms[" the"]["origin"] == "base"
    assert forms[" müfredat"]["origin"] == "forced"
    assert learned.size == 300 == len(learned.tokens())
    assert learned.report["keep"]["places"] > 0
    assert learned.report["unreachable"] == 0


@pytest.mark.parametrize(
    ("term", "why"),
    [
        ("C++", r"C \| \+\+"),
        ("Türkiye'nin", "is split into"),
        ("milli eğitim", "crosses a space"),
        ("2024", "split"),
    ],
)
def test_a_term_that_the_pre_tokenizer_splits_is_refused_by_name(
    base: BaseTokenizer, term: str, why: str
) -> None:
    with pytest.raises(VocabularyError, match=why) as caught:
        check_terms([term], base.tokenizer())
    assert repr(term) in str(caught.value)


def test_a_character_that_no_merge_may_join_is_refused_by_name() -> None:
    tokens: list[bytes | None] = [bytes([byte]) for byte in range(256)]

    class Bytes:
        def encode(self, text: str, add_special_tokens: bool) -> object:
            return type("Encoding", (), {"ids": list(text.encode("utf-8"))})

    with pytest.raises(VocabularyError, match="'€'"):
        keep_terms(["€"], [], tokens, Bytes())  # type: ignore[arg-type]


def test_terms_are_read_in_nfc_without_blanks_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(" ders \n\nders\nsınıf\n", "utf-8")
    assert read_terms([str(tmp_path / "t.txt")]) == ["ders", "sınıf"]


def test_nothing_is_written_when_a_term_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("C++\n", "utf-8")
    (tmp_path / "text.txt").write_text("\n".join(TURKISH), "utf-8")
    settings = SETTINGS.model_copy(update={"keep": [str(tmp_path / "t.txt")]})
    corpus = CorpusSettings(sources=[str(tmp_path / "text.txt")], word_lists=[])
    with pytest.raises(VocabularyError, match=r"C\+\+"):
        learn_from_text(corpus, str(tiny_base), settings, tmp_path / "out", silent())
    assert not (tmp_path / "out").exists()
