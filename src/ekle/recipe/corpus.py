"""`[corpus]`: the text that is read, counted and held out."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from ekle.recipe.section import Section


class CorpusSettings(Section):
    """Sources are files, folders, `hf:NAME[:CONFIG[:SPLIT]]`, `bundled:tr` or `bundled:en`."""

    sources: Annotated[list[str], Field(min_length=1)] = ["bundled:tr"]
    """Turkish text; the vocabulary is learned from it and training reads it."""
    replay: list[str] = ["bundled:en"]
    """Text in other languages that training mixes in against forgetting."""
    instructions: list[str] = []
    """Conversations that training mixes in: JSON, a table, Parquet or `hf:` in the formats of OpenAI,
    ShareGPT, Alpaca, LLaMA-Factory and others; docs/training.md has the table of their fields."""
    held_out: float = Field(default=0.1, ge=0, lt=1)
    """Share of the documents kept for measuring, chosen by a digest of each document's text."""
    held_out_files: list[str] = []
    """Turkish files that are kept whole for measuring; each is reported as a genre of its own."""
    other_files: list[str] = []
    """Files in other languages, or code, on which nothing may change; each is reported by name."""
    text_field: str = "text"
    """Field of JSON and column of tables (CSV, Parquet, Arrow, the hub) that holds the text; rows in which it
    is empty are left out."""
    keep_misdecoded: bool = False
    """Read Turkish that was decoded in a wrong way (`ÅŸehir`, `ýþýk`) as it stands; otherwise its lines are
    left out of Turkish text, and the share and an example are shown."""
    max_bytes: PositiveInt | None = None
    """Stop reading the sources after this many bytes of text, and the replay text likewise."""
    repeats: NonNegativeInt = Field(default=10, le=255)
    """An identical line of five words or more is counted this many times at most (0: as often as it
    occurs): a tenth of the default of `vocabulary.min_count`, so that no line wins tokens by itself."""
    word_lists: list[str] = ["tr"]
    """Languages whose `wordfreq` frequencies are added to the counts, for the spoken register that
    written text lacks; an empty list adds none."""
    spoken_weight: float = Field(default=1.0, ge=0)
    """Weight of the word lists: their words count as this share of the other text's words
    (as ten million words where the other text has less than a million)."""
