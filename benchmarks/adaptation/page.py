"""The page of the laboratory, from the results that are there."""

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ekle.artifacts import Vocabulary
from ekle.files import read_json, whole_file

from .arms import CONTROL, Arm
from .jobs import Job
from .sizes import BaseName, Size

_TITLES: dict[BaseName, str] = {
    "knows": "A base that knows Turkish",
    "hardly": "A base that hardly knows Turkish",
}

Result = dict[str, Any]


def write_page(
    out: Path, folder: Path, jobs: Sequence[Job], size: Size, name: str, vocabulary: Vocabulary, machine: str
) -> None:
    """Write `out` from the results in `folder`; what is missing is left out and counted."""
    growth = vocabulary.report["growth"]
    saved = 1 - growth[-1]["tokens"] / growth[0]["tokens"]
    first, new = vocabulary.first_new_id, vocabulary.size
    lines = [
        "# New rows: which way to start and to train them",
        "",
        f"Written by `python -m benchmarks.adaptation --size {name}`; {machine}. Qwen3 architecture, "
        f"{size.shape.layers} layers of {size.shape.width}, untied rows, trained from scratch; {first:,} "
        f"base rows (Qwen's merges, trimmed), {new:,} new tokens (portable profile, {saved:.1%} fewer tokens "
        "on the text they are learned from). Each arm trains all weights with "
        f"AdamW, rate {size.arm_rate:g} falling to 0, {size.sequence * size.batch:,} tokens a step, "
        f"{size.replay_share:.0%} of them English.",
        "",
        f"**Equal compute**: the floating-point operations of {size.arm_steps} steps of the unchanged "
        "tokenizer; the larger softmax and the making of the rows (distilling, aligning) are paid from them. "
        "**Equal bytes**: at the step by which an arm has read the text that the unchanged tokenizer reads. "
        "Turkish and English are bits per byte on text that nobody learned from, "
        f"{size.held_out // 1000:,} KB each, the Turkish of other sources; lower is better. Mean and "
        "standard deviation over seeds (order of the text, noise of the rows); all seeds share one base.",
    ]
    for base in _TITLES:
        lines += ["", f"## {_TITLES[base]}", "", *_base(folder / base, base, jobs, folder, size)]
    with whole_file(out) as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _base(place: Path, base: BaseName, jobs: Sequence[Job], folder: Path, size: Size) -> list[str]:
    if not (place / "base.json").exists():
        return ["Not there yet."]
    found = _results(base, jobs, folder)
    lines = [_about(read_json(place / "base.json"), base, size)]
    if found.get(CONTROL):
        lines += ["", *_table(found, size), "", *_targets(found, base)]
    return lines


def _about(about: Result, base: BaseName, size: Size) -> str:
    curve, training = about["curve"], size.bases[base]
    last, before = curve[-1], curve[-1 - max(1, len(curve) // 5)]
    half = curve[len(curve) // 2 - 1]
    return (
        f"{training.steps:,} steps of {size.base_batch * size.sequence:,} tokens, "
        f"{training.turkish_share:.0%} of them Turkish, {about['seconds']:,.0f} seconds. Held-out Turkish "
        f"{last['turkish']:.3f} bits per byte ({half['turkish']:.3f} at half of the steps; the last fifth "
        f"lowered it by {1 - last['turkish'] / before['turkish']:.1%}, with a rate that fell to 0), "
        f"English {last['english']:.3f}."
    )


def _results(base: BaseName, jobs: Sequence[Job], folder: Path) -> dict[Arm, list[Result]]:
    found: dict[Arm, list[Result]] = {}
    for job in jobs:
        if job.base == base and job.arm is not None and job.result(folder).exists():
            found.setdefault(job.arm, []).append(read_json(job.result(folder)))
    return found


def _table(found: dict[Arm, list[Result]], size: Size) -> list[str]:
    control = found[CONTROL]
    longest = max(result["compute_steps"] for result in control)
    probes = [step for step in size.probes if step < longest]
    head = ["arm", "step 0", "against the base", *(f"step {step}" for step in probes)]
    head += [
        "equal bytes",
        "equal compute",
        "against unchanged",
        "English",
        "against unchanged",
        "rows' share of compute",
    ]
    head += ["seconds", "seeds"]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    order = sorted(found, key=lambda arm: (arm is not CONTROL, _mean(found[arm], _end)))
    start = _mean(control, _at(0))
    for arm in order:
        results = found[arm]
        paired = _paired(results, control)
        cells = [arm.name, _cell(results, _at(0)), f"{_mean(results, _at(0)) / start:.3f}"]
        cells += [_cell(results, _at(step)) for step in probes]
        cells += [_cell(results, _bytes), _cell(results, _end), f"{paired[0]:+.2%}"]
        cells += [_cell(results, lambda result: float(result["english"])), f"{paired[1]:+.2%}"]
        cells += [f"{_mean(results, lambda result: float(result['rows_share'])):.0%}"]
        cells += [f"{_mean(results, lambda result: float(result['seconds'])):.0f}", str(len(results))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _targets(found: dict[Arm, list[Result]], base: BaseName) -> list[str]:
    """What should be shown, and whether it is."""
    control, others = found[CONTROL], [arm for arm in found if arm is not CONTROL]
    if not others:
        return []
    first = min(others, key=lambda arm: _mean(found[arm], _at(0)))
    best = min(others, key=lambda arm: _paired(found[arm], control)[0])
    at_start = _mean(found[first], _at(0)) / _mean(control, _at(0))
    turkish, english = _paired(found[best], control)
    spread = [_end(result) / _end(_of_seed(control, result["seed"])) - 1 for result in found[best]]
    rows = [
        ("step 0, best arm at most 1.10 of the base", first.name, f"{at_start:.3f}", at_start <= 1.10),
        (
            "equal compute, best arm below the unchanged tokenizer",
            best.name,
            f"{turkish:+.2%} ({', '.join(f'{each:+.2%}' for each in spread)})",
            turkish < 0,
        ),
        ("its English no more than 1 % worse", best.name, f"{english:+.2%}", english <= 0.01),
    ]
    lines = ["| target | arm | found | |", "|---|---|---:|---|"]
    lines += [
        f"| {what} | {arm} | {value} | {'met' if met else '**missed**'} |" for what, arm, value, met in rows
    ]
    return lines


def _paired(results: Sequence[Result], control: Sequence[Result]) -> tuple[float, float]:
    """Mean change of Turkish and English at equal compute against the control of the same seed."""
    turkish, english = [], []
    for result in results:
        other = _of_seed(control, result["seed"])
        turkish.append(_end(result) / _end(other) - 1)
        english.append(result["english"] / other["english"] - 1)
    return statistics.fmean(turkish), statistics.fmean(english)


def _of_seed(control: Sequence[Result], seed: int) -> Result:
    return next((each for each in control if each["seed"] == seed), control[0])


def _end(result: Result) -> float:
    return float(result["turkish"][str(result["compute_steps"])])


def _bytes(result: Result) -> float:
    return float(result["turkish"][str(result["bytes_steps"])])


def _at(step: int) -> Callable[[Result], float]:
    return lambda result: float(result["turkish"].get(str(step), math.nan))


def _mean(results: Sequence[Result], value: Callable[[Result], float]) -> float:
    return statistics.fmean(map(value, results))


def _cell(results: Sequence[Result], value: Callable[[Result], float]) -> str:
    values = [value(result) for result in results]
    if len(values) < 2:
        return f"{values[0]:.4f}"
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"
