"""Figures as people read them; the same in the terminal, on the page and in the verdict."""

from typing import Protocol

LANGUAGES = {"tr": "Turkish", "en": "English"}
SPACE = "\u00a0"  # a figure and its unit stay on one line


class Interval(Protocol):
    """A figure with its limits; None where they are not known."""

    @property
    def value(self) -> float:
        """The figure."""

    @property
    def low(self) -> float | None:
        """The lower limit."""

    @property
    def high(self) -> float | None:
        """The upper limit."""


def percent(share: float, digits: int | None = None) -> str:
    """0.3402 as "34.0 %"; small shares keep two significant digits, and only 0 is written 0 %."""
    value = 100 * share
    if digits is None:
        digits = 0 if value == 0 else 1 if abs(value) >= 0.95 else 2
    if value != 0 and abs(value) < 0.005 and digits == 2:
        return f"{'−' if value < 0 else ''}<0.01{SPACE}%"
    return f"{value:.{digits}f}{SPACE}%".replace("-", "−")


def signed(share: float) -> str:
    """0.02 as "+2.0 %"."""
    return f"+{percent(share)}" if share > 0 else percent(share)


def points(share: float) -> str:
    """A difference of two shares or scores, 0.021 as "+2.1 points"."""
    return f"{100 * share:+.1f}{SPACE}points".replace("-", "−")


def interval(figure: Interval) -> str:
    """The interval of a share or change as "33.8 to 34.2 %"; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    low, high = percent(figure.low), percent(figure.high)
    return f"{low.removesuffix(f'{SPACE}%')} to {high}"


def ratio(figure: Interval) -> str:
    """The value of a ratio as "1.02×"."""
    return f"{figure.value:.2f}×"


def ratio_interval(figure: Interval) -> str:
    """The interval of a ratio as "0.99 to 1.05"; empty where there is none."""
    return "" if figure.low is None else f"{figure.low:.2f} to {figure.high:.2f}"


def number(value: float) -> str:
    """3.14159 as "3.14", 1234.5 as "1,234", 0.00123 as "0.0012"; a minus sign that is one."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}".replace("-", "−")
    return f"{value:,.{digits}f}".replace("-", "−")


def amount(number: float) -> str:
    """1234567 as "1.2 million"; below a million in full with commas."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f}{SPACE}{name}"
    return f"{number:,.0f}"


def counted(number: int, unit: str) -> str:
    """1 and "time" as "1 time", 1,200 as "1,200 times"."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes as "5.1 MB" (10^6)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f}{SPACE}{name}"
    return f"{number}{SPACE}bytes"


def listed(items: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
