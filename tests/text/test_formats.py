"""A file is read as what its ending says, whatever the case; what is not read is refused by its name."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import polars
import pyarrow
import pyarrow.feather as feather
import pytest
import zstandard

from ekle.errors import TextError
from ekle.text.documents import TextReader, check_sources, documents, local_files
from ekle.text.formats import format_of

WORDS = ["bir", "iki, üç", "ışık"]
JSON_LINES = "".join(json.dumps({"text": word}, ensure_ascii=False) + "\n" for word in WORDS).encode()
JSON = json.dumps([{"text": word} for word in WORDS], ensure_ascii=False).encode()
CSV = 'id,text\n1,bir\n2,"iki, üç"\n3,ışık\n'.encode()


def texts(source: Path, **settings: object) -> list[str]:
    reader = TextReader(**settings)  # type: ignore[arg-type]
    return [document.text for document in reader.documents([str(source)])]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.TXT", "\n".join(WORDS).encode()),
        ("a.JsonL", JSON_LINES),
        ("a.ndjson", JSON_LINES),
        ("a.JSON", JSON),
        ("a.json", JSON_LINES),
        ("a.json", json.dumps(WORDS).encode()),
        ("a.json", b"[ ]" + b" " * 9),
        ("a.csv", CSV),
        ("a.CSV", "id;text\n1;bir\n2;iki, üç\n3;ışık\n".encode()),
        ("a.tsv", "id\ttext\n1\tbir\n2\tiki, üç\n3\tışık\n".encode()),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("", bytes),
        (".GZ", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.compress),
    ],
)
def test_every_format_is_read_with_and_without_a_byte_order_mark(
    tmp_path: Path, name: str, content: bytes, mark: bytes, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / (name + ending)
    path.write_bytes(pack(mark + content))
    expected = [] if content.startswith(b"[ ]") else WORDS
    assert texts(path) == expected
    assert [document.source for document in documents([str(path)])] == ["a"] * len(expected)


def test_both_forms_of_arrow_are_read(tmp_path: Path) -> None:
    table = pyarrow.table({"metin": WORDS, "id": [1, 2, 3]})
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
        out.write_table(table)
    feather.write_feather(table, tmp_path / "b.feather")
    for name in ("a.arrow", "b.feather"):
        assert texts(tmp_path / name, text_field="metin") == WORDS
        with pytest.raises(TextError, match=r"has no column 'text' \(it has 'metin', 'id'\)"):
            texts(tmp_path / name)


def test_a_list_larger_than_a_part_that_is_read_at_once(tmp_path: Path) -> None:
    words = ["ev" * 300_000, *map(str, range(200_000)), "göl" * 1_000_000]
    (tmp_path / "a.json").write_text(json.dumps([{"text": word} for word in words], indent=1), "utf-8")
    assert texts(tmp_path / "a.json") == words


@pytest.mark.parametrize(
    "name",
    [
        *("a.md", "a.HTML", "a.xml", "a.pdf", "a.DOCX", "a.zip", "a.ZİP", "a.zıp", "a.tar.gz", "a.TGZ"),
        *("a.pkl", "a.npy", "a.gz", "a.c.zst", "a.parquet.gz"),
    ],
)
def test_what_is_not_read_is_refused_by_name_and_left_aside_in_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"metin\n")
    (tmp_path / "b.txt").write_text("bir\n", "utf-8")
    with pytest.raises(TextError, match=name):
        texts(tmp_path / name)
    with pytest.raises(TextError, match=name):
        check_sources([str(tmp_path / name)])
    said: list[str] = []
    assert texts(tmp_path, say=said.append) == ["bir"]
    assert len(said) == 1
    assert name in said[0] and "1 files are left aside" in said[0]


def test_an_unknown_ending_is_running_text_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n", "utf-8")
    assert texts(tmp_path / "a.py") == ["x = 1"]
    assert format_of(Path("README")) == ("text", None)


def test_hidden_files_and_what_stands_beside_saved_rows_are_no_text(tmp_path: Path) -> None:
    for name in ("._a.txt", ".git/b.txt", "dataset_info.json", "state.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}\xff")
    (tmp_path / "a.txt").write_text("bir\n", "utf-8")
    assert local_files([str(tmp_path)]) == [tmp_path / "a.txt"]
    assert texts(tmp_path) == ["bir"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"metin,no\nbir,1\n", r"has no column 'text' \(it has 'metin', 'no'\).*text_field"),
        ("a.csv", b"text,no\nbir, iki,1\n", r"line 2 has 3 columns .* 2; put a text"),
        ("a.csv", b'text,no\n"bir,1\niki,2\n', r"a\.csv, line 3 is no row of a table: .*correct its quotes"),
        ("a.tsv", b'text\tno\n"bir" iki\t1\n', r"a\.tsv, line 2 is no row of a table"),
        ("a.csv", b"", "has no column 'text'"),
        ("a.json", b'[{"text": "bir"}, {"text": "iki"', r"a\.json, item 2 is not JSON"),
        ("a.json", b'[{"text": "bir"}', "ends in the middle of its list, after item 1"),
        ("a.json", b'[{"text": "bir"}] {"text": "iki"}', "goes on after its list"),
        ("a.json", b'{"data": [{"text": "bir"}]}', r"item 1 has no text in 'text' \(it has 'data'\)"),
        ("a.jsonl", b"[" * 200_000 + b"\n", r"a\.jsonl, line 1 is nested too deep"),
        ("a.json", b'[{"text": ' + b"[" * 200_000, r"a\.json, item 1 is nested too deep"),
        ("a.jsonl", b"1" * 10_000 + b"\n", r"a\.jsonl, line 1 is not JSON"),
        ("a.jsonl", b"7\n", r"a\.jsonl, line 1 has no text"),
    ],
)
def test_a_fault_is_one_line_with_file_and_row(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TextError, match=said) as caught:
        texts(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_letter_is_said_to_be_that(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_text("Ankara'da\nev\n", encoding)
    with pytest.raises(TextError, match=r"a\.txt is UTF-16"):
        texts(tmp_path / "a.txt")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_text_that_is_no_utf8_inside_a_table_is_named_with_its_row(tmp_path: Path, ending: str) -> None:
    raw = pyarrow.array([b"ev"] * 1500 + [b"h\xfczn"] + [b"ev"] * 9, pyarrow.binary())
    words = pyarrow.Array.from_buffers(pyarrow.string(), len(raw), raw.buffers())
    table = pyarrow.table({"text": words})
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pyarrow.ipc.new_stream(path, table.schema) as out:
            out.write_table(table)
    with pytest.raises(TextError, match=rf"a\.{ending}, row 1501 is not UTF-8"):
        texts(path)


def test_a_line_too_long_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ekle.text.lines.LONGEST", 1 << 20)
    monkeypatch.setattr("ekle.text.documents.LONGEST", 1 << 20)
    (tmp_path / "a.txt").write_bytes(b"ev\n" + b"x" * (2 << 20))
    polars.DataFrame({"text": ["ev", "x" * (2 << 20)]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(TextError, match=r"a\.txt, line 2 is longer than 1 MiB"):
        texts(tmp_path / "a.txt")
    with pytest.raises(TextError, match=r"a\.parquet, row 2 is a text of more than 1 MiB"):
        texts(tmp_path / "a.parquet")


def test_all_frames_of_a_zstandard_file_are_read_and_a_cut_one_is_noticed(tmp_path: Path) -> None:
    packed = zstandard.compress(b"bir\n") + zstandard.compress(b"iki\n")
    (tmp_path / "a.txt.zst").write_bytes(packed)
    assert texts(tmp_path / "a.txt.zst") == ["bir", "iki"]
    (tmp_path / "a.txt.zst").write_bytes(packed[:-3])
    with pytest.raises(TextError, match=r"a\.txt\.zst cannot be read after byte"):
        texts(tmp_path / "a.txt.zst")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_cut_or_false_archive_is_noticed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    ending = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    path = tmp_path / f"a.txt.{ending}"
    for content in (pack(b"bir\n" * 1000)[:-5], b"bir\n"):
        path.write_bytes(content)
        with pytest.raises(TextError, match=rf"a\.txt\.{ending} cannot be read after byte"):
            texts(path)
