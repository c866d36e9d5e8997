"""Pre-token counts as a value that can be saved, loaded and added up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never, cast

import polars as pl
import pyarrow.parquet as parquet

from ekle.bpe.pre_tokenizers import CONTRACTION
from ekle.errors import InputError
from ekle.files import atomic_file
from ekle.recipe.vocabulary import PreTokenizationKind

_SCHEMA = {"text": pl.String, "count": pl.Int64}
_ABOUT = ("base", "documents", "text_bytes", "pre_tokenization", "forgotten")
_KEYS = {"pre_tokenization": "cut"}  # attribute: its key in the file, kept from ekle 0.1


@dataclass(frozen=True)
class Counts:
    """How often each pre-token occurs.

    `table` has the columns `text` and `count`, most frequent first, ties by text. `base` is the
    fingerprint of the tokenizer whose pre-tokenizer was used; counts of two tokenizers are not comparable.
    """

    table: pl.DataFrame
    base: str
    documents: int
    text_bytes: int
    pre_tokenization: PreTokenizationKind = "base"
    """How the text was pre-tokenized."""
    forgotten: int = 0
    """Occurrences of rare pre-tokens that were dropped to keep the table in memory."""

    @property
    def words(self) -> int:
        """Runs of letters; each of the base's pre-tokens has one or none."""
        runs = self.table.select(pl.col("text").str.count_matches(r"\p{L}+") * pl.col("count"))
        return int(runs.to_series().sum())

    def to_base(self) -> "Counts":
        """The base's own pre-tokens: longer ones are split at the boundaries that were left out."""
        match self.pre_tokenization:
            case "base":
                return self
            case "apostrophe":
                longer = pl.col("text").str.contains(rf"^{CONTRACTION}\p{{L}}")
                pre_tokens = pl.col("text").str.extract_all(rf"^{CONTRACTION}|\p{{L}}+")
                split = self.table.filter(longer).select(pre_tokens, "count").explode("text")
                table = sum_up(pl.concat([self.table.filter(~longer), split]))
            case "joined":
                # A pre-token without letters; the first word and the character before it; later words, marks,
                # spaces.
                pre_tokens = pl.col("text").str.extract_all(
                    r"^[^\p{L}]*$|^[^\p{L}]?\p{L}+| ?\p{L}+|[^ \p{L}]| $"
                )
                table = sum_up(self.table.select(pre_tokens, "count").explode("text"))
            case _:
                assert_never(self.pre_tokenization)
        return replace(self, table=table, pre_tokenization="base")

    def converted_to(self, pre_tokenization: PreTokenizationKind) -> "Counts":
        """These counts as pre-tokens of the kind `pre_tokenization`.

        Raises:
            InputError: they cannot be converted; only the base's own kind follows from another.
        """
        if pre_tokenization == self.pre_tokenization:
            return self
        if pre_tokenization == "base":
            return self.to_base()
        raise InputError(
            f"the counts hold {self.pre_tokenization} pre-tokens and {pre_tokenization} ones are wanted; "
            "count the text again with ekle count and this --profile"
        )

    def save(self, path: Path) -> None:
        """Write the table as Parquet, and the other attributes into its metadata."""
        about = {_KEYS.get(each, each): str(getattr(self, each)) for each in _ABOUT}
        with atomic_file(path) as temporary:
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
                cast(PreTokenizationKind, about.get("cut", "base")),
                int(about.get("forgotten", 0)),
            )
        except FileNotFoundError as error:
            raise InputError(f"there is no counts file {path}") from error
        except (KeyError, ValueError, OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path} holds no pre-token counts; ekle count makes a file of them") from error

    @staticmethod
    def add(parts: Sequence["Counts"]) -> "Counts":
        """The counts of all parts together.

        Raises:
            InputError: parts were counted with different base tokenizers, or as different kinds of
                pre-tokens.
        """
        bases = sorted({part.base for part in parts})
        if len(bases) != 1:
            raise InputError(
                f"counts of different base tokenizers cannot be added: {' and '.join(bases)}; give "
                "every ekle count one --base"
            )
        if len({part.pre_tokenization for part in parts}) != 1:
            raise InputError(
                "counts that were made for different profiles cannot be added; give every ekle count one "
                "--profile"
            )
        if len(parts) == 1:
            return parts[0]
        return Counts(
            sum_up(pl.concat([part.table for part in parts])),
            bases[0],
            sum(part.documents for part in parts),
            sum(part.text_bytes for part in parts),
            parts[0].pre_tokenization,
            sum(part.forgotten for part in parts),
        )


def sum_up(table: pl.DataFrame) -> pl.DataFrame:
    """Add the counts of equal texts and bring the rows into their order."""
    return add_equal(table).sort(["count", "text"], descending=[True, False])


def add_equal(table: pl.DataFrame) -> pl.DataFrame:
    """Add the counts of equal texts; the rows come in any order."""
    return table.group_by("text").agg(pl.col("count").cast(pl.Int64).sum())
