"""Text is read from every kind of source, and what is wrong with one is said in a line."""

import json
from pathlib import Path

import polars
import pytest
import zstandard

from ekle.errors import TextError
from ekle.text.read import documents, names_of


def texts(*sources: object, **options: object) -> list[str]:
    return [document.text for document in documents([str(s) for s in sources], **options)]  # type: ignore[arg-type]


def test_a_text_file_holds_one_document_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("bir\n\n  \niki\r\nüç", "utf-8")
    assert texts(tmp_path / "a.txt") == ["bir", "iki", "üç"]


def test_json_lines_plain_and_compressed(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": word}) + "\n" for word in ("bir", "iki"))
    (tmp_path / "a.jsonl").write_text(lines, "utf-8")
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    assert texts(tmp_path) == ["bir", "iki", "bir", "iki"]


def test_parquet_by_the_name_of_its_column(tmp_path: Path) -> None:
    polars.DataFrame({"metin": ["bir", None, "iki"]}).write_parquet(tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet", text_field="metin") == ["bir", "iki"]
    with pytest.raises(TextError, match=r"corpus\.text_field"):
        texts(tmp_path / "a.parquet")


def test_bundled_text_is_there_in_two_languages() -> None:
    assert sum(len(text.encode()) for text in texts("bundled:tr")) > 35_000
    assert sum(len(text.encode()) for text in texts("bundled:en")) > 18_000


def test_reading_stops_at_the_bytes_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("aaaa\n" * 10, "utf-8")
    assert len(texts(tmp_path / "a.txt", max_bytes=8)) == 2


def test_a_file_that_is_not_utf8_is_named_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"tamam\nh\xfczn\n")
    with pytest.raises(TextError, match=r"a\.txt is not UTF-8 at byte 7"):
        texts(tmp_path / "a.txt")


@pytest.mark.parametrize("make", [False, True])
def test_a_source_that_is_absent_or_an_empty_folder_is_named(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "leer"
    if make:
        folder.mkdir()
    with pytest.raises(TextError, match="leer"):
        texts(folder)


def test_json_without_the_field_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n{"body": "y"}\n', "utf-8")
    with pytest.raises(TextError, match="line 2"):
        texts(tmp_path / "a.jsonl")


def test_files_of_one_name_are_told_apart() -> None:
    files = ["a/en.txt", "b/en.txt", "c/wiki.jsonl.zst"]
    assert names_of(files) == ["en", "en-2", "wiki"]
    assert names_of(files, taken=["en", "wiki"]) == ["en-2", "en-3", "wiki-2"]
