"""A vocabulary learned from the bundled text: reachable, evidenced, refused where it cannot be had."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer
from ekle.counting import Counts, count_documents
from ekle.errors import InputError, RunFolderError, VocabularyError
from ekle.pipeline.vocabulary import learn_from_text
from ekle.progress import silent
from ekle.recipe.corpus import CorpusSettings
from ekle.recipe.vocabulary import QuotaSettings, VocabularySettings
from ekle.text.documents import documents
from ekle.vocabulary.learn import learn_vocabulary

pytestmark = pytest.mark.xdist_group("learn")

SMALL = VocabularySettings(size=400, min_count=2, languages={})


@pytest.fixture(scope="module")
def counts(base: BaseTokenizer) -> Counts:
    texts = (d.text for d in documents(["bundled:tr"]))
    return count_documents(texts, base, silent(), pre_tokenization=SMALL.pre_tokenization)


@pytest.fixture(scope="module")
def vocabulary(base: BaseTokenizer, counts: Counts, tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    texts = [document.text for document in documents(["bundled:tr"])]
    english = [document.text for document in documents(["bundled:en"])]
    out = tmp_path_factory.mktemp("vocabulary")
    return learn_vocabulary(
        counts, base, SMALL, out, silent(), held_out={"all": texts}, other={"en": english}
    )


def test_transformers_loads_the_tokenizer_and_produces_every_token(vocabulary: Vocabulary) -> None:
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer)
    assert len(tokenizer) == 151_936 + 400
    tokens = vocabulary.tokens()
    assert [token.id for token in tokens] == list(range(151_936, 152_336))
    produced = {i for d in documents(["bundled:tr"]) for i in tokenizer(d.text)["input_ids"]}
    assert {token.id for token in tokens if token.count} == {i for i in produced if i >= 151_936}


def test_the_saving_reported_is_the_saving_measured(vocabulary: Vocabulary) -> None:
    figures = vocabulary.report["held_out"]["all"]
    assert 0.1 < figures["saved"] < 0.4
    # What was learned from is what was measured, so the curve must end where the tokenizer does.
    assert vocabulary.report["growth"][-1]["tokens"] == figures["tokens"]


def test_evidence_adds_up(vocabulary: Vocabulary) -> None:
    for token in vocabulary.tokens():
        assert token.tokens_saved == token.count * (len(token.base_tokens) - 1)
        assert token.category in ("word", "suffix", "root", "complex", "pattern")
        token.text.encode("utf-8").decode("utf-8")


def test_the_chat_template_is_kept(vocabulary: Vocabulary) -> None:
    tokenizer = AutoTokenizer.from_pretrained(vocabulary.tokenizer)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "selam"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nselam<|im_end|>\n<|im_start|>assistant\n"


def test_quotas_are_kept_and_what_they_leave_is_reported(
    base: BaseTokenizer, counts: Counts, tmp_path: Path
) -> None:
    quotas = QuotaSettings(words=90, suffixes=50, roots=0, complex=0, patterns=20)
    settings = SMALL.model_copy(update={"size": 160, "strategy": "guide", "quotas": quotas})
    report = learn_vocabulary(counts, base, settings, tmp_path, silent()).report
    assert report["size"] == 160
    got = {name: row["tokens"] for name, row in report["categories"].items()}
    assert report["unfilled_quotas"] == {}
    assert got == {"word": 90, "suffix": 50, "pattern": 20}


def test_a_quota_that_the_text_cannot_fill_goes_to_others_and_is_named(
    base: BaseTokenizer, counts: Counts, tmp_path: Path
) -> None:
    quotas = QuotaSettings(words=0, suffixes=0, roots=0, complex=200, patterns=0)
    settings = SMALL.model_copy(update={"size": 200, "strategy": "guide", "quotas": quotas})
    report = learn_vocabulary(counts, base, settings, tmp_path, silent()).report
    assert report["size"] == 200
    left = report["unfilled_quotas"]["complex"]
    assert left > 0
    assert report["categories"].get("complex", {"tokens": 0})["tokens"] >= 200 - left


def test_a_text_too_small_for_the_size_is_refused_with_what_it_supports(
    base: BaseTokenizer, counts: Counts, tmp_path: Path
) -> None:
    with pytest.raises(VocabularyError, match=r"supports [\d,]+ tokens"):
        learn_vocabulary(counts, base, SMALL.model_copy(update={"size": 20_000}), tmp_path, silent())


def test_counts_of_another_tokenizer_are_refused(base: BaseTokenizer, counts: Counts, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="counts were made with"):
        learn_vocabulary(Counts(counts.table, "other", 1, 1), base, SMALL, tmp_path, silent())


def test_an_output_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", "utf-8")
    with pytest.raises(RunFolderError, match="not empty"):
        learn_from_text(
            CorpusSettings(sources=["bundled:tr"], word_lists=[]), "qwen3", SMALL, tmp_path, silent()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_left_when_learning_fails(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError):
        learn_from_text(
            CorpusSettings(sources=["bundled:tr"], word_lists=[]),
            str(tiny_base),
            SMALL.model_copy(update={"size": 50_000}),
            tmp_path / "out",
            silent(),
        )
    assert list(tmp_path.iterdir()) == []


def test_tokens_are_one_json_object_a_line(vocabulary: Vocabulary) -> None:
    first = json.loads((vocabulary.folder / "tokens.jsonl").read_text("utf-8").splitlines()[0])
    assert list(first) == [
        "id",
        "text",
        "category",
        "morphemes",
        "count",
        "tokens_saved",
        "base_tokens",
        "harmony",
        "foreign_hits",
        "labels",
    ]
