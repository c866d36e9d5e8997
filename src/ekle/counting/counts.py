"""Pre-token counts as a value that can be saved, loaded and added up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as parquet

from ekle.errors import InputError
from ekle.files import whole_file

_SCHEMA = {"text": pl.String, "count": pl.Int64}
_ABOUT = ("base", "documents", "text_bytes", "joined", "forgotten")


@dataclass(frozen=True)
class Counts:
    """How often each pre-token occurs.

    `table` has the columns `text` and `count`, most frequent first, ties by text. `base` is the
    fingerprint of the tokenizer whose pre-tokenizer made the cut; counts of two are not comparable.
    """

    table: pl.DataFrame
    base: str
    documents: int
    text_bytes: int
    joined: bool = False
    """Whether the pre-tokens are the longer ones of the compact profile."""
    forgotten: int = 0
    """Occurrences of rare pre-tokens that were dropped to keep the table in memory."""

    @property
    def words(self) -> int:
        """Runs of letters; the base's pre-tokens hold one or none."""
        runs = self.table.select(pl.col("text").str.count_matches(r"\p{L}+") * pl.col("count"))
        return int(runs.to_series().sum())

    def apart(self) -> "Counts":
        """The base's own pre-tokens: joined ones are cut at the borders that were left out."""
        if not self.joined:
            return self
        # All without letters; the first word and the character before it; later words, marks and spaces.
        pieces = pl.col("text").str.extract_all(r"^[^\p{L}]*$|^[^\p{L}]?\p{L}+| ?\p{L}+|[^ \p{L}]| $")
        table = sum_up(self.table.select(pieces, "count").explode("text"))
        return replace(self, table=table, joined=False)

    def save(self, path: Path) -> None:
        """Write the counts as Parquet; the rest stands in its metadata."""
        about = {name: str(getattr(self, name)) for name in _ABOUT}
        with whole_file(path) as temporary:
            parquet.write_table(self.table.to_arrow().replace_schema_metadata(about), temporary)

    @staticmethod
    def load(path: Path) -> "Counts":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or holds no counts.
        """
        try:
            table = parquet.read_table(path)
            about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
            frame = pl.DataFrame(pl.from_arrow(table)).select(
                pl.col(name).cast(kind) for name, kind in _SCHEMA.items()
            )
            return Counts(
                frame,
                about["base"],
                int(about["documents"]),
                int(about["text_bytes"]),
                about.get("joined") == "True",
                int(about.get("forgotten", 0)),
            )
        except FileNotFoundError as error:
            raise InputError(f"there is no counts file {path}") from error
        except (KeyError, ValueError, OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path} holds no pre-token counts of ekle") from error

    @staticmethod
    def add(parts: Sequence["Counts"]) -> "Counts":
        """The counts of all parts together.

        Raises:
            InputError: parts were counted with different base tokenizers, or in different ways.
        """
        bases = sorted({part.base for part in parts})
        if len(bases) != 1:
            raise InputError(f"counts of different base tokenizers cannot be added: {' and '.join(bases)}")
        if len({part.joined for part in parts}) != 1:
            raise InputError(
                "some counts were made for the compact profile and some not; use one --profile for all"
            )
        return Counts(
            sum_up(pl.concat([part.table for part in parts])),
            bases[0],
            sum(part.documents for part in parts),
            sum(part.text_bytes for part in parts),
            parts[0].joined,
            sum(part.forgotten for part in parts),
        )


def sum_up(table: pl.DataFrame) -> pl.DataFrame:
    """Add the counts of equal texts and bring the rows into their order."""
    return (
        table.group_by("text")
        .agg(pl.col("count").cast(pl.Int64).sum())
        .sort(["count", "text"], descending=[True, False])
    )
