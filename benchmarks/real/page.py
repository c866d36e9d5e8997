"""docs/real.md and its curves, from docs/real.json alone, which is what the parts have kept."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.markdown import publish, wrap
from benchmarks.real.parts import Parts, Result
from benchmarks.real.sizes import ENDS, Lines, Size, SizeName
from ekle.errors import InputError
from ekle.files import write_json
from ekle.page.formatting import listed

Results = Mapping[str, Result]
"""By the name of the part."""

_SHORT = "(Qwen2.5: biases of queries, keys and values, no norms of queries and keys.)"
_QWEN2 = (
    "This is a Qwen2.5, whose queries, keys and values have biases and whose queries and keys have no norms; "
    "in a Qwen3 it is the other way round. No Qwen3 is measured here."
)


def write_page(page: Path, name: SizeName, size: Size, parts: Parts) -> None:
    """Write the results as JSON next to `page`, and from them the page and its curves.

    Raises:
        InputError: nothing is kept.
    """
    results = {part: found for part, found in parts.results().items() if not part.startswith("extended-")}
    if not results:
        raise InputError(f"{parts.folder} holds no results; measure some first")
    record = {"size": name, "text": _about_text(size), "parts": results}
    write_json(page.with_suffix(".json"), record)
    publish(page_of(record), page)


def page_of(record: Mapping[str, Any]) -> str:
    """The page for what docs/real.json holds."""
    results: Results = record["parts"]
    sections = [_head(record), _settling(results), _rules(results)]
    return wrap("\n\n".join(part for section in sections for part in section)) + "\n"


def summary(results: Results) -> str:
    """One table of every model that is measured, as Markdown."""
    lines = ["| model | Turkish | over the base | English | over the base |", "|---|---:|---:|---:|---:|"]
    for ends in ENDS:
        base = results.get(f"rules-{ends}/base")
        lines += [f"| {ends}: {one['rule']} | {_pair(one, base)} |" for one in _measured(results, ends)]
    return "\n".join(lines)


def _about_text(size: Size) -> dict[str, Any]:
    ranges = size.ranges
    return {
        "passage_bytes": size.passage_bytes,
        "test_bytes": size.test_bytes,
        "test": {f"dev_{genre}.txt": str(lines) for genre, lines in ranges.test.items()},
        "validation": {f"dev_{genre}.txt": str(lines) for genre, lines in ranges.validation.items()},
        "english": str(ranges.test_english),
        "validation_english": str(ranges.validation_english),
        "replay": str(ranges.replay),
        "settle_turkish": str(ranges.settle_turkish),
        "settle_english": str(ranges.settle_english),
    }


def _head(record: Mapping[str, Any]) -> Iterator[str]:
    text, results = record["text"], record["parts"]
    settled = results.get("settle/tied")
    yield "# A real Qwen"
    if settled is not None:
        yield (
            f"The base has {settled['layers']} layers of width {settled['hidden_size']:,} and "
            f"{settled['rows']:,} embedding rows. {_QWEN2 if note(results) else ''}".strip()
        )
    test = listed([f"lines {lines} of {file}" for file, lines in text["test"].items()])
    yield (
        f"Bits per byte are those of passages of {text['passage_bytes']:,} bytes, {text['test_bytes']:,} "
        f"bytes of each text: {test}; Turkish is the mean of the three. English is lines {text['english']} "
        f"of en.txt; replay text comes from its lines {text['replay']}. A passage is consecutive lines "
        "behind <|endoftext|>, and every token is scored, in float32. Settings and stopping are decided on "
        "other lines of the same files. Lines count from 0, and that after *to* is not read."
    )
    yield (
        "The page is made from docs/real.json by `python -m benchmarks.real --work DIR --write`; "
        f"`python -m benchmarks.real --size {record['size']}` measures."
    )


def note(results: Results) -> str:
    """What the base is not, to be said with every claim."""
    settled = results.get("settle/tied", {})
    return _SHORT if settled.get("model_type") == "qwen2" else ""


def _settling(results: Results) -> Iterator[str]:
    found = {ends: results[f"settle/{ends}"] for ends in ENDS if f"settle/{ends}" in results}
    if not found:
        return
    one, training = next(iter(found.values())), next(iter(found.values()))["training"]
    turkish, english = (str(Lines(*one[key])) for key in ("turkish_lines", "english_lines"))
    yield "## Settled first"
    yield (
        "An instruction model gains much from any plain text. So the base is settled before anything is "
        f"compared: {one['steps']} steps of {one['step_tokens']:,} tokens with its own tokenizer, from lines "
        f"{turkish} of tr/train.txt, with {training['replay_share']:.0%} from lines {english} of "
        f"other/en.txt (seed {one['seed']}, {training['optimizer']}, DoRA of rank "
        f"{training['dora']['rank']} with alpha {training['dora']['alpha']:g}, rate "
        f"{training['learning_rate']:g}, {training['schedule']}). The "
        "untied base has the same layers and gets the same adapter. Nothing after this reads those lines."
    ).replace("%", " %")
    lines = [
        "| base | Turkish before | settled | English before | settled | settled weights |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for ends, each in found.items():
        before, after = each["before"], each["after"]
        lines.append(
            f"| {ends} | {before['turkish']:.3f} | {after['turkish']:.3f} | {before['english']:.3f} | "
            f"{after['english']:.3f} | {'' if each['trained_here'] else 'given, '}"
            f"SHA-256 {each['settled_weights']} |"
        )
    yield "\n".join(lines)


def _rules(results: Results) -> Iterator[str]:
    for ends in ENDS:
        rows = _measured(results, ends)
        if not rows:
            continue
        base = results.get(f"rules-{ends}/base")
        yield f"## Rules for new rows before training, ends {ends}"
        if note(results):
            yield note(results)
        if vocabulary := results.get("vocab"):
            yield (
                f"{vocabulary['tokens']:,} new tokens save {vocabulary['tokens_saved']:.1%} of the tokens of "
                "the text they are learned from. *Over the base* compares with the settled base, and the "
                "rules stand in the order of Turkish."
            ).replace("%", " %")
        genres = list(rows[0]["genres"])
        heads = ["Turkish", "over the base", "English", "over the base", *genres, "seconds"]
        lines = [f"| rule | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
        for one in rows:
            by_genre = " | ".join(_ratio(one["genres"][name], _genre(base, name)) for name in genres)
            lines.append(f"| {one['rule']} | {_pair(one, base)} | {by_genre} | {_seconds(one)} |")
        yield "\n".join(lines)


def _measured(results: Results, ends: str) -> list[Result]:
    """The settled base, if it is measured, and the rules over it by rising bits of Turkish."""
    prefix, rows = f"rules-{ends}/", []
    for name, found in results.items():
        if name.startswith(prefix) and name != f"{prefix}base":
            rows.append(found)
    rows.sort(key=lambda one: float(one["turkish"]))
    base = results.get(f"{prefix}base")
    return [{"rule": "settled base", **base}, *rows] if base else rows


def _pair(found: Result, base: Result | None) -> str:
    """Bits of Turkish and English, each with its ratio to the base."""
    cells = []
    for name, places in (("turkish", 3), ("english", 4)):
        cells += [f"{found[name]:.3f}", f"{found[name] / base[name]:.{places}f}" if base else ""]
    return " | ".join(cells)


def _genre(base: Result | None, name: str) -> float | None:
    return float(base["genres"][name]) if base else None


def _ratio(bits: float, base: float | None) -> str:
    return f"{bits / base:.3f}" if base else f"{bits:.3f}"


def _seconds(found: Result) -> str:
    return f"{found['seconds']:,.0f}" if "seconds" in found else ""
