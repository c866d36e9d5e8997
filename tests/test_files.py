"""Names that files are reported by."""

from pathlib import Path

from ekle.files import short_names


def _made(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    files = _made(tmp_path, "a/en.txt", "b/en.txt", "c/wiki.jsonl.zst")
    assert short_names(files) == ["en", "en-2", "wiki"]
    assert short_names(files, taken=["en", "wiki"]) == ["en-2", "en-3", "wiki-2"]


def test_only_files_have_endings(tmp_path: Path) -> None:
    (tmp_path / "corpus.v2").mkdir()
    hidden = _made(tmp_path, ".txt", "terms.tsv")
    assert short_names(hidden) == [".txt", "terms"]
    assert short_names([tmp_path / "corpus.v2", "Qwen/Qwen3-0.6B", "."]) == ["corpus.v2", "Qwen3-0.6B", "."]
