"""Text that a run cannot use ends it with one line and code 2, and nothing half made stays behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ekle.cli import main

Refused = Callable[..., None]

RECIPE = """
name = "bad"
[base]
tokenizer = "{base}"
model = "{base}"
[corpus]
sources = ["{text}"]
replay = ["{replay}"]
instructions = ["{instructions}"]
word_lists = []
[training]
instruction_share = 0.1
"""
GOOD = {"prompt": "Kaç?", "completion": "İki."}


@pytest.fixture
def recipe(tiny_base: Path, text: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Words of an `ekle run` up to the corpus, over files that hold these bytes."""

    def words(instructions: bytes = json.dumps(GOOD).encode(), replay: bytes = b"Two words.\n") -> list[str]:
        (tmp_path / "instructions.jsonl").write_bytes(instructions)
        (tmp_path / "replay.txt").write_bytes(replay)
        content = RECIPE.format(
            base=tiny_base,
            text=text,
            replay=tmp_path / "replay.txt",
            instructions=tmp_path / "instructions.jsonl",
        )
        (tmp_path / "bad.toml").write_text(content, "utf-8")
        return ["run", str(tmp_path / "bad.toml"), "--runs", str(tmp_path / "runs"), "--until", "corpus"]

    return words


def left(folder: Path) -> list[str]:
    """What stands in the corpus folder of the run."""
    return sorted(path.name for path in (folder / "runs" / "bad" / "1-corpus").glob("*"))


def test_a_corpus_with_everything_is_made(tmp_path: Path, recipe: Callable[..., list[str]]) -> None:
    assert main(recipe()) == 0
    assert {"train.jsonl", "replay.jsonl", "instructions.jsonl", "manifest.json"} <= set(left(tmp_path))
    line = json.loads((tmp_path / "runs/bad/1-corpus/instructions.jsonl").read_text("utf-8"))
    assert [turn["role"] for turn in line["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("instructions", "words"),
    [
        (b"", ("no answer to learn in", "take it out of corpus.instructions")),
        (b'{"prompt": "x", "completion": " "}\n', ("no answer to learn in",)),
        (b'{"prompt": "x"}\n', ("instructions.jsonl, line 1 is no conversation", "instruction and output")),
        (b'{"prompt": "x", "completion": null}\n', ("no answer to learn in",)),
        (b'{"prompt": NaN, "completion": "x"}\n', ("line 1 has nan in 'prompt'",)),
        (b'{"prompt": "x", "completion": "y"}\n{"prompt": "x", "compl', ("line 2 is not JSON",)),
        (b'\xff{"prompt": "x"}', ("instructions.jsonl is not UTF-8 at byte 0",)),
    ],
)
def test_instructions_that_are_none_are_refused(
    tmp_path: Path,
    recipe: Callable[..., list[str]],
    refused: Refused,
    instructions: bytes,
    words: tuple[str, ...],
) -> None:
    refused(recipe(instructions=instructions), *words)
    assert left(tmp_path) == []


def test_an_empty_replay_text_is_refused(
    tmp_path: Path, recipe: Callable[..., list[str]], refused: Refused
) -> None:
    refused(recipe(replay=b"\n \n\x00\n"), "no text in", "replay.txt", "take it out of corpus.replay")
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["replay.txt", "instructions.jsonl"])
def test_a_missing_file_is_refused_before_anything_is_made(
    tmp_path: Path, recipe: Callable[..., list[str]], refused: Refused, name: str
) -> None:
    arguments = recipe()
    (tmp_path / name).unlink()
    refused(arguments, "there is no file or folder", name)
    assert not (tmp_path / "runs").exists()


def test_shares_and_weights_of_nothing_are_refused(
    tmp_path: Path, recipe: Callable[..., list[str]], refused: Refused
) -> None:
    refused([*recipe(), "--set", "corpus.instructions=[]"], "corpus.instructions names none")
    weights = 'training.source_weights={"haber/"=2}'
    refused([*recipe(), "--set", weights], "must name each entry of corpus.sources once", "haber/")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"text": NaN}', "nan"),
        (b'{"text": 7}', "7"),
        (b'{"text": ["x"]}', "['x']"),
    ],
)
def test_a_text_that_is_no_text_is_refused_with_its_line(
    tmp_path: Path, recipe: Callable[..., list[str]], refused: Refused, line: bytes, found: str
) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"text": "ev"}\n' + line + b"\n")
    arguments = [*recipe(), "--set", f'corpus.sources=["{tmp_path}/t.jsonl"]']
    refused(arguments, "t.jsonl, line 2 has no text in 'text' but", found)
    assert left(tmp_path) == []
