"""Pre-token counts as a value that can be saved, loaded and added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as parquet

from ekle.errors import InputError
from ekle.files import whole_file

_SCHEMA = {"text": pl.String, "count": pl.Int64}


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

    @property
    def words(self) -> int:
        """Pre-tokens that hold a letter."""
        return int(self.table.filter(pl.col("text").str.contains(r"\p{L}"))["count"].sum())

    def save(self, path: Path) -> None:
        """Write the counts as Parquet; the rest stands in its metadata."""
        about = {"base": self.base, "documents": str(self.documents), "text_bytes": str(self.text_bytes)}
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
            return Counts(frame, about["base"], int(about["documents"]), int(about["text_bytes"]))
        except FileNotFoundError as error:
            raise InputError(f"there is no counts file {path}") from error
        except (KeyError, ValueError, OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path} holds no pre-token counts of ekle") from error

    @staticmethod
    def add(parts: Sequence["Counts"]) -> "Counts":
        """The counts of all parts together.

        Raises:
            InputError: parts were counted with different base tokenizers.
        """
        bases = sorted({part.base for part in parts})
        if len(bases) != 1:
            raise InputError(f"counts of different base tokenizers cannot be added: {' and '.join(bases)}")
        table = sum_up(pl.concat([part.table for part in parts]))
        return Counts(table, bases[0], sum(p.documents for p in parts), sum(p.text_bytes for p in parts))


def sum_up(table: pl.DataFrame) -> pl.DataFrame:
    """Add the counts of equal texts and bring the rows into their order."""
    return (
        table.group_by("text")
        .agg(pl.col("count").cast(pl.Int64).sum())
        .sort(["count", "text"], descending=[True, False])
    )
