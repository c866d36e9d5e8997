"""`ekle plan`: memory, time and disk before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekle.cli.options import Set, terminal

if TYPE_CHECKING:
    from ekle.planning.gpus import Gpu


def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ],
    gpu: Annotated[
        str | None,
        typer.Option(metavar="GPU", help="Its memory (40GB) or name (a100-40); else the one here."),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that train together.")] = 1,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all figures to this file."),
    ] = None,
    set_: Set = None,
) -> None:
    """Will it fit, how long will it take, what to change: by formula, each line shown.

    Reads the recipe and the shape of its base, no weights and no text. What
    training chooses by itself, the sequences that go through at once, is chosen
    here the same way; other changes are named as --set takes them.
    """
    from ekle.files import write_json
    from ekle.planning.gpus import find_gpu, known_gpus
    from ekle.planning.plan import figures, make_plan
    from ekle.planning.shapes import shape_of
    from ekle.planning.terminal import plan_page
    from ekle.recipe.load import load_recipe

    chosen = load_recipe(recipe, set_ or [])
    shape = shape_of(chosen)
    device = find_gpu(gpu) if gpu is not None else _here()
    made = make_plan(chosen, shape, device, gpus)
    others = [] if device else [make_plan(chosen, shape, known, gpus) for known in known_gpus()]
    terminal().print(plan_page(made, others))
    if json:
        write_json(json, figures(made))


def _here() -> "Gpu | None":
    from ekle.model.gpu import gpu_here  # with torch, which no other part of a plan needs
    from ekle.planning.gpus import sized_gpu

    found = gpu_here()
    return sized_gpu(*found) if found else None
