"""Files that must not change do not; what that costs, and what else changes, is in the report."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from tiny import ENGLISH
from tokenizers import Tokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.measure import count_tokens, measure_drift
from ekle.counting import Counts, count_documents
from ekle.errors import TextError
from ekle.evaluation.tokenizer.segmentation import intact_root_share
from ekle.progress import silent
from ekle.recipe.vocabulary import Profile, VocabularySettings
from ekle.text.documents import documents
from ekle.turkish.gold import read_treebank
from ekle.vocabulary.constraints import protect
from ekle.vocabulary.constraints.protect import word_forms
from ekle.vocabulary.learn import learn_vocabulary

pytestmark = pytest.mark.xdist_group("protection")

SMALL = VocabularySettings(size=300, min_count=2, languages={}, foreign_price=0.001)
TURKISH = [document.text for document in documents(["bundled:tr"])]
# Words of the Turkish text stand in it, so that protection has something to refuse.
MIXED = [*ENGLISH, "Istanbul'da bir ev, the hâlâ of a city", "Ankara hâlâ", "'there' they said"]


@pytest.fixture(scope="module")
def counts(base: BaseTokenizer) -> dict[str, Counts]:
    return {
        pre_tokenization: count_documents(TURKISH, base, silent(), pre_tokenization=pre_tokenization)
        for pre_tokenization in ("apostrophe", "joined")
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "mixed.txt"
    path.write_text("\n".join(MIXED), "utf-8")
    return path


def opened(vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer.from_file(str(vocabulary.tokenizer / "tokenizer.json"))


@pytest.mark.parametrize("profile", ["portable", "compact", "morphological"])
def test_a_file_protected_strictly_keeps_every_line_and_the_cost_is_measured(
    profile: Profile, base: BaseTokenizer, counts: dict[str, Counts], mixed: Path, tmp_path: Path
) -> None:
    settings = SMALL.model_copy(update={"profile": profile, "protect": [str(mixed)]})
    strict = settings.model_copy(update={"protect_strict": True})
    made: dict[str, Vocabulary] = {}
    for name, asked in (("loose", settings), ("strict", strict)):
        (tmp_path / name).mkdir()
        text = counts[asked.pre_tokenization]
        made[name] = learn_vocabulary(text, base, asked, tmp_path / name, silent(), {"all": TURKISH})
    old, loose, new = base.tokenizer(), opened(made["loose"]), opened(made["strict"])
    assert measure_drift(old, loose, MIXED).changed
    assert measure_drift(old, new, MIXED).changed == []
    protected = made["strict"].report["protected"]
    assert protected["texts"][str(mixed)]["lines_changed"] == 0
    assert protected["contractions_restored"] == (profile != "compact")
    held_out = protected["costs"]["strict"]["held_out"]
    assert held_out["tokens"] == count_tokens(new, TURKISH).tokens.sum()
    assert held_out["tokens_without"] == count_tokens(loose, TURKISH).tokens.sum()
    assert held_out["costs"] == pytest.approx(held_out["saved_without"] - held_out["saved"])
    assert held_out["costs"] > 0
    assert (
        protected["costs"]["strict"]["learning_text"]["tokens"]
        == made["strict"].report["growth"][-1]["tokens"]
    )
    assert made["loose"].report["protected"]["costs"] == {}


def test_documents_of_several_lines_are_protected_line_by_line_too(
    base: BaseTokenizer, counts: dict[str, Counts], tmp_path: Path
) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"text": "evler hâlâ\\nEvet!\\n\\nhâlâ"}', "utf-8")
    strict = SMALL.model_copy(update={"protect": [str(path)], "protect_strict": True})
    (tmp_path / "out").mkdir()
    made = learn_vocabulary(counts["apostrophe"], base, strict, tmp_path / "out", silent())
    whole = "evler hâlâ\nEvet!\n\nhâlâ"
    assert measure_drift(base.tokenizer(), opened(made), [whole, *whole.splitlines()]).changed == []


def test_what_all_protection_costs_is_measured_when_asked_for(
    base: BaseTokenizer, counts: dict[str, Counts], mixed: Path, tmp_path: Path
) -> None:
    settings = SMALL.model_copy(
        update={"protect": [str(mixed)], "measure_protection_cost": True, "foreign_price": 10.0}
    )
    report = learn_vocabulary(counts["apostrophe"], base, settings, tmp_path, silent()).report
    assert list(report["protected"]["costs"]) == ["all"]
    assert report["protected"]["costs"]["all"]["learning_text"]["costs"] > 0


@pytest.fixture(scope="module")
def listing(
    base: BaseTokenizer, counts: dict[str, Counts], tmp_path_factory: pytest.TempPathFactory
) -> Vocabulary:
    settings = SMALL.model_copy(update={"languages": {"fr": 0.001}})
    out = tmp_path_factory.mktemp("listing")
    other = {"mixed": MIXED, "nothing": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protect, "word_forms", short_list)
        return learn_vocabulary(counts["apostrophe"], base, settings, out, silent(), {"all": TURKISH}, other)


def short_list(language: str) -> pl.DataFrame:
    """The most frequent words of a list."""
    return word_forms(language).sort(["share", "text"], descending=True).head(20_000)


def test_every_change_of_a_text_is_listed_with_the_tokens_that_did_it(
    base: BaseTokenizer, listing: Vocabulary
) -> None:
    figures = listing.report["other"]["mixed"]
    new = opened(listing)
    drift = measure_drift(base.tokenizer(), new, MIXED)
    assert figures["lines_changed"] == drift.share > 0
    changes = figures["changes"]
    assert changes["different"] == len(changes["listed"])
    assert changes["occurrences"] == sum(change["count"] for change in changes["listed"])
    tokens = {token.text for token in listing.tokens()}
    for change in changes["listed"]:
        assert "".join(change["before"]) == "".join(change["after"]) == change["text"]
        assert any(change["text"].strip() in MIXED[place] for place in drift.changed)
        assert set(change["new"]) == set(change["after"]) & tokens
    [hâlâ] = [change for change in changes["listed"] if change["text"] == " hâlâ"]
    assert hâlâ["count"] == Counter(" ".join(MIXED).split())["hâlâ"]
    assert "nothing" not in listing.report["other"]


def test_the_words_of_a_list_that_change_are_those_that_the_tokenizer_segments_otherwise(
    base: BaseTokenizer, listing: Vocabulary
) -> None:
    figures = listing.report["protected"]["lists"]["fr"]
    forms = short_list("fr").group_by("text").agg(pl.col("share").sum())
    texts, shares = forms["text"].to_list(), forms["share"].to_list()
    changed = measure_drift(base.tokenizer(), opened(listing), texts).changed
    assert figures["different"] == len(changed) > 0
    assert figures["share"] == pytest.approx(sum(shares[place] for place in changed) / sum(shares))
    often = [change["per_million"] for change in figures["listed"]]
    assert often == sorted(often, reverse=True)


def test_the_trades_end_where_the_vocabulary_does(listing: Vocabulary) -> None:
    report = listing.report
    first, last = report["size_trade_offs"][0], report["size_trade_offs"][-1]
    assert (first["size"], last["size"]) == (0, 300)
    assert last["held_out"] == pytest.approx(report["held_out"]["all"]["saved"])
    assert last["learning_text"] == pytest.approx(report["growth"][-1]["saved"])
    assert last["lines_changed"] == {"mixed": report["other"]["mixed"]["lines_changed"]}
    # The pre-tokenizer of the portable profile changes two lines by itself.
    assert first["lines_changed"]["mixed"] == pytest.approx(2 / len(MIXED))
    saved = [point["held_out"] for point in report["size_trade_offs"]]
    assert saved == sorted(saved)
    assert "root_intact" not in last


def test_roots_left_whole_are_counted_at_every_size(
    base: BaseTokenizer, counts: dict[str, Counts], tmp_path: Path
) -> None:
    words = [("evlerimiz", "ev"), ("kitabı", "kitap"), ("olduğunu", "ol"), ("zamanlarda", "zaman")] * 2
    rows = [f"{n}\t{form}\t{lemma}" + "\t_" * 7 for n, (form, lemma) in enumerate(words, start=1)]
    gold = tmp_path / "gold.conllu"
    gold.write_text("\n".join(rows), "utf-8")
    settings = SMALL.model_copy(update={"gold": [str(gold)]})
    (tmp_path / "out").mkdir()
    made = learn_vocabulary(counts["apostrophe"], base, settings, tmp_path / "out", silent())
    points = made.report["size_trade_offs"]
    known = read_treebank(gold)
    assert points[0]["root_intact"] == pytest.approx(intact_root_share(base.tokenizer(), known))
    assert points[-1]["root_intact"] == pytest.approx(intact_root_share(opened(made), known))


def test_a_treebank_without_inflected_words_is_refused(
    base: BaseTokenizer, counts: dict[str, Counts], tmp_path: Path
) -> None:
    settings = SMALL.model_copy(update={"gold": [str(tmp_path / "gold.conllu")]})
    (tmp_path / "gold.conllu").write_text("# nothing\n", "utf-8")
    with pytest.raises(TextError, match="no inflected words"):
        learn_vocabulary(counts["apostrophe"], base, settings, tmp_path, silent())
