"""Turkish that was decoded in a wrong way is found, shown and left out; other text is left as it is."""

import json
from pathlib import Path

import pytest

from ekle.errors import TextError
from ekle.text.documents import TextReader
from ekle.text.misdecoded import leave_out, misdecoded_word, repaired

PAGES = ("cp1252", "cp1254", "latin-1", "cp1250", "cp1251", "cp437", "cp850", "cp857", "mac_roman")
WORDS = ["şehir", "ışık", "çok", "ağaç", "gördü", "İzmir", "Şehir", "hâlâ", "Türkiye’de"]


def read_as(raw: bytes, page: str) -> str:
    return "".join(bytes([byte]).decode(page, "ignore") or chr(byte) for byte in raw)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("word", WORDS)
def test_utf8_that_was_read_as_a_code_page_is_found_and_repaired(page: str, word: str) -> None:
    wrong = read_as(word.encode(), page)
    assert misdecoded_word(f"bir {wrong} daha") == wrong
    assert repaired(wrong) == word


def test_utf8_that_was_read_as_a_code_page_twice_is_found() -> None:
    twice = read_as(read_as("şehir".encode(), "cp1252").encode(), "cp1252")
    assert misdecoded_word(twice) == twice
    assert repaired(twice) == "şehir"


@pytest.mark.parametrize("page", ["cp1252", "cp1250", "cp1251"])
@pytest.mark.parametrize("word", ["şehir", "ışık", "çıkışında", "İstanbul", "değil", "Ayşe", "yağmur"])
def test_the_turkish_code_page_that_was_read_as_another_is_found(page: str, word: str) -> None:
    wrong = read_as(word.encode("cp1254"), page)
    assert misdecoded_word(f"Bir {wrong}.") == wrong
    assert repaired(wrong) == word


@pytest.mark.parametrize(("wrong", "meant"), [("Đlmi", "İlmi"), ("cafÃ©", "café"), ("19Â°E", "19°E")])
def test_other_mistakes_that_corpora_have_are_found(wrong: str, meant: str) -> None:
    assert misdecoded_word(f"bir {wrong} daha") == wrong
    assert repaired(wrong) == meant


@pytest.mark.parametrize("word", ["T�rkiye", "ÅŸehir".replace("Ÿ", "\x9f"), "g\x94rd\x81"])
def test_letters_that_are_lost_are_found(word: str) -> None:
    assert misdecoded_word(f"bir {word} daha") == word


@pytest.mark.parametrize(
    "text",
    [
        "Çocuklarımız evlerimizden çıkıp gidiyorlar; kâğıt, hâlâ, millî, lâzım.",
        "Dvořák’ın, Škoda’nın ve Ångström’ün adı; Jón Þór Björnsson, Václav Černý, São Paulo.",
        "Москва'da Россия, Ελλάδα, 東京, münferit – 3 Å, ±2 °C, «tırnak», “tırnak”, €5 ve 10 £.",
        "bir\u2028iki\u0085üç\xa0dört",
        "Ä ve Ã harfleri, ayrıca Å",
        "─Şu gelen kim? ─Şey...",
        "Türkiye\x92nin \x93başkenti\x94",
    ],
)
def test_text_that_is_right_is_left_as_it_is(text: str) -> None:
    assert leave_out(text) == (text, None)


def test_of_a_document_lines_are_left_out_and_of_a_long_line_sentences() -> None:
    kept, found = leave_out("Doğru satır.\nYanlýþ satýr.\nSon satır.")
    assert kept == "Doğru satır.\nSon satır."
    assert found is not None and (found.word, found.meant, found.characters) == ("Yanlýþ", "Yanlış", 14)
    long = "Uzun bir tümce. " * 100
    kept, found = leave_out(f"{long}Bu yanlýþ. {long}")
    assert kept == long + long
    assert found is not None and found.characters == len("Bu yanlýþ. ")


def test_the_share_and_an_example_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Güzel şehir.\nGüzel ÅŸehir\n" * 10, "utf-8")
    said: list[str] = []
    reader = TextReader(said.append)
    for _ in range(2):
        found = [document.text for document in reader.documents([str(tmp_path / "a.txt")], turkish=True)]
        assert found == ["Güzel şehir."] * 10
    assert len(said) == 1
    for part in ("a.txt: 5", "'ÅŸehir' for 'şehir'", "a.txt, line 2", "corpus.keep_misdecoded=true"):
        assert part in said[0]


def test_the_setting_and_other_languages_read_it_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Dobrý den\n", "utf-8")
    source = [str(tmp_path / "a.txt")]
    assert len(list(TextReader().documents(source))) == 1
    assert len(list(TextReader(keep_misdecoded=True).documents(source, turkish=True))) == 1


def test_a_source_of_nothing_else_is_refused_with_a_cure_that_works(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": "Güzel þehir"}) + "\n" for _ in range(3))
    (tmp_path / "a.jsonl").write_text(rows, "utf-8")
    source = [str(tmp_path / "a.jsonl")]
    with pytest.raises(TextError, match=r"'þehir' for 'şehir' .*line 1.*keep_misdecoded=true"):
        list(TextReader().documents(source, turkish=True))
    assert len(list(TextReader(keep_misdecoded=True).documents(source, turkish=True))) == 3
