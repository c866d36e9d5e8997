"""Options that several commands share, and what they are turned into.

One kind of text has one name on every command and in every function:

--corpus    text that is learned from, or that was; Turkish
--held-out  Turkish text to measure on
--other     text in other languages, or code, to measure changes in
--protect   such text that the new tokens should leave alone
--replay    text in other languages to learn from
--text      any text, to compare tokenizers on
"""

import os
import re
import sys
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from ekle.errors import InputError, RecipeError, RenamedWarning
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


OLD_OPTIONS = {
    "vocab": {"--weigh-protection": "--protection-cost"},
    "evaluate": {"--text": "--held-out", "--trained-on": "--corpus", "--beside": "--peer"},
}
"""Of each command, options of ekle 0.1 to what they are called now."""


_SURROGATE = re.compile("[\ud800-\udfff]")
"""How Python keeps a byte of an argument that it cannot decode."""


def check_words(words: Sequence[str]) -> None:
    """Refuse words of a command line that are not UTF-8: no file of ekle's could name them.

    Raises:
        InputError: names the word and its cure.
    """
    for word in filter(_SURROGATE.search, words):
        try:
            meant = word.encode("ascii", "surrogateescape").decode("utf-8")
        except UnicodeError:
            shown = word.encode("utf-8", "backslashreplace").decode("utf-8")
            raise InputError(
                f"the argument {shown:.200} is not UTF-8 (\\udcNN stands for the byte NN); rename the file "
                "or folder, or write the value in UTF-8"
            ) from None
        raise InputError(
            f"the locale is {sys.getfilesystemencoding()}, and the argument {meant:.200} is UTF-8; "
            "put PYTHONUTF8=1 before the command"
        )


def with_new_names(words: Sequence[str]) -> list[str]:
    """The words of a command line, with old names of options replaced; a RenamedWarning names them."""
    command, *rest = words or [""]
    names, renamed, new = OLD_OPTIONS.get(command, {}), {}, list(words)
    for place, word in enumerate(rest, start=1):
        if word == "--":
            break
        option, equals, value = word.partition("=")
        if option in names:
            renamed[option] = names[option]
            new[place] = f"{names[option]}{equals}{value}"
    if renamed:
        pairs = ", ".join(f"{old} is now {option}" for old, option in renamed.items())
        warnings.warn(f"{pairs}; ekle 0.3 drops the old names", RenamedWarning, stacklevel=2)
    return new


READING = ("corpus.text_field", "corpus.keep_misdecoded")
"""Settings of how text is read, for the commands that read text and have no other settings of a corpus."""


def settings(
    command: str, overrides: Sequence[str] | None, keys: Collection[str] = (), **sections: dict[str, Any]
) -> "Recipe":
    """The recipe that the options of one command and its `--set` amount to.

    Options left out are None and leave the recipe's default alone; `--set` has the last word.

    Args:
        command: its name, for messages.
        overrides: what `--set` was given.
        keys: single settings that the command reads besides those sections.
        sections: what the options say, by section; a command reads no others.

    Raises:
        RecipeError: an override is no setting, or is none that this command reads.
    """
    from ekle.recipe import make_recipe

    for override in overrides or ():
        key = override.partition("=")[0].strip()
        section, dot, _ = key.partition(".")
        if dot and section not in sections and key not in keys:
            raise RecipeError(
                f"ekle {command} does not read --set {override}; its settings are "
                + " and ".join([*(f"those of {name}" for name in sections), *keys])
            )
    content: dict[str, Any] = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in sections.items()
    }
    return make_recipe({"name": command, **content}, overrides or (), origin=f"ekle {command}")


class _Unpadded:
    """Standard output without the spaces that tables put at the ends of lines."""

    @property
    def encoding(self) -> str:
        return sys.stdout.encoding

    def write(self, text: str) -> int:
        sys.stdout.write(re.sub(r" +\n", "\n", text))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()


def terminal() -> Console:
    """Where results are printed; in a file or a pipe, lines are as long as their text."""
    console = Console(highlight=False)
    if console.is_terminal or console.is_jupyter:
        return console
    width = None if "COLUMNS" in os.environ else _UNBROKEN
    return Console(highlight=False, width=width, file=cast("IO[str]", _Unpadded()), force_jupyter=False)


def terminal_reporter() -> ProgressReporter:
    """A report that prints."""
    return ProgressReporter(terminal())


def examples(*lines: str) -> str:
    """The end of a command's help: one example per line (\\b keeps Typer from joining them)."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
