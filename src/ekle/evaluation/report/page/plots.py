"""The plots of the evaluation's page, the curves of the training logs among them."""

from collections.abc import Sequence
from typing import Any, Literal

from ekle.artifacts.evaluation_report import (
    ALL_HELD_OUT,
    CONTROL,
    EvaluationReport,
    Figure,
    LogEntry,
    TrainingLogs,
    text_title,
)
from ekle.evaluation.report.page.tables import colours, peers, sections, source_with, task_groups
from ekle.evaluation.trust.provenance import curve
from ekle.page.plots import Plot, figure, trade_plots

_ROW, _DOT, _FRAME = 30, 14, 96  # pixels: a bar, a dot, and title, axis and legend around all of them


def plots(report: EvaluationReport) -> dict[str, Plot]:
    """Every plot that the report has data for, by its name on the page.

    The plots of a section that the page leaves out are left out, too.
    """
    held_out = list(report.texts.held_out)
    held_out += [ALL_HELD_OUT] if len(held_out) > 1 else []
    drawn: dict[str, dict[str, Plot | None]] = {
        "tokens": {
            "words": words(report),
            "growth": growth(report),
            **trade_plots(report.vocabulary.size_trade_offs if report.vocabulary else []),
        },
        "peers": {"peers": savings(report)},
        "morphology": {"kinds": kinds(report)},
        "likelihood": {"likelihood": likelihood(report, held_out)},
        "tasks": {"tasks": tasks(report)},
        "control": control(report),
        "training": training(report),
        "forgetting": {"forgetting": likelihood(report, list(report.texts.other_names.values()))},
    }
    there = {name for name, _ in sections(report)}
    return {
        name: plot
        for section, members in drawn.items()
        if section in there
        for name, plot in members.items()
        if plot is not None
    }


def words(report: EvaluationReport) -> Plot | None:
    """Tokens per word by genre: base and extended as bars, the floor as a line across them."""
    if report.tokens is None:
        return None
    genres = report.tokens.by_text
    names = list(genres)
    if len(names) > 1:
        genres = genres | {text_title(ALL_HELD_OUT): report.tokens.all_held_out}
        names.append(text_title(ALL_HELD_OUT))
    by_tokenizer = {
        "base": [genres[name].base.tokens_per_word for name in names],
        "extended": [genres[name].extended.tokens_per_word for name in names],
    }
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": key,
            "meta": key,
            "y": names,
            "x": values,
            "text": [f"{value:.2f}" for value in values],
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{x:.3f} tokens per word<extra>" + key + "</extra>",
        }
        for key, values in by_tokenizer.items()
    ]
    longest = max(value for values in by_tokenizer.values() for value in values)
    floor = {
        "type": "scatter",
        "mode": "markers",
        "name": "floor",
        "meta": "ink",
        "y": names,
        "x": [genres[name].floor.tokens_per_word for name in names],
        "marker": {"symbol": "line-ns-open", "size": 26, "line": {"width": 2}},
        "hovertemplate": "%{y}: %{x:.3f} at one token per pre-token<extra>floor</extra>",
    }
    # Plotly stacks a group from below; reversed axes put the first genre and the base on top.
    return figure(
        [*bars, floor],
        height=_FRAME + 2 * _ROW * len(names),
        x={"title": {"text": "tokens per word"}, "range": [0, 1.15 * longest]},  # room for the labels
        y={"autorange": "reversed", "type": "category"},
        bargap=0.3,
    )


def growth(report: EvaluationReport) -> Plot | None:
    """What the vocabulary saves as it grows, on the text that the vocabulary stage names."""
    points = report.vocabulary.growth if report.vocabulary else []
    if len(points) < 2:
        return None
    sizes = [point["size"] for point in points]
    if sizes[0] == 0:
        first = points[0]["tokens"]
        values, title, unit = [1 - point["tokens"] / first for point in points], "tokens saved", ".0%"
    else:
        values, title, unit = [point["tokens"] for point in points], "tokens", ","
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": title,
        "meta": "extended",
        "x": sizes,
        "y": values,
        "hovertemplate": "%{x:,} new tokens: %{y:" + unit.replace(".0%", ".1%") + "}<extra></extra>",
    }
    return figure(
        [line],
        height=320,
        x={"title": {"text": "new tokens"}, "tickformat": ",", "rangemode": "tozero"},
        y={
            "title": {"text": title},
            "tickformat": unit,
            "rangemode": "tozero" if sizes[0] == 0 else "normal",
        },
        showlegend=False,
    )


def likelihood(report: EvaluationReport, names: Sequence[str]) -> Plot | None:
    """Bits per byte of each model on each of the texts `names`: a dot, and a line for the interval."""
    models = report.likelihood or {}
    names = [name for name in names if name in models.get("base", {})]
    if not names:
        return None
    values = {model: [by_text[name].bits_per_byte for name in names] for model, by_text in models.items()}
    dots = _dots(report, [text_title(name) for name in names], values, "%{x:.3f} bits per byte")
    # A range of our own: with dots at different heights Plotly would start the axis at 0.
    low = min(_limit(value.low, value) for found in values.values() for value in found)
    high = max(_limit(value.high, value) for found in values.values() for value in found)
    edge = 0.06 * (high - low or high)
    axis = {"title": {"text": "bits per byte, less is better"}, "range": [low - edge, high + edge]}
    return _by_name(dots, names, axis)


def tasks(report: EvaluationReport) -> Plot | None:
    """The score of each model on each task, and what guessing gives."""
    asked = {name: part for _, members in task_groups(report) for name, part in members}
    if not asked:
        return None
    models = next(iter(asked.values())).models
    values = {
        model: [
            score
            for part in asked.values()
            if (score := part.models[model].score(part.main_score)) is not None
        ]
        for model in models
    }
    dots = _dots(report, list(asked), values, "%{x:.1%}")
    chances = {name: part.chance for name, part in asked.items() if part.chance is not None}
    guessing = {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "name": "guessing",
        "meta": "ink",
        "y": list(chances),
        "x": list(chances.values()),
        "marker": {"symbol": "line-ns-open", "size": 14, "line": {"width": 2}},
        "hovertemplate": "%{y}: %{x:.1%}<extra>guessing</extra>",
    }
    axis = {"title": {"text": "score"}, "tickformat": ".0%", "rangemode": "tozero"}
    return _by_name([*dots, guessing] if chances else dots, list(asked), axis)


def savings(report: EvaluationReport) -> Plot | None:
    """Tokens saved by each tokenizer, the best on top."""
    own = colours(report)
    shown = [(row.name, row.saved) for row in peers(report) if row.saved]
    shown.sort(key=lambda row: -row[1].value)
    if not shown:
        return None
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "meta": own[name],
            "y": [name],
            "x": [saved.value],
            "error_x": _error([saved]),
            "hovertemplate": "%{y}: %{x:.1%} fewer tokens<extra></extra>",
        }
        for name, saved in shown
    ]
    return figure(
        bars,
        height=_FRAME + int(1.2 * _ROW * len(bars)),
        x={"title": {"text": "tokens saved"}, "tickformat": ".0%", "rangemode": "tozero"},
        y={"autorange": "reversed", "type": "category"},
        barmode="overlay",
        bargap=0.4,
        showlegend=False,
    )


def kinds(report: EvaluationReport) -> Plot | None:
    """The shares of tokens that are whole words, morphemes, chains of morphemes, or neither."""
    tokenizers = {name: own.tokens for name, own in source_with(report, "tokens")[1].items() if own.tokens}
    if not tokenizers:
        return None
    names = list(tokenizers)
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "meta": own,
            "y": names,
            "x": [getattr(tokenizers[name], key).value for name in names],
            "hovertemplate": "%{y}: %{x:.1%} " + title + "<extra></extra>",
        }
        for key, title, own in _KINDS
    ]
    return figure(
        bars,
        height=_FRAME + int(1.2 * _ROW * len(names)),
        x={"tickformat": ".0%", "range": [0, 1], "dtick": 0.25},
        y={"autorange": "reversed", "type": "category"},
        barmode="stack",
        bargap=0.35,
        showlegend=True,
    )


_KINDS = (
    ("whole", "whole word", "line-1"),
    ("morphemes", "morpheme", "line-3"),
    ("chains", "several morphemes", "line-4"),
    ("neither", "neither", "base"),
)


def _dots(
    report: EvaluationReport, names: Sequence[str], values: dict[str, list[Figure]], shown: str
) -> list[dict[str, Any]]:
    """A dot per model and name, with its interval; `shown` is the text of the figure under the pointer."""
    own = colours(report)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "orientation": "h",
            "name": model,
            "meta": own[model],
            "y": list(names),
            "x": [value.value for value in found],
            "error_x": _error(found),
            "marker": {"size": 10},
            "hovertemplate": "%{y}: " + shown + "<extra>" + model + "</extra>",
        }
        for model, found in values.items()
    ]


def _by_name(dots: list[dict[str, Any]], names: Sequence[str], x: dict[str, Any]) -> Plot:
    """A strip per name, the first on top, in which each model's dot has a height of its own."""
    return figure(
        dots,
        height=_FRAME + len(names) * (_ROW // 2 + _DOT * len(dots)),
        x=x,
        y={"range": [len(names) - 0.5, -0.5], "type": "category"},
        showlegend=True,
        scattermode="group",
        scattergap=0.35,
    )


def _limit(limit: float | None, figure: Figure) -> float:
    """A limit of a figure, which is the figure itself where the interval is not known."""
    return figure.value if limit is None else limit


def _error(values: Sequence[Figure]) -> dict[str, Any]:
    """Intervals as error bars; of no length where they are not known."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_limit(value.high, value) - value.value for value in values],
        "arrayminus": [value.value - _limit(value.low, value) for value in values],
        "thickness": 1.5,
        "width": 0,
    }


def training(report: EvaluationReport) -> dict[str, Plot | None]:
    """Bits per byte, loss per token, and other curves of training; None for what no log holds."""
    logs = report.training or TrainingLogs()
    bits = [
        _curve(logs.extended, "bits_per_byte", "text trained on", "extended"),
        _curve(logs.extended, "held_out_bits_per_byte", "held-out text", "trained"),
    ]
    losses = [
        _curve(logs.base, "loss", "the base, before extension", "base"),
        _curve(logs.extended, "loss_per_token", "after extension", "trained"),
    ]
    shares = [_curve(logs.extended, key, name, colour) for key, name, colour in _SHARES]
    gradient = [_curve(logs.extended, "grad_norm", "norm of the gradient", "trained")]
    return {
        "training-bits": _curves(bits, "bits per byte"),
        "training-loss": _curves(losses, "loss per token"),
        "training-gradient": _curves(
            gradient,
            "norm of the gradient",
            type="log",
            tickvals=_NORMS,
            ticktext=[f"{tick:g}" for tick in _NORMS],
        ),
        "training-shares": _curves(shares, "share", tickformat=".0%", range=[0, 1.02]),
    }


def control(report: EvaluationReport) -> dict[str, Plot | None]:
    """Bits per byte of ours and of the control, by compute and by bytes; None where they are not known."""
    if report.control is None:
        return {}
    curves = {
        "ours": (report.control.ours, "trained"),
        "control": (report.control.control, colours(report).get(CONTROL, "line-3")),
    }

    def drawn(key: Literal["flops", "text_bytes"], title: str, crossing: float | None) -> Plot:
        lines: list[dict[str, Any]] = [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "meta": colour,
                "x": [getattr(point, key) for point in points],
                "y": [point.bits_per_byte for point in points],
                "customdata": [point.step for point in points],
                "hovertemplate": "step %{customdata:,}: %{y:.3f}<extra>" + name + "</extra>",
            }
            for name, (points, colour) in curves.items()
        ]
        if crossing is not None:
            every = [value for line in lines for value in line["y"]]
            lines.append(_mark(crossing, min(every), max(every)))
        x = {"title": {"text": title}, "rangemode": "tozero"}
        return figure(lines, 320, x=x, y={"title": {"text": "bits per byte"}}, showlegend=True)

    by_bytes = report.control.difference_by_bytes is not None
    return {
        "control-compute": drawn("flops", "floating-point operations", report.control.crossing_flops),
        "control-bytes": drawn("text_bytes", "bytes of text", report.control.crossing_bytes)
        if by_bytes
        else None,
    }


def _mark(x: float, low: float, high: float) -> dict[str, Any]:
    """Where two curves cross: a dotted line over the height of the curves."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "crossing",
        "meta": "ink",
        "line": {"dash": "dot", "width": 1},
        "x": [x, x],
        "y": [low, high],
        "hoverinfo": "skip",
    }


_NORMS = [part * 10.0**power for power in range(-4, 5) for part in (1, 2, 5)]

_SHARES = (
    ("new_tokens_seen_1", "seen", "line-1"),
    ("new_tokens_seen_10", "seen 10 times", "line-3"),
    ("new_tokens_seen_100", "seen 100 times", "line-5"),
    ("new_rows_near_start", "rows near their start", "line-4"),
    ("clipped_share", "updates clipped", "line-2"),
)
"""Key of the log, name and colour of a line whose values are shares."""


def _curve(log: list[LogEntry] | None, key: str, name: str, colour: str) -> dict[str, Any] | None:
    """One line over the steps; None where the log holds fewer than two points."""
    steps, values = curve(log or [], key)
    if len(steps) < 2:
        return None
    return {
        "type": "scatter",
        "mode": "lines" if len(steps) > 30 else "lines+markers",
        "name": name,
        "meta": colour,
        "x": steps,
        "y": values,
        "hovertemplate": "step %{x}: %{y:.3f}<extra>" + name + "</extra>",
    }


def _curves(lines: list[dict[str, Any] | None], title: str, **axis: Any) -> Plot | None:
    drawn = [line for line in lines if line is not None]
    if not drawn:
        return None
    return figure(
        drawn,
        320,
        x={"title": {"text": "step"}},
        y={"title": {"text": title}, **axis},
        showlegend=len(drawn) > 1,
    )
