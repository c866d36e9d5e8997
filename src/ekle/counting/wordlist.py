"""A language's word frequencies as pre-token counts, for register that written text lacks.

`wordfreq` (Speer 2022) joins subtitles, conversation, news, encyclopaedia and books; its lists are
lower-cased. A word stands mostly inside a sentence after a space, sometimes capitalised.
"""

import polars as pl
import wordfreq

from ekle.bpe.base import BaseTokenizer
from ekle.counting.count import count_documents
from ekle.counting.counts import Counts, sum_up
from ekle.errors import TextError
from ekle.progress import silent
from ekle.recipe.vocabulary import PreTokens
from ekle.turkish import casing

# How a word of the list is spread over its written forms; round shares, not fitted to any text.
_INSIDE, _CAPITALISED, _FIRST = 0.88, 0.08, 0.04


def count_word_list(
    language: str, words: float, base: BaseTokenizer, size: str = "best", *, cut: PreTokens = "base"
) -> Counts:
    """The list of `language` ("small" or "best") as if it were a text of `words` words.

    With `cut` it may be added to counts made so; words that stand alone are cut the same in every way.

    Raises:
        TextError: there is no list for that language.
    """
    try:
        frequency = wordfreq.get_frequency_dict(language, wordlist=size)
    except LookupError as error:
        raise TextError(f"wordfreq has no list for {language!r}") from error
    title = casing.capitalize if language in ("tr", "az") else casing.plain_capitalize
    rows = [
        (form, share * value * words)
        for word, value in frequency.items()
        for form, share in ((f" {word}", _INSIDE), (f" {title(word)}", _CAPITALISED), (title(word), _FIRST))
    ]
    forms = [form for form, _ in rows]
    counted = count_documents(forms, base, silent())
    # A word such as "it's" is cut into several pre-tokens, each of which occurs as often as the word.
    whole = set(counted.table["text"].to_list())
    pieces: list[tuple[str, float]] = []
    tokenizer = base.tokenizer()
    for form, count in rows:
        if form in whole:
            pieces.append((form, count))
        else:
            pieces += [(form[a:b], count) for _, (a, b) in tokenizer.pre_tokenizer.pre_tokenize_str(form)]
    table = pl.DataFrame(pieces, schema={"text": pl.String, "count": pl.Float64}, orient="row")
    table = (
        table.group_by("text").agg(pl.col("count").sum().round().cast(pl.Int64)).filter(pl.col("count") > 0)
    )
    return Counts(sum_up(table), base.fingerprint, 0, 0, cut)
