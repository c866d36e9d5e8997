"""The figures for the terminal: tables, the verdict, and the tokens of a text in colour."""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ekle.artifacts.evaluation_report import (
    ALL_HELD_OUT,
    SCORES,
    BoundaryShares,
    EvaluationReport,
    Sentence,
    TaskResult,
    Unit,
    furthest_model,
    text_title,
)
from ekle.artifacts.evaluation_report.criteria_table import criteria_table
from ekle.bpe.segmentation import TokenSpan
from ekle.evaluation.report.compare import ComparedFigure, ComparedValue, ReportComparison
from ekle.evaluation.tokenizer.compare import ComparedTokenizer
from ekle.page.formatting import (
    Interval,
    amount,
    counted,
    interval,
    number,
    percent,
    ratio,
    ratio_interval,
    signed,
)

# They stay different in a terminal of sixteen colours.
_COLOURS = ("on #24418f", "on #7a2a7a")
# Marks of direction: what follows them on the line would be shown in another order.
_CHANGES = 25  # rows of one list; the rest is for a file
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NEW = "on #1d7a3b"
_STYLES = {"headline": "bold", "good": "green", "bad": "red", "plain": "", "note": "dim"}
_LEADS = {"headline": "", "good": "+ ", "bad": "− ", "plain": "· ", "note": ""}
"""The sign before a sentence of the verdict; not everybody sees colours, and not every terminal has them."""


def visible(text: str) -> str:
    """`text` with signs in place of the characters that control a terminal.

    Control characters get their picture (a line break is ␊, escape is ␛); marks that turn the direction
    of the line are spelled `\\u202e`. Letters, emoji and their joiners stay.
    """
    return "".join(_sign(character) for character in text)


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return chr(0x2421 if code == 0x7F else 0x2400 + code)
    if unicodedata.category(character) == "Cc" or character in _DIRECTION:
        return f"\\u{code:04x}"
    return character


def highlighted_tokens(spans: Sequence[TokenSpan], new: Collection[int] = ()) -> Text:
    """A text with its tokens on alternating backgrounds; tokens in `new` are on green."""
    line = Text()
    for place, token in enumerate(spans):
        ground = _NEW if token.id in new else _COLOURS[place % len(_COLOURS)]
        line.append(visible(token.text), style=f"white {ground}")
        if token.id in new and place + 1 < len(spans) and spans[place + 1].id in new:
            line.append("│", style="dim")  # two green neighbours would look like one token
    return line


def comparison_table(rows: Sequence[ComparedTokenizer]) -> Group:
    """From what `compare_tokenizers` returns: a table per text, another one for Turkish text, and one for the
    speed."""
    tables: list[Table] = []
    for title, first in rows[0].texts.items():
        table = _table(
            title, "tokens", "bytes/token", "tokens/word", "tokens saved", "lines changed", "floor saves"
        )
        for row in rows:
            own = row.texts[title]
            table.add_row(
                row.name,
                f"{own.tokens:,}",
                f"{own.bytes_per_token:.2f}",
                f"{own.tokens_per_word:.2f}",
                _share(own.tokens_saved),
                _share(own.lines_changed),
                percent(1 - own.floor / first.tokens),
            )
        tables.append(table)
        if any(row.texts[title].morphology for row in rows):
            tables.append(_morphology_table(title, rows))
    against = f"against {rows[0].name}"
    speeds = _table("speed", "vocabulary", "encodes characters/s", against, "decodes characters/s", against)
    for row in rows:
        speeds.add_row(
            row.name,
            f"{row.tokens:,}",
            amount(row.characters_per_second),
            _quotient(row.speed),
            amount(row.decoded_characters_per_second),
            _quotient(row.decoding_speed),
        )
    return _spaced([*tables, speeds])


def _morphology_table(title: str, rows: Sequence[ComparedTokenizer]) -> Table:
    """Token boundaries in the words of a text against the readings of a lexicon."""
    table = _table(f"morphology of {title}", "root intact", "no wrong boundary", "boundaries, F1")
    for row in rows:
        own = row.texts[title].morphology or BoundaryShares()
        table.add_row(row.name, *map(_share, (own.root_intact, own.no_wrong_boundary, own.f1)))
    return table


def reports_table(compared: ReportComparison) -> Group:
    """A table per section of what `compare_reports` returns, and what was not measured alike. Counts that are
    the same in all reports are left out, because most of them describe the text."""
    tables: list[RenderableType] = []
    sections: dict[str, list[ComparedFigure]] = {}
    told = [row for row in compared.figures if not _same_count(row)]
    for row in told:
        sections.setdefault(row.figure[0], []).append(row)
    names = list(dict.fromkeys(name for row in compared.figures for name in row.values))
    for section, rows in sections.items():
        table = _table(section, *names, "non-overlapping")
        groups = [list(group) for _, group in groupby(rows, key=lambda row: row.figure[1])]
        for place, group in enumerate(groups):
            if place and len(rows) > len(groups):
                table.add_row()
            for row in group:
                show = _SHOWN[row.unit]
                marks = ", ".join("yes" if one else "no" for one in row.non_overlapping.values())
                cells = [_met(row.values.get(name), show) for name in names]
                table.add_row(" ".join(row.figure[1:]), *cells, marks)
        tables.append(table)
    left = len(compared.figures) - len(told)
    if left:
        same = f"{counted(left, 'count')} the same in all reports; --json FILE writes them, too"
        tables.append(Text(same, style="dim"))
    for kind, members in compared.different:
        if members:
            tables.append(Text(f"Not the same in all reports: the {kind} {', '.join(members)}", style="red"))
    return _spaced(tables)


def _same_count(row: ComparedFigure) -> bool:
    values = [figure.value for figure in row.values.values()]
    return row.unit == "amount" and len(set(values)) == 1


def changes_table(rows: Sequence[ComparedTokenizer]) -> Group:
    """For each tokenizer but the first, and each text, what it tokenizes differently, most frequent first."""
    parts: list[RenderableType] = []
    for row in rows[1:]:
        for title, own in row.texts.items():
            heading = f"{row.name} on {title}"
            if own.changes is None or own.lines_changed is None:
                parts.append(Text(f"{heading}: no list, because the two spell their tokens differently"))
                continue
            changes = own.changes
            lines = f"{percent(own.lines_changed.value)} of {own.lines:,} lines change"
            if not changes:
                parts.append(Text(f"{heading}: {lines}"))
                continue
            table = _table(heading, "times")
            for name in (rows[0].name, row.name, "new tokens"):
                table.add_column(name)
            for change in changes[:_CHANGES]:
                cells = ("|".join(map(visible, texts)) for texts in (change.before, change.after))
                new = ", ".join(map(visible, change.new))
                table.add_row(visible(change.text), f"{change.count:,}", *map(Text, (*cells, new)))
            left = len(changes) - _CHANGES
            more = f"; {left:,} more in the file that --json FILE writes" if left > 0 else ""
            parts += [table, Text(f"{lines}, {counted(len(changes), 'different word')}{more}", style="dim")]
    return _spaced(parts)


def verdict_lines(sentences: Sequence[Sentence]) -> Group:
    """A verdict, a line per sentence; good and bad news have a sign and a colour."""
    return Group(
        *(
            Text(f"{_LEADS[sentence.kind]}{sentence.text}", style=_STYLES[sentence.kind])
            for sentence in sentences
        )
    )


def scorecard_table(report: EvaluationReport) -> Group:
    """The verdict and the main tables of a report; tables without figures are left out."""
    parts: list[Table] = []
    if report.tokens:
        table = _table("tokens per word", "base", "extended", "saved", "floor saves")
        for name, text in [*report.tokens.by_text.items(), (ALL_HELD_OUT, report.tokens.all_held_out)]:
            words = [f"{counts.tokens_per_word:.2f}" for counts in (text.base, text.extended)]
            table.add_row(text_title(name), *words, percent(text.saved.value), percent(text.floor.saved))
        parts.append(table)
    if report.likelihood:
        models = report.likelihood
        last = furthest_model(models) or "base"
        table = _table("bits per byte", *models, f"{last} against base")
        for name, likelihood in models[last].items():
            values = [f"{own[name].bits_per_byte.value:.3f}" for own in models.values()]
            table.add_row(
                text_title(name), *values, signed(likelihood.change.value) if likelihood.change else ""
            )
        parts.append(table)
    if report.tasks:
        parts.append(_tasks(report.tasks))
    if report.drift is not None:
        table = _table("tokenized differently", "lines", "changed", "share")
        for name, drift in report.drift.items():
            table.add_row(name, f"{drift.lines:,}", f"{drift.changed:,}", percent(drift.share.value))
        parts.append(table)
    parts += [table for table in (_peers(report), _criteria(report)) if table is not None]
    return _spaced([verdict_lines(report.verdict), *parts])


def _tasks(tasks: Mapping[str, TaskResult]) -> Table:
    """A line for each score of each task: what guessing gives, each model, and our last one less the base."""
    models = list(next(iter(tasks.values())).models)
    last = furthest_model(models) or models[0]
    table = _table("tasks", "score", "questions", "chance", *models, f"{last} less base", "interval")
    for name, part in tasks.items():
        for score in SCORES:
            figures = [own.score(score) for own in part.models.values()]
            if part.models[last].score(score) is None:
                continue
            difference = part.models[last].difference(score)
            table.add_row(
                name,
                score,
                f"{part.examples:,}",
                percent(part.chance) if part.chance is not None else "",
                *(percent(figure.value) if figure else "" for figure in figures),
                signed(difference.value) if difference else "",
                interval(difference) if difference else "",
            )
    return table


def _peers(report: EvaluationReport) -> Table | None:
    """Peers, on all held-out text, with ours at the top."""
    others = {name: part.all_held_out for name, part in (report.peers or {}).items() if part.all_held_out}
    if not others or report.tokens is None:
        return None
    ours = report.tokens.all_held_out
    table = _table("peers", "bytes/token", "tokens/word", "tokens saved")
    rows = [("extended", ours.extended, ours.saved)]
    rows += [(name, part, part.saved) for name, part in others.items()]
    for name, counts, saved in rows:
        averages = (counts.bytes_per_token, counts.tokens_per_word)
        table.add_row(name, *(f"{average:.2f}" for average in averages), percent(saved.value))
    return table


def _criteria(report: EvaluationReport) -> Table | None:
    """The guide's criteria: the target, what was measured, and whether that is enough."""
    if not report.criteria:
        return None
    table = _table("criterion of the guide", "asked", "measured", "met")
    table.add_column("", style="dim")
    for row in criteria_table(report):
        colour = "" if row.met is None else "green" if row.met else "red"
        answer = Text(row.answer("yes", "no", ", unsure"), style=colour)
        table.add_row(row.name, row.asked, row.measured, answer, row.remark)
    return table


def _share(figure: Interval | None) -> str:
    return "" if figure is None else _with(percent(figure.value), interval(figure))


def _number(figure: Interval | None) -> str:
    if figure is None:
        return ""
    if figure.low is None or figure.high is None:
        return number(figure.value)
    return f"{number(figure.value)} ({number(figure.low)} to {number(figure.high)})"


def _quotient(figure: Interval | None) -> str:
    return "" if figure is None else _with(ratio(figure), ratio_interval(figure))


def _amount(figure: Interval | None) -> str:
    return "" if figure is None else f"{figure.value:,.0f}"


_SHOWN: dict[Unit, Callable[[Interval | None], str]] = {
    "share": _share,
    "number": _number,
    "quotient": _quotient,
    "amount": _amount,
}
"""How a figure of each unit is written."""


def _met(figure: ComparedValue | None, show: Callable[[Interval | None], str]) -> str:
    """A figure, and of a criterion whether it is met."""
    if figure is None or figure.met is None:
        return show(figure)
    return f"{show(figure)}, {'met' if figure.met else 'not met'}"


def _with(value: str, limits: str) -> str:
    """A figure with its interval, where it has one."""
    return f"{value} ({limits})" if limits else value


def _spaced(parts: Sequence[RenderableType]) -> Group:
    """The parts with an empty line between them."""
    return Group(*(item for part in parts for item in (part, Text())))


def _table(title: str, *columns: str) -> Table:
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2))
    table.add_column(title, style="cyan")
    for column in columns:
        table.add_column(column, justify="right")
    return table
