"""Words that lean on the word before them: what the compact profile lets a token join to it."""

from ekle.turkish.tables import rows


def joined_words() -> tuple[list[str], list[str]]:
    """The words that join inside a sentence, and those that join when they open the next one."""
    table = rows("joined_words")
    return (
        [row["word"] for row in table if row["place"] == "inside"],
        [row["word"] for row in table if row["place"] == "opening"],
    )
