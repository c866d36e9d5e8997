"""The compact profile: tokens cross spaces, text comes back, and where no new token stands no id moves."""

import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.measure import measure_drift
from ekle.counting import Counts, count_documents
from ekle.errors import InputError, TokenizerError
from ekle.progress import silent
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import documents
from ekle.vocabulary.learn import learn_vocabulary
from ekle.vocabulary.profiles.compact import add_word_contexts

pytestmark = pytest.mark.xdist_group("compact")

SMALL = VocabularySettings(size=400, min_count=2, languages={}, profile="compact")
FIRST_NEW = 151_936
writing = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            " ve",
            " bir",
            " için",
            ", ",
            ". Bu",
            "lar",
            " evler",
            "'nin",
            "di.",
            "\n",
            " 5",
            "é",
            "i\u0307",
            "'de",
        ]
    ),
    max_size=15,
).map("".join)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in documents(["bundled:tr"])]


@pytest.fixture(scope="module")
def counts(base: BaseTokenizer, texts: list[str]) -> Counts:
    return count_documents(texts, base, silent(), pre_tokenization="joined")


@pytest.fixture(scope="module")
def vocabulary(
    base: BaseTokenizer, counts: Counts, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Vocabulary:
    out = tmp_path_factory.mktemp("compact")
    return learn_vocabulary(counts, base, SMALL, out, silent(), held_out={"all": texts})


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))


def test_what_is_learned_is_what_is_measured(vocabulary: Vocabulary) -> None:
    assert vocabulary.report["growth"][-1]["tokens"] == vocabulary.report["held_out"]["all"]["tokens"]


def test_tokens_cross_a_space_and_take_the_mark_that_follows(vocabulary: Vocabulary) -> None:
    found = [token.text for token in vocabulary.tokens()]
    assert any(" " in text[1:] for text in found)
    assert any(text.endswith(".") and text[0].isalpha() for text in found)
    assert all(any(letter.isalpha() for letter in text) for text in found if " " in text[1:])


@settings(max_examples=300, deadline=None)
@given(writing)
def test_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == unicodedata.normalize("NFC", text)


@settings(max_examples=300, deadline=None)
@given(writing)
def test_where_no_new_token_is_no_id_moves(tokenizer: Tokenizer, base: BaseTokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    if all(number < FIRST_NEW for number in ids):
        assert ids == base.tokenizer().encode(text).ids


def test_joined_counts_give_the_pre_tokens_of_the_base_too(
    base: BaseTokenizer, counts: Counts, texts: list[str], tmp_path: Path
) -> None:
    portable = SMALL.model_copy(update={"profile": "portable", "contractions": True})
    plain = count_documents(texts, base, silent())
    for name, made in (("joined", counts), ("plain", plain)):
        (tmp_path / name).mkdir()
        learn_vocabulary(made, base, portable, tmp_path / name, silent())
    first, second = ((tmp_path / name / "tokens.jsonl").read_text("utf-8") for name in ("joined", "plain"))
    assert first == second


def test_counts_that_are_not_joined_are_refused(base: BaseTokenizer, counts: Counts, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="with ekle count and this --profile"):
        learn_vocabulary(counts.to_base(), base, SMALL, tmp_path, silent())


def test_a_base_with_another_pre_tokenizer_is_refused(base: BaseTokenizer) -> None:
    bytes_only = base.spec["pre_tokenizer"]["pretokenizers"][-1]
    spec = {**base.spec, "pre_tokenizer": bytes_only}
    other = BaseTokenizer("other", spec, base.config, None, base.rows)
    with pytest.raises(TokenizerError, match="other has another"):
        count_documents(["ev"], other, silent(), pre_tokenization="joined")


def test_protected_words_are_put_where_merges_could_fire_on_them(base: BaseTokenizer) -> None:
    table = pl.DataFrame({"text": [" chat", " de", "{", "class"], "share": [0.01, 0.04, 0.02, 0.1]})
    table = table.with_columns((pl.col("share") * 3).alias("cost"), pl.lit(0.0).alias("never"))
    found = add_word_contexts(table, base)
    shares = dict(found.select("text", "share").iter_rows())
    assert (found["cost"] / found["share"]).to_list() == pytest.approx([3.0] * len(found))
    assert shares[" chat,"] == pytest.approx(0.01 * 0.05)
    assert shares[" chat de"] == pytest.approx(0.01 * 0.04)
    assert shares["{"] == 0.02
    assert shares[".class"] == pytest.approx(0.1 * 0.3)
    assert " chat ve" not in shares
    assert ". chat" not in shares


def test_words_with_the_same_last_token_share_the_rows_of_what_follows(base: BaseTokenizer) -> None:
    words = [" türler", " sözler"]
    plain = base.tokenizer()
    (last,) = {plain.decode(plain.encode(word).ids[-1:]) for word in words}
    table = pl.DataFrame({"text": words, "share": [0.01, 0.02], "cost": [0.1, 0.4], "never": [0.0, 0.0]})
    row = add_word_contexts(table, base).filter(pl.col("text") == f"{last},").row(0, named=True)
    assert row["share"] == pytest.approx(0.03 * 0.05)
    assert row["cost"] == pytest.approx(0.5 * 0.05)


def test_a_file_protected_strictly_keeps_every_line(
    base: BaseTokenizer, counts: Counts, texts: list[str], tmp_path: Path
) -> None:
    lines = [f"{text[:200]} Bu, o ve bir." for text in texts[:40]]
    (tmp_path / "mine.txt").write_text("\n".join(lines), "utf-8")
    strict = SMALL.model_copy(
        update={"protect": [str(tmp_path / "mine.txt")], "protect_strict": True, "size": 30}
    )
    (tmp_path / "out").mkdir()
    made = learn_vocabulary(counts, base, strict, tmp_path / "out", silent())
    new = Tokenizer.from_file(str(made.tokenizer / "tokenizer.json"))
    assert measure_drift(base.tokenizer(), new, lines).changed == []
