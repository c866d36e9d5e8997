"""From counts to a vocabulary: merges, a tokenizer that uses them, and the evidence for each token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer, open_tokenizer, save_tokenizer
from ekle.bpe.graft import graft
from ekle.counting import Counts
from ekle.errors import InputError, TextError
from ekle.files import whole_file, write_json
from ekle.progress import Report
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.turkish.gold import RootedWord, read_treebank
from ekle.vocabulary.attempt import Attempt, attempt
from ekle.vocabulary.categories import Categories
from ekle.vocabulary.evidence import gather
from ekle.vocabulary.keep import check_terms, read_terms
from ekle.vocabulary.material import Material, material_of
from ekle.vocabulary.page import write_page
from ekle.vocabulary.profile import Cut, cut_for
from ekle.vocabulary.protected import Protected, protected_text
from ekle.vocabulary.strict import price_of, settings_that_spare, what_it_costs
from ekle.vocabulary.summary import kept_rows, summarise, times_made
from ekle.vocabulary.trades import effects


def learn_vocabulary(
    counts: Counts,
    base: BaseTokenizer,
    settings: Settings,
    out: Path,
    report: Report,
    held_out: Mapping[str, Sequence[str]] | None = None,
    other: Mapping[str, Sequence[str]] | None = None,
    about_text: Mapping[str, Any] | None = None,
) -> Vocabulary:
    """Learn `settings.size` tokens and write them to the folder `out`, which exists.

    Args:
        counts: pre-token counts made with `base`; the compact profile needs joined ones.
        held_out: genre to documents; the report says what the tokenizer saves on them.
        other: name to documents in other languages; the report says what changes in them.
        about_text: what counting found out about the text, for the report.

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
    asked, settings = settings, settings_that_spare(settings, base)
    terms = read_terms(settings.keep)
    rooted = [word for file in settings.gold for word in _inflected(Path(file))]
    protected, cut, material = _gather(settings, counts, base, report)
    if terms:
        empty, _ = graft(base, [], cut.pre_tokenizer)
        check_terms(terms, open_tokenizer(empty))
    categories = Categories(counts.apart().table, settings.min_count)

    def learn(cut: Cut, material: Material, cost: npt.NDArray[np.float64] | None) -> Attempt:
        return attempt(base, cut, material, settings, categories, terms, report, cost)

    made = learn(cut, material, price_of(material, strict=True))
    evidence = gather(made.new, made.choice.by_quota, categories, material, made.after, base, made.tokenizer)
    spec, config = made.files
    save_tokenizer(out / "tokenizer", spec, config, base.chat_template)
    with whole_file(out / "tokens.jsonl") as path:
        path.write_text("".join(token.line() + "\n" for token in evidence.tokens), encoding="utf-8")
    costs: dict[str, Any] = {}
    if settings.protect_strict:
        loose = asked.model_copy(update={"protect_strict": False})
        # A profile that cuts words leaves strictly protected ones alone, so its cut is another one here.
        same = cut.keeps_words and loose.contractions == settings.contractions
        other_cut, others = (cut, material) if same else _gather(loose, counts, base, report)[1:]
        without = learn(other_cut, others, price_of(others, strict=False))
        costs["strict"] = what_it_costs(made, without, held_out or {})
    if settings.weigh_protection:
        costs["all"] = what_it_costs(made, learn(cut, material, None), held_out or {})
    summary = summarise(base, settings, counts, times_made(made.kept.learned, material, evidence), evidence)
    summary["text"] |= {**(about_text or {}), "pre_tokens_left_out": material.left_out}
    summary["quota_places_left_to_others"] = made.choice.unfilled
    summary["keep"] = kept_rows(made.kept, made.choice.learned.merges, evidence, made.tokenizer)
    summary |= effects(
        made, held_out or {}, other or {}, protected, rooted, words_in_material=cut.keeps_words
    )
    summary["protected"] |= {
        "strict": settings.protect_strict,
        "contractions_put_back": settings.contractions and not asked.contractions,
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


def _gather(
    settings: Settings, counts: Counts, base: BaseTokenizer, report: Report
) -> tuple[Protected, Cut, Material]:
    """The protected text, and both texts as the profile cuts them."""
    protected = protected_text(
        settings.protect,
        settings.languages,
        base,
        report,
        price=settings.foreign_price,
        strict=settings.protect_strict,
        cut=settings.pre_tokens,
    )
    cut = cut_for(settings, counts, protected, base)
    return protected, cut, material_of(cut, counts.words, base, settings.any_language)
