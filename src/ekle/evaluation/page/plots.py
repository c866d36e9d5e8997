"""The plots of the evaluation's page."""

from typing import Any

from ekle.evaluation.history import Log, curve
from ekle.evaluation.names import OURS, TOGETHER
from ekle.page.plots import Plot, figure, trade_plots

_ROW, _FRAME = 30, 96  # pixels: a bar or dot, and title, axis and legend around all of them


def plots(figures: dict[str, Any]) -> dict[str, Plot]:
    """Every plot that `figures` (the content of report.json) has data for, by the name of its place."""
    drawn = {
        "words": words(figures),
        "growth": growth(figures),
        "likelihood": likelihood(figures),
        **training(figures),
        **trade_plots(figures.get("vocabulary", {}).get("trades", [])),
    }
    return {name: plot for name, plot in drawn.items() if plot is not None}


def words(figures: dict[str, Any]) -> Plot | None:
    """Tokens a word by genre: base and extended as bars, the floor as a line across them."""
    if "tokens" not in figures:
        return None
    genres = figures["tokens"]["by_text"]
    names = list(genres)
    if len(names) > 1:
        genres = genres | {TOGETHER: figures["tokens"]["together"]}
        names.append(TOGETHER)
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": key,
            "meta": key,
            "y": names,
            "x": [genres[name][key]["tokens_per_word"] for name in names],
            "text": [f"{genres[name][key]['tokens_per_word']:.2f}" for name in names],
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{x:.3f} tokens a word<extra>" + key + "</extra>",
        }
        for key in ("base", "extended")
    ]
    longest = max(genres[name][key]["tokens_per_word"] for name in names for key in ("base", "extended"))
    floor = {
        "type": "scatter",
        "mode": "markers",
        "name": "floor",
        "meta": "ink",
        "y": names,
        "x": [genres[name]["floor"]["tokens_per_word"] for name in names],
        "marker": {"symbol": "line-ns-open", "size": 26, "line": {"width": 2}},
        "hovertemplate": "%{y}: %{x:.3f} at one token a pre-token<extra>floor</extra>",
    }
    # Plotly stacks a group from below; reversed axes put the first genre and the base on top.
    return figure(
        [*bars, floor],
        height=_FRAME + 2 * _ROW * len(names),
        x={"title": {"text": "tokens a word"}, "range": [0, 1.15 * longest]},  # room for the labels
        y={"autorange": "reversed", "type": "category"},
        bargap=0.3,
    )


def growth(figures: dict[str, Any]) -> Plot | None:
    """What the vocabulary saves as it grows, on the text that the vocabulary stage names."""
    points = figures.get("vocabulary", {}).get("growth", [])
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


def likelihood(figures: dict[str, Any]) -> Plot | None:
    """Bits per byte of each model on each text: a dot, and a line for the interval."""
    models = figures.get("likelihood")
    if not models:
        return None
    several = len(figures["texts"]["held_out"]) > 1
    names = [name for name in next(iter(models.values())) if name != TOGETHER or several]
    dots = []
    for model, by_text in models.items():
        values = [by_text[name]["bits_per_byte"] for name in names]
        dots.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": model,
                "meta": model if model in OURS else "ink",
                "y": names,
                "x": [value["value"] for value in values],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [value.get("high", value["value"]) - value["value"] for value in values],
                    "arrayminus": [value["value"] - value.get("low", value["value"]) for value in values],
                    "thickness": 1.5,
                    "width": 0,
                },
                "marker": {"size": 11},
                "hovertemplate": "%{y}: %{x:.3f} bits per byte<extra>" + model + "</extra>",
            }
        )
    return figure(
        dots,
        height=_FRAME + int(1.5 * _ROW * len(names)),
        x={"title": {"text": "bits per byte, less is better"}},
        y={"autorange": "reversed", "type": "category"},
    )


def training(figures: dict[str, Any]) -> dict[str, Plot | None]:
    """The curves of the training logs: bits per byte, and loss a token."""
    logs = figures.get("training", {})
    bits = [
        _curve(logs, "extended", "bits_per_byte", "text trained on", "extended"),
        _curve(logs, "extended", "held_out_bits_per_byte", "held-out text", "trained"),
    ]
    losses = [
        _curve(logs, "base", "loss", "the base, before extension", "base"),
        _curve(logs, "extended", "loss_per_token", "after extension", "trained"),
    ]
    return {"training-bits": _curves(bits, "bits per byte"), "training-loss": _curves(losses, "loss a token")}


def _curve(logs: dict[str, Log], log: str, key: str, name: str, colour: str) -> dict[str, Any] | None:
    """One line over the steps; None where the log holds fewer than two points."""
    steps, values = curve(logs.get(log, []), key)
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


def _curves(lines: list[dict[str, Any] | None], title: str) -> Plot | None:
    drawn = [line for line in lines if line is not None]
    if not drawn:
        return None
    return figure(drawn, 320, x={"title": {"text": "step"}}, y={"title": {"text": title}}, showlegend=True)
