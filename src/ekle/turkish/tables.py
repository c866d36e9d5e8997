"""The tables of Turkish in `data/`: suffixes, exceptions of vowel harmony, terms, closed classes of words."""

import hashlib
from functools import cache
from importlib import resources

from ekle.files import read_table

_PACKAGE = "ekle.turkish"


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
    table = read_table(_PACKAGE, "joined_words")
    return (
        [row["word"] for row in table if row["place"] == "inside"],
        [row["word"] for row in table if row["place"] == "opening"],
    )
