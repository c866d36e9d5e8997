"""`ekle count`, `ekle vocab`, `ekle extend`, `ekle export`, `ekle serve`: one stage by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ekle.cli.options import READING, Out, Set, settings, terminal, terminal_reporter
from ekle.errors import InputError, NotAvailableError, RecipeError
from ekle.page.formatting import counted, listed, percent, signed
from ekle.recipe.extension import ExtensionSettings, Initialiser
from ekle.recipe.release import ExportFormat
from ekle.recipe.vocabulary import Profile, Strategy, VocabularySettings

_DEFAULTS = VocabularySettings()


def count(
    corpus: Annotated[
        list[str], typer.Option(metavar="FILE|DIR|hf:NAME", help="Text to count; may be given again.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The Parquet file to write.")],
    base: Annotated[str, typer.Option(help="qwen3, a folder with tokenizer.json, or a hub id.")] = "qwen3",
    profile: Annotated[
        Profile | None,
        typer.Option(
            metavar="PROFILE", help="The profile that learns from them; portable and morphological share one."
        ),
    ] = None,
    ray: Annotated[
        bool,
        typer.Option(
            "--ray", help="Count the files on Ray (pip install 'ekle\\[ray]'); repeated lines all count."
        ),
    ] = False,
    set_: Set = None,
) -> None:
    """Count a part of a large corpus, for ekle vocab --counts.

    Parts may be counted on any machine and in any order; their files add up to
    the counts of the whole. Word lists are no part of them: ekle vocab adds those.
    """
    from ekle.pipeline.api import count_text
    from ekle.pipeline.given import SourceNames

    if any(override.partition("=")[0].strip() == "corpus.word_lists" for override in set_ or ()):
        raise RecipeError(
            "ekle count reads no word lists; give --set corpus.word_lists to ekle vocab, which adds them"
        )
    recipe = settings("count", set_, vocabulary={"profile": profile}, corpus={"sources": corpus})
    counts = count_text(
        SourceNames(recipe.corpus.sources),
        out,
        base=base,
        profile=recipe.vocabulary.profile,
        contractions=recipe.vocabulary.contractions,
        corpus_settings=recipe.corpus,
        ray=ray,
        reporter=terminal_reporter(),
    )
    terminal().print(
        f"{counts.words:,} words, {len(counts.table):,} different pre-tokens in {out}", soft_wrap=True
    )


def vocab(
    out: Out,
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|DIR|hf:NAME", help="Turkish text to learn from; may be given again."),
    ] = None,
    base: Annotated[str, typer.Option(help="qwen3, a folder with tokenizer.json, or a hub id.")] = "qwen3",
    size: Annotated[
        int | None, typer.Option(help=f"Number of new tokens; {_DEFAULTS.size:,} if not given.")
    ] = None,
    profile: Annotated[
        Profile | None,
        typer.Option(
            metavar="PROFILE",
            help="portable: loads everywhere. compact: tokens may cross a space. morphological: "
            "words are split after their root. The last two: engines that read tokenizer.json, not GGUF. "
            f"{_DEFAULTS.profile} if not given.",
        ),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            metavar="STRATEGY",
            help=f"free, or the five quotas of guide; {_DEFAULTS.strategy} if not given.",
        ),
    ] = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|DIR", help="Turkish text to measure the saving on; may be given again."),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Text in other languages, or code, to measure changes in; may be repeated.",
        ),
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR", help="Text in other languages, or code, that new tokens should leave alone."
        ),
    ] = None,
    protect_strict: Annotated[
        bool, typer.Option("--protect-strict", help="Change nothing in those files, and say what that costs.")
    ] = False,
    measure_protection_cost: Annotated[
        bool,
        typer.Option("--protection-cost", help="Learn again without protection, to say what it costs."),
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Terms, one per line, that must each become one token."),
    ] = None,
    gold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Turkish treebanks (CoNLL-U), to measure how often roots stay whole."
        ),
    ] = None,
    any_language: Annotated[
        bool, typer.Option("--any-language", help="Go on although the text is not Turkish.")
    ] = False,
    counts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Counts that ekle count wrote, besides or instead of text; may be given again.",
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Learn new tokens from text; write a tokenizer that produces them, and the evidence for each.

    The folder gets tokenizer/ (which AutoTokenizer loads), tokens.jsonl (one
    line per token), report.json and report.html.
    """
    from ekle.pipeline.api import learn_vocabulary
    from ekle.pipeline.given import SourceNames

    if not corpus and not counts:
        raise InputError("there is nothing to learn from; give text with --corpus, or --counts")
    recipe = settings(
        "vocab",
        set_,
        vocabulary={
            "size": size,
            "profile": profile,
            "strategy": strategy,
            "keep": keep,
            "gold": gold,
            "protect": protect,
            "protect_strict": protect_strict or None,
            "measure_protection_cost": measure_protection_cost or None,
            "any_language": any_language or None,
        },
        corpus={"sources": corpus, "held_out_files": held_out, "other_files": other},
    )
    learned = learn_vocabulary(
        SourceNames(recipe.corpus.sources if corpus else ()),
        out,
        base=base,
        settings=recipe.vocabulary,
        corpus_settings=recipe.corpus,
        counts=counts or (),
        reporter=terminal_reporter(),
    )
    console = terminal()
    console.print(f"{learned.size:,} new tokens in {out}", soft_wrap=True)
    for line in vocabulary_summary(learned.report):
        console.print(line, soft_wrap=True, markup=False)
    console.print(f"The report is {out / 'report.html'}", soft_wrap=True)


def extend(
    vocab: Annotated[Path, typer.Option(metavar="DIR", help="A folder that ekle vocab wrote.")],
    base: Annotated[str, typer.Option(metavar="DIR|HUB_ID", help="The model to extend.")],
    out: Out,
    init: Annotated[
        Initialiser | None,
        typer.Option(
            metavar="METHOD",
            help=f"How the new embedding rows start: {', '.join(get_args(Initialiser))}; "
            f"{ExtensionSettings().init} if not given.",
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR|hf:NAME",
            help="Turkish text, for rules that need it (the default does); may be given again.",
        ),
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR|hf:NAME",
            help="Text in other languages, for --init mapped and distilled; may be given again.",
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Give a model embedding rows for the tokens of a vocabulary; the rest stays byte-equal.

    The folder gets model/ (which AutoModelForCausalLM and AutoTokenizer load)
    and extension.json.
    """
    from ekle.pipeline.api import extend_model
    from ekle.pipeline.given import SourceNames

    recipe = settings("extend", set_, READING, extension={"init": init})
    extended = extend_model(
        base,
        vocab,
        out,
        settings=recipe.extension,
        corpus=SourceNames(corpus or ()),
        replay=SourceNames(replay or ()),
        corpus_settings=recipe.corpus,
        reporter=terminal_reporter(),
    )
    terminal().print(f"The extended model is {extended.model}", soft_wrap=True)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run, or an extended model.")],
    out: Out,
    format: Annotated[
        ExportFormat,
        typer.Option(metavar="hf", help="hf: a Hugging Face folder, which engines load and convert."),
    ] = "hf",
    set_: Set = None,
) -> None:
    """Write a finished model in the format of an engine: merged weights, tokenizer, model card."""
    from ekle.pipeline.api import export as export_model

    recipe = settings("export", set_, release={})
    written = export_model(folder, out, format=format, settings=recipe.release, reporter=terminal_reporter())
    terminal().print(f"The model is {written}", soft_wrap=True)


def vocabulary_summary(report: dict[str, Any]) -> Iterator[str]:
    """What a user should know about a new vocabulary, one line each, from its report.json."""
    repeats = report["text"].get("repeats", {})
    if repeats.get("lines_left_out"):
        yield (
            f"Repeated lines: {repeats['lines_left_out']:,} ({repeats['share_left_out']:.1%} of the text) "
            f"were left out, because each occurs more than {repeats['limit']} times"
        )
    if report["tokens_used_less_than_min_count"]:
        fewer, least = report["tokens_used_less_than_min_count"], report["settings"]["min_count"]
        yield (
            f"{report['size'] - fewer:,} tokens occur {least:,} times or more; the other {fewer:,} are "
            + ("roots, which count more than once, and " if report["profile"] == "morphological" else "")
            + "steps to longer ones (a larger vocabulary.step_gain allows fewer of these)"
        )
    for name, places in report["unfilled_quotas"].items():
        yield f"The text lacks {places:,} tokens for the quota of category {name}; others got the places"
    forms = report["keep"]["forms"]
    for form in forms:
        if form["id"] is None:
            tokens = counted(form["tokens"], "token")
            yield f"Not kept: {form['text']!r} is {tokens}, because {form['reason']}"
        elif form["origin"] == "base":
            yield f"Kept: {form['text']!r} is a token of the base"
        else:
            tokens = counted(form["tokens_before"], "token")
            why = f"instead of {tokens}" if form["tokens_before"] > 1 else "which the text gives by itself"
            before = f", but not before {listed(form['split_before'])}" if form["split_before"] else ""
            yield f"Kept: {form['text']!r} is token {form['id']}, {why}{before}"
    if others := report["keep"]["other_capitals"]:
        first = others[0]
        yield (
            f"Other capitals are terms of their own: {counted(len(others), 'form')} of these terms, such as "
            f"{first['text']!r} ({counted(first['tokens'], 'token')}), are not kept"
        )
    if forms:
        yield (
            f"The kept terms took {report['keep']['places']:,} places that would have saved "
            f"{report['keep']['tokens_that_the_places_would_save']:,} tokens of the text"
        )
    yield from _costs(report["protected"])
    for genre, figures in report["held_out"].items():
        yield (
            f"{genre:<24}{signed(-figures['saved'])} tokens, {figures['bytes_per_token_base']:.2f} -> "
            f"{figures['bytes_per_token']:.2f} bytes per token"
        )
    if "root_intact" in (last := report["size_trade_offs"][-1]):
        first = report["size_trade_offs"][0]
        without = percent(first["root_intact"])
        yield f"{'roots left intact':<24}{percent(last['root_intact'])}, {without} without the new tokens"
    for name, figures in {**report["other"], **report["protected"]["texts"]}.items():
        share = percent(figures["lines_changed"])
        yield f"{name:<24}{share} of {figures['lines']:,} lines change{_most(figures)}"
    for language, figures in report["protected"]["lists"].items():
        yield f"{f'word list {language}':<24}{percent(figures['share'])} of its running text changes"


def _costs(protected: dict[str, Any]) -> Iterator[str]:
    """What protection costs, where that was measured."""
    if protected["contractions_restored"]:
        yield (
            "English contractions are split off as in the base, because otherwise some of the lines to "
            "protect change before any merge"
        )
    names = {
        "strict": ("Strict protection", "without --protect-strict"),
        "all": ("Protection", "without any"),
    }
    for key, costs in protected["costs"].items():
        name, without = names[key]
        for text, figures in costs.items():
            saved, otherwise = percent(figures["saved"]), f"{percent(figures['saved_without'])} {without}"
            where = "learning text" if text == "learning_text" else "held-out text"
            yield (
                f"{name} costs {100 * figures['costs']:.2f} points on the {where}: "
                f"{saved} of the tokens saved, {otherwise}"
            )


def _most(figures: dict[str, Any]) -> str:
    """The most frequent change of a text."""
    changes = figures["changes"]
    if not changes["different"]:
        return ""
    first = changes["listed"][0]
    words, times = counted(changes["different"], "different word"), counted(first["count"], "time")
    return f"; {words}, most often {first['text']!r} ({times})"


def serve(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model folder.")]) -> None:
    """Serve a model over an OpenAI-compatible API. Not built yet."""
    raise NotAvailableError(
        "ekle serve is not built yet; any engine that loads Hugging Face folders serves the release"
    )
