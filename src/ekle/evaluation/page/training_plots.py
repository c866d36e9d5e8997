"""The curves of the training logs."""

from typing import Any

from ekle.evaluation.history import Log, curve
from ekle.page.plots import Plot, figure


def training(figures: dict[str, Any]) -> dict[str, Plot | None]:
    """Bits per byte, loss a token, and what else a trainer looks at; None for what no log holds."""
    logs = figures.get("training", {})
    bits = [
        _curve(logs, "extended", "bits_per_byte", "text trained on", "extended"),
        _curve(logs, "extended", "held_out_bits_per_byte", "held-out text", "trained"),
    ]
    losses = [
        _curve(logs, "base", "loss", "the base, before extension", "base"),
        _curve(logs, "extended", "loss_per_token", "after extension", "trained"),
    ]
    shares = [_curve(logs, "extended", key, name, colour) for key, name, colour in _SHARES]
    gradient = [_curve(logs, "extended", "grad_norm", "norm of the gradient", "trained")]
    return {
        "training-bits": _curves(bits, "bits per byte"),
        "training-loss": _curves(losses, "loss a token"),
        "training-gradient": _curves(
            gradient,
            "norm of the gradient",
            type="log",
            tickvals=_NORMS,
            ticktext=[f"{tick:g}" for tick in _NORMS],
        ),
        "training-shares": _curves(shares, "share", tickformat=".0%", range=[0, 1.02]),
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
