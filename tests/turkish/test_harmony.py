"""Vowel harmony as the grammar has it, exceptions of the language included."""

import pytest

from ekle.files import read_table
from ekle.turkish.harmony import agrees, four_fold, heard, judge, judge_letters, two_fold


def test_suffix_vowels_follow_the_vowel_before() -> None:
    assert [two_fold(vowel) for vowel in "aıoueiöü"] == list("aaaaeeee")
    assert [four_fold(vowel) for vowel in "aıoueiöü"] == list("ııuuiiüü")
    assert agrees("ö", "e") and not agrees("ö", "i")


@pytest.mark.parametrize(
    ("morphemes", "verdict", "reason"),
    [
        (["ev", "ler", "imiz", "den"], "harmonic", ""),
        (["okul", "ler"], "violation", "suffix"),
        (["göz", "im"], "violation", "suffix"),
        (["gel", "iyor", "um"], "exception", "invariable"),
        (["akşam", "ki"], "exception", "invariable"),
        (["çalış", "ır", "ken"], "exception", "invariable"),
        (["akşam", "leyin"], "exception", "invariable"),
        (["al", "abil", "ir"], "exception", "verb"),
        (["saat", "ler"], "exception", "loan"),
        (["kalp", "ler"], "exception", "loan"),
        (["saat", "ler", "ım"], "violation", "suffix"),
        (["kitap"], "none", ""),
        (["KİTAP", "LAR"], "harmonic", ""),
    ],
)
def test_morphemes_are_judged_with_the_reason(morphemes: list[str], verdict: str, reason: str) -> None:
    found = judge(morphemes)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_letters_without_an_analysis_are_judged_one_by_one() -> None:
    assert judge_letters("ımsal").verdict == "harmonic"
    assert (judge_letters("irkın").verdict, judge_letters("izyon").breach) == ("violation", "io")
    assert judge_letters("str").verdict == "none"


def test_a_loan_is_heard_with_a_front_vowel() -> None:
    assert (heard("saat"), heard("rol"), heard("kitap")) == ("saet", "röl", "kitap")


def test_the_table_is_sorted_and_has_no_form_twice() -> None:
    forms = [row["form"] for row in read_table("ekle.turkish", "harmony")]
    order = "aâbcçdefgğhıiîjklmnoöprsştuûüvyz"
    assert forms == sorted(set(forms), key=lambda form: [order.index(letter) for letter in form])
