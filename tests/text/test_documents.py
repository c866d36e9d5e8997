"""Text is read from every kind of source, and what is wrong with one is said in a line."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import polars
import pytest
import zstandard

from ekle.errors import TextError
from ekle.text.documents import documents


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


def test_halves_of_characters_and_nul_are_left_out(tmp_path: Path) -> None:
    """JSON can spell half a surrogate pair, which no UTF-8 file can hold."""
    (tmp_path / "a.jsonl").write_text(
        r'{"text": "ev\ud83d ler\u0000"}' + "\n" + r'{"text": "\udc00"}', "utf-8"
    )
    assert texts(tmp_path / "a.jsonl") == ["ev ler"]
    (tmp_path / "b.jsonl").write_text(r'{"text": "\ud83d\udc4d"}', "utf-8")
    assert texts(tmp_path / "b.jsonl") == ["👍"]


def test_a_column_of_numbers_is_no_text(tmp_path: Path) -> None:
    polars.DataFrame({"text": [1.5, 2.5]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(TextError, match=r"a\.parquet, row 1 has no text in 'text' but 1\.5"):
        texts(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.zst"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    words = [f"{number} ev" for number in range(20_000)]
    path = tmp_path / name
    if name == "a.parquet":
        polars.DataFrame({"text": words}).write_parquet(path)
    else:
        lines = "".join(json.dumps({"text": word}) + "\n" for word in words)
        path.write_bytes(zstandard.compress(lines.encode()))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TextError, match=name):
        texts(path)


def test_the_hub_is_streamed_and_a_document_knows_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(*names: object, **options: object) -> Iterator[dict[str, str]]:
        asked.append((*names, options))
        return ({"text": f"belge {number}"} for number in itertools.count())

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    endless = documents(["hf:owner/news:tur"])
    found = [next(endless) for _ in range(3)]
    assert asked == [("owner/news", "tur", {"split": "train", "streaming": True})]
    assert [document.text for document in found] == ["belge 0", "belge 1", "belge 2"]
    assert {(document.source, document.entry) for document in found} == {("news", "hf:owner/news:tur")}
    assert len(list(documents(["hf:owner/news"], max_bytes=70))) == 10


def test_a_hub_row_without_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: iter([{"text": "ev"}, {"text": None}]))
    with pytest.raises(TextError, match=r"hf:owner/news, row 1 has no text in 'text' but None"):
        list(documents(["hf:owner/news"]))
