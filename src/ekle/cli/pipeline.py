"""`ekle run`, `ekle train`, `ekle status`, `ekle plan`: a whole recipe and its run folder."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ekle.artifacts import Stage, folder_name
from ekle.cli.errors import Interrupted
from ekle.cli.options import Runs, Set, terminal, terminal_reporter
from ekle.page.formatting import listed
from ekle.progress import ProgressReporter

if TYPE_CHECKING:
    from ekle.planning.gpus import Gpu


RUNS = Path("runs")


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ] = "quickstart",
    until: Annotated[Stage, typer.Option(metavar="STAGE", help="The last stage to make.")] = "release",
    redo: Annotated[
        Stage | None, typer.Option(metavar="STAGE", help="Make this stage and those after it again.")
    ] = None,
    control: Annotated[
        bool,
        typer.Option("--control", help="Also train the unchanged base for the same compute, and compare."),
    ] = False,
    runs: Runs = RUNS,
    set_: Set = None,
) -> None:
    """Run a recipe: corpus, vocabulary, base, extension, training, evaluation, release.

    Those are the stages. Everything is written to runs/NAME. A stage that was
    made from the same settings and the same text is kept, so the same command
    resumes after Ctrl-C, a crash or a power cut.

    With --control there is one more stage, control, after the training: what the
    base would have learned with its own tokenizer from the same text.
    """
    _run(recipe, until, redo, runs, set_ or [], control=control)


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ],
    redo: Annotated[bool, typer.Option("--redo", help="Train again from the start.")] = False,
    runs: Runs = RUNS,
    set_: Set = None,
) -> None:
    """Run a recipe up to and including the training, as ekle run RECIPE --until training.

    Finished stages are kept. Missing stages before the training are made first,
    and one line says which.
    """
    _run(recipe, "training", "training" if redo else None, runs, set_ or [], announce=True)


def status(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the name of one in runs/.")],
    runs: Runs = RUNS,
) -> None:
    """Show what a run has made: stages, seconds, size, key figures, and how the training goes."""
    from ekle.page.formatting import size
    from ekle.pipeline.status import read_status, training_status

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
    for subject, text in training_status(folder).items():
        console.print(f"{subject:<12}{text}", markup=False, soft_wrap=True)
    for subject, text in training_status(folder, "control").items():
        console.print(f"control: {subject:<12}{text}", markup=False, soft_wrap=True)


def _run(
    recipe: str,
    until: Stage,
    redo: Stage | None,
    runs: Path,
    overrides: list[str],
    *,
    announce: bool = False,
    control: bool = False,
) -> None:
    """Run a recipe; with `announce`, say first which stages before the last one are missing."""
    from ekle.pipeline.distributed import is_distributed, is_secondary_process
    from ekle.pipeline.run import run as run_pipeline
    from ekle.pipeline.run_folder import RunFolder
    from ekle.progress import silent
    from ekle.recipe.recipe import load_recipe

    chosen = load_recipe(recipe, overrides)
    reporter = silent() if is_secondary_process() else terminal_reporter()
    if announce and not is_distributed():
        _announce(RunFolder(runs / chosen.name).missing_before(until), reporter)
    try:
        at = run_pipeline(chosen, runs / chosen.name, reporter, until=until, redo=redo, control=control)
    except KeyboardInterrupt as interrupt:
        again = ["ekle", "run", recipe]
        again += ["--until", until] if until != "release" else []
        again += ["--control"] if control else []
        again += ["--runs", str(runs)] if runs != RUNS else []
        again += [word for override in overrides for word in ("--set", override)]
        raise Interrupted(
            f"stopped; finished stages are kept and the rest goes on with: {shlex.join(again)}"
        ) from interrupt
    if not is_secondary_process():
        _show_results(at.folder)


def _announce(missing: list[Stage], reporter: ProgressReporter) -> None:
    if missing:
        names = listed([folder_name(stage) for stage in missing])
        reporter.say(f"The training needs {names}, which {'are' if len(missing) > 1 else 'is'} made first")


def _show_results(folder: Path) -> None:
    """What the run has to show, where it is, and what to type next."""
    from ekle.pipeline.summary import run_summary

    console = terminal()
    for line in run_summary(folder):
        console.print(line, markup=False, soft_wrap=True)


def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ],
    gpu: Annotated[
        str | None,
        typer.Option(metavar="GPU", help="Its memory (40GB) or name (a100-40); this machine's if not given."),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that train together.")] = 1,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all figures to this file."),
    ] = None,
    set_: Set = None,
) -> None:
    """Will it fit, how long will it take, what to change: by formula, each line shown.

    Reads the recipe and the shape of its base, no weights and no text. The size
    of the micro-batch is chosen as training chooses it; other changes are named
    as --set takes them.
    """
    from ekle.files import write_json
    from ekle.planning.gpus import find_gpu, known_gpus
    from ekle.planning.plan import make_plan, plan_as_json
    from ekle.planning.shapes import shape_of
    from ekle.planning.terminal import render_plan
    from ekle.recipe.recipe import load_recipe

    chosen = load_recipe(recipe, set_ or [])
    shape = shape_of(chosen)
    device = find_gpu(gpu) if gpu is not None else _here()
    made = make_plan(chosen, shape, device, gpus)
    others = [] if device else [make_plan(chosen, shape, known, gpus) for known in known_gpus()]
    terminal().print(render_plan(made, others))
    if json:
        write_json(json, plan_as_json(made))


def _here() -> "Gpu | None":
    from ekle.model.device import first_gpu  # with torch, which no other part of a plan needs
    from ekle.planning.gpus import gpu_of_size

    found = first_gpu()
    return gpu_of_size(*found) if found else None
