"""Case, harmony and suffix chains, on cases worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekle.turkish import casing
from ekle.turkish.harmony import check
from ekle.turkish.suffixes import allomorphs, chain


def test_case_pairs_dotted_with_dotted_and_dotless_with_dotless() -> None:
    assert (casing.lower("KIRK İKİ"), casing.upper("kırk iki")) == ("kırk iki", "KIRK İKİ")
    assert casing.lower("I\u0307stanbul") == "istanbul"
    assert casing.capitalize("ışık") == "Işık"


@given(st.text(alphabet="abcçdefgğhıijklmnoöprsştuüvyz"))
def test_turkish_letters_survive_upper_and_lower(word: str) -> None:
    assert casing.lower(casing.upper(word)) == word


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("lerimizden", ("ler", "imiz", "den")),
        ("ların", ("lar", "ın")),
        ("mışlardı", ("mış", "lar", "dı")),
        ("sinde", ("si", "nde")),
        ("lerimizdan", None),
        ("xyz", None),
    ],
)
def test_chains_of_suffixes(text: str, parts: tuple[str, ...] | None) -> None:
    assert chain(text) == parts


def test_the_table_has_the_four_fold_and_the_two_fold_allomorphs() -> None:
    assert {"lar", "ler", "ım", "im", "um", "üm", "da", "de", "ta", "te", "nda"} <= set(allomorphs())


@pytest.mark.parametrize(
    ("morphemes", "verdict"),
    [
        (["ev", "ler", "imiz", "den"], "harmonic"),
        (["okul", "lar"], "harmonic"),
        (["gel", "i", "yor", "um"], "exception"),
        (["okul", "ler"], "violation"),
        (["göz", "ım"], "violation"),
        (["kitap"], "none"),
    ],
)
def test_harmony(morphemes: list[str], verdict: str) -> None:
    assert check(morphemes) == verdict
