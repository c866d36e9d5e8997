"""Options that several commands share, and what they are turned into."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ekle.progress import ProgressReporter

if TYPE_CHECKING:
    from ekle.recipe import Recipe

_UNBROKEN = 1_000  # columns; no table of ours is wider

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="A setting of the recipe; may be given again."),
]
Runs = Annotated[Path, typer.Option(help="The folder in which runs live.")]
Out = Annotated[Path, typer.Option(help="A new folder for the result.")]


def settings(command: str, overrides: Sequence[str] | None, **sections: dict[str, Any]) -> "Recipe":
    """The recipe that the options of one command and its `--set` amount to.

    Options left out are None and leave the recipe's default alone; `--set` has the last word.
    """
    from ekle.recipe import make_recipe

    content: dict[str, Any] = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in sections.items()
    }
    return make_recipe({"name": command, **content}, overrides or (), origin=f"ekle {command}")


def terminal() -> Console:
    """Where results are printed; a file or a pipe has lines as long as they need to be."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNBROKEN
    return console


def terminal_reporter() -> ProgressReporter:
    """A report that prints."""
    return ProgressReporter(terminal())


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Each path under its name without the ending of a text file, or in full where two would share it."""
    short = [path.name.removesuffix(".zst") for path in paths]
    short = [name.removesuffix(".txt").removesuffix(".jsonl").removesuffix(".parquet") for name in short]
    return {
        name if name and short.count(name) == 1 else str(path): path
        for name, path in zip(short, paths, strict=True)
    }


def examples(*lines: str) -> str:
    """The end of a command's help: one example a line (\\b keeps Typer from joining them)."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
