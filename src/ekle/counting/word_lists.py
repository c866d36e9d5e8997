"""A language's word frequencies as pre-token counts, for spoken registers that written text lacks.

`wordfreq` (Speer 2022) joins subtitles, conversation, news, encyclopaedia and books; its lists are
lower-cased. A word is mostly inside a sentence after a space, sometimes capitalised.
"""

import polars as pl
import wordfreq

from ekle.bpe.base import BaseTokenizer
from ekle.counting.counts import Counts, sum_up
from ekle.counting.documents import count_documents
from ekle.errors import TextError
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokenizationKind
from ekle.turkish import casing

# Shares of the written forms of a word of the list; round, not fitted to any text.
_INSIDE, _CAPITALISED, _FIRST = 0.88, 0.08, 0.04


def count_word_list(
    language: str,
    words: float,
    base: BaseTokenizer,
    size: str = "best",
    *,
    pre_tokenization: PreTokenizationKind = "base",
) -> Counts:
    """The list of `language` as if it were a text of `words` words; `size` is "small" or "best".

    It may be added to counts of the same `pre_tokenization`; single words are pre-tokenized alike in all
    kinds.

    Raises:
        TextError: there is no list for that language.
    """
    try:
        frequency = wordfreq.get_frequency_dict(language, wordlist=size)
    except LookupError as error:
        raise TextError(f"wordfreq has no list for {language!r}; take it out of corpus.word_lists") from error
    title = casing.capitalize if language in ("tr", "az") else casing.plain_capitalize
    listed = pl.DataFrame({"word": list(frequency), "value": list(frequency.values())})
    titles = pl.Series("title", [title(word) for word in frequency], dtype=pl.String)
    forms = pl.concat(
        listed.select((space + spelled).alias("text"), (pl.col("value") * share * words).alias("count"))
        for space, spelled, share in (
            (" ", pl.col("word"), _INSIDE),
            (" ", pl.lit(titles), _CAPITALISED),
            ("", pl.lit(titles), _FIRST),
        )
    )
    counted = count_documents(forms["text"].to_list(), base, silent())
    # A word such as "it's" is split into several pre-tokens, each of which occurs as often as the word.
    is_whole = pl.col("text").is_in(counted.table["text"].implode())
    tokenizer = base.tokenizer()
    pre_tokens = [
        (form[start:end], count)
        for form, count in forms.filter(~is_whole).iter_rows()
        for _, (start, end) in tokenizer.pre_tokenizer.pre_tokenize_str(form)
    ]
    split_forms = pl.DataFrame(pre_tokens, schema={"text": pl.String, "count": pl.Float64}, orient="row")
    table = pl.concat([forms.filter(is_whole), split_forms]).group_by("text").agg(pl.col("count").sum())
    table = table.with_columns(pl.col("count").round().cast(pl.Int64)).filter(pl.col("count") > 0)
    return Counts(sum_up(table), base.fingerprint, 0, 0, pre_tokenization)
