"""A user's terms become single tokens, at the end of the merges, or are refused by name."""

import json
from pathlib import Path

import pytest
from tiny import TURKISH
from tokenizers import Tokenizer
from tokenizers.models import BPE

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.byte_alphabet import encode_bytes
from ekle.cli.stages import vocabulary_summary
from ekle.counting import Counts, count_documents
from ekle.errors import VocabularyError
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import Profile, VocabularySettings
from ekle.text.documents import TextReader, documents
from ekle.vocabulary.constraints.keep import read_terms, term_forms
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
        ("Türkiye'nin", r"Türkiye \| 'nin"),
        ("e-posta", r"e \| -posta"),
        ("milli eğitim", "crosses a space"),
        ("2024", r"2 \| 0 \| 2 \| 4"),
        ("<|im_end|>ler", "is a token by itself"),
    ],
)
def test_a_term_of_which_no_form_can_be_one_token_is_refused_by_name(
    base: BaseTokenizer, term: str, why: str
) -> None:
    with pytest.raises(VocabularyError, match=why) as caught:
        term_forms([term], base, base.tokenizer())
    assert repr(term) in str(caught.value)


def test_every_term_that_cannot_be_kept_is_named_or_counted(base: BaseTokenizer) -> None:
    with pytest.raises(
        VocabularyError, match=r"'x-1' cannot .*'x-5' cannot .*; 2 others neither; remove them"
    ):
        term_forms(["ders", *(f"x-{number}" for number in range(1, 8))], base, base.tokenizer())


@pytest.mark.parametrize("term", ["#deprem", "'nin", "-dır", "@belediye", "(TBMM"])
def test_a_form_that_cannot_be_one_token_has_its_reason_and_the_other_is_kept(
    base: BaseTokenizer, term: str
) -> None:
    after_space, alone = term_forms([term], base, base.tokenizer())
    assert after_space.text == f" {term}"
    assert after_space.reason == f"it is split into {f' {term[0]}'!r} | {term[1:]} before any merge"
    assert alone.reason == ""


@pytest.mark.parametrize("term", ["TBMM", "IĞDIR", "İSTANBUL", "ılık", "şu", "A", "%", "…"])
def test_capitals_and_marks_can_be_kept_in_both_forms(base: BaseTokenizer, term: str) -> None:
    assert [form.reason for form in term_forms([term], base, base.tokenizer())] == ["", ""]


def test_a_character_that_no_merge_may_join_is_refused_by_name() -> None:
    spec = json.loads(Tokenizer(BPE()).to_str())
    spec["model"]["vocab"] = {encode_bytes(bytes([byte])): byte for byte in range(256)}
    spec["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    small = BaseTokenizer("small", spec, {}, None, 256)
    assert [form.reason for form in term_forms(["ş"], small, small.tokenizer())] == ["", ""]
    with pytest.raises(VocabularyError, match="'€' cannot be kept: the base splits a character"):
        term_forms(["€"], small, small.tokenizer())


@pytest.mark.parametrize("profile", ["portable", "compact", "morphological"])
def test_what_is_told_of_each_form_is_what_the_tokenizer_does(
    base: BaseTokenizer, profile: Profile, tmp_path: Path
) -> None:
    """Terms as people have them: apostrophes, hash and at signs, hyphens, capitals, words that are whole."""
    settings = SETTINGS.model_copy(update={"profile": profile})
    counts = count_documents(
        (d.text for d in documents(["bundled:tr"])),
        base,
        silent(),
        pre_tokenization=settings.pre_tokenization,
    )
    terms = ["'nin", "#deprem", "-dır", "TBMM", "@meb", "İğdır", "müfredat", "the", "ve", "§"]
    terms += ["'dan"] if profile != "compact" else []  # which splits English contractions off, 'd too
    (tmp_path / "terms.txt").write_text("\n".join(terms), "utf-8")
    settings = settings.model_copy(update={"keep": [str(tmp_path / "terms.txt")]})
    learned = learn_vocabulary(counts, base, settings, tmp_path, silent())
    tokenizer = Tokenizer.from_file(str(learned.tokenizer / "tokenizer.json"))
    keep = learned.report["keep"]
    assert [form["text"] for form in keep["forms"]] == [text for term in terms for text in (f" {term}", term)]
    for form in keep["forms"]:
        ids = tokenizer.encode(form["text"]).ids
        assert (form["id"], form["tokens"]) == (ids[0] if len(ids) == 1 else None, len(ids)), form
        assert (form["origin"] == "none") == (form["reason"] is not None) == (len(ids) > 1), form
        for mark in (".", ",", " ve", "'nin"):
            whole = tokenizer.encode(form["text"] + mark).ids[:1] == ids
            assert whole or len(ids) > 1 or mark in form["split_before"], (form, mark)
    split = {form["text"] for form in keep["forms"] if form["reason"]}
    assert split == {" 'nin", " #deprem", " -dır", " @meb", " 'dan"} & {f" {term}" for term in terms}
    for capitals in keep["other_capitals"]:
        assert len(tokenizer.encode(f" {capitals['text']}").ids) == capitals["tokens"] > 1
    assert {"MÜFREDAT", "İĞDIR"} <= {each["text"] for each in keep["other_capitals"]}
    lines = list(vocabulary_summary(learned.report))
    assert not any("None" in line for line in lines)
    assert sum(line.startswith("Kept: ") for line in lines) == 2 * len(terms) - len(split)
    assert sum(line.startswith("Not kept: ") for line in lines) == len(split)
    assert any("of these terms, such as " in line for line in lines)


def test_terms_are_read_in_nfc_without_blanks_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\ufeff ders \n\nders\nsınıf\n", "utf-8")
    assert read_terms([str(tmp_path / "t.txt")], TextReader()) == ["ders", "sınıf"]


def test_nothing_is_written_when_a_term_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("C++\n", "utf-8")
    (tmp_path / "text.txt").write_text("\n".join(TURKISH), "utf-8")
    settings = SETTINGS.model_copy(update={"keep": [str(tmp_path / "t.txt")]})
    corpus = CorpusSettings(sources=[str(tmp_path / "text.txt")], word_lists=[])
    with pytest.raises(VocabularyError, match=r"C\+\+"):
        learn_from_text(corpus, str(tiny_base), settings, tmp_path / "out", silent())
    assert not (tmp_path / "out").exists()
