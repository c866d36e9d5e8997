"""What `ekle vocab` says when it is done."""

from collections.abc import Iterator
from typing import Any

from ekle.page.wording import counted, percent, signed


def findings(report: dict[str, Any]) -> Iterator[str]:
    """What a user should know about a new vocabulary, a line each, from its report.json."""
    repeats = report["text"].get("repeats", {})
    if repeats.get("lines_left_out"):
        yield (
            f"Repeated lines: {repeats['lines_left_out']:,} ({repeats['share_left_out']:.1%} of the text) "
            f"were left out, because each stood there more than {repeats['limit']} times"
        )
    if report["tokens_used_less_than_min_count"]:
        fewer, least = report["tokens_used_less_than_min_count"], report["settings"]["min_count"]
        yield (
            f"{report['size'] - fewer:,} tokens occur {least:,} times or more; the other {fewer:,} are "
            + ("roots, which count more than once, and " if report["profile"] == "morphological" else "")
            + "steps to longer ones (a larger vocabulary.step_gain allows fewer of these)"
        )
    for name, places in report["quota_places_left_to_others"].items():
        yield f"The text lacks {places:,} tokens for the quota of category {name}; others got the places"
    forms = report["keep"]["forms"]
    for form in forms:
        if form["was"] == "base":
            yield f"Kept: {form['text']!r} is a token of the base"
        else:
            tokens = counted(form["tokens_before"], "token")
            yield f"Kept: {form['text']!r} is token {form['id']}, instead of {tokens}"
    if forms:
        yield (
            f"The kept terms took {report['keep']['places']:,} places that would have saved "
            f"{report['keep']['tokens_that_the_places_would_save']:,} tokens of the text"
        )
    yield from _costs(report["protected"])
    for genre, figures in report["held_out"].items():
        yield (
            f"{genre:<24}{signed(-figures['saved'])} tokens, {figures['bytes_per_token_base']:.2f} -> "
            f"{figures['bytes_per_token']:.2f} bytes a token"
        )
    if "root_uncut" in (last := report["trades"][-1]):
        first = report["trades"][0]
        without = percent(first["root_uncut"])
        yield f"{'roots left whole':<24}{percent(last['root_uncut'])}, {without} without the new tokens"
    for name, figures in {**report["other"], **report["protected"]["texts"]}.items():
        share = percent(figures["lines_changed"])
        yield f"{name:<24}{share} of {figures['lines']:,} lines change{_most(figures)}"
    for language, figures in report["protected"]["lists"].items():
        yield f"{f'word list {language}':<24}{percent(figures['share'])} of its running text changes"


def _costs(protected: dict[str, Any]) -> Iterator[str]:
    """What protection costs, where that was measured."""
    if protected["contractions_put_back"]:
        yield (
            "English contractions are cut off as in the base, because without that some of the lines to "
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
