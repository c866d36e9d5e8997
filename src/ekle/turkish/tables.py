"""The tables of Turkish in `data/`: suffixes, exceptions of vowel harmony, terms, closed classes of words."""

import hashlib
from functools import cache
from importlib import resources

from ekle import files

_PACKAGE = "ekle.turkish"


def read_table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `data/<name>.tsv`, as column name to value."""
    return files.read_table(_PACKAGE, name)


@cache
def digest(*names: str) -> str:
    """SHA-256 over the tables `names`, in hex: what an analysis made with them depends on."""
    folder = resources.files(_PACKAGE) / "data"
    total = hashlib.sha256()
    for name in names:
        total.update((folder / f"{name}.tsv").read_text(encoding="utf-8").encode())
    return total.hexdigest()


def joined_words() -> tuple[list[str], list[str]]:
    """The words that join the word before them: inside a sentence, and as the first word of the next one."""
    table = read_table("joined_words")
    return (
        [row["word"] for row in table if row["place"] == "inside"],
        [row["word"] for row in table if row["place"] == "opening"],
    )
