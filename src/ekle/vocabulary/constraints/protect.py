"""Text of other languages that should stay as it is, and what it costs to change it.

A merge applies wherever its pair occurs, in other languages too. Each pre-token of those has a cost, in
tokens of the text that is learned from; a merge must save at least what the pre-tokens that it changes cost
(`bpe.learn`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
import wordfreq

from ekle.bpe.base import BaseTokenizer
from ekle.bpe.measure import split_lines
from ekle.counting import count_documents
from ekle.errors import TextError
from ekle.progress import ProgressReporter
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.text.documents import TextReader
from ekle.text.lines import lines_of
from ekle.turkish import casing

_WORD = pl.col("word")
_UPPER = casing.plain_upper_column(_WORD)
_CAPITALIZED = casing.plain_capitalize_column(_WORD)


class _WrittenForm(NamedTuple):
    """A way in which a word of a list, which is in lower case, is written in running text."""

    before: str
    word: pl.Expr
    share: float
    """Of the word's occurrences: round figures on the high side, because a name is nearly always capitalised
    and a common word nearly never, and the list does not say which is which."""
    least: float
    """Rarer words are left out of this form: after their first token they are mostly tokenized as in another
    form, and a million more rows would only make learning slower."""


_FORMS = (
    _WrittenForm(" ", _WORD, 0.9, 0.0),
    _WrittenForm(" ", _CAPITALIZED, 0.35, 0.0),
    _WrittenForm("", _CAPITALIZED, 0.1, 0.0),
    _WrittenForm("", _WORD, 0.03, 1e-5),
    _WrittenForm(" ", _UPPER, 0.03, 1e-5),
    _WrittenForm("", _UPPER, 0.03, 1e-5),
)
_UNLISTED = 3e-7
"""Added to the share of each form. A rare word of a list represents the many words that no list has: names,
compounds, misspellings. Without it, words that were never listed change three times as often."""
_LEAST_SHARES = {"en": 0.0}
"""Rarer words of a list are left out; English keeps all, because most foreign text is English."""
_LEAST_SHARE = 1e-7


@dataclass(frozen=True)
class ProtectedText:
    """Pre-tokens of other languages: `share` says how often each occurs, `cost` what changing it costs.

    `table` has the columns `text`, `share` (occurrences per word of that language, summed over languages and
    files), `cost` (the same times the price of each) and `never` (above 0 where a file says that it must not
    change, whatever that saves).
    """

    table: pl.DataFrame
    files: list[str]
    lists: dict[str, pl.DataFrame]
    """What `word_forms` gives for each language, where it has a price."""
    reader: TextReader
    """Reads the files."""


def protected_text(
    files: Sequence[str],
    languages: Mapping[str, float],
    base: BaseTokenizer,
    reporter: ProgressReporter,
    reader: TextReader,
    *,
    price: float,
    strict: bool,
    pre_tokenization: PreTokenizationKind = "base",
) -> ProtectedText:
    """Count the files, and put the words of lists into the forms that they have in text.

    Each text weighs the same, however long it is: a merge that changes one word in a thousand of a
    short file is as bad as one that does so in a long one.

    Args:
        files: text of other languages, or code.
        languages: languages of `wordfreq` and their prices.
        base: the tokenizer whose pre-tokenizer is used.
        reporter: receives progress.
        reader: reads the files.
        price: of the files.
        strict: whether no merge may change anything in the files, whatever it saves.
        pre_tokenization: how the files are pre-tokenized.

    Raises:
        TextError: a file is absent, not UTF-8 or empty, or there is no list for a language.
    """
    columns = {"text": pl.String, "share": pl.Float64, "cost": pl.Float64, "never": pl.Float64}
    parts = [pl.DataFrame(schema=columns)]
    for file in files:
        counts = count_documents(
            _texts(file, reader, strict), base, reporter, pre_tokenization=pre_tokenization
        )
        if not counts.words:
            raise TextError(f"{file} holds no words to protect")
        share = pl.col("count") / counts.words
        never = pl.lit(float(strict)).alias("never")
        parts.append(counts.table.select("text", share.alias("share"), (share * price).alias("cost"), never))
    lists = {language: word_forms(language) for language, weight in languages.items() if weight}
    for language, listed in lists.items():
        cost = (pl.col("share") * languages[language]).alias("cost")
        parts.append(listed.with_columns(cost, pl.lit(0.0).alias("never")))
    table = pl.concat(parts).group_by("text").agg(pl.col("share", "cost", "never").sum()).sort("text")
    return ProtectedText(table, list(files), lists, reader)


def _texts(file: str, reader: TextReader, strict: bool) -> Iterator[str]:
    """The documents of a file, and where nothing may change their lines too: the end of a line by itself is
    pre-tokenized otherwise than one before another line."""
    for document in reader.documents([file]):
        yield document.text
        lines = lines_of(document.text)
        if strict and len(lines) > 1:
            yield from lines


def protected_lines(file: str, reader: TextReader) -> list[str]:
    """The lines of a protected file; changes in it are counted by line."""
    return split_lines(document.text for document in reader.documents([file]))


def word_forms(language: str) -> pl.DataFrame:
    """The words of `language` in the forms of `_FORMS`: columns `text` and `share`; a text may occur twice.

    Raises:
        TextError: `wordfreq` has no list for it.
    """
    try:
        frequency = wordfreq.get_frequency_dict(language, wordlist="best")
    except LookupError as error:
        raise TextError(
            f"wordfreq has no list for {language!r}; take it out of vocabulary.languages, and give a file of "
            "that language with --protect (vocabulary.protect)"
        ) from error
    least = _LEAST_SHARES.get(language, _LEAST_SHARE)
    words = pl.DataFrame({"word": list(frequency), "share": list(frequency.values())})
    words = words.filter(pl.col("share") >= least, _WORD.str.contains(r"^\p{L}+$"))
    forms = [
        words.filter(pl.col("share") >= form.least).select(
            (form.before + form.word).alias("text"), pl.col("share") * form.share + _UNLISTED
        )
        for form in _FORMS
    ]
    return pl.concat(forms)
