"""Tokens are sorted by what a text attests; suffixes come with their analysis."""

import polars as pl
import pytest

from ekle.vocabulary.categories import FREQUENT_FORMS, Categories

WORDS = {
    " kitap": 900,
    " evler": 700,
    " ev": 900,
    " saat": 500,
    " coğrafya": 300,
    " görüşmek": 400,
    " öğretmek": 300,
}


@pytest.fixture(scope="module")
def categories() -> Categories:
    # So many commoner words that none of ours is a frequent one by its rank.
    letters = "bcdfghjklmnprstvyz"
    common = [f" {a}{b}{c}{d}" for a in letters for b in letters for c in letters for d in "bcd"][
        :FREQUENT_FORMS
    ]
    counts = dict.fromkeys(common, 1000) | {" için": 5000} | WORDS
    table = pl.DataFrame(list(counts.items()), schema=["text", "count"], orient="row")
    return Categories(table.sort("count", descending=True), 100)


@pytest.mark.parametrize(
    ("text", "category", "morphemes", "labels"),
    [
        ("lerimizden", "suffix", ["ler", "imiz", "den"], ["PLURAL", "POSS.1PL", "ABL"]),
        ("'nin", "suffix", ["nin"], None),
        ("LERİ", "suffix", ["ler", "i"], None),
        (" için", "word", ["için"], ["ROOT"]),
        (" kitaplarımız", "complex", ["kitap", "lar", "ımız"], ["ROOT", "PLURAL", "POSS.1PL"]),
        (" saatler", "complex", ["saat", "ler"], ["ROOT", "PLURAL"]),
        (" kitab", "root", ["kitab"], ["ROOT"]),
        (" görüş", "root", ["görüş"], ["ROOT"]),
        (" coğraf", "root", [], []),
        ("ğıms", "pattern", [], []),
        (" %", "pattern", [], []),
    ],
)
def test_a_token_is_sorted(
    categories: Categories, text: str, category: str, morphemes: list[str], labels: list[str] | None
) -> None:
    found = categories.describe(text)
    assert (found.category, found.morphemes) == (category, morphemes)
    assert labels is None or found.labels == labels


def test_harmony_goes_with_it(categories: Categories) -> None:
    assert categories.describe(" kitaplarımız").harmony.verdict == "harmonic"
    assert categories.describe(" saatler").harmony.reason == "loan"
