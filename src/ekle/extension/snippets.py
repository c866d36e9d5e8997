"""Passages of the user's text in which the new tokens occur, each token a few times."""

from collections.abc import Iterable

import numpy as np

from ekle.bpe.batches import batches
from ekle.bpe.two_cuts import Cutter, TwoCuts
from ekle.progress import Report
from ekle.recipe.extension import Distillation
from ekle.text.passages import passages


def snippets(
    documents: Iterable[str], cutter: Cutter, first: int, count: int, settings: Distillation, report: Report
) -> list[TwoCuts]:
    """Passages, both cuts of each, until every new token stands in `settings.snippets` of them.

    A passage is kept if it holds a token that still lacks some, so frequent tokens come up far more often.
    Passages end at white space and are at most `settings.snippet_characters` long.

    Args:
        documents: the text; read up to `settings.text_bytes`.
        cutter: base and extended tokenizer.
        first: id of the first new token.
        count: number of new tokens.
        settings: how many, how long.
        report: hears of the progress.
    """
    seen = np.zeros(count, dtype=np.int64)
    kept: list[TwoCuts] = []
    left = settings.text_bytes
    with report.task("looking for the new tokens", count, "tokens") as task:
        parts = (part for text in documents for part in passages(text, settings.snippet_characters))
        for texts in batches(parts):
            chosen: list[str] = []
            for text, ids in zip(texts, cutter.new_ids(texts), strict=True):
                new = np.unique(np.array(ids, dtype=np.int64)) - first
                new = new[new >= 0]
                if len(ids) > 1 and (seen[new] < settings.snippets).any():
                    chosen.append(text)
                    before = int((seen >= settings.snippets).sum())
                    seen[new] += 1
                    task.advance(int((seen >= settings.snippets).sum()) - before)
            kept += cutter.cut(chosen)
            left -= sum(len(text.encode()) for text in texts)
            if left <= 0 or (seen >= settings.snippets).all():
                break
    without = int((seen == 0).sum())
    rare = int((seen < settings.snippets).sum()) - without
    report.say(
        f"{len(kept):,} passages; {rare:,} new tokens stand in fewer than {settings.snippets} of them, "
        f"{without:,} in none",
        passages=len(kept),
        rare=rare,
        without=without,
    )
    return kept


def plain_passages(documents: Iterable[str], cutter: Cutter, tokens: int, characters: int) -> list[TwoCuts]:
    """Passages of at most `characters`, whatever they hold, until they have about `tokens` tokens."""
    kept: list[TwoCuts] = []
    for text in documents:
        if tokens <= 0:
            break
        cut = [passage for passage in cutter.cut(list(passages(text, characters))) if len(passage.new) > 1]
        tokens -= sum(len(passage.new) for passage in cut)
        kept += cut
    return kept
