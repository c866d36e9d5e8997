"""`ekle evaluate`, `ekle compare`, `ekle try`: what a tokenizer and a model are worth."""

from pathlib import Path
from typing import Annotated

import typer

from ekle.cli.options import READING, Out, Set, settings, terminal, terminal_reporter
from ekle.errors import InputError
from ekle.files import short_names


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run, a model or a vocabulary.")],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="BASE", help="The base: a folder, qwen3 or a hub id; what DIR was made from if not given."
        ),
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Turkish text to measure on; may be given again; a run's own if not given.",
        ),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Text in other languages, or code, to measure changes in; may be repeated.",
        ),
    ] = None,
    out: Out = Path("evaluation"),
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER", help="Another model or tokenizer to measure too; may be given again."
        ),
    ] = None,
    gold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Turkish words whose morphemes are marked: CoNLL-U, Morpho Challenge or TrMor.",
        ),
    ] = None,
    parallel: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Turkish and English, tab between, for the models to translate."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Turkish questions with right answers (TurkishMMLU, ARC, XCOPA, Belebele, XQuAD).",
        ),
    ] = None,
    english_task: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Such questions in English, to see what is forgotten."),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Text or conversations that were learned from, to find the texts and questions that occur "
            "in them; a run's own are known.",
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Measure a model against its base, and against peers.

    Tokens, morphology, drift, bits per byte, forgetting, generated text, tasks,
    speed and memory; the folder gets report.json and report.html. Of a run, both
    the extended and the trained model are measured. A tokenizer without a model
    gets only the figures about tokens.
    """
    from ekle.evaluation.report.terminal import scorecard_table
    from ekle.pipeline.api import evaluate as measure
    from ekle.pipeline.given import SourceNames

    recipe = settings(
        "evaluate",
        set_,
        READING,
        evaluation={
            "gold": gold,
            "parallel": parallel,
            "tasks": _tasks("--task", task),
            "english_tasks": _tasks("--english-task", english_task),
        },
    )
    scorecard = measure(
        folder,
        out,
        against=against,
        held_out=_named(held_out) if held_out else None,
        other=_named(other or []),
        peers=_peers(peer or []),
        corpus=SourceNames(corpus or ()),
        settings=recipe.evaluation,
        corpus_settings=recipe.corpus,
        reporter=terminal_reporter(),
    )
    console = terminal()
    console.print(scorecard_table(scorecard.report))
    console.print(f"The report is {out / 'report.html'}", soft_wrap=True)


def _named(paths: list[Path]) -> dict[str, Path]:
    """Each path under a short name."""
    return dict(zip(short_names(paths), paths, strict=True))


def _tasks(option: str, given: list[str] | None) -> dict[str, str] | None:
    """NAME=FILE by name."""
    if given is None:
        return None
    files: dict[str, str] = {}
    for item in given:
        name, sign, file = item.partition("=")
        if not sign:
            raise InputError(f"{option} {item} names no file; give {option} NAME=FILE")
        if name in files:
            raise InputError(f"two tasks are called {name}; give {option} another NAME=FILE")
        files[name] = file
    return files


def _peers(given: list[str]) -> dict[str, Path | str]:
    """NAME=FOLDER by name; a folder alone is called by its own name."""
    pairs: dict[str, Path | str] = {}
    for item in given:
        name, sign, place = item.partition("=")
        if not sign or Path(item).exists():
            (name,) = short_names([item])
            place = item
        if name in pairs:
            raise InputError(f"two are called {name}; give --peer another NAME=FOLDER")
        pairs[name] = place
    return pairs


def compare(
    tokenizers: Annotated[
        list[str],
        typer.Argument(
            metavar="TOKENIZER|REPORT",
            help="qwen3, folders or hub ids; without --text, results of ekle evaluate. "
            "The first is the reference.",
        ),
    ],
    text: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|DIR", help="Any text to compare tokenizers on; may be given again."),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="List what each tokenizes differently from the first.")
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all figures, and every change, to this file."),
    ] = None,
    set_: Set = None,
) -> None:
    """Compare tokenizers on a text, or evaluations that were made before.

    Of tokenizers: bytes per token, tokens per word, changed lines, boundaries in
    Turkish words, speed. Of evaluations: every figure that both have, and whether
    their intervals overlap.
    """
    from ekle.evaluation.report.terminal import changes_table, comparison_table
    from ekle.files import write_json
    from ekle.pipeline.api import compare as measure

    recipe = settings("compare", set_, READING)
    folders = _named([Path(name) for name in tokenizers])
    if not text:
        if changes:
            raise InputError("changes are found in a text; name one with --text FILE")
        if set_:
            raise InputError("the settings say how text is read; name some with --text FILE")
        _compare_reports(folders, json)
        return
    everything = changes or json is not None
    rows = measure(
        dict(zip(folders, tokenizers, strict=True)),
        _named(text),
        changes=everything,
        corpus_settings=recipe.corpus,
        reporter=terminal_reporter(),
    )
    console = terminal()
    console.print(comparison_table(rows))
    if changes:
        console.print(changes_table(rows))
    if json:
        write_json(json, [row.dump() for row in rows])
        console.print(f"All figures and changes are in {json}", soft_wrap=True)


def _compare_reports(folders: dict[str, Path], json: Path | None) -> None:
    """Evaluations side by side."""
    from ekle.evaluation.report.terminal import reports_table
    from ekle.files import write_json
    from ekle.pipeline.api import compare_reports

    compared = compare_reports(folders)
    console = terminal()
    console.print(reports_table(compared))
    if json:
        write_json(json, compared.dump())
        console.print(f"All figures are in {json}", soft_wrap=True)


def try_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run, a model or a vocabulary.")],
    text: Annotated[str, typer.Argument(metavar='"metin"', help="Any text.")],
    base: Annotated[
        str | None, typer.Option(help="The tokenizer to compare with; the recorded one if not given.")
    ] = None,
) -> None:
    """Show how the base and the new tokenizer split a text, in colour."""
    from rich.table import Table
    from rich.text import Text

    from ekle.bpe.base import load_tokenizer
    from ekle.bpe.measure import new_token_ids
    from ekle.bpe.segmentation import token_spans
    from ekle.evaluation.report.terminal import highlighted_tokens, visible
    from ekle.pipeline.lookup import find_model, recorded_base

    name = base or recorded_base(folder)
    old, new = load_tokenizer(name), load_tokenizer(find_model(folder))
    before, after = token_spans(old, text), token_spans(new, text)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("tokens", justify="right")
    table.add_column("text")
    console = terminal()
    new_tokens = new_token_ids(old, new)
    # Sixteen colours have no two dark backgrounds; there, and in a file, bars tell neighbours apart.
    colour = console.color_system in ("256", "truecolor", "windows")
    for title, spans in (("base", before), ("new", after)):
        line = (
            highlighted_tokens(spans, new_tokens)
            if colour
            else Text("|".join(visible(span.text) for span in spans))
        )
        table.add_row(title, str(len(spans)), line)
    console.print(table)
    if before:
        share = f"{len(after) / len(before) - 1:+.0%}".replace("%", " %")
        green = "; new tokens are on green" if colour else ""
        console.print(Text(f"{share} tokens against {name}{green}", style="dim"))
