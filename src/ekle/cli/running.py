"""`ekle run`, `ekle train`, `ekle status`: the whole pipeline and its run folder."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ekle.cli.failures import Stopped
from ekle.cli.options import Runs, Set, live_report, settings, terminal
from ekle.pipeline.stages import Stage, folder_name

RUNS = Path("runs")


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ] = "quickstart",
    until: Annotated[Stage, typer.Option(metavar="STAGE", help="The last stage to make.")] = "release",
    redo: Annotated[
        Stage | None, typer.Option(metavar="STAGE", help="Make this stage and those after it again.")
    ] = None,
    runs: Runs = RUNS,
    set_: Set = None,
) -> None:
    """Run a recipe: corpus, vocabulary, base, extension, training, evaluation, release.

    Those are the stages. Everything is written to runs/NAME. What is made already
    from the same settings and the same text is kept, so the same command goes on
    after Ctrl-C, a crash or a power cut.
    """
    _run(recipe, until, redo, runs, set_ or [])


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ],
    redo: Annotated[bool, typer.Option("--redo", help="Train again from the start.")] = False,
    runs: Runs = RUNS,
    set_: Set = None,
) -> None:
    """Run a recipe up to and including the training; finished stages are kept."""
    _run(recipe, "training", "training" if redo else None, runs, set_ or [])


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the name of one in runs/.")],
    runs: Runs = RUNS,
    set_: Set = None,
) -> None:
    """Show what a run has made: stages, seconds, size, key figures, and how the training goes."""
    from ekle.page.wording import size
    from ekle.pipeline.status import status as read_status
    from ekle.pipeline.status import training as read_training

    settings("status", set_)
    folder = run if run.exists() or not (runs / run).exists() else runs / run
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stage", "state"):
        table.add_column(column)
    for column in ("seconds", "size"):
        table.add_column(column, justify="right")
    table.add_column("key figures")
    for row in read_status(folder):
        seconds = f"{row.seconds:,.1f}" if row.seconds is not None else ""
        weight = size(row.bytes) if row.bytes is not None else ""
        table.add_row(folder_name(row.stage), row.state, seconds, weight, row.figures)
    console = terminal()
    console.print(table)
    for subject, text in read_training(folder).items():
        console.print(f"{subject:<12}{text}", markup=False, soft_wrap=True)


def _run(recipe: str, until: Stage, redo: Stage | None, runs: Path, overrides: list[str]) -> None:
    from ekle.pipeline.run import run as run_pipeline
    from ekle.pipeline.together import follows
    from ekle.progress import silent
    from ekle.recipe.load import load_recipe

    chosen = load_recipe(recipe, overrides)
    report = silent() if follows() else live_report()
    try:
        at = run_pipeline(chosen, runs / chosen.name, report, until=until, redo=redo)
    except KeyboardInterrupt as interrupt:
        again = ["ekle", "run", recipe]
        again += ["--until", until] if until != "release" else []
        again += ["--runs", str(runs)] if runs != RUNS else []
        again += [word for override in overrides for word in ("--set", override)]
        raise Stopped(
            f"stopped; finished stages are kept and the rest goes on with: {shlex.join(again)}"
        ) from interrupt
    if not follows():
        _show_results(at.folder, until)


def _show_results(folder: Path, until: Stage) -> None:
    """What the run has to show, and where it lies."""
    from ekle.artifacts import Scorecard
    from ekle.evaluation.terminal import scorecard_table
    from ekle.pipeline.run_folder import RunFolder

    at, console = RunFolder(folder), terminal()
    console.print()
    if at.manifest("evaluation") and until in ("evaluation", "release"):
        console.print(scorecard_table(Scorecard(at.place("evaluation")).figures))
        console.print()
    places = {
        "The tokenizer": at.place("vocabulary") / "tokenizer",
        "The report": at.place("evaluation") / "report.html",
        "The model": at.place("release") / "model",
    }
    for name, place in places.items():
        if place.exists():
            console.print(f"{name:<14}{place}", soft_wrap=True)
