"""A plan for the terminal: the verdict, memory with bars, time, disk."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ekle.page.formatting import SPACE, amount
from ekle.planning.compute import SHARE_OF_PEAK
from ekle.planning.memory import Part, total
from ekle.planning.plan import Plan, larger_gpu, remedies

_BAR = 32  # cells
_HOW = 70  # columns; with the names before it, a line has at most 120


def render_plan(plan: Plan, others: Sequence[Plan] = ()) -> Group:
    """A plan in full; `others` are plans for other GPUs, shown in a table if there are any."""
    shown: list[RenderableType] = [*verdict(plan), Text(""), _memory(plan), Text("")]
    if others:
        shown += [_gpus(others), Text("")]
    if plan.compute:
        shown += [_time(plan), Text("")]
    shown.append(_disk_and_host(plan))
    return Group(*shown)


def verdict(plan: Plan) -> Iterator[Text]:
    """Whether it fits, in the first line; then the settings with which it does, and warnings."""
    case, gpu = plan.case, plan.gpu
    micro_batch = f"micro-batches of {case.micro_batch} of {case.training.batch_size} sequences"
    if gpu is None:
        text = f"needs {_size(plan.needed)} with {micro_batch}; no GPU found, name one with --gpu"
        yield Text(text, style="bold")
        return
    if plan.fits:
        how = " with other settings" if plan.changes else ""
        text = f"fits {gpu.name}{how}: {_size(plan.needed)} of {_size(gpu.bytes)}, {micro_batch}"
        yield Text(text, style="bold yellow" if plan.changes else "bold green")
        if plan.changes:
            yield Text(f"  with --set {' --set '.join(plan.changes)}")
    else:
        text = f"does not fit {gpu.name}: needs {_size(plan.needed)} of {_size(gpu.bytes)} with {micro_batch}"
        yield Text(text, style="bold red")
        if plan.changes:
            yield Text(f"  with --set {' --set '.join(plan.changes)} already")
        cures = [*remedies(plan), *larger_gpu(plan)]
        for cure in cures:
            yield Text(f"  would fit with {_as_options(cure)}")
        if not cures:
            yield Text("  no other rank or sequence length makes it fit; take a smaller base model")
    if case.training.precision == "bf16" and not case.has_bf16:
        yield Text(
            f"  {gpu.name} has no bf16 in hardware: frozen weights and products are in fp32", style="yellow"
        )
    if gpu.speed_from:
        yield Text(f"  hours are counted with the speed of {gpu.speed_from}", style="dim")


def _as_options(cure: str) -> str:
    return cure if cure.startswith("--") else " ".join(f"--set {word}" for word in cure.split())


def _memory(plan: Plan) -> Table:
    case = plan.case
    table = _table("memory", "GB", "how")
    for part in plan.persistent:
        _row(table, part)
    full = plan.gpu.bytes if plan.gpu else plan.needed
    persistent = total(plan.persistent)
    table.add_row(Text("persistent", style="bold"), _number(persistent), _bar(persistent, full))
    for phase in plan.phases:
        table.add_section()
        for part in phase.parts:
            _row(table, part, "  ", "" if phase is plan.peak else "dim")
        size = persistent + phase.bytes
        table.add_row(Text(phase.name, style="bold"), _number(size), _bar(size, full))
    table.add_section()
    for part in plan.allowance:
        _row(table, part)
    needed = _bar(plan.needed, full).append(f" of each of {case.gpus} GPUs" if case.gpus > 1 else "")
    table.add_row(Text("needed", style="bold"), _number(plan.needed), needed)
    return table


def _time(plan: Plan) -> Table:
    case = plan.case
    table = _table("time", "hours", "how")
    for compute in plan.compute:
        table.add_row(compute.name, f"{compute.seconds / 3600:,.2f}", compute.formula)
    seconds = sum(compute.seconds for compute in plan.compute)
    speed = case.training.steps * case.tokens_per_step / seconds
    what = f"{speed:,.0f} tokens/s per GPU at {SHARE_OF_PEAK:.0%} of its peak"
    table.add_row(Text("total", style="bold"), f"{seconds / 3600:,.1f}", what)
    table.add_row("", "", f"{case.gpus * case.tokens_per_step:,} tokens per step")
    every = case.shape.parameter_count + case.trainable_parameters
    table.add_row("", "", f"{amount(case.trainable_parameters)} of {amount(every)} parameters are trained")
    return table


def _disk_and_host(plan: Plan) -> Table:
    table = _table("disk", "GB", "how")
    for part in plan.disk:
        _row(table, part)
    table.add_row(Text("on disk", style="bold"), _number(total(plan.disk)), "without the text and the base")
    table.add_section()
    for part in plan.host:
        _row(table, part)
    table.add_row(
        Text("host memory", style="bold"),
        _number(max(part.bytes for part in plan.host)),
        "the larger of the two",
    )
    return table


def _gpus(plans: Iterable[Plan]) -> Table:
    table = _table("GPU", "GB", "fits", "micro-batch", "hours", "changes")
    for plan in plans:
        assert plan.gpu is not None
        hours = f"{sum(compute.seconds for compute in plan.compute) / 3600:,.1f}"
        first, *more = (plan.changes if plan.fits else [*remedies(plan), *larger_gpu(plan)]) or ("",)
        table.add_row(
            plan.gpu.name,
            _number(plan.gpu.bytes),
            "yes" if plan.fits else f"no, {_number(plan.needed)}",
            str(plan.case.micro_batch),
            hours if plan.fits else "",
            first,
        )
        for change in more:
            table.add_row("", "", "", "", "", f"{'and' if plan.fits else 'or'} {change}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        right = column in ("GB", "hours", "micro-batch")
        table.add_column(
            column,
            justify="right" if right else "left",
            no_wrap=place == 0,
            max_width=_HOW if column in ("how", "changes") else None,
        )
    return table


def _row(table: Table, part: Part, indent: str = "", style: str = "") -> None:
    table.add_row(indent + part.name, _number(part.bytes), part.formula, style=style)


def _bar(size: int, full: int) -> Text:
    """A bar of the share of `full`; beyond it the bar is red and ends in an arrow."""
    cells = min(round(_BAR * size / full), _BAR)
    colour = "red" if size > full else "green"
    bar = Text("█" * cells, style=colour).append("░" * (_BAR - cells), style="dim")
    return bar.append(f"{'▶' if size > full else ''} {100 * size / full:.0f}{SPACE}%", style="")


def _number(size: int) -> str:
    return f"{size / 1e9:,.2f}" if size >= 5e6 else f"{size / 1e9:.2g}"


def _size(size: int) -> str:
    return f"{_number(size)}{SPACE}GB"
