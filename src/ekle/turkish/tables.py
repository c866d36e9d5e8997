"""Reads the tables in `data/`: tab-separated, `#` for comments, the first other line names the columns."""

import hashlib
from functools import cache
from importlib import resources


@cache
def read_table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `data/<name>.tsv`, as column name to value."""
    lines = [line for line in _text(name).splitlines() if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    return tuple(dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:])


@cache
def digest(*names: str) -> str:
    """SHA-256 over the tables `names`, in hex: what an analysis made with them depends on."""
    total = hashlib.sha256()
    for name in names:
        total.update(_text(name).encode())
    return total.hexdigest()


def _text(name: str) -> str:
    folder = resources.files("ekle.turkish") / "data"
    return (folder / f"{name}.tsv").read_text(encoding="utf-8")


def joined_words() -> tuple[list[str], list[str]]:
    """The words that join inside a sentence, and those that join when they open the next one."""
    table = read_table("joined_words")
    return (
        [row["word"] for row in table if row["place"] == "inside"],
        [row["word"] for row in table if row["place"] == "opening"],
    )
