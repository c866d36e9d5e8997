"""docs/real.md and its curves, from docs/real.json alone, which is what the parts have kept."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.curves import Curve, Panel, write_curves
from benchmarks.markdown import publish, wrap
from benchmarks.real.parts import Parts, Result
from benchmarks.real.sizes import ENDS, Lines, Size, SizeName
from benchmarks.real.smollm import table
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
    if panels := _panels(results):
        write_curves(page.with_suffix(".svg"), panels)
    publish(page_of(record, page.with_suffix(".svg").name), page)


def page_of(record: Mapping[str, Any], curves: str = "real.svg") -> str:
    """The page for what docs/real.json holds; `curves` is the file of curves next to it."""
    results: Results = record["parts"]
    sections = [
        _head(record),
        _targets(results),
        _settling(results),
        _rules(results),
        _probes(results),
        _winner(results, curves),
        _profiles(results),
        _texts(results),
        _report(results),
        _smollm(results),
    ]
    return wrap("\n\n".join(part for section in sections for part in section)) + "\n"


def summary(results: Results) -> str:
    """One table of every model that is measured, as Markdown."""
    lines = ["| model | Turkish | over the base | English | over the base |", "|---|---:|---:|---:|---:|"]
    for ends in ENDS:
        base = results.get(f"rules-{ends}/base")
        lines += [f"| {ends}: {one['rule']} | {_pair(one, base)} |" for one in _measured(results, ends)]
    base = results.get("probes/base")
    lines += [f"| probe: {one['probe']} | {_pair(one, base)} |" for one in _of(results, "probes/", "probe")]
    for seed, one in _seeds(results):
        lines += [f"| seed {seed}: {name} | {_pair(one[name], one['base'])} |" for name in _MODELS]
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


def _targets(results: Results) -> Iterator[str]:
    """What was to be reached, and what was."""
    lines = [*_targets_of_rules(results), *_targets_of_training(results)]
    if lines:
        yield "## Targets"
        yield "\n".join(["| what | at most | measured | reached |", "|---|---:|---:|---|", *lines])


_OF_RULES = (
    ("mapped, 0 minutes", "tied", 1.34),
    ("mapped, 0 minutes", "untied", 1.28),
    ("mapped, 30 minutes", "tied", 1.08),
    ("mapped, 30 minutes", "untied", 1.08),
    ("mapped, 60 minutes", "tied", 1.05),
    ("mapped, 60 minutes", "untied", 1.05),
)
"""Rule, ends, and most times the bits of the settled base on Turkish."""
_ENGLISH = 1.005
"""Most times the bits of the settled base, or of the control."""


def _targets_of_rules(results: Results) -> Iterator[str]:
    for rule, ends, most in _OF_RULES:
        found, base = results.get(f"rules-{ends}/{rule}"), results.get(f"rules-{ends}/base")
        if found and base:
            for text, key, limit in (("Turkish", "turkish", most), ("English", "english", _ENGLISH)):
                yield _target(f"{rule}, {ends}: {text}, over the base", limit, found[key] / base[key])


def _targets_of_training(results: Results) -> Iterator[str]:
    for seed, one in _seeds(results):
        for text, key, limit in (("Turkish", "turkish", 1.06), ("English", "english", _ENGLISH)):
            what = f"trained, seed {seed}: {text}, over the control"
            yield _target(what, limit, one["ours"][key] / one["control"][key])


def _target(what: str, limit: float, found: float) -> str:
    return f"| {what} | {limit:.3f} | {found:.3f} | {'yes' if found <= limit else 'no'} |"


def _settling(results: Results) -> Iterator[str]:
    found = {ends: results[f"settle/{ends}"] for ends in ENDS if f"settle/{ends}" in results}
    if not found:
        return
    one, training = next(iter(found.values())), next(iter(found.values()))["training"]
    turkish, english = (str(Lines(*one[key])) for key in ("turkish_lines", "english_lines"))
    yield "## Settled first"
    if not one["trained_here"]:
        yield (
            "An instruction model gains much from any plain text. So everything is compared with a base that "
            "was settled before, and whose weights were given."
        )
    else:
        yield (
            "An instruction model gains much from any plain text. So the base is settled before anything is "
            f"compared: {one['steps']} steps of {one['step_tokens']:,} tokens with its own tokenizer, from "
            f"lines {turkish} of tr/train.txt, with {training['replay_share']:.0%} from lines {english} of "
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


def _of(results: Results, prefix: str, key: str) -> list[Result]:
    """The results whose names begin with `prefix` and that have `key`, by rising bits of Turkish."""
    found = [one for name, one in results.items() if name.startswith(prefix) and key in one]
    return sorted(found, key=lambda one: float(one["turkish"]))


def _seeds(results: Results) -> list[tuple[int, Result]]:
    """The runs with a control, by seed."""
    prefix = "winner/seed "
    found = [
        (int(name.removeprefix(prefix)), one) for name, one in results.items() if name.startswith(prefix)
    ]
    return sorted(found, key=lambda pair: pair[0])


def _probes(results: Results) -> Iterator[str]:
    found, base = _of(results, "probes/", "probe"), results.get("probes/base")
    if not found:
        return
    yield "## Probes of settings"
    yield (
        f"Each is trained for {found[0]['tokens']:,} tokens behind the same rows, over the tied base, and "
        "measured on the validation text, because choices are made by it. The start is what they are "
        "trained from. A training keeps its best weights; where the bits at its end are more than at its "
        f"start, those are the start's. *At the end* is the change of the text held out. {note(results)}"
    )
    rows = [{"probe": "settled base", **base}] if base else []
    if start := results.get("probes/start"):
        rows.append({"probe": "start", **start})
    heads = ["Turkish", "over the base", "English", "over the base", "at the end", "seconds"]
    lines = [f"| probe | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for one in [*rows, *found]:
        moved = f"{one['held_out'][-1] / one['held_out'][0] - 1:+.1%}" if "held_out" in one else ""
        lines.append(f"| {one['probe']} | {_pair(one, base)} | {moved} | {_seconds(one)} |")
    yield "\n".join(lines)


_TRAINED = {"ours": "extended, trained", "control": "control"}
_MODELS = {"start": "extended, not trained", **_TRAINED}


def _winner(results: Results, curves: str) -> Iterator[str]:
    seeds = _seeds(results)
    if not seeds:
        return
    about = seeds[0][1]["about"]
    yield "## Ours and the control"
    yield (
        f"One run of ekle with a control over the tied base: ours learns from {about['ours']['tokens']:,} "
        f"tokens in {about['ours']['steps']:,} steps. The control is the same base with its own tokenizer, "
        "trained by the same engine on the same text, and takes as many floating-point operations as ours, "
        f"the learning of the new rows included: {about['control']['tokens']:,} tokens in "
        f"{about['control']['steps']:,} steps. {note(results)}"
    )
    heads = ["Turkish", "over the control", "English", "over the control", "operations", "seconds"]
    lines = [f"| model | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for seed, one in seeds:
        named = {"base": "settled base", **_MODELS} if seed == seeds[0][0] else _TRAINED
        for name, words in named.items():
            taken = one["about"].get(name, {})
            flops = f"{taken['flops']:.3g}" if "flops" in taken else ""
            pair = _pair(one[name], one["control"])
            label = f"{words}, seed {seed}" if name in _TRAINED else words
            lines.append(f"| {label} | {pair} | {flops} | {_seconds(taken)} |")
    yield "\n".join(lines)
    if _panels(results):
        yield f"![Bits per byte of the validation text while training]({curves})"
    for seed, one in seeds:
        yield "\n".join(f"- {line}" for line in _crossings(seed, one["compared"]))
    yield (
        "The fits are a + b x^-c and a - b ln x through the evaluations of each training. Both trainings end "
        "with a rate that falls to 0, so a longer one is no continuation of these curves; the fits say where "
        "the curves lead, not what a longer run would reach. Text that the rows were learned from counts as "
        "operations, not as bytes."
    )


def _crossings(seed: int, compared: Mapping[str, Any]) -> Iterator[str]:
    """For each way to compare: how far ours is from the control, and where it crosses."""
    for by, found in compared.items():
        gap = found["difference"]
        where = f"{abs(gap):.1%} {'ahead of' if gap < 0 else 'behind'} the control".replace("%", " %")
        line = f"By {by}, seed {seed}: after {found['end']:.3g} {by}, ours is {where}"
        if found["crossing"] is not None:
            at = f"after {found['crossing']:.3g}" if found["crossing"] else "from the start on"
            yield f"{line}; it is below the control {at}."
            continue
        ends = [
            f"by the {kind} (off by {one['ours']['error']:.4f} and {one['control']['error']:.4f} bits) "
            + (
                f"it crosses at {one['crossing'] / found['end']:.1f} times that"
                if one["crossing"] is not None
                else f"it does not cross within {one['further']:,.0f} times that"
            )
            for kind, one in found["fits"].items()
        ]
        yield f"{line}, and does not cross it; {', '.join(ends) or 'there are too few points for a fit'}."


def _panels(results: Results) -> list[Panel]:
    """Curves by operations and by bytes, of two seeds at most."""
    seeds = _seeds(results)[:2]
    panels = []
    for key, unit, words in (("flops", 1e15, "operations, 10^15"), ("text_bytes", 1e6, "MB of text")):
        curves = [
            Curve(
                f"{name}, seed {seed}",
                [(float(point[key] or 0) / unit, point["bits_per_byte"]) for point in one["curves"][name]],
            )
            for seed, one in seeds
            for name in ("ours", "control")
        ]
        if curves and all(curve.points for curve in curves):
            panels.append(Panel(f"Turkish by {words.split(',')[0]}", curves, words))
    return panels


def _profiles(results: Results) -> Iterator[str]:
    found, base = _of(results, "profiles/", "profile"), results.get("profiles/base")
    if not found:
        return
    yield "## Profiles"
    yield (
        f"Each profile of the vocabulary with rows by {found[0]['rule']}, over the tied base, before "
        f"training. {note(results)}"
    )
    heads = ["tokens saved", "Turkish", "over the base", "English", "over the base"]
    lines = [f"| profile | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for one in found:
        vocabulary = results["vocab" if one["profile"] == "portable" else f"vocab/{one['profile']}"]
        saved = f"{100 * vocabulary['tokens_saved']:.1f} %"
        lines.append(f"| {one['profile']} | {saved} | {_pair(one, base)} |")
    yield "\n".join(lines)


def _texts(results: Results) -> Iterator[str]:
    if "texts" not in results:
        return
    yield "## What the models write"
    yield f"The likeliest token each time. {note(results)}"
    texts = results["texts"]["texts"]
    for prompt in next(iter(texts.values())):
        lines = [f"| {prompt} | |", "|---|---|"]
        lines += [f"| {name} | {_cell(by_prompt[prompt])} |" for name, by_prompt in texts.items()]
        yield "\n".join(lines)


def _cell(text: str) -> str:
    """Text that stays in one cell of a table, as it is."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _report(results: Results) -> Iterator[str]:
    if (found := results.get("report")) is None:
        return
    yield "## The whole report of a run"
    yield (
        f"The run above, to its end. Its report has {listed(found['sections'])}"
        f"{'; not ' + listed(found['empty']) if found['empty'] else ''}. Its verdict: {note(results)}"
    )
    yield "\n".join(f"- {' '.join(sentence.split())}" for sentence in found["verdict"])
    yield "The command and the recipe, with names in place of folders:"
    yield f"```\n{found['command']}\n```"
    yield f"```toml\n{found['recipe'].strip()}\n```"


def _smollm(results: Results) -> Iterator[str]:
    if (found := results.get("smollm")) is None:
        return
    yield "## A model that is no Qwen"
    if "refused" in found:
        yield f"SmolLM2-135M is refused: {found['refused']}"
        return
    yield (
        f"SmolLM2-135M has Llama's parts, 49,152 tokens, and knows no Turkish; it gets {found['tokens']:,} "
        "new tokens (`python -m benchmarks.real.smollm`)."
    )
    yield table(
        {
            name: {text: (int(n), float(bits)) for text, (n, bits) in by_text.items()}
            for name, by_text in found["models"].items()
        }
    )


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
