"""From counts to a vocabulary: merges, a tokenizer that uses them, and the evidence for each token."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ekle.artifacts import Vocabulary
from ekle.bpe.base import BaseTokenizer, open_tokenizer, save_tokenizer
from ekle.bpe.continued import LearnedMerge
from ekle.bpe.graft import Merge, graft
from ekle.bpe.pieces import cut
from ekle.counting import Counts
from ekle.errors import InputError
from ekle.files import whole_file, write_json
from ekle.progress import Report
from ekle.recipe.vocabulary import Vocabulary as Settings
from ekle.vocabulary.categories import Categories
from ekle.vocabulary.evidence import gather
from ekle.vocabulary.keep import check_terms, keep_terms, read_terms
from ekle.vocabulary.material import material_of
from ekle.vocabulary.profile import cut_for
from ekle.vocabulary.protected import protected_text
from ekle.vocabulary.select import choose
from ekle.vocabulary.summary import kept_rows, made, measured, summarise


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
        VocabularyError: the counts do not support that many tokens, or a term cannot be kept.
    """
    if counts.base != base.fingerprint:
        raise InputError(
            f"the counts were made with tokenizer {counts.base}, but {base.name} is {base.fingerprint}"
        )
    terms = read_terms(settings.keep)
    protected = protected_text(
        settings.protect,
        settings.languages,
        base,
        report,
        price=settings.foreign_price,
        strict=settings.protect_strict,
        cut=settings.pre_tokens,
    )
    cut_by_profile = cut_for(settings, counts, protected, base)
    if terms:
        empty, _ = graft(base, [], cut_by_profile.pre_tokenizer)
        check_terms(terms, open_tokenizer(empty))
    material = material_of(cut_by_profile, counts.words, base, settings.any_language)
    categories = Categories(counts.apart().table, settings.min_count)
    choice = choose(material, base.spelled, settings, categories, settings.size, report)
    kept = keep_terms(terms, choice.learned.merges, base.spelled, base.tokenizer())
    merges = [*kept.learned, *kept.forced]
    spec, config = graft(base, _with_bytes(merges, base.spelled), cut_by_profile.pre_tokenizer)
    new = list({merge.id: merge for merge in merges if merge.id >= base.rows}.values())
    tokenizer = open_tokenizer(spec)
    # Terms that are kept bring merges of their own, so the text is cut again.
    after = cut(tokenizer, material.table["text"].to_list()) if terms else choice.learned.pieces
    evidence = gather(new, choice.by_quota, categories, material, after, base, tokenizer)
    save_tokenizer(out / "tokenizer", spec, config, base.chat_template)
    with whole_file(out / "tokens.jsonl") as path:
        path.write_text("".join(token.line() + "\n" for token in evidence.tokens), encoding="utf-8")
    summary = summarise(base, settings, counts, made(kept.learned, material, evidence), evidence)
    summary["text"] |= {**(about_text or {}), "pre_tokens_left_out": material.left_out}
    summary["protected"] = protected.names
    summary["quota_places_left_to_others"] = choice.unfilled
    summary["keep"] = kept_rows(kept, choice.learned.merges, evidence, tokenizer)
    summary["held_out"], summary["other"] = measured(base.tokenizer(), tokenizer, held_out or {}, other or {})
    write_json(out / "report.json", summary)
    return Vocabulary(out)


def _with_bytes(merges: Sequence[LearnedMerge], spelled: Sequence[bytes | None]) -> list[Merge]:
    """The merges spelled in bytes instead of ids."""
    names: dict[int, bytes] = {number: name for number, name in enumerate(spelled) if name is not None}
    names.update({merge.id: merge.token for merge in merges})
    return [Merge(names[merge.left], names[merge.right]) for merge in merges]
