"""`ekle plan` and `ekle serve`: commands of the plan that this version does not have."""

from pathlib import Path
from typing import Annotated

import typer

from ekle.cli.options import Set
from ekle.errors import NotBuiltYet


def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a recipe of ekle.")
    ],
    gpu: Annotated[str | None, typer.Option(help="Memory of the device, such as 40GB.")] = None,
    set_: Set = None,
) -> None:
    """Will it fit, how long will it take, what to change. Not built yet."""
    raise NotBuiltYet("ekle plan is not built yet; it will say what memory and time a recipe needs")


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model folder.")], set_: Set = None
) -> None:
    """Serve a model over an OpenAI-compatible API. Not built yet."""
    raise NotBuiltYet(
        "ekle serve is not built yet; any engine that loads Hugging Face folders serves the release"
    )
