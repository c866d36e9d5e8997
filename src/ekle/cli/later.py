"""`ekle serve`: a command of the plan that this version does not have."""

from pathlib import Path
from typing import Annotated

import typer

from ekle.cli.options import Set
from ekle.errors import NotBuiltYet


def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A model folder.")], set_: Set = None
) -> None:
    """Serve a model over an OpenAI-compatible API. Not built yet."""
    raise NotBuiltYet(
        "ekle serve is not built yet; any engine that loads Hugging Face folders serves the release"
    )
