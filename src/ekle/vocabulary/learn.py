"""From counts to a vocabulary: merges, a tokenizer that uses them, and the evidence for each token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer, save_tokenizer
from ekle.bpe.graft import graft
from ekle.bpe.opening import open_tokenizer
from ekle.counting import Counts
from ekle.errors import InputError, TextError
from ekle.files import atomic_file, write_json
from ekle.progress import ProgressReporter
from ekle.recipe.vocabulary import VocabularySettings
from ekle.text.documents import TextReader
from ekle.turkish.gold import RootedWord, read_treebank
from ekle.vocabulary.categories import Categories
from ekle.vocabulary.constraints.keep import TermForm, read_terms, term_forms
from ekle.vocabulary.constraints.protect import ProtectedText, protected_text
from ekle.vocabulary.constraints.strict import (
    protection_cost,
    protection_prices,
    settings_for_strict_protection,
)
from ekle.vocabulary.effects import measure_effects
from ekle.vocabulary.evidence import gather_evidence
from ekle.vocabulary.profiles.apply import PreTokenizedTexts, apply_profile
from ekle.vocabulary.report import kept_term_figures, merge_counts, summarise, write_page
from ekle.vocabulary.selection import LearnedVocabulary, WeightedPreTokens, learn_with_terms, weigh_pre_tokens


def learn_vocabulary(
    counts: Counts,
    base: BaseTokenizer,
    settings: VocabularySettings,
    out: Path,
    reporter: ProgressReporter,
    held_out: Mapping[str, Sequence[str]] | None = None,
    other: Mapping[str, Sequence[str]] | None = None,
    about_text: Mapping[str, Any] | None = None,
    reader: TextReader | None = None,
) -> Vocabulary:
    """Learn `settings.size` tokens and write them to the folder `out`, which exists.

    Args:
        counts: pre-token counts made with `base`; the compact profile needs joined ones.
        held_out: genre to documents; the report says what the tokenizer saves on them.
        other: name to documents in other languages; the report says what changes in them.
        about_text: figures about the text from counting, for the report.
        reader: reads the files that the settings name; one that says what it leaves out if not given.

    Raises:
        InputError: the counts were made with another tokenizer, or for another profile.
        TextError: a file that the settings name is absent or holds nothing of use.
        VocabularyError: the counts do not support that many tokens, or a term cannot be kept.
    """
    if counts.base != base.fingerprint:
        raise InputError(
            f"the counts were made with tokenizer {counts.base}, but {base.name} is {base.fingerprint}; "
            "count the text again with this base"
        )
    reader = reader or TextReader(reporter.say)
    asked, settings = settings, settings_for_strict_protection(settings, base, reader)
    terms = read_terms(settings.keep, reader)
    rooted = [word for file in settings.gold for word in _inflected(Path(file))]
    texts = _pre_tokenize(settings, counts, base, reporter, reader, terms)
    forms: list[TermForm] = []
    if terms:
        empty, _ = graft(base, [], texts.pre_tokenized.pre_tokenizer)
        forms = term_forms(terms, base, open_tokenizer(empty))
    categories = Categories(counts.to_base().table, settings.min_count)

    def learn(texts: _Texts, cost: npt.NDArray[np.float64] | None) -> LearnedVocabulary:
        return learn_with_terms(
            base, texts.pre_tokenized, texts.pre_tokens, settings, categories, forms, reporter, cost
        )

    learned = learn(texts, protection_prices(texts.pre_tokens, strict=True))
    evidence = gather_evidence(learned, categories)
    spec, config = learned.files
    save_tokenizer(out / "tokenizer", spec, config, base.chat_template)
    with atomic_file(out / "tokens.jsonl") as path:
        path.write_text("".join(token.line() + "\n" for token in evidence.tokens), encoding="utf-8")
    costs: dict[str, Any] = {}
    if settings.protect_strict:
        loose = asked.model_copy(update={"protect_strict": False})
        # A profile that splits words leaves strictly protected ones whole, so it splits others without them.
        same = texts.pre_tokenized.keeps_words and loose.contractions == settings.contractions
        other_texts = texts if same else _pre_tokenize(loose, counts, base, reporter, reader, terms)
        without = learn(other_texts, protection_prices(other_texts.pre_tokens, strict=False))
        costs["strict"] = protection_cost(learned, without, held_out or {})
    if settings.measure_protection_cost:
        costs["all"] = protection_cost(learned, learn(texts, None), held_out or {})
    summary = summarise(
        base, settings, counts, merge_counts(learned.kept.learned, texts.pre_tokens, evidence), evidence
    )
    summary["text"] |= {**(about_text or {}), "pre_tokens_left_out": texts.pre_tokens.left_out}
    summary["unfilled_quotas"] = learned.selection.unfilled
    summary["keep"] = kept_term_figures(
        learned.kept, learned.selection.learned.merges, evidence, learned.tokenizer
    )
    summary |= measure_effects(
        learned,
        held_out or {},
        other or {},
        texts.protected,
        rooted,
        words_in_pre_tokens=texts.pre_tokenized.keeps_words,
    )
    summary["protected"] |= {
        "strict": settings.protect_strict,
        "contractions_restored": settings.contractions and not asked.contractions,
        "costs": costs,
    }
    write_json(out / "report.json", summary)
    write_page(summary, out / "report.html")
    return Vocabulary(out)


def _inflected(file: Path) -> list[RootedWord]:
    words = read_treebank(file)
    if not words:
        raise TextError(f"{file} holds no inflected words; give a treebank in CoNLL-U format")
    return words


@dataclass(frozen=True)
class _Texts:
    """The protected text and the text to learn from, as the profile pre-tokenizes them."""

    protected: ProtectedText
    pre_tokenized: PreTokenizedTexts
    pre_tokens: WeightedPreTokens


def _pre_tokenize(
    settings: VocabularySettings,
    counts: Counts,
    base: BaseTokenizer,
    reporter: ProgressReporter,
    reader: TextReader,
    terms: Sequence[str],
) -> _Texts:
    protected = protected_text(
        settings.protect,
        settings.languages,
        base,
        reporter,
        reader,
        price=settings.foreign_price,
        strict=settings.protect_strict,
        pre_tokenization=settings.pre_tokenization,
    )
    pre_tokenized = apply_profile(settings, counts, protected, base, terms)
    pre_tokens = weigh_pre_tokens(pre_tokenized, counts.words, base, settings.any_language)
    return _Texts(protected, pre_tokenized, pre_tokens)
