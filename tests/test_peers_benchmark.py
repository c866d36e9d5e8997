"""The benchmark against other tokenizers, on a few sentences."""

import sys
from pathlib import Path

import pytest
from tiny import ENGLISH, TURKISH, byte_level

from benchmarks import peers
from benchmarks.vocabulary import HEADLINE

TREEBANK = "1\tevlerimizden\tev\tNOUN\t_\tCase=Abl\t0\troot\t_\t_\n\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    files = {"tr/train.txt": TURKISH * 120}
    files |= {f"tr/dev_{genre}.txt": TURKISH[:4] for genre in HEADLINE}
    files |= {f"other/{name}.txt": ENGLISH for name in peers.OTHERS.values()}
    for name, lines in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "morphology").mkdir()
    for name in peers.TREEBANKS:
        (folder / "morphology" / name).write_text(TREEBANK, "utf-8")
    return folder


@pytest.mark.slow(seconds=7)
def test_every_peer_has_a_row_and_only_extensions_have_changed_lines(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    byte_level("e v").save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(peers, "OURS", ("continued BPE, plain",))
    monkeypatch.setattr(peers, "FROM_SCRATCH", (500,))
    given = ["--data", str(data), "--size", "20", "--limit", "60000", "--tokenizer", f"bytes={tmp_path}"]
    monkeypatch.setattr(sys, "argv", ["peers", *given, "--out", str(tmp_path / "peers.md")])
    peers.main()
    page = (tmp_path / "peers.md").read_text("utf-8")
    rows = {row[0]: row[1:] for line in page.splitlines() if (row := line.strip("| ").split(" | "))[1:]}
    assert list(rows)[1:] == [
        *("Qwen3", "`add_tokens`, most frequent words", "continued BPE, plain"),
        *("500 tokens from scratch", "bytes"),
    ]
    assert rows["Qwen3"][3].startswith("0.0%") and rows["Qwen3"][4:8] == ["0.00%"] * 4
    assert rows["Qwen3"][-1] == "1.00x" and rows["bytes"][0] == "257"
    assert rows["500 tokens from scratch"][4:8] == rows["bytes"][4:8] == [""] * 4
    assert float(rows["continued BPE, plain"][3].split("%")[0]) > 0
    assert "the first 0 of the 0 MB" in " ".join(page.split())  # lines are wrapped
