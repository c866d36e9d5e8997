"""Text is read from every kind of source, and what is wrong with one is said in a line."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import polars
import pyarrow
import pytest
import zstandard
from datasets.exceptions import DatasetGenerationError

from ekle.errors import TextError
from ekle.text.documents import TextReader, check_sources, documents


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


def test_halves_of_characters_nul_and_byte_order_marks_are_taken_out(tmp_path: Path) -> None:
    """JSON can spell half a surrogate pair, which no UTF-8 file can hold."""
    (tmp_path / "a.jsonl").write_text(
        '{"text": "in \ufeffside"}\n' + r'{"text": "ev\ud83d ler\u0000"}' + "\n" + r'{"text": "\udc00"}',
        "utf-8",
    )
    said: list[str] = []
    found = TextReader(said.append).documents([str(tmp_path / "a.jsonl")])
    assert [document.text for document in found] == ["in side", "ev ler"]
    assert len(said) == 1
    assert "2 texts held NUL" in said[0] and "a.jsonl, line 2" in said[0]
    (tmp_path / "b.jsonl").write_text(r'{"text": "\ud83d\udc4d"}', "utf-8")
    assert texts(tmp_path / "b.jsonl") == ["👍"]


def test_files_that_were_put_together_have_byte_order_marks_inside(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "bir"}\n' * 2)
    assert texts(tmp_path / "a.jsonl") == ["bir", "bir"]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, sign: str) -> None:
    (tmp_path / "a.txt").write_text(f"bir{sign}iki\nüç\n", "utf-8")
    assert texts(tmp_path / "a.txt") == [f"bir{sign}iki", "üç"]
    (tmp_path / "a.csv").write_text(f"text\nbir{sign}iki\nüç\n", "utf-8")
    assert texts(tmp_path / "a.csv") == [f"bir{sign}iki", "üç"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.arrow", "hf:owner/a"])
def test_rows_without_text_are_left_out_counted_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rows = [{"text": word} for word in ("bir", None, "iki", "", " \n", "üç")]
    source = str(tmp_path / name)
    if name.endswith(".jsonl"):
        Path(source).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    elif name.endswith(".json"):
        Path(source).write_text(json.dumps(rows), "utf-8")
    elif name.endswith(".parquet"):
        polars.DataFrame(rows).write_parquet(source)
    elif name.endswith(".arrow"):
        table = pyarrow.Table.from_pylist(rows)
        with pyarrow.ipc.new_stream(source, table.schema) as out:
            out.write_table(table)
    else:
        source = name
        monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: iter(rows))
    said: list[str] = []
    reader = TextReader(said.append)
    for _ in range(2):
        assert [document.text for document in reader.documents([source])] == ["bir", "iki", "üç"]
    assert len(said) == 1
    assert f"{source}: 3 of 6 rows have no text in 'text'" in said[0]


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


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("hf:owner/news", ("owner/news", None, "train")),
        ("hf:owner/news:tur", ("owner/news", "tur", "train")),
        ("hf:owner/news:tur:test", ("owner/news", "tur", "test")),
        ("hf:owner/news::validation[:10]", ("owner/news", None, "validation[:10]")),
        ("hf:news::test", ("news", None, "test")),
    ],
)
def test_configuration_and_split_are_named_in_the_source(
    monkeypatch: pytest.MonkeyPatch, source: str, asked: tuple[object, ...]
) -> None:
    found: list[object] = []

    def load_dataset(name: str, config: str | None, *, split: str, streaming: bool) -> list[dict[str, str]]:
        found.append((name, config, split))
        return [{"text": "ev"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert [document.source for document in documents([source])] == ["news"]
    assert found == [asked]


@pytest.mark.parametrize("source", ["hf:", "hf::tur"])
def test_a_source_of_the_hub_without_a_name_is_refused(source: str) -> None:
    with pytest.raises(TextError, match="hf:NAME:CONFIG:SPLIT"):
        check_sources([source])


def test_a_data_set_that_is_a_script_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "veri").mkdir()
    (tmp_path / "veri" / "veri.py").write_text("x = 1\n", "utf-8")
    with pytest.raises(TextError, match=r"did not give hf:.*veri: .*give its files instead"):
        texts(f"hf:{tmp_path / 'veri'}")


@pytest.mark.parametrize(
    "error", [RuntimeError("a\nb"), DatasetGenerationError("x"), ValueError("x"), OSError("x")]
)
def test_what_the_datasets_library_raises_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def rows(*_: object, **__: object) -> Iterator[dict[str, str]]:
        yield {"text": "ev"}
        raise error

    monkeypatch.setattr("datasets.load_dataset", rows)
    with pytest.raises(TextError, match="the hub did not give hf:owner/news") as caught:
        list(documents(["hf:owner/news"]))
    assert "\n" not in str(caught.value)
