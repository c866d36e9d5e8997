"""The content of a vocabulary's `report.json`, and its page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ekle.artifacts import NewToken
from ekle.bpe.base import BaseTokenizer
from ekle.bpe.learn import LearnedMerge
from ekle.counting import Counts
from ekle.files import read_table
from ekle.page.plots import trade_plots
from ekle.page.render import render as fill
from ekle.page.render import write_html
from ekle.recipe.vocabulary import VocabularySettings
from ekle.turkish.casing import capitalize, upper
from ekle.vocabulary.constraints.keep import KeptTerms
from ekle.vocabulary.evidence import Evidence
from ekle.vocabulary.selection import WeightedPreTokens

_POINTS = 40  # points of the growth curve
_AFTER = (
    ".",
    ",",
    " ve",
    "'nin",
)  # what often follows a term; the compact profile joins the first three to words


def summarise(
    base: BaseTokenizer,
    settings: VocabularySettings,
    counts: Counts,
    counted: Sequence[int],
    evidence: Evidence,
) -> dict[str, Any]:
    """All figures that follow from the text learned from; `counted` is what `merge_counts` gives."""
    tokens = evidence.tokens
    rare = [token for token in tokens if token.count < settings.min_count]
    return {
        "size": len(tokens),
        "first_new_id": base.rows,
        "rows": base.rows + len(tokens),
        "base": {"name": base.name, "fingerprint": base.fingerprint},
        "profile": settings.profile,
        "strategy": settings.strategy,
        "settings": settings.model_dump(),
        "text": {"documents": counts.documents, "bytes": counts.text_bytes, "words": counts.words},
        "growth": _growth(counted, evidence),
        "least_count_when_learned": min(counted, default=0),
        "tokens_used_less_than_min_count": len(rare),
        "rarely_used": [{"id": token.id, "text": token.text, "count": token.count} for token in rare],
        "unreachable": len(evidence.unreachable),
        "categories": _by_category(tokens),
        "harmony": _harmony(evidence),
        "terms": _terms(tokens, base),
    }


def kept_term_figures(
    kept: KeptTerms, learned: Sequence[LearnedMerge], evidence: Evidence, tokenizer: Tokenizer
) -> dict[str, Any]:
    """Each form of each kept term as the finished tokenizer has it, its other capitals, and what all cost."""
    known = {token.id: token for token in evidence.tokens}

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    forms: list[dict[str, Any]] = []
    for form in kept.forms:
        ids = encode(form.text)
        token = known.get(ids[0]) if len(ids) == 1 else None
        reason = form.reason or ("" if len(ids) == 1 else "a merge of the base takes its tokens first")
        forms.append(
            {
                "term": form.term,
                "text": form.text,
                "id": ids[0] if len(ids) == 1 else None,
                "count": token.count if token else None,
                "origin": form.origin if len(ids) == 1 else "none",
                "tokens_before": form.tokens_before,
                "tokens": len(ids),
                "reason": reason or None,
                "split_before": [
                    mark for mark in _AFTER if len(ids) == 1 and encode(form.text + mark)[:1] != ids
                ],
            }
        )
    terms = dict.fromkeys(form.term for form in kept.forms)
    words = [term for term in terms if term[0].isalpha()]
    capitals = dict.fromkeys(text for word in words for text in (capitalize(word), upper(word)))
    split = {text: len(encode(f" {text}")) for text in capitals if text not in terms}
    dropped = learned[len(kept.learned) :]
    return {
        "forms": forms,
        "other_capitals": [{"text": text, "tokens": tokens} for text, tokens in split.items() if tokens > 1],
        "places": len(dropped),
        "tokens_that_the_places_would_save": sum(merge.count for merge in dropped),
    }


def merge_counts(
    learned: Sequence[LearnedMerge], pre_tokens: WeightedPreTokens, evidence: Evidence
) -> list[int]:
    """How often each learned merge is made in the learning text.

    Where merges were chosen by another worth than their count, this is the final count of the token and of
    the tokens that later merges made of it.
    """
    if pre_tokens.worth is pre_tokens.weights:
        return [merge.count for merge in learned]
    left = {token.id: token.count for token in evidence.tokens}
    counted = {merge.id: left[merge.id] for merge in learned}
    for merge in reversed(learned):
        for part in (merge.left, merge.right):
            if part in counted:
                counted[part] += counted[merge.id]
    return list(counted.values())


def _growth(counted: Sequence[int], evidence: Evidence) -> list[dict[str, float]]:
    """Tokens of the learning text after the first n merges, word lists included, at some n."""
    before = evidence.tokens_before
    tokens = before - np.cumsum([0, *counted])
    sizes = sorted({round(len(counted) * point / _POINTS) for point in range(_POINTS + 1)})
    points = {size: int(tokens[size]) for size in sizes}
    points[len(evidence.tokens)] = evidence.tokens_after
    return [
        {"size": size, "tokens": left, "saved": float(1 - left / before)} for size, left in points.items()
    ]


def _by_category(tokens: Sequence[NewToken]) -> dict[str, dict[str, int]]:
    figures: dict[str, dict[str, int]] = {}
    for token in tokens:
        row = figures.setdefault(token.category, {"tokens": 0, "tokens_saved": 0})
        row["tokens"] += 1
        row["tokens_saved"] += token.tokens_saved
    return figures


def _harmony(evidence: Evidence) -> dict[str, Any]:
    """Verdicts of all tokens, the share that complies, and the tokens that do not, with the reason."""
    verdicts = Counter(token.harmony for token in evidence.tokens)
    judged = verdicts.total() - verdicts["none"]
    against = [
        {
            "id": token.id,
            "text": token.text,
            "reason": description.harmony.reason,
            "vowels": description.harmony.breach,
        }
        for token, description in zip(evidence.tokens, evidence.described, strict=True)
        if description.harmony.verdict == "violation"
    ]
    reasons = Counter(
        description.harmony.reason for description in evidence.described if description.harmony.reason
    )
    return {
        **verdicts,
        "judged": judged,
        "complies": 1 - verdicts["violation"] / judged if judged else None,
        "complies_without_exceptions": verdicts["harmonic"] / judged if judged else None,
        "reasons": dict(reasons),
        "not_compliant": against,
    }


def _terms(tokens: Sequence[NewToken], base: BaseTokenizer) -> dict[str, Any]:
    """How many terms of `turkish/data/terms.tsv` are one token after a space, by kind."""
    new = {token.text for token in tokens}
    figures: dict[str, dict[str, int]] = {}
    tokenizer = base.tokenizer()
    for row in read_table("ekle.turkish", "terms"):
        text = f" {row['term']}"
        is_one = len(tokenizer.encode(text, add_special_tokens=False).ids) == 1
        kind = figures.setdefault(row["kind"], {"terms": 0, "one_token_before": 0, "one_token": 0})
        kind["terms"] += 1
        kind["one_token_before"] += is_one
        kind["one_token"] += is_one or text in new
    return figures


_TEMPLATE = Path(__file__).parent / "page.html"
_REASONS = {
    "invariable": "a suffix that has one form only (-yor, -ki, -ken, -leyin)",
    "verb": "a verb that has become a suffix (-bil, -ver)",
    "loan": "a loan with a back vowel that suffixes treat as front (saat-ler)",
    "suffix": "a suffix that does not suit the vowel before it",
    "letters": "letters without an analysis, their vowels of both kinds",
}


def write_page(report: dict[str, Any], path: Path) -> None:
    """Write the page about `report` (the content of report.json) to `path`, whole or not at all.

    Raises:
        SpaceError: the disk is full.
    """
    write_html(path, render(report))


def render(report: dict[str, Any]) -> str:
    """The page as HTML, self-contained."""
    genres = report["held_out"].values()
    before, after = (sum(genre[key] for genre in genres) for key in ("tokens_base", "tokens"))
    growth = report["growth"][-1]
    return fill(
        _TEMPLATE,
        trade_plots(report["size_trade_offs"]),
        report=report,
        saved=1 - after / before if before else growth["saved"],
        held_out=bool(before),
        texts={**report["other"], **report["protected"]["texts"]},
        reasons=_REASONS,
        categories=sorted(report["categories"].items(), key=lambda item: -item[1]["tokens_saved"]),
    )
