"""docs/adaptation.md: the page of this ablation, from the results that are there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.ablation.new_rows.jobs import Job, WorkFolders
from benchmarks.ablation.new_rows.results import (
    MAX_ENGLISH_CHANGE,
    MAX_LAST_FIFTH,
    MAX_START,
    Metric,
    Results,
    at,
    at_equal_bytes,
    end,
    english,
    results_over,
)
from benchmarks.ablation.new_rows.variants import CONTROLS, Variant
from benchmarks.ablation.sizes import BaseName, Size
from benchmarks.curves import Curve, Panel, write_curves
from benchmarks.markdown import mean_cell, paragraph, publish
from ekle.artifacts import Vocabulary
from ekle.files import read_json

_TITLES: dict[BaseName, str] = {
    "knows": "A base that knows Turkish",
    "hardly": "A base that hardly knows Turkish",
}
_COLUMNS = (50, 500)  # steps on the way that the table shows; the curves show more
_SIMPLE = "subword, rate x 2"  # drawn with the control, the best variant and the lowest before training


def write_page(
    out: Path, work_folders: WorkFolders, jobs: Sequence[Job], vocabulary: Vocabulary, cores: int
) -> None:
    """Write `out` and its curves from the results that are there; what is missing is left out."""
    lines = _head(work_folders, vocabulary)
    panels = []
    for base in work_folders.size.shared.bases:
        title = _TITLES[base]
        results = results_over(base, jobs, work_folders)
        lines += ["", f"## {title}", "", *_base(base, results, work_folders)]
        panels += [_panel(title, results)] if _measured(results) else []
    if panels:
        drawn = out.with_suffix(".svg")
        write_curves(drawn, panels)
        lines += ["", f"![Held-out Turkish by compute, mean of the seeds]({drawn.name})"]
    lines += ["", _times(jobs, work_folders, cores)]
    publish("\n".join(lines) + "\n", out)


def _times(jobs: Sequence[Job], work_folders: WorkFolders, cores: int) -> str:
    """How long all finished work took, and how long it takes with one seed."""
    planned = [(work_folders.bases.curve(name), True) for name in work_folders.size.shared.bases]
    planned += [(work_folders.result(job), job.seed == 0) for job in jobs]
    done = [(float(read_json(path)["seconds"]), first) for path, first in planned if path.exists()]
    whole, one_seed = sum(each for each, _ in done), sum(each for each, first in done if first)
    return paragraph(
        f"{len(done)} of {len(planned)} bases and variants are done. They took {whole:,.0f} seconds of one "
        f"core or GPU: {whole / 60 / cores:.0f} minutes on {cores} idle cores. The bases and one seed of "
        f"each variant take {one_seed / 60 / cores:.0f}."
    )


def _head(work_folders: WorkFolders, vocabulary: Vocabulary) -> list[str]:
    size, shared = work_folders.size, work_folders.size.shared
    growth = vocabulary.report["growth"]
    saved = 1 - growth[-1]["tokens"] / growth[0]["tokens"]
    return [
        "# New rows: which way to start and to train them",
        "",
        paragraph(
            f"Written by `python -m benchmarks.ablation.new_rows --size {work_folders.bases.name}`. Qwen3 "
            f"architecture, {shared.shape.layers} layers of {shared.shape.width}, untied embeddings, trained "
            f"from scratch; {vocabulary.first_new_id:,} base embedding rows (Qwen's merges, trimmed), "
            f"{vocabulary.size:,} new tokens (portable profile, {saved:.1%} fewer tokens on the text they "
            f"are learned from). Each variant trains all weights with AdamW, "
            f"{shared.sequence * size.batch:,} tokens per step, {size.replay_share:.0%} of them English. The "
            f"rates fall to 0: new rows from {size.rows_rate:g}, all other weights from {size.rate:g}, "
            "unless the variant's name says otherwise."
        ),
        "",
        paragraph(
            "**[Equal compute](glossary.md#equal-compute)**: the floating-point operations of "
            f"{size.steps:,} steps of the unchanged tokenizer. The larger softmax and the new rows "
            "themselves (distilling, aligning) are paid from them. **Equal bytes**: the step by which a "
            "variant has read as much text as the unchanged tokenizer reads. Turkish "
            f"({shared.test_bytes // 1000:,} KB of other sources) and English are [bits per "
            "byte](glossary.md#bits-per-byte) on test text that no model learned from; lower is better. "
            "Choices (the control's rate; the best variant, lowest on Turkish with English within "
            f"{MAX_ENGLISH_CHANGE:.0%}) are made on validation text, another "
            f"{shared.validation_bytes // 1000:,} KB of each. Mean and standard deviation over seeds (order "
            "of the text, noise of the rows); all seeds share one base. Changes are against the same "
            "seeds of the control."
        ),
    ]


def _measured(results: Results) -> bool:
    return any(variant in results.found for variant in CONTROLS)


def _panel(title: str, results: Results) -> Panel:
    simple = next((variant for variant in results.found if variant.name == _SIMPLE), None)
    variants = dict.fromkeys(
        variant
        for variant in (results.lowest_at_end(), results.lowest_at_start(), simple)
        if variant is not None
    )
    lines = [Curve("control", results.curve(results.control))]
    lines += [Curve(variant.name, results.curve(variant)) for variant in variants]
    return Panel(title, lines, "share of the control's compute", "Turkish, bits per byte")


def _base(base: BaseName, results: Results, work_folders: WorkFolders) -> list[str]:
    if not work_folders.bases.curve(base).exists():
        return ["Not there yet."]
    about = read_json(work_folders.bases.curve(base))
    lines = [_about(about, base, work_folders.size)]
    if not _measured(results):
        return lines
    lines += ["", *_table(results, work_folders.size), "", *_rates(results, work_folders.size)]
    return [*lines, "", *_targets(results, _last_fifth(about["curve"]) if base == "knows" else None)]


def _last_fifth(curve: Sequence[dict[str, float]]) -> float:
    """Share by which the last fifth of a base's training lowered Turkish."""
    return 1 - curve[-1]["turkish"] / curve[-1 - max(1, len(curve) // 5)]["turkish"]


def _about(about: dict[str, Any], base: BaseName, size: Size) -> str:
    curve, training = about["curve"], size.shared.bases[base]
    last, half = curve[-1], curve[len(curve) // 2 - 1]
    return paragraph(
        f"{training.steps:,} steps of {size.shared.batch * size.shared.sequence:,} tokens, "
        f"{training.turkish_share:.0%} of them Turkish, {about['seconds']:,.0f} seconds. On the validation "
        f"text, Turkish is {last['turkish']:.3f} bits per byte ({half['turkish']:.3f} at half of the steps; "
        f"the last fifth lowered it by {_last_fifth(curve):.2%}, with a rate that fell to 0), English "
        f"{last['english']:.3f}."
    )


def _table(results: Results, size: Size) -> list[str]:
    steps = [step for step in _COLUMNS if step in size.probes and step < size.steps]
    head = ["variant", "step 0", "against the base", *(f"step {step}" for step in steps), "equal bytes"]
    head += ["equal compute", "against the control", "English", "against the control"]
    head += ["rows' share of compute", "seconds", "seeds"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    control = results.control
    for variant in [
        control,
        *(variant for variant in CONTROLS if variant in results.found and variant != control),
        *results.ranked(),
    ]:
        start = results.mean(variant, at(0)) / results.mean(control, at(0))
        cells = [variant.name, _cell(results, variant, at(0)), f"{start:.3f}"]
        cells += [_cell(results, variant, at(step)) for step in steps]
        cells += [_cell(results, variant, at_equal_bytes)]
        for value in (end, english):
            cells += [_cell(results, variant, value), f"{results.change_against(variant, value)[0]:+.2%}"]
        cells += [f"{results.mean(variant, lambda result: float(result['rows_share'])):.0%}"]
        cells += [f"{results.mean(variant, lambda result: float(result['seconds'])):.0f}"]
        lines.append("| " + " | ".join([*cells, str(len(results.found[variant]))]) + " |")
    return lines


def _rates(results: Results, size: Size) -> list[str]:
    """How the rate of the control was chosen."""
    there = sorted(
        (variant for variant in CONTROLS if variant in results.found), key=lambda variant: -variant.rate
    )
    tried = [
        f"{size.rate * variant.rate:g} gives {results.found[variant][0]['validation']['turkish']:.4f}"
        for variant in there
    ]
    text = (
        f"The control is the unchanged tokenizer at the best of {len(there)} rates on the validation text, "
        f"first seed: {', '.join(tried)}."
    )
    best = results.lowest_at_end()
    if best is not None and (equal := results.same_rate(best)) not in (None, results.control):
        turkish, english_too = (results.change_against(best, value, equal) for value in (end, english))
        text += (
            f" Against the unchanged tokenizer at its own rate, {best.name} is at {turkish[0]:+.2%} on "
            f"Turkish and {english_too[0]:+.2%} on English (seeds: {len(turkish[1])})."
        )
    return [paragraph(text)]


def _targets(results: Results, last_fifth: float | None) -> list[str]:
    """The targets, and whether they are met; with `last_fifth`, also whether the base's curve was flat."""
    first, best = results.lowest_at_start(), results.lowest_at_end()
    if first is None or best is None:
        return []
    start = results.mean(first, at(0)) / results.mean(results.control, at(0))
    turkish, english_change = results.change_against(best, end), results.change_against(best, english)
    rows = [
        (
            f"step 0, best variant at most {MAX_START:.2f} of the base",
            first,
            f"{start:.3f}",
            start <= MAX_START,
        ),
        ("equal compute, best variant below the control", best, _changes(turkish), turkish[0] < 0),
        (
            f"its English at most {MAX_ENGLISH_CHANGE:.0%} worse",
            best,
            _changes(english_change),
            english_change[0] <= MAX_ENGLISH_CHANGE,
        ),
    ]
    rows += (
        [
            (
                f"the base is flat: the last fifth of its training lowers Turkish by at most "
                f"{MAX_LAST_FIFTH:.1%}",
                results.control,
                f"{last_fifth:.2%}; {_changes(results.gain())} more by the same text as the variants",
                last_fifth <= MAX_LAST_FIFTH,
            )
        ]
        if last_fifth is not None
        else []
    )
    lines = ["| target | variant | found | |", "|---|---|---:|---|"]
    lines += [
        f"| {what} | {variant.name} | {value} | {'met' if met else '**missed**'} |"
        for what, variant, value, met in rows
    ]
    return lines


def _changes(change: tuple[float, list[float]]) -> str:
    return f"{change[0]:+.2%} ({', '.join(f'{each:+.2%}' for each in change[1])})"


def _cell(results: Results, variant: Variant, value: Metric) -> str:
    return mean_cell([value(result) for result in results.found[variant]])
