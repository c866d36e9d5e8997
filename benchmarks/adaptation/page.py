"""The page of the laboratory, from the results that are there."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.curves import Line, Panel, write_curves
from ekle.artifacts import Vocabulary
from ekle.files import read_json, whole_file

from .arms import CONTROLS, Arm
from .places import Job, Places
from .results import ENGLISH, FLAT, START, Results, Value, at, at_equal_bytes, end, english, results_over
from .sizes import BaseName, Size

_TITLES: dict[BaseName, str] = {
    "knows": "A base that knows Turkish",
    "hardly": "A base that hardly knows Turkish",
}
_COLUMNS = (50, 500)  # steps on the way that the table shows; the curves have more
_SIMPLE = "subword, rate x 2"  # drawn beside the control, the best arm and the nearest before training


def write_page(out: Path, places: Places, jobs: Sequence[Job], vocabulary: Vocabulary, cores: int) -> None:
    """Write `out` and its curves from the results there are; what is missing is left out."""
    lines = _head(places, vocabulary)
    panels = []
    for base in places.size.ground.bases:
        title = _TITLES[base]
        results = results_over(base, jobs, places)
        lines += ["", f"## {title}", "", *_base(base, results, places)]
        panels += [_panel(title, results)] if _measured(results) else []
    if panels:
        drawn = out.with_suffix(".svg")
        write_curves(drawn, panels)
        lines += ["", f"![Held-out Turkish by compute, mean of the seeds]({drawn.name})"]
    lines += ["", _times(jobs, places, cores)]
    with whole_file(out) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _times(jobs: Sequence[Job], places: Places, cores: int) -> str:
    """What all that is done took, and what it takes with one seed."""
    done = [job for job in jobs if places.result(job).exists()]
    seconds = {job: float(read_json(places.result(job))["seconds"]) for job in done}
    whole, first = sum(seconds.values()), sum(seconds[job] for job in done if job.seed == 0)
    return (
        f"{len(done)} of {len(jobs)} bases and arms are done. They took {whole:,.0f} seconds of one core "
        f"or GPU: {whole / 60 / cores:.0f} minutes on {cores} cores with nothing else to do; the bases and "
        f"one seed of each arm {first / 60 / cores:.0f}."
    )


def _head(places: Places, vocabulary: Vocabulary) -> list[str]:
    size, ground = places.size, places.size.ground
    growth = vocabulary.report["growth"]
    saved = 1 - growth[-1]["tokens"] / growth[0]["tokens"]
    return [
        "# New rows: which way to start and to train them",
        "",
        f"Written by `python -m benchmarks.adaptation --size {places.name}`. Qwen3 architecture, "
        f"{ground.shape.layers} layers of {ground.shape.width}, untied rows, trained from scratch; "
        f"{vocabulary.first_new_id:,} base rows (Qwen's merges, trimmed), {vocabulary.size:,} new tokens "
        f"(portable profile, {saved:.1%} fewer tokens on the text they are learned from). Each arm trains "
        f"all weights with AdamW, {ground.sequence * size.batch:,} tokens a step, "
        f"{size.replay_share:.0%} of them English. The rates fall to 0: new rows from {size.rows_rate:g}, "
        "all other weights from "
        f"{size.rate:g}, where the arm's name does not say otherwise.",
        "",
        f"**Equal compute**: the floating-point operations of {size.steps:,} steps of the unchanged "
        "tokenizer; the larger softmax and the making of the rows (distilling, aligning) are paid from them. "
        "**Equal bytes**: at the step by which an arm has read the text that the unchanged tokenizer reads. "
        f"Turkish ({ground.page // 1000:,} KB of other sources) and English are bits per byte on text that "
        "nobody learned from; lower is better. What is picked (the control's rate; the best arm, lowest on "
        f"Turkish with English within {ENGLISH:.0%}) is picked by another {ground.choose // 1000:,} KB of "
        "each. Mean and standard deviation over seeds (order of the text, noise of the rows); all seeds "
        "share one base. Changes are against the control's same seeds.",
    ]


def _measured(results: Results) -> bool:
    return any(arm in results.found for arm in CONTROLS)


def _panel(title: str, results: Results) -> Panel:
    simple = next((arm for arm in results.found if arm.name == _SIMPLE), None)
    arms = dict.fromkeys(arm for arm in (results.best(), results.first(), simple) if arm is not None)
    lines = [Line("control", results.curve(results.control))]
    lines += [Line(arm.name, results.curve(arm)) for arm in arms]
    return Panel(title, lines, "share of the control's compute", "Turkish, bits per byte")


def _base(base: BaseName, results: Results, places: Places) -> list[str]:
    if not (places.base(base) / "base.json").exists():
        return ["Not there yet."]
    about = read_json(places.base(base) / "base.json")
    lines = [_about(about, base, places.size)]
    if not _measured(results):
        return lines
    lines += ["", *_table(results, places.size), "", *_rates(results, places.size)]
    return [*lines, "", *_targets(results, _last_fifth(about["curve"]) if base == "knows" else None)]


def _last_fifth(curve: Sequence[dict[str, float]]) -> float:
    """Share by which the last fifth of a base's training lowered Turkish."""
    return 1 - curve[-1]["turkish"] / curve[-1 - max(1, len(curve) // 5)]["turkish"]


def _about(about: dict[str, Any], base: BaseName, size: Size) -> str:
    curve, training = about["curve"], size.ground.bases[base]
    last, half = curve[-1], curve[len(curve) // 2 - 1]
    return (
        f"{training.steps:,} steps of {size.ground.batch * size.ground.sequence:,} tokens, "
        f"{training.turkish_share:.0%} of them Turkish, {about['seconds']:,.0f} seconds. On the text to "
        f"choose on, Turkish is {last['turkish']:.3f} bits per byte ({half['turkish']:.3f} at half of the "
        f"steps; the last fifth lowered it by {_last_fifth(curve):.2%}, with a rate "
        f"that fell to 0), English {last['english']:.3f}."
    )


def _table(results: Results, size: Size) -> list[str]:
    steps = [step for step in _COLUMNS if step in size.probes and step < size.steps]
    head = ["arm", "step 0", "against the base", *(f"step {step}" for step in steps), "equal bytes"]
    head += ["equal compute", "against the control", "English", "against the control"]
    head += ["rows' share of compute", "seconds", "seeds"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    control = results.control
    for arm in [
        control,
        *(arm for arm in CONTROLS if arm in results.found and arm != control),
        *results.others(),
    ]:
        start = results.mean(arm, at(0)) / results.mean(control, at(0))
        cells = [arm.name, _cell(results, arm, at(0)), f"{start:.3f}"]
        cells += [_cell(results, arm, at(step)) for step in steps]
        cells += [_cell(results, arm, at_equal_bytes)]
        for value in (end, english):
            cells += [_cell(results, arm, value), f"{results.against(arm, value)[0]:+.2%}"]
        cells += [f"{results.mean(arm, lambda result: float(result['rows_share'])):.0%}"]
        cells += [f"{results.mean(arm, lambda result: float(result['seconds'])):.0f}"]
        lines.append("| " + " | ".join([*cells, str(len(results.found[arm]))]) + " |")
    return lines


def _rates(results: Results, size: Size) -> list[str]:
    """How the control came by its rate."""
    there = sorted((arm for arm in CONTROLS if arm in results.found), key=lambda arm: -arm.rate)
    tried = [
        f"{size.rate * arm.rate:g} gives {results.found[arm][0]['choose']['turkish']:.4f}" for arm in there
    ]
    lines = [
        f"The control is the unchanged tokenizer at the best of {len(there)} rates, by the text to choose "
        f"on, first seed: {', '.join(tried)}."
    ]
    best = results.best()
    if best is not None and (equal := results.same_rate(best)) not in (None, results.control):
        turkish, english_too = (results.against(best, value, equal) for value in (end, english))
        lines[0] += (
            f" Against the unchanged tokenizer at its own rate, {best.name} is at {turkish[0]:+.2%} on "
            f"Turkish and {english_too[0]:+.2%} on English (seeds: {len(turkish[1])})."
        )
    return lines


def _targets(results: Results, last_fifth: float | None) -> list[str]:
    """What should be shown, and whether it is; with `last_fifth`, also whether the base was at its end."""
    first, best = results.first(), results.best()
    if first is None or best is None:
        return []
    start = results.mean(first, at(0)) / results.mean(results.control, at(0))
    turkish, english_change = results.against(best, end), results.against(best, english)
    rows = [
        (f"step 0, best arm at most {START:.2f} of the base", first, f"{start:.3f}", start <= START),
        ("equal compute, best arm below the control", best, _changes(turkish), turkish[0] < 0),
        (
            f"its English at most {ENGLISH:.0%} worse",
            best,
            _changes(english_change),
            english_change[0] <= ENGLISH,
        ),
    ]
    rows += (
        [
            (
                f"the base is flat: the last fifth of its training lowers Turkish by at most {FLAT:.1%}",
                results.control,
                f"{last_fifth:.2%}; {_changes(results.gain())} more by the same text as the arms",
                last_fifth <= FLAT,
            )
        ]
        if last_fifth is not None
        else []
    )
    lines = ["| target | arm | found | |", "|---|---|---:|---|"]
    lines += [
        f"| {what} | {arm.name} | {value} | {'met' if met else '**missed**'} |"
        for what, arm, value, met in rows
    ]
    return lines


def _changes(change: tuple[float, list[float]]) -> str:
    return f"{change[0]:+.2%} ({', '.join(f'{each:+.2%}' for each in change[1])})"


def _cell(results: Results, arm: Arm, value: Value) -> str:
    values = [value(result) for result in results.found[arm]]
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
